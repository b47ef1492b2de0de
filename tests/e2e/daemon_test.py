"""The daemon may end in any way; previews and records may not suffer."""
import harness

KEY = "TINY-1"


def running(site, repo, key=KEY):
    site.seatrial("up", "--issue", key, "--json", cwd=repo.folder, ok=True)
    return site.show(key)


def pids(site, key=KEY):
    return {each["name"]: each["pid"] for each in site.show(key)["components"]}


def test_a_second_daemon_refuses_and_names_the_first(site, repo):
    first = site.serve()
    assert first.wait_ready()
    second = site.seatrial("serve", "--data", site.data, "--config", site.config, "--port", "0")
    assert second.code not in (0, None)
    assert str(first.process.pid) in second.err


def test_up_starts_a_daemon_when_none_runs(site, repo):
    running(site, repo)
    assert (site.data / "daemon.pid").exists()


def test_sigterm_leaves_previews_and_the_next_daemon_adopts_them(site, repo):
    daemon = site.serve()
    assert daemon.wait_ready()
    running(site, repo)
    before = pids(site)
    daemon.terminate()
    assert daemon.process.returncode == 0
    assert site.serve().wait_ready()
    assert pids(site) == before
    assert site.state(KEY) == "running"


def test_kill_9_leaves_previews_and_the_next_daemon_adopts_them(site, repo):
    daemon = site.serve()
    assert daemon.wait_ready()
    shown = running(site, repo)
    before = pids(site)
    daemon.kill()
    assert harness.get_json(harness.preview_url(shown, "web"))["text"] == "one"
    assert site.serve().wait_ready()
    assert pids(site) == before
    site.seatrial("stop", KEY, ok=True)
    assert site.state(KEY) == "removed"


def test_a_component_that_dies_is_started_again(site, repo):
    assert site.serve().wait_ready()
    repo.commit({"app.py": harness.APP_PY.replace(
        "connection.recv(65536)", "sys.exit(1) if b'die' in connection.recv(65536) else None")})
    shown = running(site, repo)
    url = harness.preview_url(shown, "web")
    try:
        harness.get_json(url + "/die")
    except (OSError, ValueError):
        pass

    def back():
        try:
            return harness.get_json(url)["text"]
        except (OSError, ValueError):
            return None
    assert harness.wait_for(back, "the component to answer again") == "one"
    assert site.state(KEY) == "running"


def test_stop_works_while_postgres_is_away_once_it_is_back(site, repo, postgres):
    assert site.serve().wait_ready()
    running(site, repo)
    postgres.stop()
    with site.start("stop", KEY, "--json") as client:
        try:
            try:
                harness.wait_for(lambda: site.state(KEY) == "stopping", "the stop to begin")
            finally:
                postgres.start()
            out, err = client.communicate(timeout=60)
        finally:
            client.kill()
    assert client.returncode == 0, out + err
    assert site.state(KEY) == "removed"


def test_corrupt_records_are_refused_and_nothing_is_removed(site, repo):
    daemon = site.serve()
    assert daemon.wait_ready()
    running(site, repo)
    before = site.census()
    daemon.terminate()
    file = site.data / "seatrial.db"
    for extra in ("-wal", "-shm"):
        (site.data / ("seatrial.db" + extra)).unlink(missing_ok=True)
    whole = file.read_bytes()
    file.write_bytes(b"not a database at all" * 400)
    try:
        broken = site.serve()
        assert not broken.wait_ready()
        assert broken.wait_end() != 0
        after = site.census()
        for what in ("databases", "roles", "worktrees", "refs"):
            assert after[what] == before[what]
    finally:
        file.write_bytes(whole)
    assert site.serve().wait_ready()
    assert site.state(KEY) == "running"
