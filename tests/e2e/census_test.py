"""The census must see what is there: each category with a thing made by hand."""
import os
import socket
import subprocess
import sys

import census
import harness
import pytest

MARK = "st-cens00-"


@pytest.fixture
def data():
    folder = harness.temporary_folder("census")
    yield folder
    census.clear(folder)
    subprocess.run(["rm", "-rf", "--", str(folder)], check=True)


def added(data, make, **keywords):
    before = census.take(data, mark=MARK, **keywords)
    make()
    return census.diff(before, census.take(data, mark=MARK, **keywords))


def test_nothing_differs_from_itself(data):
    assert added(data, lambda: None) == []


def test_databases_roles_and_comments(data, postgres):
    url = postgres.admin_url()

    def make():
        postgres.psql("CREATE DATABASE \"st-cens00-x\"")
        postgres.psql("CREATE ROLE \"st-cens00-r\"")
        postgres.psql("COMMENT ON DATABASE \"st-cens00-x\" IS 'half'")
    try:
        found = added(data, make, postgres_url=url)
        assert any("databases: + st-cens00-x" in line and "half" in line for line in found)
        assert any("roles: + st-cens00-r" in line for line in found)
        assert len(found) == 2
    finally:
        postgres.psql('DROP DATABASE IF EXISTS "st-cens00-x"')
        postgres.psql('DROP ROLE IF EXISTS "st-cens00-r"')


def test_an_unreachable_server_is_an_error_not_an_empty_list(data):
    with pytest.raises(RuntimeError):
        census.take(data, "postgresql://127.0.0.1:1/postgres")


def test_mirror_worktrees_refs_and_locks(data, tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
                       check=True, capture_output=True)
    mirror = data / "mirrors" / "m.git"
    git("init", "-q", "--bare", str(mirror))

    def make():
        git("-C", str(mirror), "commit-tree", "-m", "x", subprocess.run(
            ["git", "-C", str(mirror), "mktree"], input=b"", capture_output=True,
            check=True).stdout.decode().strip())
        commit = subprocess.run(
            ["git", "-C", str(mirror), "-c", "user.name=t", "-c", "user.email=t@example.org",
             "commit-tree", "-m", "x", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"],
            capture_output=True, check=True, text=True).stdout.strip()
        git("-C", str(mirror), "update-ref", "refs/st/keep/a", commit)
        git("-C", str(mirror), "worktree", "add", "--detach", str(data / "previews" / "p"), commit)
        (mirror / "config.lock").touch()
    found = added(data, make)
    for expected in ("refs: + m.git refs/st/keep/a", "worktree_admin: + m.git p",
                     "git_locks: + mirrors/m.git/config.lock", "files: + previews/p"):
        assert expected in found
    assert any(line.startswith("worktrees: + ") for line in found)


def test_processes_locks_and_clear(data):
    (data / "run" / f"{MARK}a").mkdir(parents=True)
    lock = data / "run" / f"{MARK}a" / "lock"
    script = ("import fcntl, subprocess, sys\n"
              f"f = open({str(lock)!r}, 'w')\n"
              "fcntl.flock(f, fcntl.LOCK_EX)\n"
              "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
              "print('up', flush=True)\n"
              "child.wait()\n")
    shim = []

    def make():
        shim.append(subprocess.Popen([sys.executable, "-c", script], cwd=data, text=True,
                                     stdout=subprocess.PIPE))
        assert shim[0].stdout.readline() == "up\n"
    try:
        found = added(data, make)
        assert f"file_locks: + run/{MARK}a/lock" in found
        assert sum(line.startswith("processes: + own") for line in found) == 2
        # A shell of somebody who looks around is seen, and left alone by clear().
        looker = subprocess.Popen(["sleep", "1000"], cwd=data)
        try:
            assert census.clear(data) == []
            assert shim[0].wait(5) != 0
            assert looker.poll() is None
        finally:
            looker.kill()
            looker.wait()
    finally:
        shim[0].kill()
        shim[0].wait()
        shim[0].stdout.close()


def test_files_but_not_what_is_retained(data):
    def make():
        for name in ("previews/st-a", "scratch/b", "logs/life/web"):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).touch()
        (data / "records.db-wal").touch()
    assert added(data, make) == ["files: + previews", "files: + previews/st-a", "files: + scratch",
                                 "files: + scratch/b"]


def test_ports_of_a_user(data):
    with socket.socket() as listener:
        uids = range(os.getuid(), os.getuid() + 1)
        before = census.ports(uids)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert set(census.ports(uids)) - set(before) >= {listener.getsockname()[1]}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_mounts(data):
    (data / "mounts").mkdir()
    try:
        found = added(data, lambda: subprocess.run(
            ["mount", "-t", "tmpfs", "none", str(data / "mounts")], check=True))
        assert f"mounts: + {data}/mounts" in found
        assert census.clear(data) == []
        assert census.mounts(data) == []
    finally:
        subprocess.run(["umount", "-l", str(data / "mounts")], capture_output=True, check=False)
