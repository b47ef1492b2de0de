"""A daemon whose data folder goes away ends by itself and leaves no process."""
import shutil

import census
import harness
import pytest

KEY = "TINY-1"


def running(site, repo):
    daemon = site.serve()
    assert daemon.wait_ready()
    site.seatrial("up", "--issue", KEY, "--json", cwd=repo.folder, ok=True)
    return daemon, site.show(KEY), census.mark_of(site.data), census.uids_of(site.data)


def silent(shown):
    try:
        harness.get_json(harness.preview_url(shown, "web"), 1)
    except (OSError, ValueError):
        return True
    return False


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_without_its_data_folder_a_daemon_ends_and_says_why(site, repo, how):
    daemon, shown, mark, uids = running(site, repo)
    pids = [each.pid for each in census.run_processes(site.data.resolve(), mark)]
    try:
        if how == "removed":
            shutil.rmtree(site.data, ignore_errors=True)    # but what is mounted there
        else:
            site.data.rename(site.folder / "elsewhere")
        assert daemon.wait_end(30) == 1
        text = (site.folder / "daemon.log").read_text()
        assert f"the data folder {site.data} was removed" in text and "backup" in text
        harness.wait_for(lambda: silent(shown), "the components to end")
        harness.wait_for(lambda: not census.processes(site.data.resolve(), mark, uids),
                         "all processes to end")
        assert not census.cgroups(mark)
    finally:
        for point in reversed(census.mounts(site.folder.resolve())):
            harness.subprocess.run(["umount", "-l", point], check=False)
        for pid in pids:
            census._kill(pid)


def test_a_stranger_in_the_data_folder_ends_nothing(site, repo):
    daemon, shown, _, _ = running(site, repo)
    for _ in range(20):
        (site.data / "note").write_text("x")
        (site.data / "note").unlink()
    assert site.get("/readyz")[0] == 200
    assert daemon.process.poll() is None
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "one"
