"""What a preview leaves in shared folders, and worktrees that lie outside the data folder."""
import os
import pathlib
import shutil

import harness
import pytest

ROOT = os.geteuid() == 0
# Writes its own name where every program may write, and says what it found there before.
NOSY = harness.APP_PY.replace(
    'text = open("text.txt").read().strip()',
    'text = []\n'
    'for folder in ("/tmp", "/var/tmp", "/dev/shm"):\n'
    '    try:\n'
    '        text.append(open(folder + "/seatrial-e2e").read())\n'
    '    except OSError:\n'
    '        text.append("")\n'
    '    open(folder + "/seatrial-e2e", "a").write(os.environ["PREVIEW_ISSUE_KEY"])')
YAML = ("app: tiny\ncomponents:\n"
        "  web: { run: [/usr/bin/python3, -I, -S, app.py, web], port: WEB_PORT, health: / }\n")


def settled(site, repo, env=None):
    """The census once everything shared (mirror, template, dependencies) has been made."""
    site.seatrial("up", "--issue", "FIRST-1", cwd=repo.folder, env=env, ok=True)
    site.seatrial("stop", "FIRST-1", env=env, ok=True)
    return site.census()


@pytest.mark.skipif(not ROOT, reason="own mount namespaces need root")
def test_what_a_preview_writes_to_tmp_is_its_own_and_goes_with_it(site, repo):
    repo.commit({"app.py": NOSY, "seatrial.yaml": YAML})
    assert site.serve().wait_ready()
    before = settled(site, repo)
    for key in ("TMP-1", "TMP-2"):
        site.seatrial("up", "--issue", key, cwd=repo.folder, ok=True)
        shown = site.show(key)
        assert shown["isolation"]["private_tmp"] is True
        assert harness.get_json(harness.preview_url(shown, "web"))["text"] == ["", key, ""]
    # A new commit is a new process: files stay (/tmp and /var/tmp are one folder), shared memory
    # goes with its process.
    repo.commit({"text.txt": "two\n"})
    site.seatrial("up", "--issue", "TMP-1", cwd=repo.folder, ok=True)
    text = harness.get_json(harness.preview_url(site.show("TMP-1"), "web"))["text"]
    assert text == ["TMP-1" * 2, "TMP-1" * 3, ""]
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        assert not os.path.exists(folder + "/seatrial-e2e")
    for key in ("TMP-1", "TMP-2"):
        site.seatrial("stop", key, ok=True)
    site.wait_census(before)


@pytest.fixture
def place():
    folder = harness.temporary_folder("trees")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_worktrees_may_lie_elsewhere(site, repo, place, postgres):
    trees = place / "below" / "previews"
    repo.commit({"seatrial.yaml": None})
    psql = harness.private_postgres.bindir() / "psql"
    # The set-up of the document: all thirteen variables.
    env = {
        "PREVIEW_PROVIDER": "local", "PREVIEW_ENABLED": "true",
        "PREVIEW_WEB_BASE_PORT": "5100", "PREVIEW_API_BASE_PORT": "5200",
        "PREVIEW_MAX_INSTANCES": "2", "PREVIEW_TTL_HOURS": "3", "PREVIEW_HOST": "localhost",
        "PREVIEW_WORKTREE_PATH": str(trees), "PREVIEW_TEMPLATE_DB_NAME": "tiny_dev",
        "PREVIEW_INSTALL_CMD": "true",
        "PREVIEW_MIGRATE_CMD": f'{psql} -X -q -f schema.sql "$DATABASE_URL"',
        "PREVIEW_WEB_CMD": "/usr/bin/python3 -I -S app.py web",
        "PREVIEW_API_CMD": "/usr/bin/python3 -I -S app.py api",
    }
    daemon = site.serve(env)
    assert daemon.wait_ready()
    before = settled(site, repo, env)
    site.seatrial("up", "--issue", "WT-1", cwd=repo.folder, env=env, ok=True)
    shown = site.show("WT-1")
    answer = harness.get_json(harness.preview_url(shown, "web"))
    assert answer["text"] == "one"
    assert answer["env"]["HOME"].startswith(f"{trees}/")
    assert len(list(trees.iterdir())) == 1 and not list((site.data / "previews").iterdir())
    repo.commit({"text.txt": "two\n"})
    site.seatrial("up", "--issue", "WT-1", cwd=repo.folder, env=env, ok=True)
    assert harness.get_json(harness.preview_url(site.show("WT-1"), "api"))["text"] == "two"

    # A daemon that would look elsewhere says so instead of forgetting them.
    daemon.terminate()
    moved = site.seatrial("serve", "--port", "0")
    assert moved.code == 2 and f"previews still stand in {trees}" in moved.err
    assert site.serve(env).wait_ready()
    site.seatrial("stop", "WT-1", ok=True)
    site.wait_census(before)
    assert not list(trees.iterdir())


def test_sqlite_and_dependencies_in_worktrees_elsewhere(site, repo, place):
    site.write_config({"int": "ttl: 24h"}, f"worktree_path: {place}/previews\n")
    (repo.folder / "dev.sqlite").write_bytes(b"")
    repo.commit({"seatrial.yaml": YAML + 'install: { run: "mkdir -p vendor && cp lock.txt vendor/", '
                 "key: [lock.txt], keep: [vendor] }\n"
                 "database: { engine: sqlite, template: dev.sqlite, file: app.sqlite }\n"})
    assert site.serve().wait_ready()
    before = settled(site, repo)
    site.seatrial("up", "--issue", "WT-2", cwd=repo.folder, ok=True)
    folder = next((place / "previews").iterdir())
    assert (folder / "tree/vendor/lock.txt").read_text() == "1\n"
    site.seatrial("stop", "WT-2", ok=True)
    site.wait_census(before)
    assert not list((place / "previews").iterdir())
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    assert str(place) not in mounts


@pytest.mark.parametrize("kind, says", [
    ("relative", "is not an absolute path"), ("dots", "is not an absolute path"),
    ("link", "is a link"), ("repository", "git repository"), ("foreign", "belongs to uid"),
    ("data", "lie in each other")])
def test_worktree_paths_that_are_refused(site, repo, place, kind, says):
    os.symlink("/etc", place / "link")
    value = {"relative": "previews", "dots": f"{place}/../etc", "link": f"{place}/link",
             "repository": f"{repo.folder}/previews", "foreign": "/etc",
             "data": f"{site.data}/trees"}[kind]
    refused = site.seatrial("serve", "--port", "0", env={"PREVIEW_WORKTREE_PATH": value})
    assert refused.code == 2, refused
    assert "PREVIEW_WORKTREE_PATH" in refused.err and says in refused.err
    # Fault and remedy.
    assert any(word in refused.err for word in ("start it with", "write the", "choose", "leave"))
    assert not (repo.folder / "previews").exists()
