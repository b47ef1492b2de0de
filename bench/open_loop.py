#!/usr/bin/env python3
"""Asks a URL a constant number of times per second, whatever the answers take:

    open_loop.py URL RATE SECONDS

Prints a line for each request: UNIX time when it was due, 1 when the answer was a 200 and else 0,
seconds from when it was due to the whole answer. Connections are kept; what finds none free waits. A
process of its own, without libraries between it and its sockets: at half of what a machine can answer,
the load must not be what is measured.
"""
import collections
import gc
import select
import socket
import subprocess
import sys
import time
import urllib.parse

LONGEST = 10.0    # seconds
CONNECTIONS = 100


class Load:
    def __init__(self, url, rate, seconds):
        self.process = subprocess.Popen(
            [sys.executable, __file__, url, str(rate), str(seconds)], stdout=subprocess.PIPE,
            text=True)

    def requests(self):
        """Waits for its end. What it printed, as numbers."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.process.returncode
        return [tuple(map(float, line.split())) for line in out.splitlines()]

    def between(self, begin, end):
        """Waits for its end. (Requests that were due in that UNIX time, those that failed,
        milliseconds that 99 % took at most)"""
        seen = [(good, took) for due, good, took in self.requests() if begin <= due <= end]
        times = sorted(took for _, took in seen)
        return (len(seen), sum(not good for good, _ in seen),
                times[int(len(times) * 0.99)] * 1000)


def capacity(url, seconds=3):
    """Answers per second when asked for more than any machine can."""
    load = Load(url, 50_000, seconds)
    begun = time.time()
    return sum(due + took < begun + seconds for due, _, took in load.requests()) // seconds


class Connection:
    def __init__(self, place):
        self.socket = socket.create_connection(place)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.used, self.due, self.got = False, None, b""


def whole(got):
    """Is that all of an answer with a Content-Length?"""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = got[:end].lower()
    at = head.find(b"content-length:")
    length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return len(got) >= end + 4 + length


class Asker:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.place = (parts.hostname, parts.port)
        self.request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self.waiting, self.idle, self.busy, self.done = collections.deque(), [], {}, []
        self.poll = select.epoll()

    def ask(self, due):
        self.waiting.append(due)
        while self.waiting and (self.idle or len(self.busy) < CONNECTIONS):
            self.send(self.waiting.popleft())

    def send(self, due):
        if self.idle:
            one = self.idle.pop()
        else:
            try:
                one = Connection(self.place)
            except OSError:
                self.done.append((due, 0, time.time() - due))
                return
            self.poll.register(one.socket.fileno(), select.EPOLLIN)
        self.busy[one.socket.fileno()] = one
        one.due, one.got = due, b""
        try:
            one.socket.send(self.request)
        except OSError:
            self.broken(one)

    def broken(self, one):
        """A kept connection may be closed as it is used again; every client asks once more then."""
        self.poll.unregister(one.socket.fileno())
        self.busy.pop(one.socket.fileno(), None)
        again, due = one.used and not one.got, one.due
        one.socket.close()
        if again:
            self.send(due)
        else:
            self.done.append((due, 0, time.time() - due))

    def answers(self, wait):
        for number, _ in self.poll.poll(wait):
            one = self.busy.get(number)
            if one is None:    # idle, and closed by the other side
                one = next(each for each in self.idle if each.socket.fileno() == number)
                self.idle.remove(one)
                self.poll.unregister(number)
                one.socket.close()
                continue
            try:
                part = one.socket.recv(65536)
            except OSError:
                part = b""
            if not part:
                self.broken(one)
                continue
            one.got += part
            if whole(one.got):
                self.done.append((one.due, int(one.got.startswith(b"HTTP/1.1 200")),
                                  time.time() - one.due))
                del self.busy[number]
                one.used = True
                self.idle.append(one)
                if self.waiting:
                    self.send(self.waiting.popleft())


def main():
    url, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    gc.disable()
    asker = Asker(url)
    due = time.time()
    end = due + seconds
    while due < end:
        now = time.time()
        while due <= now and due < end:
            asker.ask(due)
            due += 1 / rate
        asker.answers(max(0, due - time.time()))
    while asker.busy and time.time() < end + LONGEST:
        asker.answers(1)
    left = [one.due for one in asker.busy.values()] + list(asker.waiting)
    asker.done += [(due, 0, time.time() - due) for due in left]
    print("\n".join(f"{due:.6f} {good} {took:.6f}" for due, good, took in asker.done))


if __name__ == "__main__":
    main()
