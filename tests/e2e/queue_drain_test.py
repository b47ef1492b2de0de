"""Queues around a release: paused, waited for and resumed, with real RQ and Celery and jobs that are
enqueued all the time; whoever dies in between."""
import contextlib
import re
import urllib.request

import harness
import pytest
from prober import Prober
from queue_world import PACKAGES, Enqueuer, RabbitMQ, Redis, World, host_address

RQ = "convert: {{ kind: rq, component: worker, url: REDIS_URL, queues: [convert], {more} }}"
CELERY = "export: { kind: celery, component: exporter, url: BROKER_URL, queues: [export] }"
CUSTOM = """\
mail: { pause: /queue/pause, resume: /queue/resume, running: /queue/running }
    files: { component: worker, pause: [python3, /tell.py, pause], resume: [python3, /tell.py, resume],
             running: [python3, /tell.py, running] }"""
TELL_PY = """\
import sys
from jobs import redis
redis.rpush("told", sys.argv[1])
print(0)
"""


@pytest.fixture(scope="module")
def server(engine):
    engine.tell(f"image python {PACKAGES}")
    server = Redis(host_address(engine))
    yield server
    server.stop()


@pytest.fixture
def make(site, engine, server):
    server.client.flushall()

    def make(**options):
        return World(site, engine, server, **options)
    yield make
    engine.clear()


def events(world, env="stg"):
    return world.run("history", env, "--json").json


def test_no_job_is_lost_and_none_runs_across_a_migration(make, server):
    world = make()
    world.run("deploy", "stg", "--wait")
    prober = Prober(world.url("stg"), kinds=["new", "kept"], rate=20)
    enqueuer = Enqueuer(world)
    try:
        harness.wait_for(lambda: len(server.names("done")) > 4, "jobs to be done", 180)
        world.change("two")
        shown = world.run("deploy", "stg")
        assert world.text("stg") == "two"
        assert "pausing queues: convert, export" in shown.out
        assert "queues go on after" in shown.out
        world.run("rollback", "stg", "--wait")
        assert world.text("stg") == "one"
        world.change("three")
        world.run("deploy", "stg", "--wait")
    finally:
        names = enqueuer.stop()
    world.await_all(names)
    begun = server.names("begun")
    assert set(begun) == set(server.names("done")) == set(names)
    # Celery gives a job back that its worker takes in the moment in which it is told to end: the
    # process has begun it, the acknowledgement is not sent yet. One at a time for each worker told.
    twice = {name for name in begun if begun.count(name) > 1}
    assert not twice & set(names[0::2]), "a job of RQ twice"
    assert len(begun) - len(names) <= 3, twice
    # That of the first release had nobody to wait for.
    assert server.names("migration")[1:] == ["0 0", "0 0"]
    assert prober.stop()["failed"] == []
    assert not world.is_paused()
    receipt = [event["data"] for event in events(world) if event["kind"] == "receipt"][-1]
    assert set(receipt["queues"]["ran"]) == {"convert", "export"} and receipt["queues"]["ms"] > 0


@pytest.mark.parametrize("point", ["pause_named", "pausing", "paused", "drained", "resumed"])
def test_kill_9_while_paused_resumes(make, server, point):
    world = make()
    world.run("deploy", "stg", "--wait")
    world.change("two")
    world.site.serve({"SEATRIAL_FAILPOINTS": f"release.{point}=kill"}).wait_ready()
    world.put_rq("before", 2)
    world.put_celery("before-too", 2)
    world.run("deploy", "stg", "--no-wait")
    world.site.daemon.process.wait(60)
    world.put_rq("while")
    world.put_celery("while-too")
    world.site.serve().wait_ready()

    def serves():
        with contextlib.suppress(OSError):
            return world.text("stg") == "two"
    harness.wait_for(serves, "the deploy after a restart", 90)
    world.await_all(["before", "before-too", "while", "while-too"])
    assert len(server.names("begun")) == 4
    harness.wait_for(lambda: not world.is_paused(), "the queue to go on")
    assert any(event["kind"] == "queues_resumed" for event in events(world))


def test_a_job_that_does_not_end_stops_the_deploy_and_the_queue_goes_on(make, server):
    world = make(queues=RQ.format(more="timeout: 2s"))
    world.run("deploy", "stg", "--wait")
    server.client.sadd("held", "long")
    world.put_rq("long")
    harness.wait_for(lambda: world.begun("long"), "the job to begin")
    world.change("two")
    failed = world.run("deploy", "stg", ok=False)
    assert failed.code == 1, failed
    assert "the queue 'convert' still ran 1 after 2.00 s" in failed.err
    assert "release.queues.convert.timeout" in failed.err
    assert "running: convert 1" in failed.out
    assert world.text("stg") == "one"
    harness.wait_for(lambda: not world.is_paused(), "the queue to go on")
    incident, = world.run("incidents", "--json").json
    assert "still ran 1" in incident["cause"] and not incident["switched"]
    server.client.srem("held", "long")
    world.put_rq("after")
    world.await_all(["long", "after"])


def test_with_go_on_the_old_worker_finishes_beside_the_new_release(make, server):
    world = make(queues=RQ.format(more="timeout: 2s, on_timeout: go_on"))
    world.run("deploy", "stg", "--wait")
    server.client.sadd("held", "long")
    world.put_rq("long")
    harness.wait_for(lambda: world.begun("long"), "the job to begin")
    world.change("two")
    shown = world.run("deploy", "stg")
    assert "goes on all the same: the queue 'convert' still ran 1" in shown.out
    assert world.text("stg") == "two"
    world.put_rq("after")
    world.await_all(["after"])
    server.client.srem("held", "long")
    world.await_all(["long"])
    assert sorted(server.names("begun")) == ["after", "long"]


def test_queues_by_http_and_by_command(make, server):
    world = make(queues=CUSTOM)
    world.repo.commit({"tell.py": TELL_PY})
    world.run("deploy", "stg", "--wait")
    world.change("two")
    shown = world.run("deploy", "stg")
    assert re.search("running: files 0, mail [0-3]", shown.out), shown
    assert world.text("stg") == "two"
    assert server.names("told") == ["pause", "running", "resume"]
    old, = [slot for slot in world.deployment("stg")["slots"] if slot["slot"] == "a"]
    address = world.engine.address(old["containers"]["web"][0])
    with urllib.request.urlopen(f"http://{address}:8080/queue/state", timeout=5) as answer:
        assert answer.read() == b"0"


def test_a_queue_that_cannot_be_paused_says_so_without_its_password(make, server):
    world = make(queues=RQ.format(more="").replace("REDIS_URL", "BAD_URL"))
    common = world.site.folder / ".env.common"
    common.write_text(common.read_text() + "BAD_URL=redis://:open-sesame@127.0.0.1:1/0\n")
    world.run("deploy", "stg", "--wait")
    world.change("two")
    failed = world.run("deploy", "stg", ok=False)
    assert failed.code == 1 and "the queue 'convert' cannot be paused: " in failed.err, failed
    assert "ConnectionError" in failed.err
    assert "open-sesame" not in failed.err + failed.out + world.site.daemon_logs(1 << 20)
    assert world.text("stg") == "one"


def test_a_cache_loses_the_keys_with_a_prefix_and_no_others(make, server):
    world = make(queues=RQ.format(more=""),
                 more="cache: { component: web, url: REDIS_URL, prefixes: ['job:', 'presence:'] }")
    server.client.mset({"job:1": "x", "presence:2": "x", "jobs": "x", "other:job:": "x"})
    shown = world.run("deploy", "stg", "--wait")
    assert "2 keys dropped from the cache (job:, presence:)" in shown.out
    assert {"jobs", "other:job:"} <= set(server.client.keys())
    assert not server.client.keys("job:*") and not server.client.keys("presence:*")
    refused = world.repo
    refused.commit({"seatrial.yaml": (refused.folder / "seatrial.yaml").read_text().replace(
        "'job:'", "'*'")})
    checked = world.run("check", ok=False)
    assert checked.code != 0 and "release.cache.prefixes" in checked.out + checked.err, checked


@pytest.mark.skipif(not RabbitMQ.PROGRAM.exists(), reason="rabbitmq-server is not installed")
def test_celery_over_rabbitmq(make, server, engine):
    rabbit = RabbitMQ(host_address(engine))
    try:
        world = make(queues=CELERY, broker=rabbit.url)
        world.run("deploy", "stg", "--wait")
        world.put_celery("first", 20)
        harness.wait_for(lambda: world.begun("first"), "the job to begin", 60)
        world.change("two")
        shown = world.run("deploy", "stg")
        assert "running: export 1" in shown.out, shown
        assert server.names("migration")[-1] == "0 0"
        world.put_celery("second")
        world.await_all(["first", "second"])
        assert sorted(server.names("begun")) == ["first", "second"]
    finally:
        rabbit.stop()
