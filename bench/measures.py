"""One function per measurement. Each adds rows to a Report; none fails because a figure is bad."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time

import harness
import procs
from peers import Peer


def copy_history(records, count):
    """Copies of one removed life and its events, under ids of their own."""
    (source,) = records.execute(
        "SELECT id FROM life WHERE state = 'removed' ORDER BY id DESC LIMIT 1").fetchone()
    for table, key in (("life", "id"), ("event", "life")):
        columns = [row[1] for row in records.execute(f"PRAGMA table_info({table})")
                   if row[1] not in (key, "seq")]
        names = ", ".join(columns)
        records.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            f"INSERT INTO {table} ({key}, {names}) SELECT printf('0%025d', i), {names} "
            f"FROM {table}, n WHERE {key} = ?", (source,))
    records.commit()
    assert records.execute("SELECT count(*) FROM life").fetchone()[0] > count


def add_lives(records, count, expires_at):
    """Previews that run nothing and own nothing, as if a provider had made them."""
    columns = [row[1] for row in records.execute("PRAGMA table_info(life)")]
    source = dict(zip(columns, records.execute(
        "SELECT * FROM life WHERE state = 'running' ORDER BY id DESC LIMIT 1").fetchone()))
    spec = json.loads(source["spec"])
    spec.update(branch="", uid_slot=-1, ports={})
    spec["names"]["runs"] = {}
    rows = []
    for number in range(count):
        life = f"1{number:025d}"
        spec["life"] = life
        rows.append([{**source, "id": life, "key": f"EXPIRED-{number}", "spec": json.dumps(spec),
                      "expires_at": int(expires_at * 1000), "warned": 1}[name]
                     for name in columns])
    marks = ", ".join("?" * len(columns))
    records.executemany(f"INSERT INTO life VALUES ({marks})", rows)
    records.commit()


def p99(seconds):
    return sorted(seconds)[int(len(seconds) * 0.99)]


class Bench:
    def __init__(self, world, report, pairs, idle_seconds):
        self.world, self.report, self.pairs = world, report, pairs
        self.idle_seconds = idle_seconds
        self.site = world.site
        self.peers = 0
        self.keys = 0

    def peer(self):
        self.peers += 1
        return Peer(self.world, self.peers)

    def key(self):
        self.keys += 1
        return f"BENCH-{self.keys}"

    def up(self, key):
        """Seconds of a whole `seatrial up`, as a person waits for it."""
        started = time.monotonic()
        self.site.seatrial("up", "--issue", key, "--json", cwd=self.world.repository, ok=True)
        return time.monotonic() - started

    def stop(self, key):
        started = time.monotonic()
        self.site.seatrial("stop", key, "--json", ok=True)
        return time.monotonic() - started

    def start_daemon(self):
        daemon = self.site.serve()
        assert daemon.wait_ready(), "the daemon did not start"

    def prepare(self):
        """Everything shared is there: mirror, frozen template, npm's own cache, page cache."""
        self.start_daemon()
        key = self.key()
        self.up(key)
        self.stop(key)
        peer = self.peer()
        peer.sequential()
        # The floor's dependencies: an installed tree that stays.
        self.modules = self.world.folder / "floor" / "node_modules"
        shutil.copytree(peer.tree / "node_modules", self.modules, symlinks=True)
        peer.stop()

    def starts(self):
        """Cold and warm pairs, interleaved, each pair's order turned round in the next."""
        cold, warm, floors, stops = [], [], [], []
        self.commits, self.gaps = [], []
        own = procs.of_program(self.site.data)
        cpu = []
        for index in range(self.pairs):
            for ratios, fresh in ((cold, True), (warm, False)):
                if fresh:
                    self.world.new_dependencies()
                ours, theirs, used, floor, stop = self._pair(index % 2 == 0, own)
                ratios.append((ours, theirs))
                cpu.append(used)
                stops.append(stop)
                if not fresh:
                    floors.append((ours, floor))
        self._report_starts(cold, warm, floors, stops, cpu)

    def synced_commits(self):
        return self.site.get("/api/v1/server")[1]["synced_commits"]

    def _pair(self, ours_first, own):
        key, peer, floor = self.key(), self.peer(), self.peer()
        used = [0.0]

        def ours():
            before = procs.cpu_seconds(own["daemon"] + own["helper"])
            commits = self.synced_commits()
            seconds = self.up(key)
            self.commits.append(self.synced_commits() - commits)
            used[0] = procs.cpu_seconds(own["daemon"] + own["helper"]) - before
            timings = self.site.show(key)["timings"]
            self.gaps.append(timings["total_ms"] - timings["critical_path_ms"])
            return seconds
        first, second = (ours, peer.sequential) if ours_first else (peer.sequential, ours)
        one, two = first(), second()
        up, sequential = (one, two) if ours_first else (two, one)
        floor_seconds = floor.floor(self.modules)
        stop_pair = (self.stop(key), peer.stop())
        floor.stop()
        return up, sequential, used[0], floor_seconds, stop_pair

    def _report_starts(self, cold, warm, floors, stops, cpu):
        def ratio(pairs):
            return statistics.median(ours / theirs for ours, theirs in pairs)

        def medians(pairs):
            return (f"{statistics.median(ours for ours, _ in pairs):.2f} s",
                    f"{statistics.median(theirs for _, theirs in pairs):.2f} s by hand")
        add = self.report.add
        add("Cold `up`, dependencies installed, against the script", ratio(cold), "×", 0.97,
            " against ".join(medians(cold)))
        add("Cold `up`, dependency tree known, against the script", ratio(warm), "×", 0.45,
            " against ".join(medians(warm)))
        over = statistics.median(ours - floor for ours, floor in floors) * 1000
        add("Own overhead of an `up` (client included) above the same children by hand", over,
            "ms", 50, f"floor {statistics.median(f for _, f in floors) * 1000:.0f} ms")
        add("The same as the daemon counts it: wall minus critical path of the steps",
            statistics.median(self.gaps), "ms", 50, "steps include our own work within them")
        add("Commits to the disk per `up`", statistics.median(self.commits), "", 6,
            f"most {max(self.commits)}")
        add("Processor time of daemon and helper per `up`", statistics.mean(cpu) * 1000, "ms", 60,
            f"mean of {len(cpu)}; clock ticks of 10 ms")
        ours, floor = (statistics.median(column) for column in zip(*stops))
        add("`stop`", ours * 1000, "ms", floor * 1200 + 50,
            f"app's exit + DROP DATABASE: {floor * 1000:.0f} ms; target 1.2 × that + 50 ms")

    def updates(self):
        key, peer = self.key(), self.peer()
        self.up(key)
        peer.floor(self.modules)
        ours, floors = [], []
        for _ in range(self.pairs):
            self.world.change()
            ours.append(self.up(key))
            floors.append(peer.update_floor(self.world.head()))
        self.stop(key)
        peer.stop()
        over = statistics.median(a - b for a, b in zip(ours, floors)) * 1000
        self.report.add("Second `up`, lock file unchanged, above checkout + migrate + boot", over,
                        "ms", 50, f"whole {statistics.median(ours) * 1000:.0f} ms, floor "
                        f"{statistics.median(floors) * 1000:.0f} ms")

    def crowd(self, count=10):
        """Many at once, all right, against the same number one after the other."""
        keys = [self.key() for _ in range(2 * count)]
        started = time.monotonic()
        for key in keys[:count]:
            self.up(key)
        one_by_one = time.monotonic() - started
        errors = []

        def run(key):
            try:
                self.up(key)
            except Exception as error:  # noqa: BLE001 - told in the report
                errors.append(error)
        threads = [threading.Thread(target=run, args=(key,)) for key in keys[count:]]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        at_once = time.monotonic() - started
        addresses = set()
        for key in keys:
            shown = self.site.show(key)
            if shown and shown["state"] == "running":
                addresses.update(harness.preview_url(shown, name) for name in ("web", "api"))
                self.stop(key)
        if len(addresses) != 4 * count:
            errors.append(f"only {len(addresses)} different addresses")
        for error in errors:
            print(f"  {error}", flush=True)
        self.report.add(f"{count} `up` at once: failures and clashes", len(errors), "", 0,
                        f"{at_once:.1f} s at once, {one_by_one:.1f} s one after the other")

    def idle(self, previews=5):
        keys = [self.key() for _ in range(previews)]
        for key in keys:
            self.up(key)
        own = procs.of_program(self.site.data)
        pids = [pid for group in own.values() for pid in group]
        # What follows a start (clearing up, upkeep) is over when nothing moves for a second.
        previous = [None]

        def still():
            now = procs.switches(pids)
            same, previous[0] = previous[0] == now, now
            return same
        try:
            harness.wait_for(still, "stillness", 60, 1.0)
        except AssertionError:
            pass
        before = procs.switches(pids)
        time.sleep(self.idle_seconds)
        count = procs.switches_between(before, procs.switches(pids))
        add = self.report.add
        add(f"Context switches, {previews} previews idle for {self.idle_seconds} s", count, "", 10,
            "daemon, helper and shims, all threads")
        anonymous, resident = procs.memory(own["daemon"][0])
        add("Daemon's anonymous memory", anonymous, "MB", 8, f"resident {resident:.1f} MB")
        if own["shim"]:
            figures = [procs.memory(pid) for pid in own["shim"]]
            add("A shim's anonymous memory", max(each[0] for each in figures), "MB", 0.3,
                f"resident {max(each[1] for each in figures):.1f} MB, {len(figures)} shims")
        for key in keys:
            self.stop(key)

    def many(self, count=10_000):
        """A long history: records of so many removed previews beside a running one."""
        key = self.key()
        self.up(key)
        self.stop(key)
        key = self.key()
        self.up(key)
        self.site.daemon.terminate()
        with contextlib.closing(sqlite3.connect(self.site.data / "seatrial.db")) as records:
            copy_history(records, count)
        started = time.monotonic()
        daemon = self.site.serve()
        assert daemon.wait_ready(60), "the daemon did not start"
        ready = time.monotonic() - started
        listed = []
        for _ in range(9):
            started = time.monotonic()
            self.site.seatrial("ls", "--json", ok=True)
            listed.append(time.monotonic() - started)
        add = self.report.add
        add(f"Daemon ready with {count} recorded previews", ready * 1000, "ms", 300,
            "start of the process until it says so")
        add(f"`ls --json` with {count} recorded previews", statistics.median(listed) * 1000, "ms",
            150, "whole command, median of 9")
        anonymous, resident = procs.memory(procs.of_program(self.site.data)["daemon"][0])
        add(f"Daemon's anonymous memory with {count} recorded previews", anonymous, "MB", 45,
            f"resident {resident:.0f} MB")
        self.stop(key)

    def answers(self, key, enough):
        """Seconds of each request to the API, one after the other, until enough() says so."""
        connection = harness.UnixConnection(self.site.data / "seatrial.sock", 30)
        seconds = []
        while not enough(seconds):
            started = time.monotonic()
            connection.request("GET", f"/api/v1/previews/{key}")
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.monotonic() - started)
            assert answer.status == 200, answer.status
            time.sleep(0.002)
        connection.close()
        return seconds

    def expired(self, count=10_000, notice=30):
        """So many previews end in one moment: what somebody else feels of it."""
        key = self.key()
        self.up(key)
        self.site.daemon.terminate()
        moment = time.time() + notice
        database = self.site.data / "seatrial.db"
        with contextlib.closing(sqlite3.connect(database)) as records:
            add_lives(records, count, moment)
        daemon = self.site.serve()
        assert daemon.wait_ready(60), "the daemon did not start"
        idle = self.answers(key, lambda seconds: time.time() > moment - 1)
        assert len(idle) > 100, "no time to measure the idle daemon"
        harness.wait_for(lambda: time.time() >= moment, "the moment", notice, 0.01)
        left = [count, time.monotonic()]

        def over(_):
            if time.monotonic() > left[1] + 0.5:
                with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as records:
                    left[:] = records.execute(
                        "SELECT count(*) FROM life WHERE key LIKE 'EXPIRED-%' AND "
                        "state <> 'removed'").fetchone()[0], time.monotonic()
            return left[0] == 0 or time.time() > moment + 300
        busy = self.answers(key, over)
        assert left[0] == 0, f"{left[0]} expired previews are still there"
        self.report.add(f"{count} previews expired at once: the API's p99", p99(busy) * 1000, "ms",
                        p99(idle) * 4000, f"idle p99 {p99(idle) * 1000:.1f} ms; all ended after "
                        f"{time.time() - moment:.1f} s; {len(busy)} requests")
        self.stop(key)

    def rebuild(self, build="build/release", rounds=10):
        """A changed source until the program is linked again."""
        root = pathlib.Path(__file__).resolve().parent.parent
        sources = sorted(path for path in (root / "src").rglob("*.cpp")
                         if not path.name.endswith(("_test.cpp", "_fuzz.cpp")))
        beast = [path for path in sources if "boost/" in path.read_text()]
        plain = [path for path in sources if path not in beast]
        chosen = [plain[i * len(plain) // rounds] for i in range(min(rounds, len(plain)))]
        for title, files, target in (("", chosen, 15), (" (Beast)", beast[:3], None)):
            seconds = []
            for path in files:
                os.utime(path)
                started = time.monotonic()
                subprocess.run(["ninja", "-C", str(root / build), "seatrial", "seatrial-helper"],
                               check=True, capture_output=True, env={**os.environ, "CCACHE_DISABLE": "1"})
                seconds.append(time.monotonic() - started)
            if seconds:
                self.report.add(f"A changed source to a linked program{title}",
                                statistics.median(seconds), "s", target,
                                f"median of {len(seconds)}, slowest {max(seconds):.1f} s, no cache")
