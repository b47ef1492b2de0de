"""What the end-to-end tests, the kill sweep and the benchmarks build their world from: a private
PostgreSQL, a tiny app in a git repository, a data folder, and the program under test.

Nothing here sleeps for a fixed time: everything waits for an event or asks until a deadline.
"""
import contextlib
import http.client
import importlib.machinery
import importlib.util
import itertools
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import census

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SEATRIAL_BIN", ROOT / "build/asan/bin/seatrial"))
EXIT_NO_SERVER = 6


def _load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


private_postgres = _load("private_postgres", ROOT / "tools/private_postgres")


def wait_for(condition, what, seconds=30.0, interval=0.02):
    """The first true value of condition(); AssertionError naming `what` when time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(interval)


def temporary_folder(name):
    """A folder that other users may enter (previews run as such), short enough for sockets."""
    base = "/var/tmp" if os.geteuid() == 0 else tempfile.gettempdir()
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"st{name}", dir=base))
    folder.chmod(0o755)
    return folder


class Postgres(private_postgres.Server):
    """A private server with databases made by SQL text."""

    def make_database(self, name, sql=""):
        self.psql(f'CREATE DATABASE "{name}" OWNER seatrial')
        self.psql("SET ROLE seatrial;\n" + sql, name)

    def rows(self, database, sql):
        return self.psql(sql, database).splitlines()


# Answers every request with its own values; starts in a few hundredths of a second because it
# imports nothing but the socket module.
APP_PY = """\
import json, os, socket, sys
listener = socket.socket(socket.AF_INET6)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("::", int(os.environ["PORT"])))
listener.listen(64)
text = open("text.txt").read().strip()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(5)
        try:
            connection.recv(65536)
            body = json.dumps({"text": text, "name": sys.argv[1], "uid": os.getuid(),
                               "env": dict(os.environ)}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n"
                               b"Connection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%b"
                               % (len(body), body))
        except OSError:
            pass
"""

SEATRIAL_YAML = """\
app: {name}
components:
  web: {{ run: [/usr/bin/python3, -I, -S, app.py, web], port: WEB_PORT, health: / }}
  api: {{ run: [/usr/bin/python3, -I, -S, app.py, api], port: API_PORT, health: / }}
install: {{ run: "mkdir -p vendor && cp lock.txt vendor/lock.txt", key: [lock.txt], keep: [vendor] }}
migrate: {{ run: '{psql} -X -q -v ON_ERROR_STOP=1 -f schema.sql "$DATABASE_URL"' }}
database: {{ engine: postgres, template: {template}, url: DATABASE_URL }}
"""

SCHEMA_SQL = """\
CREATE TABLE IF NOT EXISTS migrated (at timestamptz NOT NULL DEFAULT now());
INSERT INTO migrated DEFAULT VALUES;
"""

TEMPLATE_SQL = """\
CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 100) AS i;
"""


class Repo:
    """A git repository; what lies in its folder is not committed yet."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        command = ["git", "-C", str(self.folder), "-c", "user.name=t", "-c", "user.email=t@example.org",
                   "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files, message="change"):
        """Writes the files (None removes) and commits. Returns the commit."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name, start="main"):
        self.git("switch", "-q", "-c", name, start)


class TinyRepo(Repo):
    """That of a tiny app."""

    def __init__(self, folder, name="tiny", template="tiny_dev"):
        super().__init__(folder)
        self.name = name
        self.template = template
        self.commit({
            "app.py": APP_PY, "text.txt": "one\n", "lock.txt": "1\n", "schema.sql": SCHEMA_SQL,
            ".gitignore": "vendor/\n", "seatrial.yaml": self.yaml(),
        }, "first")

    def yaml(self):
        return SEATRIAL_YAML.format(name=self.name, template=self.template,
                                    psql=private_postgres.bindir() / "psql")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, seconds):
        super().__init__("localhost", timeout=seconds)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


_port_blocks = itertools.count()


def port_block():
    """A range of 400 ports for one data folder, apart from those of other folders and of other
    test processes at work; whether a port in it is free is the program's business."""
    process = os.getpid() % 20
    return 10_000 + process * 400 + (next(_port_blocks) % 2) * 200


class Site:
    """One data folder with its server file, and the program run against it."""

    def __init__(self, folder, postgres, environments=None, extra=""):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.config = self.folder / "server.yaml"
        self.postgres = postgres
        self.daemon = None
        self.write_config(environments or {"int": "ttl: 24h, max: 5"}, extra)

    def write_config(self, environments, extra=""):
        lines = ["environments:"]
        lines += [f"  {name}: {{ {text} }}" for name, text in environments.items()]
        lines += [f"ports: {{ base: {port_block()}, stride: 1, slots: 90 }}", "min_free: 0"]
        if self.postgres:
            lines.append(f'postgres: {{ url: "{self.postgres.admin_url()}" }}')
        self.config.write_text("\n".join(lines) + "\n" + extra)
        self.config.chmod(0o644)

    def env(self, extra=None):
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        return {**keep, "HOME": str(self.folder), "SEATRIAL_DATA": str(self.data),
                "SEATRIAL_CONFIG": str(self.config), **(extra or {})}

    def start(self, *arguments, cwd=None, env=None, **keywords):
        """The program in the background."""
        return subprocess.Popen([str(BIN), *map(str, arguments)], cwd=cwd or self.folder,
                                env=self.env(env), stdin=subprocess.DEVNULL, text=True,
                                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keywords})

    def seatrial(self, *arguments, cwd=None, env=None, timeout=120, ok=False):
        """The program to its end. `ok`: fail the test when it does not exit with 0."""
        done = subprocess.run([str(BIN), *map(str, arguments)], cwd=cwd or self.folder,
                              env=self.env(env), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, check=False)
        result = Result(done)
        if ok and result.code != 0:
            raise AssertionError(
                f"seatrial {' '.join(map(str, arguments))}: {result}\n{self.daemon_logs()}")
        return result

    def daemon_logs(self, size=6000):
        """The end of what the daemons said, whoever started them."""
        texts = []
        for path in (self.folder / "daemon.log", self.data / "daemon.log"):
            with contextlib.suppress(OSError):
                text = path.read_text(errors="replace")
                crash = text.find("ERROR: AddressSanitizer")
                part = text[crash:crash + size] if crash >= 0 else text[-size:]
                texts.append(f"--- {path.name}\n{part}")
        return "\n".join(texts)

    def show(self, key, *arguments):
        """What `show --json` says, None when there is no such preview."""
        result = self.seatrial("show", key, "--json", *arguments)
        return result.json if result.code == 0 else None

    def get(self, path, seconds=10):
        """(status, value) of the daemon's API over its socket; None when no daemon answers."""
        connection = UnixConnection(self.data / "seatrial.sock", seconds)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if body[:1] in b"{[" else body.decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def state(self, key):
        """The state of the newest life of a key, None when there is none (or no daemon)."""
        answer = self.get("/api/v1/previews?removed=1")
        lives = [each for each in answer[1]["previews"] if each["key"] == key] if answer else []
        return max(lives, key=lambda each: each["life"])["state"] if lives else None

    def serve(self, env=None):
        self.daemon = Daemon(self, env)
        return self.daemon

    def census(self, mark=None):
        return census.take(self.data, self.postgres.admin_url() if self.postgres else None, mark)

    def wait_census(self, before, seconds=30):
        """Until nothing differs from `before`: trash is emptied a little later than a stop."""
        lines = []

        def same():
            lines[:] = census.diff(before, self.census())
            return not lines
        try:
            wait_for(same, "an equal census", seconds, 0.1)
        except AssertionError:
            raise AssertionError("the census differs:\n" + "\n".join(lines)) from None

    def close(self):
        """Ends everything and removes the folder; what a test left running too."""
        try:
            if self.daemon:
                self.daemon.terminate()
            with contextlib.suppress(OSError, ValueError):
                stop_pid(int((self.data / "daemon.pid").read_text()))
            left = census.clear(self.data)
            assert not left, "could not be ended: " + ", ".join(left)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def stop_pid(pid, seconds=20):
    """SIGTERM to a seatrial, and SIGKILL when it does not go."""
    if not pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("seatrial"):
        return
    descriptor = os.pidfd_open(pid)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], seconds)[0]:
                return
    finally:
        os.close(descriptor)


class Daemon:
    """`seatrial serve`, started by us so that its environment is ours."""

    def __init__(self, site, env=None):
        self.site = site
        self.log = open(site.folder / "daemon.log", "ab")
        self.process = site.start("serve", "--data", site.data, "--config", site.config,
                                  "--port", "0", env=env,
                                  stdout=self.log, stderr=self.log)

    def wait_ready(self, seconds=30):
        """True when it answers, False when it ended first."""
        return wait_for(self.state, "the daemon to answer", seconds) == "ready"

    def state(self):
        """"ready", "ended", or None: neither yet."""
        if self.process.poll() is not None:
            return "ended"
        answer = self.site.get("/readyz")
        return "ready" if answer and answer[0] == 200 else None

    def wait_end(self, seconds=30):
        """The exit code; AssertionError when it lives on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon still runs after {seconds} s") from None
        finally:
            if self.process.poll() is not None:
                self.log.close()

    def kill(self):
        """kill -9, as a crash."""
        self.process.kill()
        return self.wait_end(10)

    def terminate(self, seconds=30):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.wait_end(10)


def get_json(url, seconds=5):
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return json.load(answer)


preview_url = _load("preview_url", ROOT / "tools/preview_url").find
