"""An effect that fails once, as a disk or a server does (EIO, a lost connection): the preview comes
up all the same or fails by name, the next attempt succeeds, and nothing is left behind."""
import harness
import pytest
from voyages import Record, quiet_process

KEY = "TINY-1"
# A few at a time: the daemon waits longer before each further attempt.
STARTS = (
    ("mirror.receive.before", "mirror.receive.indexed", "git-ref.create.after",
     "reconcile.facts.before", "reconcile.journal.before"),
    ("reconcile.journal.after", "worktree.checkout.after", "pg-role.create.before",
     "pg-database.create.cloned"),
    ("pg-database.create.after", "migration.run.after", "process.start.before",
     "reconcile.done.before"),
)
ENDS = (
    ("process.stop.killed", "pg-database.destroy.before"),
    ("pg-role.destroy.after", "git-ref.destroy.after"),
    ("reconcile.release.before", "reconcile.removed.before"),
)


@pytest.fixture
def warm(site, repo):
    """A site where the shared things are there, its daemon ended, and the census of that."""
    daemon = site.serve()
    assert daemon.wait_ready()
    site.seatrial("up", "--issue", "FIRST-1", "--json", cwd=repo.folder, ok=True)
    site.seatrial("stop", "FIRST-1", ok=True)
    site.seatrial("cleanup", ok=True)
    before = site.census()
    daemon.terminate()
    return site, before


def serve_with(site, points):
    record = site.folder / "record"
    record.write_text("")
    record.chmod(0o666)
    site.serve({"SEATRIAL_FAILPOINTS": ",".join(f"{point}=error" for point in points),
                "SEATRIAL_FAILPOINT_RECORD": str(record)})
    assert site.daemon.wait_ready()
    return lambda: {line.split(" ")[1] for line in record.read_text().splitlines()
                    if line.startswith("fired ")}


@pytest.mark.parametrize("start, end", zip(STARTS, ENDS), ids=["first", "middle", "last"])
def test_effects_of_a_start_and_an_end_may_fail_once(warm, repo, start, end):
    site, before = warm
    repo.commit({"text.txt": "two\n"})
    fired = serve_with(site, start + end)
    for _ in range(len(start) + 1):
        result = site.seatrial("up", "--issue", KEY, "--json", cwd=repo.folder)
        if result.code == 0:
            break
        assert "injected fault" in result.out + result.err, result
    assert result.code == 0, result
    shown = site.show(KEY)
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "two"
    assert not set(start) - fired(), f"not reached: {set(start) - fired()}"
    site.seatrial("stop", KEY, "--json", ok=True)
    assert not set(end) - fired(), f"not reached: {set(end) - fired()}"
    site.seatrial("cleanup", ok=True)
    site.wait_census(before)


def test_a_stop_that_comes_as_the_last_one_ends_has_its_answer(site, repo):
    """It found the preview, which is gone when it wants to end it."""
    record = Record(site.folder / "record")
    site.serve({"SEATRIAL_FAILPOINTS": "preview.stop=pause@1",
                "SEATRIAL_FAILPOINT_RECORD": str(record.path)}).wait_ready()
    site.seatrial("up", "--issue", KEY, cwd=repo.folder, ok=True)
    with quiet_process(site.start("stop", KEY)) as late:
        harness.wait_for(lambda: record.fired("preview.stop"), "the first to be held up")
        site.seatrial("stop", KEY, ok=True)
        record.resume("preview.stop")
        out, err = late.communicate(timeout=20)
        assert late.returncode == 0 and "is removed" in out, (out, err)
