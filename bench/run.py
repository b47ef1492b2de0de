#!/usr/bin/env python3
"""Measures and writes docs/performance.md.

    run.py [--pairs N] [--only starts,updates,...] [--disk] [--dry]
"""
import argparse
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from world import World  # noqa: E402 - first: it finds the harness
from measures import Bench  # noqa: E402
from report import Report  # noqa: E402

PARTS = ("starts", "updates", "crowd", "idle", "many", "expired", "rebuild")


def stop_in_order(*_):
    sys.exit("bench: ended by a signal")


def main():
    signal.signal(signal.SIGTERM, stop_in_order)
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--only", help="some of: " + ",".join(PARTS))
    parser.add_argument("--disk", action="store_true", help="no tmpfs, also as root")
    parser.add_argument("--dry", action="store_true", help="do not write the page")
    options = parser.parse_args()
    parts = options.only.split(",") if options.only else PARTS
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {' '.join(unknown)}; there are {' '.join(PARTS)}")
    report = Report()
    world = World(disk=options.disk)
    try:
        bench = Bench(world, report, options.pairs, options.idle_seconds)
        if set(parts) != {"rebuild"}:
            bench.prepare()
        for part in parts:
            getattr(bench, part)()
        # Part of a page would look like the whole of it.
        if not options.dry and not options.only:
            report.write(where=world.where, pairs=options.pairs)
    finally:
        world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
