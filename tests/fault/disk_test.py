"""Full disks: what cannot be done fails with a clear error, what is there goes on, what must go
can go, and with room again all works without a restart."""
import contextlib
import os
import shutil
import subprocess

import harness
import pytest

KEY = "TINY-1"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def small(postgres):
    """A site whose data folder is a file system of its own, of 40 MB."""
    site = harness.Site(harness.temporary_folder("small"), postgres)
    site.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0755", "seatrial-test",
                    str(site.data)], check=True)
    try:
        yield site
    finally:
        with contextlib.suppress(OSError):
            (site.data / "ballast").unlink(missing_ok=True)
        try:
            site.close()
        finally:
            subprocess.run(["umount", "-l", str(site.data)], check=True)
            shutil.rmtree(site.folder, ignore_errors=True)


def fill(site, leave=0):
    """Uses up all room but `leave` bytes."""
    with open(site.data / "ballast", "wb") as ballast:
        with contextlib.suppress(OSError):
            while True:
                os.write(ballast.fileno(), bytes(4096))
        if leave:
            os.ftruncate(ballast.fileno(), ballast.tell() - leave)


def make_room(site):
    (site.data / "ballast").unlink()


def says_full(text):
    return any(word in text.lower() for word in ("no space left", "disk is full", "free disk space",
                                           "unable to write file"))


def up(site, repo, key=KEY, ok=True):
    return site.seatrial("up", "--issue", key, "--json", cwd=repo.folder, ok=ok)


@needs_root
def test_a_full_disk_stops_new_ones_but_neither_the_old_nor_their_removal(small):
    repo = harness.TinyRepo(small.folder / "tiny")
    daemon = small.serve()
    assert daemon.wait_ready()
    up(small, repo)
    shown = small.show(KEY)
    fill(small)
    repo.commit({"text.txt": "two\n"})
    refused = up(small, repo, "TINY-2", ok=False)
    assert refused.code not in (0, None), refused
    assert says_full(refused.out + refused.err), refused
    assert small.show(KEY)["state"] == "running"
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "one"
    small.seatrial("stop", KEY, "--json", ok=True)
    assert small.state(KEY) == "removed"
    make_room(small)
    up(small, repo, "TINY-2")
    assert small.show("TINY-2")["state"] == "running"
    assert daemon.process.poll() is None


@needs_root
def test_a_tree_that_does_not_fit_waits_for_room_and_says_so(small):
    repo = harness.TinyRepo(small.folder / "tiny")
    assert small.serve().wait_ready()
    up(small, repo, "FIRST-1")
    small.daemon.terminate()
    (repo.folder / "big").write_bytes(os.urandom(6_000_000))
    repo.commit({})
    # The commit and its objects fit, the tree does not.
    record = small.folder / "record"
    record.write_text("")
    record.chmod(0o666)
    point = "reconcile.journal.after"
    small.serve({"SEATRIAL_FAILPOINTS": point + "=pause",
                 "SEATRIAL_FAILPOINT_RECORD": str(record)}).wait_ready()
    with small.start("up", "--issue", KEY, "--json", cwd=repo.folder) as client:
        try:
            harness.wait_for(lambda: "fired" in record.read_text(), "the journal")
            fill(small, 3_000_000)
            with record.open("a") as orders:
                orders.write(f"resume {point}\n")

            def waits():
                shown = small.show(KEY)
                # The tree may have taken the room for that record, too: then the log has it.
                return (shown and shown["waiting"] and says_full(shown["waiting"]["message"])) or \
                    "waiting could not be recorded" in small.daemon_logs()
            harness.wait_for(lambda: waits() or client.poll() is not None, "the wait", 60)
            assert client.poll() is None, small.show(KEY)["failure"]
            make_room(small)
            out, err = client.communicate(timeout=90)
        finally:
            client.kill()
    assert client.returncode == 0, out + err
    assert small.show(KEY)["state"] == "running"


@needs_root
def test_an_install_that_fills_the_disk_fails_alone(small):
    repo = harness.TinyRepo(small.folder / "tiny")
    assert small.serve().wait_ready()
    up(small, repo, "FIRST-1")
    shown = small.show("FIRST-1")
    good = repo.yaml()
    repo.commit({"lock.txt": "2\n", "seatrial.yaml": good.replace(
        "mkdir -p vendor", "mkdir -p vendor && dd if=/dev/zero of=vendor/x bs=64k")})
    failed = up(small, repo, ok=False)
    assert failed.code == 1, failed
    assert says_full(str(small.show(KEY)["failure"])), small.show(KEY)["failure"]
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "one"
    small.seatrial("cleanup", "--json", ok=True)
    repo.commit({"seatrial.yaml": good})
    up(small, repo)
    assert small.show(KEY)["state"] == "running"


@needs_root
def test_a_full_disk_under_the_logs_stops_no_component(small):
    repo = harness.TinyRepo(small.folder / "tiny")
    repo.commit({"app.py": harness.APP_PY.replace(
        "connection.recv(65536)", "connection.recv(65536); print('asked' * 400, flush=True)")})
    assert small.serve().wait_ready()
    up(small, repo)
    url = harness.preview_url(small.show(KEY), "web")
    fill(small)
    for _ in range(50):
        assert harness.get_json(url)["text"] == "one"
    make_room(small)

    def logged():
        harness.get_json(url)
        return "asked" in small.seatrial("logs", KEY, "web", ok=True).out[-3000:]
    harness.wait_for(logged, "the log to go on")
