#!/usr/bin/env python3
"""The kill-point sweep: SIGKILL at every step and phase of up, update, stop and expiry, and once
more while the next daemon recovers; then the preview must be as wanted, and after its end the
census equal to the one before. A voyage (up, update, an end) passes one point in each of its legs.

    sweep.py --quick      every point once, one seeded second kill each (the default)
    sweep.py --full       every hit of every point, every second point, and random kills
    sweep.py --random N   random kills alone: any point and hit, then any other in the recovery
    sweep.py --list       the points of each scenario

A clean run with a record file tells the points (src/base/failpoint.h). A run counts only when the
record proves that its kill happened.
"""
import argparse
import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import random
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import census  # noqa: E402
import harness  # noqa: E402
from voyages import Account, NotReached, Record, quiet_process, run_program  # noqa: E402

KEY = "SWEEP-1"
SETTLED = ("running", "failed", "removed")
# Points of the branch watch and of upkeep, which look on timers of their own: whether an act passes them is
# chance. Its own tests kill there.
BY_THE_CLOCK = ("mirror.fetch.", "upkeep.")


@dataclasses.dataclass(frozen=True)
class Point:
    scenario: str
    name: str
    hit: int = 1

    def __str__(self):
        return f"{self.scenario}:{self.name}" + (f"@{self.hit}" if self.hit > 1 else "")


class World:
    """One data folder with its daemon. A sweep has one per worker, next to a shared server."""

    def __init__(self, postgres, number):
        self.site = harness.Site(harness.temporary_folder(f"sweep{number}"), postgres,
                                 {"int": "ttl: 24h, max: 5"})
        self.repo = harness.TinyRepo(self.site.folder / "tiny")
        self.record = Record(self.site.folder / "record")
        self.texts = 0
        self.past_its_time = False
        self.baseline = None
        self.running = False        # whether the preview runs, as the last leg left it
        self.since_census = []      # the points passed since the census was last equal

    def close(self):
        self.site.close()

    def serve(self, kills=()):
        """A daemon that dies at the given points: [(name, hit)]."""
        armed = ",".join(f"{name}=kill@{hit}" for name, hit in kills)
        env = {"SEATRIAL_FAILPOINT_RECORD": str(self.record.path)}
        if armed:
            env["SEATRIAL_FAILPOINTS"] = armed
        return self.site.serve(env)

    def serve_healthy(self):
        """A daemon without kills, and without a record, that answers."""
        daemon = self.site.serve()
        assert daemon.wait_ready(), f"the daemon does not start: exit {daemon.process.poll()}"

    def end_daemon(self):
        """Stops it in good order; then, for who asked for it, lets time pass in the records:
        a clock cannot be turned for one process."""
        self.site.daemon.terminate()
        if self.past_its_time:
            self.past_its_time = False
            with contextlib.closing(sqlite3.connect(self.site.data / "seatrial.db")) as records:
                records.execute("UPDATE life SET expires_at = 1000 WHERE wanted = 1")
                records.commit()

    def next_commit(self):
        self.texts += 1
        self.repo.commit({"text.txt": f"text {self.texts}\n"}, f"text {self.texts}")

    # What a scenario does, against whatever daemon runs at the moment.

    def up(self):
        # Without --no-start a client that meets a dead daemon would start a healthy one.
        return self.site.start("up", "--issue", KEY, "--no-start", "--json",
                               cwd=self.repo.folder)

    def stop(self):
        return self.site.start("stop", KEY, "--json")

    def expire(self):
        return self.site.start("cleanup", "--json")

    def answers(self):
        """The text that the running preview serves; AssertionError when it does not answer."""
        shown = self.site.show(KEY)
        assert shown and shown["state"] == "running", f"not running: {shown}"
        return {name: harness.get_json(harness.preview_url(shown, name))["text"]
                for name in ("web", "api")}

    def warm_up(self):
        """Shared things (mirror, template, dependency tree) exist before the first census."""
        self.serve_healthy()
        self.finish(self.up())
        assert set(self.answers().values()) == {self.wanted_text()}
        self.finish(self.stop())
        harness.wait_for(lambda: self.site.state(KEY) in (None, "removed"), "the first removal")
        self.baseline = self.settled_census()

    def settled_census(self):
        """The census once two in a row are equal."""
        last, moved = [{}], []

        def still():
            now = self.site.census()
            moved[:] = census.diff(last[0], now)
            last[0] = now
            return not moved
        try:
            harness.wait_for(still, "a census that stands still", 20, 0.2)
        except AssertionError:
            raise AssertionError("the census moves on:\n" + "\n".join(moved)) from None
        return last[0]

    def wanted_text(self):
        return f"text {self.texts}" if self.texts else "one"

    @staticmethod
    def finish(process, seconds=60):
        out, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"


class Scenario:
    """from_running, to_running: whether the preview runs before and after it; prepare: before the
    daemon with the kill starts; act: the client that is at work when it dies; check: what must
    hold in the end."""
    from_running = to_running = True

    def prepare(self, world):
        pass

    def act(self, world):
        raise NotImplementedError

    def over(self, world):
        """Whether the act has ended, once its client has."""
        return True

    def check(self, world):
        raise NotImplementedError


class Up(Scenario):
    name = "up"
    from_running = False

    def act(self, world):
        return world.up()

    def check(self, world):
        converge(world, world.up)
        assert set(world.answers().values()) == {world.wanted_text()}, world.answers()


class Update(Up):
    name = "update"
    from_running = True

    def prepare(self, world):
        world.next_commit()


class Stop(Scenario):
    name = "stop"
    to_running = False

    def act(self, world):
        return world.stop()

    def check(self, world):
        converge(world, world.stop, accept=(0, 4))
        assert world.site.state(KEY) in (None, "removed"), world.site.show(KEY)


class Expire(Stop):
    """The end that nobody asks for: the time is over while no daemon runs."""
    name = "expire"

    def prepare(self, world):
        world.past_its_time = True

    def act(self, world):
        return world.expire()

    def over(self, world):    # the client only asks for it
        return world.site.state(KEY) in (None, "removed")


SCENARIOS = {scenario.name: scenario() for scenario in (Up, Update, Stop, Expire)}


def converge(world, again, accept=(0,)):
    """Asks again, as a person would, until the daemon says that it is done."""
    def done():
        if world.site.state(KEY) not in (*SETTLED, None):
            return False
        with quiet_process(again()) as client:
            out, err = client.communicate(timeout=90)
            assert client.returncode in (*accept, 1, harness.EXIT_NO_SERVER), \
                f"exit {client.returncode}\n{out}\n{err}"
            return client.returncode in accept
    harness.wait_for(done, "the wanted state", 60, 0.05)


def set_out(world, scenario):
    """What the scenario starts from, made by a healthy daemon where the last leg left another."""
    if world.running != scenario.from_running:
        if world.site.daemon.process.poll() is not None:
            world.serve_healthy()
        if scenario.from_running:
            world.finish(world.up())
            world.running = True
        else:
            clean_up(world)
    scenario.prepare(world)
    world.end_daemon()
    world.record.clear()


def arrive(world, scenario):
    """Checks with the healthy daemon that runs; after an end nothing may be left."""
    scenario.check(world)
    world.running = scenario.to_running
    if not world.running:
        clean_up(world)


def record_points(world, scenario):
    """One clean run: [(name, hits)] in the order of the first hit."""
    set_out(world, scenario)
    assert world.serve().wait_ready(), "the daemon does not start"
    world.finish(scenario.act(world))
    # Only what the act passes: asking again, as the check does, passes points of its own.
    hits = collections.Counter(name for name in world.record.lines("hit")
                               if not name.startswith(BY_THE_CLOCK))
    arrive(world, scenario)
    return list(hits.items())


def clean_up(world):
    """Stops the preview with the healthy daemon and compares the census."""
    if world.site.state(KEY) not in (None, "removed"):
        world.finish(world.stop())
    world.running = False
    if world.baseline is not None:
        try:
            world.site.wait_census(world.baseline)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter {', '.join(world.since_census)}") from None
    world.since_census.clear()


def run_point(world, point, second=None):
    """Kills at `point` and, when given, at `second` = (name, hit) in the recovery.
    Returns whether the second kill happened."""
    scenario = SCENARIOS[point.scenario]
    set_out(world, scenario)
    world.since_census.append(str(point))
    daemon = world.serve([(point.name, point.hit)])
    if daemon.wait_ready():
        with quiet_process(scenario.act(world)) as client:
            wait_for_death(world, daemon, client, point)
    fired = world.record.fired(point.name)
    daemon.kill()
    if not fired:
        world.serve_healthy()
        arrive(world, scenario)
        raise NotReached(f"{point} did not fire")

    second_fired = False
    if second:
        world.record.clear()
        daemon = world.serve([second])
        if daemon.wait_ready():
            with quiet_process(scenario.act(world)) as client:
                harness.wait_for(
                    lambda: daemon.process.poll() is not None or client.poll() is not None or
                    world.record.fired(second[0]),
                    f"the recovery of {point}", 60)
        second_fired = world.record.fired(second[0])
        daemon.kill()
    world.serve_healthy()
    arrive(world, scenario)
    return second_fired


def wait_for_death(world, daemon, client, point):
    """The daemon died, or a child of its helper did: the daemon would meet the armed point again
    and again there, so that the kill of it follows at once."""
    def over():
        return daemon.process.poll() is not None or world.record.fired(point.name) or \
            (client.poll() is not None and SCENARIOS[point.scenario].over(world))
    harness.wait_for(over, f"{point} to be reached", 60, 0.01)


@dataclasses.dataclass(frozen=True)
class Run:
    point: Point
    second: tuple = None    # (name, hit) where the recovery is killed, too

    def __str__(self):
        return f"{self.point}" + (f" then {self.second[0]}@{self.second[1]}" if self.second else "")


def plan(points, options):
    """Voyages for the mode, each a list of runs, in a seeded order."""
    chance = random.Random(options.seed)
    runs = []
    stop_names = {name for name, _ in points.get("stop", ())}
    for scenario, hits in points.items() if options.full or options.quick else ():
        names = [name for name, _ in hits]
        for index, (name, count) in enumerate(hits):
            if scenario == "expire" and not options.full and name in stop_names:
                continue  # the same removal, only begun by the clock
            # What comes later in the scenario is most likely met in the recovery.
            later = names[index:]
            if options.full:
                runs += [Run(Point(scenario, name, hit)) for hit in range(1, count + 1)]
                runs += [Run(Point(scenario, name), (other, 1)) for other in later]
            else:
                runs.append(Run(Point(scenario, name), (chance.choice(later), 1)))
    for _ in range(options.random):
        scenario = chance.choice(sorted(points))
        name, count = chance.choice(points[scenario])
        other, other_count = chance.choice(points[scenario])
        runs.append(Run(Point(scenario, name, chance.randint(1, count)),
                        (other, chance.randint(1, other_count))))
    chance.shuffle(runs)
    legs = [[run for run in runs if run.point.scenario in names]
            for names in (("up",), ("update",), ("stop", "expire"))]
    return [[leg for leg in voyage if leg] for voyage in itertools.zip_longest(*legs)]


WORLD_NUMBERS = itertools.count(1)


@contextlib.contextmanager
def worlds():
    """Yields what makes a world. A server per worker: the census of one must not see what another
    one makes."""
    folder = harness.temporary_folder("pg")
    postgres = harness.Postgres(folder / "pg")

    def make_world():
        world = World(postgres, next(WORLD_NUMBERS))
        try:
            world.warm_up()
            world.site.daemon.terminate()
        except BaseException:
            world.close()
            raise
        return world
    try:
        postgres.start()
        postgres.make_database("tiny_dev", harness.TEMPLATE_SQL)
        yield make_world
    finally:
        postgres.stop(remove=True)
        shutil.rmtree(folder, ignore_errors=True)


def sweep(options):
    started = time.monotonic()
    with worlds() as make_world:
        world = make_world()
        try:
            points = {name: record_points(world, SCENARIOS[name])
                      for name in options.scenario or SCENARIOS}
        finally:
            world.close()
    if options.list:
        for scenario, hits in points.items():
            for name, count in hits:
                print(f"{scenario}:{name} {count}")
        return 0
    voyages = plan(points, options)
    runs = sum(len(voyage) for voyage in voyages)
    # A late hit of a point that is met several times may not come: work that goes on side by side
    # shares one look, a folder has an entry less. Not so the first one: the clean run passed there.
    account = Account(lambda world, run: run_point(world, run.point, run.second),
                      lambda run: run.point.hit > 1)
    account.all(voyages, worlds, options.workers)
    print(f"sweep: seed {options.seed}, {sum(map(len, points.values()))} points, "
          f"{account.line(runs, 'second kills')}, {time.monotonic() - started:.0f} s")
    return 0 if account.good(runs) else 1


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--random", type=int, help="random double kills (1000 with --full)")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEATRIAL_SEED", "1")))
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    options = parser.parse_args(arguments)
    options.quick = options.quick or not (options.full or options.random)
    if options.random is None:
        options.random = 1000 if options.full else 0
    return options


if __name__ == "__main__":
    run_program(lambda arguments: sweep(parse(arguments)))
