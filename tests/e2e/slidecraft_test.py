"""The example with workers, a WebSocket and event streams: to production and back while people
upload, follow and export decks all the time; and a release whose conversions fail."""
import contextlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import harness
import pytest
from queue_world import PACKAGES, Redis, host_address, redis, rq
from wares import free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

EXAMPLE = harness.ROOT / "examples/slidecraft"
# Tells its own worker to end when it has taken a job, and has not begun it.
TOLD_PY = """\
import os, signal
from rq import Queue
from slidecraft.convert import work
take = Queue.dequeue_any.__func__
def take_and_tell(*arguments, **options):
    taken = take(*arguments, **options)
    if taken:
        os.kill(os.getpid(), signal.SIGTERM)
    return taken
Queue.dequeue_any = classmethod(take_and_tell)
work()
"""
SAMPLE = (EXAMPLE / "samples/deck.md").read_text()


def make_images(engine):
    """What the example builds on, by its names; there is no registry, so pip has nothing to do."""
    asked = set((EXAMPLE / "requirements.txt").read_text().splitlines())
    assert asked <= set((harness.ROOT / "tests/support/python.txt").read_text().splitlines())
    engine.tell(f"image python {PACKAGES}")
    engine.tell("image nginx")
    engine.call("POST", "/images/local/nginx:1/tag?repo=nginxinc/nginx-unprivileged&tag=1.27.3-alpine")
    made = engine.call("POST", "/containers/create", {
        "Image": "local/python:1", "Cmd": [
            "sh", "-c", "busybox ln -s busybox /bin/chown && echo '#!/bin/sh' > /bin/pip && "
            "busybox chmod 755 /bin/pip"]})["Id"]
    engine.call("POST", f"/containers/{made}/start")
    assert engine.call("POST", f"/containers/{made}/wait")["StatusCode"] == 0
    engine.call("POST", f"/commit?container={made}&repo=python&tag=3.12-slim")
    engine.call("DELETE", f"/containers/{made}")


class Craft:
    def __init__(self, site, engine, server):
        self.site = site
        self.ports = {"stg": free_port(), "prd": free_port()}
        self.folder = site.folder / "slidecraft"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.repo = harness.Repo(self.folder)
        self.repo.commit({}, "first")
        environments = {}
        for number, (env, name) in enumerate((("stg", "staging"), ("prd", "production"))):
            example = self.folder / f"config/.env.{name}.example"
            file = example.with_suffix("")
            file.write_text(example.read_text().replace("redis://slidecraft-redis:6379", server.url))
            assert f"{server.url}/{number}" in file.read_text()
            environments[env] = (
                "approval: false, release: { watch: 0s, drain: 8s, may_differ: [REDIS_URL], "
                f'listen: ["127.0.0.1:{self.ports[env]}"], env_files: [{file}] }}')
        site.write_config(environments, f"docker: {{ socket: {engine.socket}, min_free: 0 }}\n")

    def run(self, *arguments, ok=True):
        return self.site.seatrial(*arguments, cwd=self.folder, ok=ok, timeout=400)

    def change(self, path, old, new):
        text = (self.folder / path).read_text()
        assert old in text
        self.repo.commit({path: text.replace(old, new)})

    def title(self, env):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[env]}/", timeout=10) as answer:
            return re.search("<h1>(.*)</h1>", answer.read().decode())[1]


class User:
    """Uploads a deck, follows it until it is converted, exports it, takes the file; again and
    again. Whatever goes wrong ends it."""

    def __init__(self, port):
        self.port = port
        self.decks, self.retried, self.failure = 0, 0, None
        self.waits = []    # for the first event, in seconds
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.make_deck()
                self.decks += 1
        except Exception as error:    # told by stop()
            self.failure = error

    def make_deck(self):
        body = ("--line\r\nContent-Disposition: form-data; name=\"deck\"; filename=\"deck.md\"\r\n\r\n"
                f"{SAMPLE}\r\n--line--\r\n")
        deck = json.loads(self.ask("/api/decks", body.encode()))["id"]
        last = self.follow(deck, "0-0", "converted")
        self.ask(f"/api/decks/{deck}/export", b"")
        self.follow(deck, last, "exported")
        assert self.ask(f"/api/decks/{deck}/deck.pdf").startswith(b"%PDF-1.4")

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {
            "content-type": "multipart/form-data; boundary=line"} if body else {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read()[:200]}") from None

    def follow(self, deck, last, wanted):
        """As an EventSource: a stream that ends is opened again behind the last event."""
        deadline = time.monotonic() + 90
        seen = None
        while time.monotonic() < deadline:
            for last, state in self.events(deck, last):
                assert state != "failed", f"{deck} failed"
                self.retried += state == "queued" and seen == "converting"
                seen = state
                if state == wanted:
                    return last
        raise AssertionError(f"{deck} was never {wanted}")

    def events(self, deck, last):
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/decks/{deck}/events", headers={"last-event-id": last})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            first = last == "0-0"
            with contextlib.suppress(http.client.IncompleteRead, ConnectionResetError):
                for line in answer:
                    if line.startswith(b"id: "):
                        last = line[4:].decode().strip()
                    if line.startswith(b"data: "):
                        if first:
                            self.waits.append(time.monotonic() - begin)
                            first = False
                        yield last, json.loads(line[6:])["state"]

    def stop(self):
        self.ended.set()
        self.thread.join()
        if self.failure:
            raise self.failure


class Room:
    """Says a word after the other to itself; a connection that ends is opened again, which must
    work at once."""

    def __init__(self, port):
        self.url = f"ws://127.0.0.1:{port}/rt/decks/all"
        self.heard, self.failure = 0, None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.is_set():
                with connect(self.url, open_timeout=10) as socket, \
                        contextlib.suppress(ConnectionClosed):
                    self.talk(socket)
        except Exception as error:    # told by stop()
            self.failure = error

    def talk(self, socket):
        while not self.ended.wait(0.1):
            word = f"word {self.heard}"
            socket.send(word)
            assert socket.recv(timeout=10) == word
            self.heard += 1

    def stop(self):
        self.ended.set()
        self.thread.join()
        if self.failure:
            raise self.failure


@pytest.fixture(scope="module")
def server(engine):
    make_images(engine)
    server = Redis(host_address(engine))
    yield server
    server.stop()


@pytest.fixture
def craft(site, engine, server):
    server.client.flushall()
    yield Craft(site, engine, server)
    # The daemon first: it makes anew what it misses, and such a worker would take the next test's jobs.
    with contextlib.suppress(OSError):
        harness.stop_pid(int((site.data / "daemon.pid").read_text()))
    engine.clear()


def test_to_production_and_back_while_people_use_it(craft):
    craft.run("deploy", "stg", "--wait")
    craft.run("promote", "--wait")
    users = [User(craft.ports["prd"]) for _ in range(3)]
    room = Room(craft.ports["prd"])
    try:
        harness.wait_for(lambda: all(user.decks for user in users), "the first decks", 60)
        craft.change("fe/index.html", "<h1>SlideCraft</h1>", "<h1>SlideCraft 2</h1>")
        craft.run("deploy", "stg", "--wait")
        assert (craft.title("stg"), craft.title("prd")) == ("SlideCraft 2", "SlideCraft")
        there = craft.run("promote", "--wait")
        assert craft.title("prd") == "SlideCraft 2"
        back = craft.run("rollback", "prd", "--wait")
        assert craft.title("prd") == "SlideCraft"
        heard, decks = room.heard, sum(user.decks for user in users)
        harness.wait_for(lambda: room.heard > heard and sum(user.decks for user in users) > decks,
                         "all to go on")
    finally:
        for one in [*users, room]:
            one.ended.set()
    for one in [*users, room]:
        one.stop()
    assert room.heard > 50
    waits = sorted(wait for user in users for wait in user.waits)
    assert waits[len(waits) * 9 // 10] < 2, waits    # the machine has other things to do, too
    assert "pausing queues: convert, export" in there.out
    for shown in (there, back):
        requests, failed = re.search(r"receipt: (\d+) requests .* (\d+) failed", shown.out).groups()
        assert int(requests) > 0 and failed == "0", shown


def test_a_worker_told_to_end_does_what_it_has_just_taken(server, tmp_path):
    server.client.flushall()
    (tmp_path / "deck.md").write_text(SAMPLE)
    queue = rq.Queue("convert", connection=redis.Redis(port=server.port, password=server.password))
    for _ in range(2):
        queue.enqueue("slidecraft.convert.convert", "deck")
    subprocess.run([sys.executable, "-c", TOLD_PY], cwd=EXAMPLE, check=True, timeout=60, env={
        "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", "DECKS": str(tmp_path),
        "REDIS_URL": f"redis://:{server.password}@127.0.0.1:{server.port}/0"})
    assert server.client.hget("deck:deck", "state") == "converted"
    assert len(queue.job_ids) == 1


def test_a_release_that_cannot_convert_gets_no_users(craft):
    craft.run("deploy", "stg", "--wait")
    user = User(craft.ports["stg"])
    try:
        craft.change("slidecraft/convert.py", "slides = slides_of(", "slides = no_fonts(")
        craft.change("fe/index.html", "<h1>SlideCraft</h1>", "<h1>SlideCraft 3</h1>")
        bad = craft.run("deploy", "stg", ok=False)
        assert bad.code == 1, bad
        assert "job POST /api/decks?own=1 was not done within 20 s: the job answered 200, " \
               "state=failed" in bad.err
        assert "job POST /api/decks/{id}/export?own=1 answered 409" in bad.err
        assert craft.title("stg") == "SlideCraft"
        incident, = craft.run("incidents", "--json").json
        assert not incident["switched"] and "state=failed" in incident["cause"]
    finally:
        user.ended.set()
    user.stop()
    assert user.decks > 0 and user.retried == 0    # the bad worker took none of the user's
