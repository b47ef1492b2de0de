"""Rows of figures, and the page that is made of them."""
import datetime
import os
import pathlib
import platform
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Report:
    def __init__(self, page="performance.md"):
        self.page = ROOT / "docs" / page
        self.template = pathlib.Path(__file__).resolve().parent / f"{page}.in"
        self.rows = []

    def add(self, what, value, unit, target, beside):
        """target: not more than this; None when there is none."""
        self.rows.append((what, value, unit, target, beside))
        mark = "" if target is None else ("ok" if value <= target else "MISSED")
        print(f"{what}: {number(value)} {unit} ({beside}) {mark}", flush=True)

    def table(self):
        lines = ["| What | Measured | Target | | Beside it, from the same run |", "|---|---|---|---|---|"]
        for what, value, unit, target, beside in self.rows:
            verdict = "" if target is None else ("met" if value <= target else "**missed**")
            goal = "" if target is None else f"≤ {number(target)} {unit}".strip()
            lines.append(f"| {what} | {number(value)} {unit} | {goal} | {verdict} | {beside} |")
        return "\n".join(lines)

    def write(self, **values):
        """`values`: what the page's template names besides."""
        values.update(table=self.table(), machine=machine(), commit=commit(),
                      date=datetime.date.today().isoformat())
        self.page.write_text(re.sub(r"@(\w+)@", lambda match: str(values[match.group(1)]),
                                    self.template.read_text()))
        print(f"wrote {self.page.relative_to(ROOT)}")


def number(value):
    if isinstance(value, int) or value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), "
            f"{memory:.0f} GB, Linux {platform.release()}")


def commit():
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
