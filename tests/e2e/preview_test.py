"""A preview from `up` to the receipt, as a person and a script would use it."""
import os
import pathlib
import signal

import harness
import pytest

KEY = "TINY-1"


def text_of(site, key=KEY, component="web"):
    return harness.get_json(harness.preview_url(site.show(key), component))["text"]


def env_of(site, key=KEY, component="api"):
    return harness.get_json(harness.preview_url(site.show(key), component))["env"]


def up(site, repo, key=KEY, *arguments, ok=True):
    return site.seatrial("up", "--issue", key, *arguments, "--json", cwd=repo.folder, ok=ok)


def test_a_whole_life_leaves_nothing(site, repo, postgres):
    site.serve().wait_ready()
    up(site, repo, "FIRST-1")
    site.seatrial("stop", "FIRST-1", ok=True)
    before = site.census()

    up(site, repo)
    shown = site.show(KEY)
    assert shown["state"] == "running"
    assert shown["commit"] == repo.git("rev-parse", "HEAD")
    for name in ("web", "api"):
        assert text_of(site, component=name) == "one"
    during = site.census()
    assert during["databases"] != before["databases"]
    assert len(during["worktrees"]) == len(before["worktrees"]) + 1

    stopped = site.seatrial("stop", KEY, "--json", ok=True).json
    assert stopped["state"] == "removed"
    assert stopped["receipt"]["resources"]
    site.wait_census(before)


def test_the_database_is_a_clone_of_the_template_and_migrated(site, repo, postgres):
    up(site, repo)
    database = site.show(KEY)["database"]
    assert postgres.rows(database, "SELECT count(*) FROM item") == ["100"]
    assert postgres.rows(database, "SELECT count(*) FROM migrated") == ["1"]


def test_components_get_what_they_need_and_nothing_of_the_daemon(site, repo):
    site.serve({"DAEMON_SECRET": "do not tell"}).wait_ready()
    up(site, repo)
    web, api = env_of(site, component="web"), env_of(site, component="api")
    shown = site.show(KEY)
    assert web["PORT"] == web["WEB_PORT"] == str(shown["ports"]["web"])
    assert api["PORT"] == api["API_PORT"] == web["API_PORT"]
    assert web["API_URL"] == shown["urls"]["api"]
    assert api["PREVIEW_ISSUE_KEY"] == KEY
    assert shown["database"] in api["DATABASE_URL"]
    assert "DAEMON_SECRET" not in api and "SEATRIAL_DATA" not in api


def test_second_up_on_the_same_commit_changes_nothing(site, repo):
    up(site, repo)
    first = site.show(KEY)
    up(site, repo)
    second = site.show(KEY)
    assert (first["life"], first["ports"], first["database"]) == \
        (second["life"], second["ports"], second["database"])
    assert len(site.seatrial("ls", "--json", ok=True).json["previews"]) == 1


def test_an_update_keeps_address_and_database(site, repo, postgres):
    up(site, repo)
    first = site.show(KEY)
    postgres.psql("INSERT INTO item VALUES (1000, 'kept')", first["database"])
    repo.commit({"text.txt": "two\n"})
    up(site, repo)
    second = site.show(KEY)
    assert text_of(site) == "two"
    assert (first["urls"], first["database"]) == (second["urls"], second["database"])
    assert postgres.rows(second["database"], "SELECT name FROM item WHERE id = 1000") == ["kept"]


def test_an_update_that_cannot_be_prepared_leaves_the_old_one_serving(site, repo):
    up(site, repo)
    repo.commit({"seatrial.yaml": "app: tiny\ncomponents: 3\n", "text.txt": "broken\n"})
    failed = up(site, repo, ok=False)
    assert failed.code == 2
    assert site.state(KEY) == "running"
    assert text_of(site) == "one"


def test_a_failed_migration_of_an_update_keeps_database_and_tree(site, repo, postgres):
    up(site, repo)
    database = site.show(KEY)["database"]
    repo.commit({"schema.sql": "SELECT 1/0;\n"})
    assert up(site, repo, ok=False).code == 1
    shown = site.show(KEY)
    assert shown["state"] == "failed"
    assert "division by zero" in str(shown["failure"])
    assert postgres.rows(database, "SELECT count(*) FROM item") == ["100"]
    repo.commit({"schema.sql": harness.SCHEMA_SQL, "text.txt": "mended\n"})
    up(site, repo)
    assert text_of(site) == "mended"
    assert site.show(KEY)["database"] == database


def test_a_failed_first_start_names_the_step_and_releases_the_rest(site, repo):
    site.serve().wait_ready()
    up(site, repo, "FIRST-1")
    site.seatrial("stop", "FIRST-1", ok=True)
    before = site.census()
    repo.commit({"app.py": "import sys\nprint('no such luck', flush=True)\nsys.exit(3)\n"})
    result = up(site, repo, ok=False)
    assert result.code == 1
    shown = site.show(KEY)
    assert shown["state"] == "failed"
    assert shown["failure"]["step"] and shown["failure"]["message"]
    # Both components fail; the first ends the other, perhaps before it says anything.
    assert "no such luck" in site.seatrial("logs", KEY, ok=True).out
    site.wait_census(before)


def test_the_limit_refuses_a_new_one_by_name_and_never_an_update(site, repo):
    site.write_config({"int": "ttl: 24h, max: 1"})
    up(site, repo)
    refused = up(site, repo, "TINY-2", ok=False)
    assert refused.code == 3
    assert KEY in refused.out + refused.err
    repo.commit({"text.txt": "two\n"})
    up(site, repo)
    assert text_of(site) == "two"


def test_two_previews_do_not_meet(site, repo, postgres):
    up(site, repo)
    repo.branch("feature/TINY-2-other")
    repo.commit({"text.txt": "other\n"})
    up(site, repo, "TINY-2")
    one, two = site.show(KEY), site.show("TINY-2")
    assert not set(one["ports"].values()) & set(two["ports"].values())
    assert one["database"] != two["database"]
    assert (text_of(site), text_of(site, "TINY-2")) == ("one", "other")
    # The second one's own password opens the first one's database to nobody.
    url = env_of(site, "TINY-2")["DATABASE_URL"].replace(two["database"], one["database"], 1)
    stranger = harness.subprocess.run(
        ["psql", "-X", "-d", url.rsplit("/", 1)[0] + "/" + one["database"], "-c", "SELECT 1"],
        capture_output=True, text=True, check=False)
    assert stranger.returncode != 0
    site.seatrial("stop", KEY, ok=True)
    assert text_of(site, "TINY-2") == "other"


def test_many_at_once_do_not_clash(site, repo):
    site.write_config({"int": "ttl: 24h, max: 20"})
    site.serve().wait_ready()
    keys = [f"MANY-{number}" for number in range(6)]
    clients = [site.start("up", "--issue", key, "--json", cwd=repo.folder) for key in keys]
    ends = [client.communicate(timeout=120) for client in clients]
    assert [client.returncode for client in clients] == [0] * len(keys), ends
    ports = [port for key in keys for port in site.show(key)["ports"].values()]
    assert len(set(ports)) == 2 * len(keys)
    for key in keys:
        assert text_of(site, key) == "one"


def test_the_key_is_read_from_the_branch(site, repo):
    repo.branch("feature/TINY-77-something")
    site.seatrial("up", "--json", cwd=repo.folder, ok=True)
    assert site.state("TINY-77") == "running"


@pytest.mark.parametrize("branch", [
    "feature/with'quote", 'feature/"double"', "feature/$(touch${IFS}pwned)", "feature/a;b",
    "feature/🚢", "feature/" + "x" * 200, "feature/--upload-pack=x", "feature/a&&b", "feature/`id`",
])
def test_hostile_branches_work(site, repo, branch):
    repo.git("branch", branch)
    result = site.seatrial("up", "--issue", "H-1", f"--branch={branch}", "--json", cwd=repo.folder)
    assert result.code == 0, result
    assert site.state("H-1") == "running"
    assert not list(site.folder.rglob("pwned"))
    site.seatrial("stop", "H-1", ok=True)


@pytest.mark.parametrize("key, code", [
    ("", 2), ("../../etc", None), ("-x", 2), ("a\nb", 2), ("\u202eevil", 2), ("k" * 300, 2),
    ("$(id)", None), ("a;b", None), ("a b", None),
])
def test_hostile_keys_are_refused_or_harmless(site, repo, key, code):
    result = site.seatrial("up", f"--issue={key}", "--json", cwd=repo.folder)
    if code is None:
        assert result.code in (0, 2), result
    else:
        assert result.code == code, result
    if result.code == 0:
        assert site.seatrial("stop", key, "--json").code == 0


def test_unknown_things_are_not_found(site, repo):
    site.serve().wait_ready()
    for command in (("show", "NO-1"), ("stop", "NO-1"), ("logs", "NO-1"), ("explain", "NO-1")):
        assert site.seatrial(*command).code == 4, command
    assert site.seatrial("up", "--branch", "no-such", "--issue", "X-1", cwd=repo.folder).code == 4
    assert site.seatrial("up", "--issue", "X-1", "--env", "nowhere", cwd=repo.folder).code in (2, 4)


def test_without_a_daemon_looking_says_so(site):
    assert site.seatrial("ls").code == harness.EXIT_NO_SERVER


def test_usage_errors(site):
    for command in (("no-such-command",), ("show",), ("up", "--no-such-flag")):
        assert site.seatrial(*command).code == 2, command
    for command in (("--help",), ("up", "--help"), ("version",)):
        assert site.seatrial(*command, ok=True).out


def test_extend_pin_and_explain(site, repo):
    up(site, repo)
    first = site.show(KEY)["expires_at"]
    site.seatrial("extend", KEY, "--hours", "5", ok=True)
    assert site.show(KEY)["expires_at"] > first
    site.seatrial("pin", KEY, ok=True)
    assert site.show(KEY)["pinned"]
    site.seatrial("unpin", KEY, ok=True)
    assert not site.show(KEY)["pinned"]
    assert site.seatrial("explain", KEY, ok=True).out.strip()


def test_logs_follow(site, repo):
    up(site, repo)
    with site.start("logs", KEY, "web", "--follow") as follower:
        try:
            assert "listening" in follower.stdout.readline()
            follower.send_signal(signal.SIGINT)
            follower.communicate(timeout=20)
        finally:
            follower.kill()


SLOW_INSTALL = "install: { run: 'mkdir -p vendor && touch started && sleep 600', " \
               "key: [lock.txt], keep: [vendor] }\n"


def test_interrupt_cancels_a_first_up(site, repo):
    yaml = "\n".join(line for line in repo.yaml().splitlines() if not line.startswith("install"))
    repo.commit({"seatrial.yaml": yaml + "\n" + SLOW_INSTALL})
    with site.start("up", "--issue", KEY, "--json", cwd=repo.folder) as client:
        try:
            harness.wait_for(lambda: site.state(KEY) == "starting", "the start")
            client.send_signal(signal.SIGINT)
            client.communicate(timeout=60)
        finally:
            client.kill()
    assert client.returncode == 130
    harness.wait_for(lambda: site.state(KEY) in (None, "removed", "failed"), "the end")
    assert not [each for each in site.census()["processes"] if "sleep" in each]


@pytest.mark.skipif(os.geteuid() != 0, reason="own users need root")
def test_every_preview_is_its_own_user(site, repo):
    up(site, repo)
    up(site, repo, "TINY-2")
    uids = {harness.get_json(harness.preview_url(site.show(key), "web"))["uid"]
            for key in (KEY, "TINY-2")}
    assert len(uids) == 2 and all(2_000_000 <= uid < 4_000_000 for uid in uids)


def test_a_deleted_branch_ends_its_preview(site, repo):
    repo.branch("feature/TINY-5-short")
    site.seatrial("up", "--json", cwd=repo.folder, ok=True)
    assert site.state("TINY-5") == "running"
    repo.git("switch", "-q", "main")
    repo.git("branch", "-D", "feature/TINY-5-short")
    harness.wait_for(lambda: site.state("TINY-5") == "removed", "the removal")


def test_a_squash_merged_branch_ends_its_preview(site, repo):
    repo.branch("feature/TINY-6-squash")
    repo.commit({"text.txt": "a\n"})
    repo.commit({"text.txt": "b\n"})
    site.seatrial("up", "--json", cwd=repo.folder, ok=True)
    repo.git("switch", "-q", "main")
    repo.git("merge", "--squash", "feature/TINY-6-squash")
    repo.git("commit", "-q", "-m", "squashed")
    harness.wait_for(lambda: site.state("TINY-6") == "removed", "the removal")


def test_a_fast_forward_ends_a_preview_but_catching_up_does_not(site, repo):
    repo.branch("feature/TINY-7-fresh")
    repo.branch("feature/TINY-8-work")
    repo.commit({"text.txt": "work\n"})
    for key, branch in (("TINY-7", "feature/TINY-7-fresh"), ("TINY-8", "feature/TINY-8-work")):
        site.seatrial("up", "--issue", key, "--branch", branch, "--json", cwd=repo.folder, ok=True)
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--ff-only", "feature/TINY-8-work")
    harness.wait_for(lambda: site.state("TINY-8") == "removed", "the removal")
    assert site.seatrial("show", "TINY-8", "--json", ok=True).json["reason"] == "merged"
    # The other one has no work of its own: now it only catches up with main.
    repo.git("branch", "-f", "feature/TINY-7-fresh", "main")
    # A third one, deleted after that, proves that the watch has seen it all.
    repo.branch("feature/TINY-9-last")
    site.seatrial("up", "--json", cwd=repo.folder, ok=True)
    repo.git("switch", "-q", "main")
    repo.git("branch", "-D", "feature/TINY-9-last")
    harness.wait_for(lambda: site.state("TINY-9") == "removed", "the removal")
    assert site.state("TINY-7") == "running"


def test_show_says_when_the_branch_cannot_be_watched(site, repo):
    site.serve().wait_ready()
    up(site, repo)
    # Before the watch stands a rename would only be seen by the next look, a minute later.
    inode = f"ino:{(repo.folder / '.git/refs/heads').stat().st_ino:x} "
    infos = pathlib.Path(f"/proc/{site.daemon.process.pid}/fdinfo")
    harness.wait_for(lambda: any(inode in info.read_text() for info in infos.iterdir()), "the watch")
    repo.folder.rename(site.folder / "elsewhere")
    (site.folder / "elsewhere" / ".git" / "refs" / "heads" / "news").write_text("x\n")
    problem = harness.wait_for(lambda: site.show(KEY)["branch_problem"], "the problem")
    assert "cannot fetch" in problem
    text = site.seatrial("show", KEY, ok=True).out
    assert "cannot be read by the daemon" in text and "only time ends it" in text
    (site.folder / "elsewhere").rename(repo.folder)
    repo.git("branch", "more")
    harness.wait_for(lambda: site.show(KEY)["branch_problem"] is None, "the end of the problem")
    assert site.state(KEY) == "running"


def test_a_moved_address_is_said_plainly(site, repo):
    site.serve().wait_ready()
    up(site, repo)
    before = site.show(KEY)
    assert before["moved"] is None
    tree = next((site.data / "previews").glob("*/tree"))
    # In the update the old component ends first; whoever is quick takes its port.
    repo.commit({"seatrial.yaml": repo.yaml().replace(
        "migrate: { run: '", "migrate: { run: 'touch gate.at; "
        "until [ -e gate ]; do sleep 0.02; done; ")})
    with site.start("up", "--issue", KEY, cwd=repo.folder) as client:
        try:
            harness.wait_for(lambda: (tree / "gate.at").exists() or
                             client.poll() is not None, "the migration", 60)
            squatter = harness.socket.socket()
            squatter.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", before["ports"]["web"]))
            squatter.listen(1)
            (tree / "gate").touch()
            out, err = client.communicate(timeout=90)
        finally:
            client.kill()
    squatter.close()
    assert client.returncode == 0, out + err
    after = site.show(KEY)
    old, new = before["ports"]["web"], after["ports"]["web"]
    assert old != new and f"web {old} → {new}" in out and "the address changed" in out
    assert f"port {old} is taken by" in after["moved"]["reason"]
    assert f"web {old} → {new}" in site.seatrial("show", KEY, ok=True).out
    repo.commit({"seatrial.yaml": repo.yaml()})
    up(site, repo)
    assert site.show(KEY)["moved"] is None
