"""The machine restarts, moves, or gets its data back from a backup."""
import contextlib
import shutil
import sqlite3

import census
import harness
import pytest

KEY = "TINY-1"


def up(site, repo, key=KEY):
    site.seatrial("up", "--issue", key, "--json", cwd=repo.folder, ok=True)
    return site.show(key)


def reboot(site):
    """What the next daemon finds after one: no process, mount or group, and states of runs that
    speak of an earlier boot."""
    site.daemon.kill()
    assert not census.clear(site.data)
    changed = 0
    for state in site.data.glob("run/*/state"):
        text = state.read_text()
        boot = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()
        if boot in text:
            state.write_text(text.replace(boot, "00000000-0000-4000-8000-000000000000"))
            changed += 1
    assert changed, "no run knows its boot"


def test_after_a_reboot_previews_come_back_at_their_address(site, repo, postgres):
    assert site.serve().wait_ready()
    before = up(site, repo)
    postgres.psql("INSERT INTO item VALUES (1000, 'kept')", before["database"])
    reboot(site)
    assert site.serve().wait_ready()

    def answers():
        try:
            return harness.get_json(harness.preview_url(before, "web"))["text"] == "one"
        except (OSError, ValueError):
            return False
    harness.wait_for(answers, "the preview to answer again", 60)
    harness.wait_for(lambda: site.state(KEY) == "running", "the state")
    after = site.show(KEY)
    assert (after["urls"], after["database"]) == (before["urls"], before["database"])
    assert postgres.rows(after["database"], "SELECT name FROM item WHERE id = 1000") == ["kept"]
    # A reboot is nobody's crash: it counts towards no limit.
    events = site.seatrial("show", KEY, "--json", ok=True).json
    assert events["failure"] is None


def test_after_a_reboot_previews_go_when_the_environment_says_so(site, repo):
    site.write_config({"int": "ttl: 24h, max: 5, on_reboot: remove"})
    assert site.serve().wait_ready()
    up(site, repo, "FIRST-1")
    site.seatrial("stop", "FIRST-1", ok=True)
    site.seatrial("cleanup", ok=True)
    baseline = site.census()
    up(site, repo)
    reboot(site)
    assert site.serve().wait_ready()
    harness.wait_for(lambda: site.state(KEY) == "removed", "the removal", 60)
    shown = site.seatrial("show", KEY, "--json", ok=True).json
    assert shown["reason"] == "reboot" and shown["receipt"]["resources"]
    site.seatrial("cleanup", ok=True)
    site.wait_census(baseline)


@pytest.fixture
def restored(site, repo):
    """Records from before a preview was made, on another machine: all of it looks like nobody's."""
    daemon = site.serve()
    assert daemon.wait_ready()
    up(site, repo, "FIRST-1")
    site.seatrial("stop", "FIRST-1", ok=True)
    site.seatrial("cleanup", ok=True)
    baseline = site.census()
    daemon.terminate()
    with contextlib.closing(sqlite3.connect(site.data / "seatrial.db")) as records:
        records.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy2(site.data / "seatrial.db", site.folder / "backup.db")
    daemon = site.serve()
    assert daemon.wait_ready()
    up(site, repo)
    daemon.terminate()
    for extra in ("-wal", "-shm"):
        (site.data / ("seatrial.db" + extra)).unlink(missing_ok=True)
    (site.data / "seatrial.db").write_bytes((site.folder / "backup.db").read_bytes())
    lines = (site.data / "instance").read_text().splitlines()
    (site.data / "instance").write_text(lines[0] + "\n" + "0" * 32 + "\n")
    return site, baseline


def test_on_another_machine_nothing_is_collected_until_a_person_agrees(restored):
    site, baseline = restored
    assert site.serve().wait_ready()
    before = site.census()
    assert before["databases"] != baseline["databases"]
    health = site.get("/readyz")[1]
    assert health["collector"].startswith("report only: made on another machine"), health
    assert "cleanup --confirm" in health["collector"]

    # Twice, as the collector would: what it saw before is no reason either.
    for _ in range(2):
        report = site.seatrial("cleanup", "--json", ok=True).json
        assert report["orphans"] and not any(each["removed"] for each in report["orphans"])
    after = site.census()
    for what in ("databases", "roles", "worktrees", "processes"):
        assert after[what] == before[what], what
    assert site.daemon.terminate() == 0
    assert site.serve().wait_ready()
    assert site.get("/readyz")[1]["collector"].startswith("report only"), "forgotten by a restart"

    report = site.seatrial("cleanup", "--confirm", "--json", ok=True).json
    assert all(each["removed"] for each in report["orphans"]), report["orphans"]
    site.seatrial("cleanup", "--confirm", ok=True)
    site.wait_census(baseline)
    assert site.get("/readyz")[1]["collector"] == "on"
