"""Thousands of previews past their time at once."""
import contextlib
import json
import os
import sqlite3
import statistics
import time

import harness

# Without root there are no groups: whose a process is must be looked up in all of /proc, each time.
COUNT = 10_000 if os.geteuid() == 0 else 500
LIVING = "DONE-1"


def copy_lives(site, count):
    """Copies of a living preview that own nothing, all past their time."""
    with contextlib.closing(sqlite3.connect(site.data / "seatrial.db")) as records:
        records.row_factory = sqlite3.Row
        living = dict(records.execute("SELECT * FROM life WHERE key = ?", (LIVING,)).fetchone())
        spec = json.loads(living["spec"])
        columns = list(living)
        with records:
            for number in range(count):
                spec["life"] = "01" + f"{number:024d}"
                spec["key"] = f"OLD-{number}"
                spec["ports"], spec["uid_slot"] = {}, -1
                row = {**living, "id": spec["life"], "key": spec["key"],
                       "spec": json.dumps(spec), "expires_at": 1000 + number}
                records.execute(f"INSERT INTO life ({','.join(columns)}) VALUES "
                                f"({','.join('?' * len(columns))})",
                                [row[column] for column in columns])


def left(site):
    with contextlib.closing(sqlite3.connect(f"file:{site.data / 'seatrial.db'}?mode=ro",
                                            uri=True)) as records:
        return records.execute("SELECT count(*) FROM life WHERE state <> 'removed' AND "
                               "key LIKE 'OLD-%'").fetchone()[0]


def test_the_rest_goes_on_while_a_crowd_is_removed(site, repo):
    daemon = site.serve()
    assert daemon.wait_ready()
    site.seatrial("up", "--issue", LIVING, "--json", cwd=repo.folder, ok=True)
    daemon.terminate()
    copy_lives(site, COUNT)
    assert site.serve().wait_ready(60)
    harness.wait_for(lambda: left(site) < COUNT, "the removal to begin", 60)

    began = left(site)
    assert began > COUNT // 2, "too quick to see anything"
    with site.start("up", "--issue", "NEW-1", "--json", cwd=repo.folder) as client:
        try:
            times = []
            while client.poll() is None:
                start = time.monotonic()
                assert site.get("/readyz")[0] == 200
                assert site.get(f"/api/v1/previews/{LIVING}")[0] == 200
                times.append(time.monotonic() - start)
            out, err = client.communicate(timeout=60)
        finally:
            client.kill()
    assert client.returncode == 0, out + err
    assert left(site) > 0, "the start waited for the whole crowd"
    assert statistics.quantiles(times, n=100)[98] < 2, max(times)
    assert harness.get_json(harness.preview_url(site.show("NEW-1"), "web"))["text"] == "one"

    harness.wait_for(lambda: left(site) == 0, "the crowd to be gone", 400, 0.5)
    # The list has ten thousand lives by now, and may take longer than one question has time.
    for key in (LIVING, "NEW-1"):
        harness.wait_for(lambda key=key: site.state(key) == "running", f"{key} in the list", 60)


def test_a_batch_that_is_gone_at_once_is_followed_by_the_next(site, repo):
    """Its ends are over before the daemon has counted how many it began."""
    daemon = site.serve()
    assert daemon.wait_ready()
    site.seatrial("up", "--issue", LIVING, "--json", cwd=repo.folder, ok=True)
    daemon.terminate()
    copy_lives(site, 120)
    record = site.folder / "record"
    record.write_text("")
    record.chmod(0o666)
    site.serve({"SEATRIAL_FAILPOINTS": "upkeep.expired=pause",
                "SEATRIAL_FAILPOINT_RECORD": str(record)})
    assert site.daemon.wait_ready()
    harness.wait_for(lambda: left(site) == 70, "the first batch to be gone", 30)
    with record.open("a") as orders:
        orders.write("resume upkeep.expired\n")
    # Whoever missed the ends looks again after half a minute.
    harness.wait_for(lambda: left(site) == 0, "the rest to be gone", 20)
