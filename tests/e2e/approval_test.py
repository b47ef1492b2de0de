"""Approvals of releases from the command line: who asks waits, who may decides, what was decided
goes on by itself whoever died in between."""
import os
import signal
import subprocess

import harness
import pytest
from wares import Wares

APPROVER, STRANGER = 23451, 23452


class Guarded(Wares):
    """Wares whose production asks for an approval."""

    def __init__(self, site, engine):
        super().__init__(site, engine)
        self.guard(f"approvers: [uid:{APPROVER}]")

    def guard(self, rules):
        self.configure(f"{{ {rules} }}")

    def open(self, count=1):
        """The requests that wait, once there are so many."""
        return harness.wait_for(
            lambda: (found := self.site.get("/api/v1/approvals")) and len(found[1]) == count
            and found[1], f"{count} open requests")

    def as_user(self, uid, *arguments):
        done = subprocess.run([str(harness.BIN), *map(str, arguments)], cwd="/", user=uid,
                              group=uid, extra_groups=[], env=self.site.env(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        return harness.Result(done)

    def serving(self, env="prd"):
        found = self.site.get(f"/api/v1/deployments?app=wares&env={env}")[1]
        return found[0]["serving"] if found else None


def ended(process, seconds=90):
    out, err = process.communicate(timeout=seconds)
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    return harness.Result(done)


@pytest.fixture
def wares(site, engine):  # noqa: F811
    wares = Guarded(site, engine)
    wares.site.serve().wait_ready()
    yield wares
    engine.clear()


def test_a_deploy_waits_for_a_yes_of_somebody_who_may(wares):
    deploy = wares.start("deploy", "prd", "--reason", "for the sale")
    request, = wares.open()
    assert request["action"] == "deploy" and request["env"] == "prd"
    assert request["reason"] == "for the sale" and request["asked_by"] == "unix:root"
    assert request["approvers"] == [f"uid:{APPROVER}"]
    assert len(request["commit"]) == 40 and request["components"]["web"].startswith("sha256:")
    assert wares.serving() is None, "nothing is wanted before the yes"
    listed = wares.run("approvals").out
    assert request["id"] in listed and "for the sale" in listed
    # Neither the owner, who is not on the list, nor a stranger.
    refused = wares.run("approve", request["id"], ok=False)
    assert refused.code == 3 and f"uid:{APPROVER}" in refused.err
    stranger = wares.as_user(STRANGER, "approve", request["id"])
    assert stranger.code == 4 and "no request" in stranger.err
    assert wares.as_user(STRANGER, "approvals", "--json").json == []
    assert wares.as_user(APPROVER, "releases", "--app", "wares").code == 3
    seen = wares.as_user(APPROVER, "approvals", "--json").json
    assert [one["id"] for one in seen] == [request["id"]]
    given = wares.as_user(APPROVER, "approve", request["id"], "--reason", "looks fine")
    assert given.code == 0, given
    assert f"approved: deploy {request['tag']} in prd" in given.out
    done = ended(deploy)
    assert done.code == 0, done
    assert f"seatrial approve {request['id']}" in done.out
    assert f"users are on {request['tag']}" in done.out
    assert wares.text("prd") == "one here"
    again = wares.as_user(APPROVER, "approve", request["id"])
    assert again.code == 1 and "was approved" in again.err
    assert wares.run("approvals", "--json").json == []
    told, = wares.run("approvals", "--all", "--json").json
    assert told["state"] == "approved" and told["decided_by"] == f"uid:{APPROVER}"
    assert told["decision_reason"] == "looks fine"
    history = wares.run("history", "prd").out
    assert "asked for an approval" in history and "approved" in history
    # A yes is spent: the same release once more is a request once more.
    wares.run("deploy", "prd", "--release", request["release"], "--no-wait")
    assert wares.open()[0]["id"] != request["id"]


def test_a_no_ends_the_wait_and_changes_nothing(wares):
    deploy = wares.start("deploy", "prd")
    request, = wares.open()
    bare = wares.as_user(APPROVER, "reject", request["id"])
    assert bare.code == 2 and "--reason" in bare.err
    no = wares.as_user(APPROVER, "reject", request["id"], "--reason", "not on a Friday")
    assert no.code == 0, no
    done = ended(deploy)
    assert done.code == 3 and "not on a Friday" in done.err and "rejected" in done.err
    late = wares.as_user(APPROVER, "approve", request["id"])
    assert late.code == 1 and "was rejected" in late.err
    assert wares.serving() is None


def test_a_request_that_nobody_answers_expires(wares):
    wares.site.daemon.terminate()
    wares.guard(f"approvers: [uid:{APPROVER}], expires: 2s")
    wares.site.serve().wait_ready()
    deploy = wares.start("deploy", "prd")
    request, = wares.open()
    done = ended(deploy)
    assert done.code == 5 and "not answered in time" in done.err
    late = wares.as_user(APPROVER, "approve", request["id"])
    assert late.code == 1 and "expired" in late.err
    assert wares.serving() is None


def test_a_newer_request_takes_the_place_of_an_older_one(wares):
    first = wares.start("deploy", "prd")
    old, = wares.open()
    # The same again is the same request.
    assert wares.run("deploy", "prd", "--release", old["release"], "--no-wait",
                     "--json").json["approval"]["id"] == old["id"]
    wares.change("two")
    second = wares.start("deploy", "prd")
    done = ended(first)
    assert done.code == 1 and "superseded" in done.err
    new, = wares.open()
    assert new["id"] != old["id"] and new["commit"] != old["commit"]
    late = wares.as_user(APPROVER, "approve", old["id"])
    assert late.code == 1 and "superseded" in late.err
    assert wares.as_user(APPROVER, "approve", new["id"]).code == 0
    assert ended(second).code == 0
    assert wares.text("prd") == "two here"


def test_ctrl_c_leaves_the_request(wares):
    deploy = wares.start("deploy", "prd")
    request, = wares.open()
    harness.wait_for(lambda: deploy.stdout.readline().startswith("  no "), "the request is told")
    deploy.send_signal(signal.SIGINT)
    done = ended(deploy)
    assert done.code == 130 and "request stays" in done.err
    assert wares.as_user(APPROVER, "approve", request["id"]).code == 0
    harness.wait_for(lambda: wares.serving() == request["tag"], "the deploy without its client", 60)


def test_kill_9_while_waiting_and_at_the_yes(wares):
    deploy = wares.start("deploy", "prd")
    request, = wares.open()
    wares.site.daemon.kill()
    wares.site.serve({"SEATRIAL_FAILPOINTS": "approval.given=kill"}).wait_ready()
    assert wares.open()[0]["id"] == request["id"]
    # Dies with the yes written down and nothing done.
    assert wares.as_user(APPROVER, "approve", request["id"]).code != 0
    wares.site.daemon.process.wait(30)
    wares.site.serve().wait_ready()
    done = ended(deploy)
    assert done.code == 0, done
    assert wares.text("prd") == "one here"
    again = wares.as_user(APPROVER, "approve", request["id"])
    assert again.code == 1 and "was approved" in again.err
    kinds = [event["kind"] for event in wares.run("history", "prd", "--json").json]
    assert kinds.count("deploy") == 1


def test_a_rollback_needs_none_unless_it_is_said(wares):
    for text in ("one", "two"):
        wares.change(text)
        wares.run("deploy", "prd", "--no-wait")
        request, = wares.open()
        assert wares.as_user(APPROVER, "approve", request["id"]).code == 0
        harness.wait_for(lambda tag=request["tag"]: wares.serving() == tag, "the switch", 60)
    wares.change("three")
    waiting = wares.start("deploy", "prd")
    wares.open()
    wares.run("rollback", "prd")
    assert wares.text("prd") == "one here"
    done = ended(waiting)
    assert done.code == 1 and "superseded" in done.err, "it was asked for on other grounds"
    wares.site.daemon.terminate()
    wares.guard(f"approvers: [uid:{APPROVER}], rollback: true")
    wares.site.serve().wait_ready()
    back = wares.start("rollback", "prd", "--reason", "two was right")
    request, = wares.open()
    assert request["action"] == "rollback"
    assert wares.text("prd") == "one here"
    assert wares.as_user(APPROVER, "approve", request["id"]).code == 0
    assert ended(back).code == 0
    assert wares.text("prd") == "two here"
    assert wares.deployment("prd")["held"]


def test_who_asked_may_be_kept_from_approving(wares):
    wares.site.daemon.terminate()
    wares.guard("approvers: [unix:root], self: false")
    wares.site.serve().wait_ready()
    alone = wares.run("deploy", "prd", ok=False)
    assert alone.code == 3 and "you are the only approver" in alone.err
    wares.site.daemon.terminate()
    wares.guard(f"approvers: [unix:root, uid:{APPROVER}], self: false")
    wares.site.serve().wait_ready()
    wares.run("deploy", "prd", "--no-wait")
    request, = wares.open()
    own = wares.run("approve", request["id"], ok=False)
    assert own.code == 3 and "you asked for it" in own.err
    # Taking it back is always possible.
    assert wares.run("reject", request["id"], "--reason", "a mistake").code == 0
    wares.site.daemon.terminate()
    wares.guard("approvers: [slack:U123]")
    wares.site.serve().wait_ready()
    nobody = wares.run("deploy", "prd", ok=False)
    assert nobody.code == 3 and "slack:U123" in nobody.err
    assert os.geteuid() == 0
