#!/usr/bin/env python3
"""Measures promotes and rollbacks under a constant load and writes docs/performance-releases.md.

    releases.py [--rounds N] [--rate N] [--dry]

Needs root: the Docker engine is a private one. kamal-proxy is measured beside it where it is installed.
"""
import argparse
import contextlib
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

import world as _  # noqa: F401 - finds the harness and the release build
import harness
import open_loop
import proxies
import throughput
from docker_engine import Engine
from prober import Prober
from report import Report
from wares import Wares

PAGE = "performance-releases.md"
PROBES = 50    # per second over new connections, and as many over kept ones
LOAD_SECONDS = 4    # more than a switch with a second on each side


@contextlib.contextmanager
def booted(engine, image, name="bench-floor"):
    """A container by hand, from nothing to the app's first answer: its address."""
    engine.call("POST", f"/containers/create?name={name}",
                {"Image": image, "Env": ["WEB_PORT=8080"]})
    try:
        engine.call("POST", f"/containers/{name}/start")
        address = engine.address(name)

        def answers():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://{address}:8080/healthz",
                                              timeout=1).status == 200
        harness.wait_for(answers, "the app", 30, 0.002)
        yield address
    finally:
        engine.call("DELETE", f"/containers/{name}?force=1")


def boot(engine, image):
    """Its seconds: the floor of a promote."""
    started = time.monotonic()
    with booted(engine, image):
        return time.monotonic() - started


class Around:
    """What clients see of a switch, from a second before it to a second after it."""

    def __init__(self, url, rate, undo):
        self.url, self.rate = url, rate
        # Knows which release answered; the load beside it does not.
        self.prober = Prober(url, kinds=["new", "kept"], rate=PROBES)
        undo.callback(self.prober.stop)

    def see(self, switch, seen, old=""):
        load = open_loop.Load(self.url, self.rate - 2 * PROBES, LOAD_SECONDS)
        time.sleep(1.2)
        self.prober.reset()
        begun = time.time()
        switch()
        ended = time.time()
        seen.seconds.append(ended - begun)
        time.sleep(1)
        asked, failed, p99 = load.between(begun - 1, ended + 1)
        probed = self.prober.report()
        seen.asked += asked + sum(probed[kind]["asked"] for kind in ("new", "kept"))
        seen.failed += failed + len(probed["failed"])
        seen.p99.append(p99)
        last = probed["releases"].get(old)
        # The last request that the old release answered, by when it was started.
        seen.late.append(max(0, last["last"] - begun * 1000) if last else 0)


class Seen:
    def __init__(self):
        self.p99, self.failed, self.asked, self.late, self.seconds = [], 0, 0, [], []


def measure(options, report):
    with contextlib.ExitStack() as undo:
        engine = Engine()
        undo.callback(engine.close)
        site = harness.Site(harness.temporary_folder("bench"), None)
        undo.callback(site.close)
        wares = Wares(site, engine, "watch: 0s, drain: 1s")
        wares.run("deploy", "stg", "--wait")
        wares.run("promote", "--wait")
        own = options.rate or open_loop.capacity(wares.url("prd")) // 2
        print(f"{own} requests per second: half of what this machine can", flush=True)
        ours, back, quiet, floors = voyages(options.rounds, own, engine, wares)
        total, floor = statistics.median(ours.seconds), statistics.median(floors)
        report.add("Promote, whole, above the app's own boot", total - floor, "s", 1,
                   f"whole {total:.2f} s, slowest {max(ours.seconds):.2f} s; create, start and first "
                   f"answer by hand {floor:.2f} s")
        report.add("Requests failed over all promotes and rollbacks", ours.failed + back.failed, "",
                   0, f"of {ours.asked + back.asked}, {2 * options.rounds} switches")
        report.add("p99 of all answers around a promote", statistics.median(ours.p99), "ms", 10,
                   f"quiet {statistics.median(quiet.p99):.1f} ms; the start of the new app is in it, "
                   "and its first requests")
        report.add("p99 of all answers around a rollback", statistics.median(back.p99), "ms", 10,
                   f"quiet {statistics.median(quiet.p99):.1f} ms")
        report.add("Rollback: command to the last request started on the wrong release",
                   statistics.median(back.late), "ms", 100,
                   f"slowest {max(back.late):.0f} ms; the command's own start is in it")
        peers(options, report, engine, wares)
        throughput.measure(options, report, engine, undo)
    return own


def voyages(rounds, rate, engine, wares):
    """Promotes, rollbacks and quiet seconds at so many requests per second; seconds of the app's own
    boot."""
    floors, ours, back, quiet = [], Seen(), Seen(), Seen()
    text = wares.text("prd")
    with contextlib.ExitStack() as until:
        around = Around(wares.url("prd"), rate, until)
        for _ in range(rounds):
            old = text
            release, text = wares.build()
            wares.run("deploy", "stg", "--release", release, "--wait")
            image = wares.run("releases", "--json").json[0]["components"]["web"]["image"]
            floors.append(boot(engine, image))
            around.see(lambda: None, quiet)
            around.see(lambda: wares.run("promote"), ours, old)
            around.see(lambda: wares.run("rollback", "prd"), back, text)
            wares.run("promote", "--wait")
    return ours, back, quiet, floors


PEERS = (("kamal-proxy deploy", "kamal-proxy", lambda folder: proxies.Kamal(folder, "/healthz")),
         ("nginx -s reload", "nginx", proxies.Nginx))


def peers(options, report, engine, wares):
    """Each between the same two containers, and to a new one of the same image, under the same load: half
    of what the slower of it and the edge can."""
    for name, program, make in PEERS:
        if not shutil.which(program):
            print(f"{program} is not there: it is not measured")
            continue
        slots = {slot["phase"]: slot["containers"]["web"][0]
                 for slot in wares.deployment("prd")["slots"]}
        servers = [engine.address(slots[phase]) for phase in ("serving", "warm")]
        image = engine.inspect(slots["serving"])["Image"]
        with urllib.request.urlopen(f"http://{servers[0]}:8080/", timeout=5) as answer:
            old = answer.read().decode()
        warm, fresh = Seen(), Seen()
        with contextlib.ExitStack() as until:
            proxy = make(wares.site.folder / program)
            until.callback(proxy.stop)
            proxy.point_to(servers[0])
            url = f"http://127.0.0.1:{proxy.port}"
            rate = min(map(open_loop.capacity, (url, wares.url("prd")))) // 2
            around = Around(url, rate, until)
            for _ in range(options.rounds):
                around.see(lambda: proxy.point_to(servers[1]), warm, old)
                proxy.point_to(servers[0])
                with contextlib.ExitStack() as container:
                    around.see(lambda: proxy.point_to(container.enter_context(
                        booted(engine, image))), fresh)
                    proxy.point_to(servers[0])
        ours, back, _, _ = voyages(options.rounds, rate, engine, wares)
        target = 1 if program == "kamal-proxy" else None
        report.add(f"Peer: `{name}` between the same containers: last request on the wrong one",
                   statistics.median(warm.late), "ms", None,
                   f"{warm.failed + fresh.failed} failed of {warm.asked + fresh.asked}")
        for what, mine, his in ((f"p99 around a rollback ÷ around `{name}`", back, warm),
                                (f"p99 around a promote ÷ around a container's start by hand and "
                                 f"`{name}`", ours, fresh)):
            mine, his = statistics.median(mine.p99), statistics.median(his.p99)
            report.add(what, mine / his, "×", target,
                       f"{mine:.1f} against {his:.1f} ms at {rate} requests per second")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--rate", type=int, help="requests per second (default: half of what the "
                        "app behind the edge answers at most)")
    parser.add_argument("--dry", action="store_true", help="do not write the page")
    options = parser.parse_args()
    report = Report(PAGE)
    rate = measure(options, report)
    if not options.dry:
        report.write(rounds=options.rounds, rate=rate)


if __name__ == "__main__":
    main()
