"""Releases from the command line: build, deploy, promote, roll back, with a client that never
stops asking, against a real Docker engine and a real HAProxy."""
import contextlib
import os
import re
import signal
import socket

import harness
import pytest
from prober import Prober
from wares import APP_YAML, DOCKERFILE, Wares


@pytest.fixture
def wares(site, engine):
    wares = Wares(site, engine)
    yield wares
    engine.clear()


def is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return listener.connect_ex(("127.0.0.1", port)) != 0


def answers(wares, env):
    """What users get; None when it is no answer."""
    with contextlib.suppress(OSError):
        return wares.text(env)
    return None


def test_from_commit_to_production_and_back_without_a_failed_request(wares, engine):
    first = wares.run("deploy", "stg", "--wait")
    assert "users are on 1.4.0-" in first.out
    assert wares.text("stg") == "one here"
    wares.run("promote", "--wait")
    assert wares.text("prd") == "one here"
    prober = Prober(wares.url("prd"))
    wares.change("two")
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == "two here"
    assert wares.text("prd") == "one here"
    wares.run("promote", "--wait")
    assert wares.text("prd") == "two here"
    # The same images, not built again.
    def images(env):
        shown = wares.deployment(env)
        return next(slot["release"] for slot in shown["slots"] if slot["phase"] == "serving")
    assert images("stg") == images("prd")
    wares.run("rollback", "prd", "--wait")
    assert wares.text("prd") == "one here"
    asked = prober.stop()
    assert asked["failed"] == [] and asked["new"]["good"] > 20, asked
    # Tags of images follow: stg has the second, prd the first again.
    one, two = (each["components"]["web"]["image"]
                for each in sorted(wares.run("releases", "--json").json, key=lambda row: row["id"]))
    harness.wait_for(lambda: engine.tags().get("wares-web:prd") == one, "the tags", 10)
    assert engine.tags()["wares-web:stg"] == two
    assert engine.tags()["wares-web:stg-rollback"] == one
    held = wares.deployment("prd")
    assert held["held"] and held["previous"].startswith("1.4.0-")
    listed = wares.run("releases", "--json").json
    assert len(listed) == 2
    assert "prd" in wares.run("releases").out
    assert "rollback" in wares.run("history", "prd").out
    incident, = wares.run("incidents", "--json").json
    assert incident["cause"] == "rolled back by hand" and incident["switched"]
    assert incident["tag"] != incident["back_to"] == held["serving"]


def test_the_same_commit_is_the_same_release(wares):
    one = wares.run("build", "--json").json
    two = wares.run("build", "--json").json
    assert one["id"] == two["id"]
    assert one["tag"] == "1.4.0-" + one["commit"][:7]


def test_images_that_nothing_needs_go_after_a_build(wares):
    wares.run("deploy", "stg", "--wait")
    built = []
    for number in range(3):
        wares.change(f"text {number}")
        built.append(wares.run("build", "--json").json)
    assert [each["dropped_images"] for each in built[:2]] == [[], []]
    (gone,) = built[2]["dropped_images"]
    assert gone["name"] == built[0]["components"]["web"]["name"] and gone["bytes"] > 0
    assert wares.run("cleanup", "--dry-run", "--json").json["images"] == []
    late = wares.run("deploy", "stg", "--release", built[0]["tag"], "--wait", ok=False)
    assert late.code != 0 and "seatrial build" in late.err, late
    assert wares.text("stg") == "one here"
    assert wares.run("incidents", "--json").json == []


def test_a_build_that_fails_tells_its_end_and_changes_nothing(wares):
    wares.run("deploy", "stg")
    wares.repo.commit({"Dockerfile": "FROM local/node:1\nRUN [\"node\", \"-e\", "
                                     "\"console.log('no such thing'); process.exit(3)\"]\n"})
    failed = wares.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "the build of 'web' failed" in failed.err and "no such thing" in failed.err
    assert wares.text("stg") == "one here"


def test_an_unfit_release_leaves_the_old_one_serving(wares):
    wares.run("deploy", "stg")
    wares.repo.commit({"Dockerfile": DOCKERFILE + "ENV NOT_FIT=1\n",
                       "seatrial.yaml": APP_YAML.replace("health: /healthz",
                                                         "health: {path: /healthz, timeout: 3s}")})
    failed = wares.run("deploy", "stg", ok=False)
    assert failed.code == 1
    assert "answered 500" in failed.err
    assert wares.text("stg") == "one here"
    incident, = wares.run("incidents", "--json").json
    good, = [one["tag"] for one in wares.run("releases", "--json").json
             if one["id"] != incident["release"]]
    assert incident["app"] == "wares" and incident["env"] == "stg"
    assert incident["back_to"] == good and not incident["switched"]
    assert "answered 500" in incident["cause"]
    listed = wares.run("incidents").out
    assert incident["tag"] in listed and good in listed and "answered 500" in listed


def test_automation_held_by_a_rollback_is_told_and_lifted(wares):
    wares.run("deploy", "stg")
    wares.change("two")
    wares.run("deploy", "stg")
    assert wares.run("resume", "stg").out.startswith("automation was not held")
    wares.run("rollback", "stg", "--reason", "too slow")
    held = wares.deployment("stg")
    assert held["held"] and held["held_since"] and held["held_by"] == "uid:0"
    for command in (["history", "stg"], ["releases"]):
        told = wares.run(*command).out
        assert f"rolled back by hand at {held['held_since']} by uid:0 (too slow)" in told
        assert "seatrial resume stg" in told
    assert "automation may deploy wares in stg again" in wares.run("resume", "stg").out
    assert not wares.deployment("stg")["held"]
    assert "seatrial resume" not in wares.run("history", "stg").out
    assert wares.text("stg") == "one here"
    assert wares.run("resume", "prd", ok=False).code == 4


def test_kill_9_of_the_daemon_and_of_the_edge(wares):
    daemon = wares.site.serve()
    daemon.wait_ready()
    wares.run("deploy", "prd", "--wait")
    prober = Prober(wares.url("prd"))
    wares.change("two")
    release = wares.run("build", "--json").json
    wares.run("deploy", "prd", "--release", release["id"], "--no-wait")
    daemon.kill()
    wares.site.serve().wait_ready()
    harness.wait_for(lambda: wares.text("prd") == "two here", "the switch after a restart", 60)
    assert prober.stop()["failed"] == []
    os.kill(wares.edge_worker(), 9)
    harness.wait_for(lambda: answers(wares, "prd") == "two here", "the edge's return", 5)


def dead_at_the_edge(wares):
    """Whether the edge takes a server for dead."""
    return ",DOWN" in wares.ask_edge("show stat")


def test_an_app_that_dies_right_before_the_switch_fails_nobody(wares, engine):
    daemon = wares.site.serve()
    daemon.wait_ready()
    wares.run("deploy", "stg", "--wait")
    daemon.terminate()
    record = wares.site.folder / "record"
    record.touch()
    record.chmod(0o666)
    wares.site.serve({"SEATRIAL_FAILPOINTS": "release.promoted=pause",
                      "SEATRIAL_FAILPOINT_RECORD": str(record)}).wait_ready()
    prober = Prober(wares.url("stg"), kinds=["new", "kept", "post"])
    wares.change("two")
    client = wares.start("deploy", "stg", "--wait")
    harness.wait_for(lambda: "fired release.promoted" in record.read_text(), "the switch", 60)
    (container,) = next(slot for slot in wares.deployment("stg")["slots"]
                        if slot["phase"] == "serving")["containers"]["web"]
    os.kill(engine.pid(container), signal.SIGKILL)
    harness.wait_for(lambda: dead_at_the_edge(wares), "the edge to notice", 10)
    with record.open("a") as lines:
        lines.write("resume release.promoted\n")
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, out + err
    harness.wait_for(lambda: answers(wares, "stg") == "two here", "the new release", 20)
    asked = prober.stop()
    assert asked["failed"] == [] and asked["new"]["good"] > 20, asked
    assert "ended by itself and was started again" in wares.run("history", "stg").out


def test_an_edge_that_dies_during_checks_says_nothing_of_the_release(wares):
    wares.run("deploy", "stg", "--wait")
    checks = ", ".join(f"/{number}" for number in range(5))    # each takes 0.7 s
    wares.repo.commit({"seatrial.yaml": APP_YAML.replace("[/]", f"[{checks}]")})
    wares.change("two", mode="slow")
    client = wares.start("deploy", "stg")
    # They go on in the phase that follows: before users are on the release, and after.
    for phases in (["serving", "ready"], ["draining", "serving"]):
        harness.wait_for(lambda phases=phases: phases == [
            slot["phase"] for slot in wares.deployment("stg")["slots"]], str(phases), 60, 0.02)
        os.kill(wares.edge_worker(), signal.SIGKILL)
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, out + err
    assert wares.text("stg") == "two here"
    assert wares.run("incidents", "--json").json == []


def test_what_cannot_be_done_is_said(wares):
    assert wares.run("deploy", "int", ok=False).code == 2
    nothing = wares.run("rollback", "prd", ok=False)
    assert nothing.code == 4 and "nothing of wares is deployed in prd" in nothing.err
    unknown = wares.run("deploy", "stg", "--release", "9.9.9-0000000", ok=False)
    assert unknown.code == 4 and "seatrial releases" in unknown.err
    assert wares.run("promote", ok=False).code == 4


def test_a_port_that_another_program_has_is_said_and_harms_nobody(wares):
    """The first release of stg while production serves: the edge cannot have stg's port."""
    release = wares.run("build", "--json").json["tag"]
    wares.run("deploy", "prd", "--release", release, "--wait")
    prober = Prober(wares.url("prd"), rate=20)
    with socket.socket() as other:
        other.bind(("127.0.0.1", wares.ports["stg"]))
        other.listen()
        failed = wares.run("deploy", "stg", "--release", release, ok=False)
        assert failed.code == 1, failed
        assert f"127.0.0.1:{wares.ports['stg']}" in failed.err and "another program" in failed.err
        # Production goes on, also through what comes next there.
        wares.build()
        wares.run("deploy", "prd", "--wait")
        assert wares.text("prd") == "text 1 here"
    wares.run("deploy", "stg", "--wait")
    assert wares.text("stg") == "text 1 here"
    asked = prober.stop()
    assert asked["failed"] == [], asked


def test_a_second_app_needs_ports_of_its_own(wares):
    wares.run("deploy", "stg")
    wares.repo.commit({"seatrial.yaml": APP_YAML.replace("app: wares", "app: goods")})
    refused = wares.run("deploy", "stg", ok=False)
    assert refused.code == 1 and "is the port of wares in stg" in refused.err, refused
    assert "environment with a port of its own" in refused.err
    wares.run("deploy", "prd", "--wait")
    assert wares.text("stg") == wares.text("prd") == "one here"


@pytest.mark.parametrize("mode,cause,switched", [
    ("fails_to_boot", "ended with exit code 3", False),
    ("dies", "it ended again and again|error rate", True),
    ("leaks", "error rate", True),
    ("slow", "slow rate", True)])
def test_a_bad_release_ends_on_the_old_one_with_the_reason(site, engine, mode, cause, switched):
    wares = Wares(site, engine, "watch: 60s, drain: 1s, gates: { slow_rate: 10% }")
    wares.run("deploy", "stg")
    prober = Prober(wares.url("stg"), rate=20, kinds=["new"])
    try:
        release, _ = wares.build(mode)
        failed = wares.run("deploy", "stg", "--release", release, "--wait", ok=False)
        assert failed.code == 1 and re.search(cause, failed.err), failed
        harness.wait_for(lambda: answers(wares, "stg") == "one here", "the old release", 20)
        incident, = wares.run("incidents", "--json").json
        assert re.search(cause, incident["cause"]) and incident["switched"] == switched, incident
        assert incident["release"] == release and incident["back_to"].startswith("1.4.0-")
        # The good ones are not forgotten over it.
        prober.reset()
        assert wares.run("deploy", "stg", "--release", release, ok=False).code != 0 or not switched
    finally:
        prober.stop()
        engine.clear()


def test_an_app_that_ends_is_started_again(wares, engine):
    wares.run("deploy", "stg", "--wait")
    (container,) = wares.deployment("stg")["slots"][0]["containers"]["web"]
    for _ in range(3):
        before = engine.pid(container)
        engine.call("POST", f"/containers/{container}/kill")
        harness.wait_for(lambda before=before: engine.pid(container) not in (0, before),
                         "its start", 20)
        harness.wait_for(lambda: answers(wares, "stg") == "one here", "its return", 20)
    assert "ended by itself and was started again" in wares.run("history", "stg").out


def test_users_may_come_by_a_port_below_1024(wares):
    wares.ports["stg"] = next(port for port in range(1023, 600, -1) if is_free(port))
    wares.configure()
    wares.run("deploy", "stg")
    assert wares.text("stg") == "one here"


def test_doctor_tells_how_releases_outlive_the_engine(wares):
    wares.site.serve().wait_ready()
    assert '"live-restore": true' in wares.run("doctor", ok=False).out
