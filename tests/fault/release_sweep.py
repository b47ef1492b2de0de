#!/usr/bin/env python3
"""Deploys, promotes and rollbacks under clients that never stop asking, while things are killed:

    the daemon     SIGKILL at every step, and once more while the next one recovers
    app-new, app-old, edge, engine
                   SIGKILL of the new release's or the serving app, of HAProxy's worker, of dockerd,
                   while the daemon stands still at a step

The clients ask over new and kept connections, HTTP/1.1 and 2, WebSockets and server-sent events,
and send bodies, some so slowly that the switch comes in between; one environment speaks TLS, the
other plain HTTP.

Whatever died, the release that was asked for serves in the end (or the one before, where the new
one died under its checks), and engine, edge and records agree (release_census.py). Not one request
fails but those that the serving app, the edge or the engine took with it; for these there is a limit
of the time without an answer.

    release_sweep.py --quick      every step of each command once, one of each other kill
    release_sweep.py --full       every second kill, every other kill at every step
    release_sweep.py --list       the steps of each command
"""
import argparse
import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
from docker_engine import Engine  # noqa: E402
from prober import Prober  # noqa: E402
from release_census import Census  # noqa: E402
from voyages import Account, NotReached, Record, quiet_process, run_program  # noqa: E402
from wares import APP_YAML, Wares  # noqa: E402

# Their own timers and events, not the command, decide when these are passed.
BY_THE_CLOCK = ("upkeep.", "mirror.", "collector.")
# The longest time without a good answer that a kill may cause, in ms; the app's own start is part
# of it. 0: no request may fail.
AWAY = {"app-new": 0, "app-old": 5000, "edge": 2000, "engine": 0}
COMMANDS = {"deploy": ("stg", ("deploy", "stg")), "promote": ("prd", ("promote",)),
            "rollback": ("prd", ("rollback", "prd"))}
ASKED = ("new", "kept", "h2", "post", "upload")
STREAMED = ("events", "ws")
# Of a site, in seconds. An upload takes three quarters of it: a longer one is cut by design.
DRAIN = {"quick": 1, "full": 4}
RATE = 5    # per second, of each kind of ASKED
FEWEST_COMMANDS = 200    # of a full sweep


@dataclasses.dataclass(frozen=True)
class Run:
    command: str
    step: str
    hit: int = 1
    second: str = ""      # a step of the recovery, where the daemon is killed again
    victim: str = ""      # killed instead of the daemon

    def __str__(self):
        return f"{self.command}:{self.step}@{self.hit}" + \
            (f" then {self.second}" if self.second else "") + \
            (f" kills {self.victim}" if self.victim else "")


class Figures:
    """What all worlds saw. Thread: any."""

    def __init__(self):
        self.lock = threading.Lock()
        self.commands, self.kills = collections.Counter(), collections.Counter()
        self.asked, self.good, self.failed = (collections.Counter() for _ in range(3))
        self.gaps = collections.Counter()    # ms, by victim
        self.crossed = 0

    def saw(self, seen, victim):
        with self.lock:
            for kind in ASKED + STREAMED:
                self.asked[kind] += seen[kind]["asked"]
                self.good[kind] += seen[kind]["good"]
                self.failed[victim] += seen[kind]["failed"]
            self.crossed += seen["upload"]["crossed"]
            self.gaps[victim] = max(self.gaps[victim], seen["longest_gap_ms"])

    def made(self, command):
        with self.lock:
            self.commands[command] += 1

    def killed(self, victim):
        with self.lock:
            self.kills[victim] += 1

    def lines(self):
        made = ", ".join(f"{count} {name}s" for name, count in sorted(self.commands.items()))
        yield f"{self.commands.total()} commands: {made}"
        kinds = ", ".join(f"{self.asked[kind]} {kind}" for kind in ASKED + STREAMED)
        yield f"{self.asked.total()} requests ({kinds}), {self.failed.total()} failed; " \
            f"{self.crossed} uploads went on through a switch"
        for victim in ("daemon", *AWAY):
            yield f"{victim} killed {self.kills[victim]} times: " \
                f"{self.failed[victim]} failed, longest gap {self.gaps[victim]} ms"


FIGURES = Figures()


class World:
    """An engine, a data folder, and an app that serves in stg and prd with a prober for each."""

    def __init__(self, drain, tls):
        """`tls`: the environment that speaks it."""
        with contextlib.ExitStack() as undo:
            self.engine = Engine("--live-restore")    # as it is recommended
            undo.callback(self.engine.close)
            self.site = harness.Site(harness.temporary_folder("rel"), None)
            undo.callback(self.site.close)
            # A gate would take a release back for what a kill did.
            self.wares = Wares(self.site, self.engine,
                               f"watch: 0s, drain: {drain}s, gates: {{ error_rate: 0% }}", tls)
            self.wares.repo.commit({"seatrial.yaml": APP_YAML.replace(
                "health: /healthz", "health: /healthz, volumes: { notes: /notes }")})
            self.census = Census(self.wares)
            self.record = Record(self.site.folder / "record")
            self.texts = {"stg": [""], "prd": [""]}    # what users got before, and get
            self.next = None                       # (id, text) of the release to deploy
            self.serve()
            for _ in range(3):    # all slots taken: what is next makes room
                self.deploy_next()
                self.wares.run("promote", "--wait")
                self.expect("promote")
            self.probers = {}
            self.victim = "daemon"    # of the last run
            for env in self.texts:
                self.probers[env] = Prober(self.wares.url(env), rate=RATE, upload=drain * 750,
                                           kinds=[*ASKED, *STREAMED])
                undo.callback(self.probers[env].stop)
            self.close = undo.pop_all().close

    def serve(self, armed="", stands=lambda: False):
        """`stands`: whether the daemon stands still at a step; it may before it answers."""
        env = {"SEATRIAL_FAILPOINT_RECORD": str(self.record.path), "SEATRIAL_FAILPOINTS": armed}
        daemon = self.site.serve({name: value for name, value in env.items() if value})
        ready = harness.wait_for(
            lambda: "stands" if stands() else daemon.state(), "the daemon to answer") != "ended"
        assert ready or armed, f"the daemon does not start\n{self.site.daemon_logs()}"
        return daemon

    def deploy_next(self):
        self.next = self.wares.build()
        self.wares.run("deploy", "stg", "--release", self.next[0], "--wait")
        self.expect("deploy")

    def act(self, command):
        words = COMMANDS[command][1]
        more = ("--release", self.next[0]) if command == "deploy" else ()
        return self.wares.start(*words, *more, "--wait")

    def prepare(self, command):
        if command == "deploy":
            self.next = self.wares.build()
        elif command == "promote" and self.texts["stg"][-1] in self.texts["prd"]:
            self.deploy_next()
        self.site.daemon.terminate()
        self.record.clear()
        self.look(self.victim)    # a request may fail a while after who took it
        self.victim = "daemon"

    def expect(self, command):
        """Notes what serves now."""
        FIGURES.made(command)
        if command == "rollback":
            self.texts["prd"].reverse()
        else:
            env, text = ("stg", self.next[1]) if command == "deploy" else \
                ("prd", self.texts["stg"][-1])
            if text != self.texts[env][-1]:
                self.texts[env] = [self.texts[env][-1], text]

    def text(self, env):
        with contextlib.suppress(OSError):
            return self.wares.text(env)
        return None

    def look(self, victim):
        """Whether the probers are content with all since the last look: {env: what they saw}."""
        away = AWAY.get(victim, 0)
        reports = {env: prober.reset() for env, prober in self.probers.items()}
        for seen in reports.values():
            FIGURES.saw(seen, victim)
        for env, seen in reports.items():
            assert away or not seen["failed"], f"requests failed in {env}: {seen}"
            assert seen["longest_gap_ms"] <= (away or 2000), f"{env} was away: {seen}"
        return reports

    def check(self, victim="daemon"):
        """The wanted releases serve, nothing else is there, and the probers are content."""
        for env in self.texts:
            shown = self.wares.deployment(env)
            serving = next(slot for slot in shown["slots"] if slot["phase"] == "serving")
            assert shown["wanted"] == shown["serving"] == serving["tag"], shown
            text = harness.wait_for(lambda env=env: self.text(env), f"an answer of {env}", 20)
            assert text == self.texts[env][-1], \
                f"{env} serves '{text}', not {self.texts[env]}\n{self.wares.run('incidents').out}"
        lines = []

        def agreed():    # a slot that failed goes a little later
            lines[:] = self.census.differences()
            return not lines
        try:
            harness.wait_for(agreed, "an even census", 20, 0.1)
        except AssertionError:
            raise AssertionError("the census differs:\n" + "\n".join(lines)) from None
        self.victim = victim
        for env, seen in self.look(victim).items():
            for kind in ASKED:
                assert seen[kind]["asked"], f"{env} was not asked by {kind}: {seen}"


def generation(world, command):
    return world.wares.deployment(COMMANDS[command][0])["generation"]


def settled(world, command):
    shown = world.wares.deployment(COMMANDS[command][0])
    return shown and shown["settled"] and \
        not any(slot["phase"] == "draining" for slot in shown["slots"])


def carry_on(world, command, before):
    """What was accepted goes on by itself; what was not, a person asks for again."""
    if generation(world, command) == before:
        with quiet_process(world.act(command)) as client:
            out, err = client.communicate(timeout=90)
            assert client.returncode == 0, f"exit {client.returncode}\n{out}\n{err}"
    harness.wait_for(lambda: settled(world, command), f"{command} to be done", 90, 0.05)
    world.expect(command)


def record_steps(world, command):
    """A run without a kill: [(step, hits)] in the order of the first pass."""
    before = generation(world, command)
    world.prepare(command)
    world.serve()
    carry_on(world, command, before)
    hits = collections.Counter(name for name in world.record.lines("hit")
                               if not name.startswith(BY_THE_CLOCK))
    world.check()
    return list(hits.items())


def kill_daemon(world, run):
    """Whether the second kill happened, too."""
    before = generation(world, run.command)
    world.prepare(run.command)
    daemon = world.serve(f"{run.step}=kill@{run.hit}")
    if daemon.process.poll() is None:
        with quiet_process(world.act(run.command)) as client:
            harness.wait_for(
                lambda: daemon.process.poll() is not None or client.poll() is not None,
                f"{run} to be reached", 90, 0.01)
    fired, second_fired = world.record.fired(run.step), False
    daemon.kill()
    if fired and run.second:
        world.record.clear()
        daemon = world.serve(f"{run.second}=kill")
        harness.wait_for(lambda: daemon.process.poll() is not None or settled(world, run.command),
                         f"the recovery of {run}", 90, 0.05)
        second_fired = world.record.fired(run.second)
        daemon.kill()
    for fired_now in (fired, second_fired):
        if fired_now:
            FIGURES.killed("daemon")
    world.serve()
    carry_on(world, run.command, before)
    world.check()
    if not fired:
        raise NotReached(f"{run} did not fire")
    return second_fired


def containers(world, command, phases):
    shown = world.wares.deployment(COMMANDS[command][0])
    return [name for slot in shown["slots"] if slot["phase"] in phases
            for names in slot.get("containers", {}).values() for name in names]


def victims(world, run, served, asked):
    """Process ids. Before its start there is no new app; once it has users it is the serving one."""
    if run.victim == "edge":
        return [world.wares.edge_worker()]
    if run.victim == "app-new" and not asked:
        return []
    names = served if run.victim == "app-old" else \
        containers(world, run.command, ("starting", "ready", "checked"))
    pids = [world.engine.pid(name) for name in names]
    return [pid for pid in pids if pid]


def strike(world, run, served, asked=True):
    """Kills the victim; whether there was one. `asked`: the command was given already."""
    if run.victim == "engine":
        world.engine.tell("crash")
        world.engine.tell("start")
        world.engine.open_socket()
        return True
    pids = victims(world, run, served, asked)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return bool(pids)


def kill_other(world, run):
    """Whether there was something to kill."""
    before = generation(world, run.command)
    served = containers(world, run.command, ("serving",))
    texts = list(world.texts[COMMANDS[run.command][0]])
    world.prepare(run.command)
    def stands():
        return world.record.fired(run.step)
    daemon = world.serve(f"{run.step}=pause@{run.hit}", stands)
    early = stands()
    if early:
        killed = strike(world, run, served, False)
        world.record.resume(run.step)
        daemon.wait_ready()
    with quiet_process(world.act(run.command)) as client:
        if not early:
            harness.wait_for(lambda: stands() or client.poll() is not None,
                             f"{run} to be reached", 90, 0.01)
            killed = strike(world, run, served)
            world.record.resume(run.step)
        client.communicate(timeout=90)
    carry_on(world, run.command, before)
    env = COMMANDS[run.command][0]
    if run.victim == "app-new" and world.text(env) == texts[-1]:
        world.texts[env] = texts    # it died under its checks: refused, and users saw nothing of it
    world.check(run.victim)
    if killed:
        FIGURES.killed(run.victim)
    return killed


def plan(steps, options):
    """Voyages of one deploy, promote and rollback each, in a seeded order."""
    chance = random.Random(options.seed)
    runs = {command: [] for command in steps}
    for command, counts in steps.items():
        names = [name for name, _ in counts]
        hits = [(index, name, hit) for index, (name, count) in enumerate(counts)
                for hit in range(1, count + 1)]
        for index, name, hit in hits:
            seconds = names[index:] if options.full and hit == 1 else [chance.choice(names[index:])]
            runs[command] += [Run(command, name, hit, second) for second in seconds]
        others = hits if options.full else []
        runs[command] += [Run(command, name, hit, victim=victim) for _, name, hit in others
                          for victim in AWAY]
    if not options.full:
        for victim in AWAY:
            command = chance.choice(sorted(steps))
            name, count = steps[command][-1]
            if victim != "app-new":
                runs[command].append(Run(command, name, count, victim=victim))
        # While the daemon starts, which watches the edge a little later.
        runs["rollback"].append(Run("rollback", "edge.switched", 1, victim="edge"))
        # It is there, and nobody is on it yet, at one of these.
        runs["deploy"] += [Run("deploy", "edge.filled", hit, victim="app-new")
                           for hit in range(2, dict(steps["deploy"])["edge.filled"] + 1)]
    for each in runs.values():
        chance.shuffle(each)
    return [[run for run in voyage if run] for voyage in itertools.zip_longest(*runs.values())]


def sweep(options):
    started = time.monotonic()
    drain = DRAIN["full" if options.full else "quick"]
    secure = itertools.cycle(["prd", "stg"])    # one worker's world so, the next one's so

    @contextlib.contextmanager
    def worlds():
        tls = next(secure)
        yield lambda: World(drain, tls)

    world = World(drain, "prd")
    try:
        steps = {command: record_steps(world, command) for command in COMMANDS}
    finally:
        world.close()
    if options.list:
        for command, counts in steps.items():
            for name, count in counts:
                print(f"{command}:{name} {count}")
        return 0
    voyages = plan(steps, options)
    planned = sum(len(voyage) for voyage in voyages)
    # How often records are written, a timer has a say in.
    account = Account(lambda world, run: (kill_other if run.victim else kill_daemon)(world, run),
                      lambda run: run.hit > 1)
    timer = threading.Timer(options.minutes * 60, account.stopped.set)
    timer.daemon = True
    if options.minutes:
        timer.start()
    account.all(voyages, worlds, options.workers)
    runs = account.begun() if options.minutes else planned
    print(f"release sweep: seed {options.seed}, of {planned} planned "
          f"{account.line(runs, 'second or other kills')}, {time.monotonic() - started:.0f} s")
    for line in FIGURES.lines():
        print("  " + line)
    missing = [f"{victim} was never killed" for victim in AWAY if not FIGURES.kills[victim]] + \
        [f"nobody asked by {kind}" for kind in ASKED + STREAMED if not FIGURES.good[kind]]
    if FIGURES.crossed < runs // 2:
        missing.append("hardly an upload went on through a switch")
    if options.full and FIGURES.commands.total() < FEWEST_COMMANDS:
        missing.append(f"fewer than {FEWEST_COMMANDS} commands")
    for line in missing:
        print("  " + line)
    return 0 if account.good(runs) and not missing else 1


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the default")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEATRIAL_SEED", "1")))
    parser.add_argument("--minutes", type=float, default=0,
                        help="begin nothing new after so many; 0: to the end")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_program(lambda arguments: sweep(parse(arguments)))
