"""What the sweeps share: voyages (lists of runs against one world, one after the other), carried
out by several workers with a world each, and the account of them."""
import contextlib
import queue
import signal
import sys
import threading


class NotReached(AssertionError):
    """The act went another way this time, e.g. because git found a racy index."""


class Record:
    """What the daemons of one run passed: lines "hit NAME PID" and "fired NAME PID"."""

    def __init__(self, path):
        self.path = path
        path.write_text("")
        path.chmod(0o666)

    def lines(self, word):
        return [line.split(" ")[1] for line in self.path.read_text().splitlines()
                if line.startswith(word + " ")]

    def fired(self, name):
        return name in self.lines("fired")

    def resume(self, name):
        with self.path.open("a") as record:
            record.write(f"resume {name}\n")

    def clear(self):
        self.path.write_text("")


@contextlib.contextmanager
def quiet_process(process):
    """Ends a client that is still there and reaps it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


class Account:
    """`run(world, run)` does one; what it returns is counted as `extra`. It may raise NotReached
    (asked again a few times) and leaves the world usable then; after anything else the next run
    gets a new world. `may_miss(run)`: whether never to be reached is no failure."""

    def __init__(self, run, may_miss=lambda run: False):
        self.run, self.may_miss = run, may_miss
        self.failures, self.done, self.extra, self.unmet = [], 0, 0, 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    def all(self, voyages, worlds, workers):
        """`worlds()` is a context that yields a function that makes a world; one per worker."""
        todo = queue.Queue()
        for voyage in voyages:
            todo.put(voyage)
        threads = [threading.Thread(target=self._work, args=(todo, worlds))
                   for _ in range(workers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            # Interrupted: the runs under way end and clear up behind them.
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _work(self, todo, worlds):
        with worlds() as make_world:
            world = None
            try:
                while not self.stopped.is_set():
                    try:
                        voyage = todo.get_nowait()
                    except queue.Empty:
                        return
                    for run in voyage:
                        world = self._one(run, world, make_world)
            finally:
                if world:
                    world.close()

    def _one(self, run, world, make_world):
        """The world for the next run, if it can be used on."""
        try:
            world = world or make_world()
            extra = self._until_reached(world, run)
            with self.lock:
                self.done += 1
                self.extra += bool(extra)
        except NotReached as error:
            if self.may_miss(run):
                with self.lock:
                    self.unmet += 1
            else:
                self._fail(run, error, world)
        except Exception as error:  # noqa: BLE001 - any fault is a failure of this run
            self._fail(run, error, world)
            if world:
                world.close()
            return None
        return world

    def _until_reached(self, world, run):
        for _ in range(1 if self.may_miss(run) else 3):
            with contextlib.suppress(NotReached):
                return self.run(world, run)
        return self.run(world, run)

    def _fail(self, run, error, world):
        log = world.site.daemon_logs(3000) if world else ""
        with self.lock:
            self.failures.append(str(run))
            print(f"FAILED {run}\n{type(error).__name__}: {error}\n{log}", flush=True)

    def begun(self):
        """Runs that came to an end, good or not."""
        return self.done + self.unmet + len(self.failures)

    def line(self, runs, extra):
        return f"{runs} runs, {self.done} good, {len(self.failures)} failed, " \
            f"{self.unmet} late hits not met, {self.extra} {extra}"

    def good(self, runs):
        """Late hits may not come, but most do; nothing else may miss."""
        return bool(runs) and self.unmet <= runs // 5 and self.done + self.unmet == runs


def stop_in_order(*_):
    sys.exit("sweep: ended by a signal")


def run_program(main):
    """main(arguments) answers the exit code; a signal ends it with everything cleared up."""
    signal.signal(signal.SIGTERM, stop_in_order)
    sys.exit(main(sys.argv[1:]))
