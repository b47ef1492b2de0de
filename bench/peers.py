"""Floors and peers: the same work done by hand, so that every figure stands beside one from the
same run on the same machine."""
import os
import signal
import subprocess
import threading
import time

import harness
from world import TEMPLATE

BENCH = os.path.dirname(os.path.abspath(__file__))


def wait_answer(port, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return harness.get_json(f"http://127.0.0.1:{port}/", 2)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


class Peer:
    """One hand-made preview; numbers keep names and ports apart."""

    def __init__(self, world, number):
        self.world = world
        self.number = number
        self.tree = world.folder / "peers" / str(number)
        self.tree.parent.mkdir(exist_ok=True)
        self.database = f"peer_{number}"
        self.ports = (31000 + 2 * (number % 500), 31001 + 2 * (number % 500))
        self.pids = []
        self.children = []

    def env(self):
        return {**os.environ, **self.world.database_env()}

    def sequential(self):
        """bench/sequential.sh; seconds until both answer."""
        started = time.monotonic()
        done = subprocess.run(
            [f"{BENCH}/sequential.sh", str(self.world.repository), self.world.head(),
             str(self.tree), TEMPLATE, self.database, *map(str, self.ports)],
            env=self.env(), check=True, capture_output=True, text=True)
        seconds = time.monotonic() - started
        self.pids = [int(word) for word in done.stdout.split()]
        return seconds

    def checkout(self):
        self.world.git("worktree", "add", "-q", "--detach", str(self.tree), self.world.head())

    def clone(self):
        """FILE_COPY of a template without connections: what a clone costs at least."""
        self.world.postgres.psql(
            f'CREATE DATABASE "{self.database}" TEMPLATE {TEMPLATE} STRATEGY FILE_COPY '
            'OWNER seatrial')

    def app_env(self, port):
        url = self.world.postgres.admin_url(self.database)
        return {**os.environ, "DATABASE_URL": url, "PORT": str(port)}

    def migrate(self):
        subprocess.run(["node", "migrate.js"], cwd=self.tree, env=self.app_env(0), check=True)

    def boot(self):
        for role, port in zip(("web", "api"), self.ports):
            child = subprocess.Popen(["node", "server.js", role], cwd=self.tree,
                                     env=self.app_env(port), stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            self.children.append(child)
            self.pids.append(child.pid)
        for port in self.ports:
            wait_answer(port)

    def floor(self, modules):
        """Checkout and clone at once, dependencies by symbolic link, migrate, boot: seconds."""
        started = time.monotonic()
        clone = threading.Thread(target=self.clone)
        clone.start()
        self.checkout()
        os.symlink(modules, self.tree / "node_modules")
        clone.join()
        self.migrate()
        self.boot()
        return time.monotonic() - started

    def update_floor(self, commit):
        """Stop, move the tree, migrate, boot: seconds."""
        started = time.monotonic()
        self.stop_processes()
        subprocess.run(["git", "-C", str(self.tree), "checkout", "-q", "--detach", commit], check=True)
        self.migrate()
        self.boot()
        return time.monotonic() - started

    def stop_processes(self):
        handles = []
        for pid in self.pids:
            try:
                handles.append(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
        for handle in handles:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        for child in self.children:
            child.wait(20)
        for handle in handles:
            harness.select.select([handle], [], [], 20)
            os.close(handle)
        self.pids, self.children = [], []

    def stop(self):
        """The app's own exit and DROP DATABASE: the floor of a stop, in seconds."""
        started = time.monotonic()
        self.stop_processes()
        self.world.postgres.psql(f'DROP DATABASE IF EXISTS "{self.database}"')
        seconds = time.monotonic() - started
        self.world.git("worktree", "remove", "--force", str(self.tree))
        return seconds
