"""What processes cost, read from /proc: processor time, context switches, memory."""
import os
import pathlib
import re


def _read(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text()


def of_program(data):
    """{"daemon": [pid], "helper": [pid], "shim": [pid...]} of the daemon of a data folder."""
    daemon = int((pathlib.Path(data) / "daemon.pid").read_text())
    found = {"daemon": [daemon], "helper": [], "shim": []}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            program = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
            # Both carry their data folder on the line: other installations are not counted.
            if str(data) not in _read(entry, "cmdline").split("\0"):
                continue
            parent = int(re.search(r"^PPid:\s+(\d+)", _read(entry, "status"), re.M).group(1))
        except (OSError, AttributeError):
            continue
        if program.startswith("seatrial-helper"):
            found["helper" if parent == daemon else "shim"].append(int(entry))
    return found


def cpu_seconds(pids):
    """Of these processes alone; that of children they have waited for is not in it."""
    ticks = 0
    for pid in pids:
        fields = _read(pid, "stat").rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def switches(pids):
    """{(process, thread): context switches, wanted and forced}"""
    counts = {}
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                text = _read(pid, f"task/{task}/status")
                counts[pid, task] = sum(
                    int(number) for number in re.findall(r"ctxt_switches:\s+(\d+)", text))
        except OSError:
            continue
    return counts


def switches_between(before, after):
    """Of threads that ended meanwhile only what was seen of them is known: nothing."""
    return sum(count - before.get(key, 0) for key, count in after.items())


def memory(pid):
    """(anonymous, resident) in MB."""
    text = _read(pid, "smaps_rollup")
    return tuple(int(re.search(rf"^{word}:\s+(\d+)", text, re.M).group(1)) / 1024
                 for word in ("Anonymous", "Rss"))
