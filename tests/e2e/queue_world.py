"""An app with queues of RQ and Celery in one Redis server of the tests' own, and who enqueues."""
import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import threading

import harness
from wares import Wares, free_port

PACKAGES = subprocess.run([sys.executable, str(harness.ROOT / "tools/python_packages")], check=True,
                          capture_output=True, text=True).stdout.strip()
sys.path.append(PACKAGES)
import celery  # noqa: E402
import redis  # noqa: E402
import rq  # noqa: E402

JOBS_PY = """\
import os, time
from celery import Celery
from redis import Redis
redis = Redis.from_url(os.environ["REDIS_URL"])
app = Celery(broker=os.environ["BROKER_URL"])
app.conf.worker_prefetch_multiplier = 1

def work(name, seconds):
    redis.rpush("begun", name)
    end = time.monotonic() + seconds
    while time.monotonic() < end or redis.sismember("held", name):
        time.sleep(0.02)
    redis.rpush("done", name)

def convert(name, seconds):
    work(name, seconds)

@app.task(name="export")
def export(name, seconds):
    work(name, seconds)
"""

# RQ's own worker forgets a job that it takes in the moment in which it is told to end.
RQ_PY = """\
import os
from redis import Redis
from rq import Worker

class Careful(Worker):
    def request_stop(self, *_):
        self._stop_requested = True

    def dequeue_job_and_maintain_ttl(self, *_):
        taken = None
        while taken is None and not self._stop_requested:
            taken = super().dequeue_job_and_maintain_ttl(timeout=1, max_idle_time=1)
        return taken

Careful(["convert"], connection=Redis.from_url(os.environ["REDIS_URL"])).work()
"""

# What ran and began at the start and the end of the migration.
MIGRATE_PY = """\
import time
from jobs import redis
begun, done = redis.llen("begun"), redis.llen("done")
time.sleep(1.5)
redis.rpush("migration", "%d %d" % (begun - done, redis.llen("begun") - begun))
"""

WEB_PY = """\
import http.server, os, signal, sys, threading
text = open("/text.txt").read().strip()
state = {"paused": 0, "running": 0}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = text
        if self.path == "/queue/running":
            state["running"] -= 1
            body = '{"running": %d}' % max(0, state["running"])
        if self.path == "/queue/state":
            body = "%d" % state["paused"]
        self.answer(200, body)
    def do_POST(self):
        if self.path == "/queue/pause":
            state.update(paused=1, running=4)
        if self.path == "/queue/resume":
            state["paused"] = 0
        self.answer(200, "")
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""

DOCKERFILE = """\
FROM local/python:1 AS base
COPY *.py text.txt /
FROM base AS web
CMD ["python3", "/web.py"]
FROM base AS worker
CMD ["python3", "/rq_worker.py"]
FROM base AS exporter
CMD ["python3", "-m", "celery", "-A", "jobs", "worker", "-Q", "export", "-c", "2", "--loglevel=WARNING"]
"""

YAML = """\
app: wares
components:
  web: {{ run: python3 web.py, build: {{ target: web }}, port: WEB_PORT, health: /healthz }}
  worker: {{ run: python3 rq_worker.py, build: {{ target: worker }} }}
  exporter: {{ run: celery, build: {{ target: exporter }} }}
release:
  checks: [/]
  migrate: {{ run: [python3, /migrate.py], component: web }}
  queues:
    {queues}
  {more}
"""

BOTH = """\
convert: { kind: rq, component: worker, url: REDIS_URL, queues: [convert], timeout: 30s }
    export: { kind: celery, component: exporter, url: BROKER_URL, queues: [export], timeout: 30s }"""


class Redis:
    """A private server that containers reach, with a password."""

    def __init__(self, address):
        self.folder = harness.temporary_folder("redis")
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self.url = f"redis://:{self.password}@{address}:{self.port}"
        self.log = open(self.folder / "log", "ab")
        config = self.folder / "redis.conf"
        config.write_text(f"port {self.port}\nbind 0.0.0.0\ndir {self.folder}\nsave \"\"\n"
                          f"requirepass {self.password}\n")
        self.process = subprocess.Popen(["redis-server", str(config)], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        self.client = redis.Redis(port=self.port, password=self.password, decode_responses=True)
        harness.wait_for(self.answers, "the Redis server")

    def answers(self):
        with contextlib.suppress(redis.RedisError):
            return self.client.ping()
        return False

    def names(self, key):
        return self.client.lrange(key, 0, -1)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class RabbitMQ:
    """A private server that containers reach; its Erlang parts listen on the loopback alone."""

    PROGRAM = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

    def __init__(self, address):
        self.folder = harness.temporary_folder("rabbit")
        shutil.chown(self.folder, "rabbitmq")
        self.port, self.mapper = free_port(), free_port()
        self.url = f"amqp://guest:guest@{address}:{self.port}//"
        (self.folder / "rabbitmq.conf").write_text("loopback_users = none\n")
        (self.folder / "plugins").write_text("[].\n")
        self.log = open(self.folder / "out", "ab")
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"st{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_NODE_IP_ADDRESS": address, "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.mapper), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.process = subprocess.Popen(
            ["setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups", str(self.PROGRAM)],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, start_new_session=True)
        harness.wait_for(lambda: "Starting broker... completed" in self.said(), "RabbitMQ", 120, 0.2)

    def said(self):
        return (self.folder / "out").read_text(errors="replace")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        # Erlang's port mapper is a daemon of its own.
        subprocess.run(["epmd", "-port", str(self.mapper), "-kill"], env=self.environment,
                       stdout=self.log, stderr=self.log, check=False)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Enqueuer:
    """Puts a job into each queue again and again."""

    def __init__(self, world, pause=0.7, seconds=0.1):
        self.names, self.ended = [], threading.Event()
        self.world, self.pause, self.seconds = world, pause, seconds
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        count = 0
        while not self.ended.wait(self.pause):
            for put in (self.world.put_rq, self.world.put_celery):
                count += 1
                self.names.append(f"job-{count}")
                put(self.names[-1], self.seconds)

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.names


class World(Wares):
    def __init__(self, site, engine, server, queues=BOTH, more="", broker=None):
        super().__init__(site, engine, "watch: 0s, drain: 30s")
        self.redis = server
        self.broker = broker or f"{server.url}/1"
        (site.folder / ".env.common").write_text(
            f"WHERE=here\nREDIS_URL={server.url}/0\nBROKER_URL={self.broker}\n")
        self.rq = rq.Queue("convert", connection=redis.Redis.from_url(
            f"{server.url}/0".replace(server.url.split("@")[1].split(":")[0], "127.0.0.1")))
        self.celery = celery.Celery(broker=self.broker)
        self.repo.commit({
            "seatrial.yaml": YAML.format(queues=queues, more=more), "Dockerfile": DOCKERFILE,
            "jobs.py": JOBS_PY, "rq_worker.py": RQ_PY, "migrate.py": MIGRATE_PY, "web.py": WEB_PY,
            "served.js": None})

    def put_rq(self, name, seconds=0.2):
        self.rq.enqueue("jobs.convert", name, seconds)

    def put_celery(self, name, seconds=0.2):
        self.celery.send_task("export", [name, seconds], queue="export")

    def begun(self, name):
        return name in self.redis.names("begun")

    def is_paused(self):
        return bool(self.redis.client.exists("rq:suspended"))

    def await_all(self, names, seconds=180):
        def missing():
            return sorted(set(names) - set(self.redis.names("done")))
        try:
            harness.wait_for(lambda: not missing(), "all jobs to be done", seconds, 0.2)
        except AssertionError:
            raise AssertionError(f"not done: {missing()}, begun: {self.redis.names('begun')}, "
                                 f"queued: {self.rq.job_ids}, failed: "
                                 f"{self.rq.failed_job_registry.get_job_ids()}, started: "
                                 f"{self.rq.started_job_registry.get_job_ids()}") from None


def host_address(engine):
    """Of this machine, for containers of that engine."""
    return engine.call("GET", "/networks/bridge")["IPAM"]["Config"][0]["Gateway"]
