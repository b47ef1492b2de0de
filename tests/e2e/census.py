#!/usr/bin/env python3
"""An independent count of everything that Seatrial could leave in the world. It asks the world
(PostgreSQL, git, /proc, cgroups, sockets, file system) and never Seatrial itself.

    census.py --data DIR [--postgres URL] [--mark st-INSTANCE-] --save FILE
    census.py --before FILE --after FILE          what differs; exit 1 when something does
    census.py --data DIR --clear                  ends and removes what a dead daemon left

Entries carry no process ids or other chance, so that two countings of the same state are equal.
Root sees everything; others see their own.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

UIDS = range(2_000_000, 4_000_000)  # uids of all previews of all installations
RECORDS = re.compile(r"\.db(-wal|-shm|-journal|\.reserve)?$|^daemon\.|\.log$|^seatrial\.sock$")
CGROUP_ROOT = pathlib.Path("/sys/fs/cgroup")
# Kept on purpose after a removal: logs have a retention of their own, and the trash is emptied
# later (its tests look there by themselves).
RETAINED = ("logs", "trash")
# What arrived by bundle or fetch stays a while, so that the next one need not carry it again.
CACHED_REFS = ("refs/st/in/", "refs/st/fetch/")


def _lines(argv, **keywords):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **keywords)
    return done.stdout.splitlines() if done.returncode == 0 else []


def postgres(url):
    """Databases (with comment and half-dropped mark), roles, advisory locks."""
    def ask(sql):
        done = subprocess.run(["psql", "-X", "-A", "-t", "-q", "-F", "|", "-d", url, "-c", sql],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"census: psql failed: {done.stderr.strip()}")
        return [line for line in done.stdout.splitlines() if line]
    return {
        "databases": ask("SELECT datname, datistemplate, datconnlimit, "
                         "coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"),
        "roles": ask("SELECT rolname, rolsuper, rolcanlogin FROM pg_roles "
                     "WHERE rolname !~ '^pg_'"),
        "advisory_locks": ask("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'"),
    }


def mirrors(data):
    """Worktrees, their admin folders, refs and lock files of every mirror."""
    found = collections.defaultdict(list)
    for mirror in sorted(path.parent for path in data.glob("mirrors/*/HEAD")):
        git = ["git", "-c", "safe.directory=*", "-C", str(mirror)]
        for line in _lines([*git, "worktree", "list", "--porcelain"]):
            folder = line.removeprefix("worktree ")
            if folder != line and folder != str(mirror):
                found["worktrees"].append(f"{mirror.name} {folder}")
        found["refs"] += [f"{mirror.name} {line}" for line in
                          _lines([*git, "for-each-ref", "--format=%(refname)"])
                          if not line.startswith(CACHED_REFS)]
        # A tree may keep its git folder beside itself instead of in the mirror.
        found["worktrees"] += [
            f"{mirror.name} {path.parent.parent}" for path in data.glob("previews/*/git/commondir")
            if path.read_text().strip().rstrip("/").endswith("/" + mirror.name)]
        found["worktree_admin"] += [f"{mirror.name} {path.name}"
                                    for path in mirror.glob("worktrees/*")]
        found["git_locks"] += [str(path.relative_to(data)) for path in mirror.rglob("*.lock")]
    return {key: found[key] for key in ("worktrees", "refs", "worktree_admin", "git_locks")}


class Process:
    def __init__(self, pid, data, mark):
        self.pid = pid
        folder = pathlib.Path("/proc") / str(pid)
        status = (folder / "status").read_text()
        self.uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1))
        self.name = re.search(r"^Name:\s+(.*)$", status, re.M).group(1)
        self.zombie = bool(re.search(r"^State:\s+Z", status, re.M))
        self.parent = int(re.search(r"^PPid:\s+(\d+)", status, re.M).group(1))
        self.grouped = mark in (folder / "cgroup").read_text()
        self.ours = self.grouped or self._points_below(folder, data)

    @staticmethod
    def _points_below(folder, data):
        prefix = str(data) + "/"
        for link in ("cwd", "exe", "root"):
            try:
                if (os.readlink(folder / link) + "/").startswith(prefix):
                    return True
            except OSError:
                pass
        return False


def all_processes(data, mark):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                found.append(Process(int(entry), data, mark))
            except (OSError, AttributeError):
                continue
    return found


def processes(data, mark, uids):
    return [each for each in all_processes(data, mark) if each.ours or each.uid in uids]


def run_processes(data, mark):
    """Members of our groups, previews' users at work below `data`, and the tree of every shim
    (it holds the lock of its run). A person's shell in the data folder is none of these."""
    everything = all_processes(data, mark)
    chosen = {each.pid for each in everything
              if each.grouped or (each.ours and each.uid in UIDS)} | set(lock_holders(data))
    grown = True
    while grown:
        more = {each.pid for each in everything if each.parent in chosen} - chosen
        chosen |= more
        grown = bool(more)
    return [each for each in everything if each.pid in chosen and not each.zombie]


def cgroups(mark):
    """Groups below any seatrial group, in every hierarchy."""
    found = []
    for hierarchy in [CGROUP_ROOT, *CGROUP_ROOT.glob("*")]:
        for top in hierarchy.glob("seatrial*"):
            # walk() lives with groups of others that go away meanwhile.
            found += [pathlib.Path(folder) for folder, _, _ in os.walk(top) if mark in folder]
    return sorted(set(found), key=lambda path: len(path.parts), reverse=True)


def mounts(data):
    points = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point.startswith(str(data) + "/"):
            points.append(point)
    return points


def ports(uids):
    found = set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(file).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[7]) in uids:
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return sorted(found)


def held_locks():
    """(major, minor, inode) → pid of the holder."""
    held = {}
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        match = re.search(r" (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ", line)
        if match and "->" not in line:
            held[int(match.group(2), 16), int(match.group(3), 16),
                 int(match.group(4))] = int(match.group(1))
    return held


def _file_id(path):
    status = path.lstat()
    return os.major(status.st_dev), os.minor(status.st_dev), status.st_ino


def lock_holders(data):
    """Process ids of the shims: each holds the lock of its run as long as it lives."""
    held = held_locks()
    pids = [held.get(_file_id(path), 0) for path in data.glob("run/*/lock")]
    # Without root nobody may see what a shim holds open: then its own record names it.
    pids += [pid for pid in map(_recorded_shim, data.glob("run/*/state"))
             if str(data) in _arguments(pid)]
    return sorted({pid for pid in pids if pid > 1})


def _recorded_shim(state):
    try:
        lines = dict(line.partition(" ")[::2] for line in state.read_text().splitlines())
    except OSError:    # just removed
        return 0
    return int(lines.get("shim", "0"))


def _arguments(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def file_locks(data):
    """Files below `data` that somebody holds a lock on."""
    held = held_locks()
    found = []
    for path in _walk(data, 4):
        try:
            name = str(path.relative_to(data))
            if _file_id(path) in held and name != "lock" and not RECORDS.search(name):
                found.append(name)
        except OSError:
            continue
    return found


def _walk(folder, depth):
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        yield pathlib.Path(entry.path)
        if depth > 1 and entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, depth - 1)


def files(data):
    """Two levels of the data folder; what has a retention and the records' own files are left
    out, and so is the inside of trees and mirrors (mirrors() looks there)."""
    found = []
    for path in _walk(data, 2):
        name = str(path.relative_to(data))
        first = name.split("/")[0]
        if first in RETAINED or RECORDS.search(name):
            continue
        if first == "mirrors" and name.count("/") > 1:
            continue
        found.append(name)
    return found


def strays(mark):
    """Files of ours in the shared temporary folders."""
    found = []
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        for entry in os.listdir(folder):
            if entry.startswith((mark, "seatrial-tmp")):
                found.append(f"{folder}/{entry}")
    return found


def instance_of(data):
    """The installation's id; None when there is none yet."""
    try:
        return (pathlib.Path(data) / "instance").read_text().split()[0]
    except (OSError, IndexError):
        return None


def mark_of(data):
    """`st-<instance>-`, in front of every name; one that nothing bears while there is no id."""
    return f"st-{instance_of(data) or '------'}-"


def uids_of(data):
    """The thousand uids that this installation gives to previews (FNV-1a of its id)."""
    instance = instance_of(data)
    if instance is None:
        return range(0)
    value = 2166136261
    for byte in instance.encode():
        value = (value ^ byte) * 16777619 % 2**32
    first = 2_000_000 + value % 2000 * 1000
    return range(first, first + 1000)


def take(data, postgres_url=None, mark=None, uids=None):
    """All categories → sorted lists of texts."""
    data = pathlib.Path(data).resolve()
    mark = mark or mark_of(data)
    uids = uids_of(data) if uids is None else uids
    result = postgres(postgres_url) if postgres_url else {}
    result.update(mirrors(data))
    result["processes"] = [f"{'preview' if each.uid in UIDS else 'own'} {each.name}"
                           f"{' (zombie)' if each.zombie else ''}"
                           for each in processes(data, mark, uids)]
    result["cgroups"] = [str(path) for path in cgroups(mark)]
    result["mounts"] = mounts(data)
    result["ports"] = [str(port) for port in ports(uids)]
    result["file_locks"] = file_locks(data)
    result["files"] = files(data)
    result["strays"] = strays(mark)
    return {key: sorted(values) for key, values in result.items()}


def diff(before, after):
    """["category: + entry", "category: - entry"], empty when both are equal."""
    lines = []
    for category in sorted(set(before) | set(after)):
        old = collections.Counter(before.get(category, []))
        new = collections.Counter(after.get(category, []))
        lines += [f"{category}: + {entry}" for entry in sorted((new - old).elements())]
        lines += [f"{category}: - {entry}" for entry in sorted((old - new).elements())]
    return lines


def _kill(pid):
    """Ends exactly that process and waits for it."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], 5)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def clear(data):
    """Ends the runs of a data folder without its daemon. Returns what could not be removed."""
    data = pathlib.Path(data).resolve()
    mark = mark_of(data)
    for _ in range(20):
        alive = run_processes(data, mark)
        if not alive:
            break
        for process in alive:
            _kill(process.pid)
    for point in sorted(mounts(data), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)
    deadline = time.monotonic() + 5
    while cgroups(mark) and time.monotonic() < deadline:
        for group in cgroups(mark):
            try:
                group.rmdir()
            except OSError:
                pass
    left = [f"process {each.pid} {each.name}" for each in run_processes(data, mark)]
    return left + [f"mount {each}" for each in mounts(data)] + \
        [f"cgroup {each}" for each in cgroups(mark)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--postgres")
    parser.add_argument("--mark")
    parser.add_argument("--save")
    parser.add_argument("--before")
    parser.add_argument("--after")
    parser.add_argument("--clear", action="store_true")
    options = parser.parse_args()
    if options.before and options.after:
        lines = diff(*(json.loads(pathlib.Path(name).read_text())
                       for name in (options.before, options.after)))
    elif options.data and options.clear:
        lines = clear(options.data)
    elif options.data:
        text = json.dumps(take(options.data, options.postgres, options.mark), indent=1)
        if options.save:
            pathlib.Path(options.save).write_text(text + "\n")
        else:
            print(text)
        return 0
    else:
        parser.error("nothing to do: --data, or --before and --after")
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
