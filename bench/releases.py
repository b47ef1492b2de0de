#!/usr/bin/env python3
"""Measures promotes and rollbacks under a constant load and writes docs/performance-releases.md.

    releases.py [--rounds N] [--rate N] [--dry]

Needs root: the Docker engine is a private one. With nginx there, its reload is the peer; with wrk, too,
the edge's throughput is measured against plain HAProxy.
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
import throughput
from docker_engine import Engine
from prober import Prober
from report import Report
from wares import Wares, free_port

PAGE = "performance-releases.md"
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream app {{ server {server}:8080; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


class Nginx:
    """What people do by hand: the other address into the file, and a reload."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.folder.mkdir()

    def point_to(self, server):
        (self.folder / "nginx.conf").write_text(
            NGINX.format(folder=self.folder, port=self.port, server=server))
        if self.process is None:
            self.process = subprocess.Popen(["nginx", "-c", str(self.folder / "nginx.conf")],
                                            stdin=subprocess.DEVNULL)
            harness.wait_for((self.folder / "nginx.pid").exists, "nginx")
        else:
            self.process.send_signal(signal.SIGHUP)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)


def boot(engine, image):
    """Seconds from nothing to the app's first answer: the floor of a promote."""
    name = "bench-floor"
    started = time.monotonic()
    engine.call("POST", f"/containers/create?name={name}",
                     {"Image": image, "Env": ["WEB_PORT=8080"]})
    engine.call("POST", f"/containers/{name}/start")
    address = engine.address(name)

    def answers():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{address}:8080/healthz", timeout=1).status == 200
    harness.wait_for(answers, "the app", 30, 0.002)
    took = time.monotonic() - started
    engine.call("DELETE", f"/containers/{name}?force=1")
    return took


class Switches:
    """Seen by the prober around each switch."""

    def __init__(self):
        self.p99, self.failed, self.asked, self.late = [], 0, 0, []

    def take(self, prober, begun, old):
        seen = prober.report()
        self.failed += sum(seen[kind]["failed"] for kind in ("new", "kept"))
        self.asked += sum(seen[kind]["asked"] for kind in ("new", "kept"))
        self.p99.append(max(seen[kind]["p99_ms"] for kind in ("new", "kept")))
        last = seen["releases"].get(old)
        # The last request that the old release answered, by when it was started.
        self.late.append(max(0, last["last"] - begun) if last else 0)


def around(prober, switch):
    """One switch between two quiet seconds: (its seconds, UNIX time in ms when it began)."""
    prober.reset()
    time.sleep(1)
    begun, started = time.time() * 1000, time.monotonic()
    switch()
    took = time.monotonic() - started
    time.sleep(1)
    return took, begun


def measure(options, report):
    with contextlib.ExitStack() as undo:
        engine = Engine()
        undo.callback(engine.close)
        site = harness.Site(harness.temporary_folder("bench"), None)
        undo.callback(site.close)
        wares = Wares(site, engine, "watch: 0s, drain: 1s")
        wares.run("deploy", "stg", "--wait")
        wares.run("promote", "--wait")
        prober = Prober(wares.url("prd"), kinds=["new", "kept"], rate=options.rate)
        undo.callback(prober.stop)
        totals, floors, ours, back, quiet = [], [], Switches(), Switches(), Switches()
        text = wares.text("prd")
        for _ in range(options.rounds):
            old = text
            release, text = wares.build()
            wares.run("deploy", "stg", "--release", release, "--wait")
            image = wares.run("releases", "--json").json[0]["components"]["web"]["image"]
            floors.append(boot(engine, image))
            _, begun = around(prober, lambda: None)
            quiet.take(prober, begun, "")
            took, begun = around(prober, lambda: wares.run("promote"))
            totals.append(took)
            ours.take(prober, begun, old)
            _, begun = around(prober, lambda: wares.run("rollback", "prd"))
            back.take(prober, begun, text)
            wares.run("promote", "--wait")
        total, floor = statistics.median(totals), statistics.median(floors)
        report.add("Promote, whole, above the app's own boot", total - floor, "s", 1,
                   f"whole {total:.2f} s, slowest {max(totals):.2f} s; create, start and first "
                   f"answer by hand {floor:.2f} s")
        report.add("Requests failed over all promotes and rollbacks", ours.failed + back.failed, "",
                   0, f"of {ours.asked + back.asked}, {2 * options.rounds} switches")
        report.add("p99 of all answers around a promote", statistics.median(ours.p99), "ms", 10,
                   f"quiet {statistics.median(quiet.p99):.0f} ms; the new containers' start on the "
                   "same cores is in it")
        report.add("p99 of all answers around a rollback", statistics.median(back.p99), "ms", 10,
                   f"quiet {statistics.median(quiet.p99):.0f} ms")
        report.add("Rollback: command to the last request started on the wrong release",
                   statistics.median(back.late), "ms", 100,
                   f"slowest {max(back.late):.0f} ms; the command's own start is in it")
        nginx_reload(options, report, engine, wares, undo)
        throughput.measure(options, report, engine, undo)


def nginx_reload(options, report, engine, wares, undo):
    if not shutil.which("nginx"):
        print("nginx is not there: its reload is not measured")
        return
    slots = {slot["phase"]: slot["containers"]["web"][0]
             for slot in wares.deployment("prd")["slots"]}
    one, two = (engine.address(slots[phase]) for phase in ("serving", "warm"))
    nginx = Nginx(wares.site.folder / "nginx")
    undo.callback(nginx.stop)
    nginx.point_to(one)
    url = f"http://127.0.0.1:{nginx.port}"
    answers = {}
    for server in (one, two):
        with urllib.request.urlopen(f"http://{server}:8080/", timeout=5) as answer:
            answers[server] = answer.read().decode()
    prober = Prober(url, kinds=["new", "kept"], rate=options.rate)
    undo.callback(prober.stop)
    seen = Switches()
    for _ in range(options.rounds):
        _, begun = around(prober, lambda: nginx.point_to(two))
        seen.take(prober, begun, answers[one])
        one, two = two, one
    report.add("Peer: `nginx -s reload` between the same containers: last request on the wrong one",
               statistics.median(seen.late), "ms", None,
               f"p99 {statistics.median(seen.p99):.0f} ms, {seen.failed} failed of {seen.asked}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=100, help="requests per second and kind")
    parser.add_argument("--dry", action="store_true", help="do not write the page")
    options = parser.parse_args()
    report = Report(PAGE)
    measure(options, report)
    if not options.dry:
        report.write(rounds=options.rounds, rate=options.rate)


if __name__ == "__main__":
    main()
