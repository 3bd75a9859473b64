"""The whole walk, and what it came to: `python -m tests.school_day [--way mouse|touch|keyboard] [--pupils 600] …`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from playwright.sync_api import sync_playwright

from terminal.clock import SystemClock
from tests.school_day.hands import Way
from tests.school_day.place import SchoolPlace
from tests.school_day.walk import MOSCOW, DayPlan, SchoolWalk
from tests.terminal.screen.browser import CHROMIUM, FLAGS


def tomorrow_morning() -> datetime:
    """Half past seven of the next day: nothing of the walk lies before what was made today."""
    morning = SystemClock().now().astimezone(MOSCOW) + timedelta(days=1)
    return morning.replace(hour=7, minute=30, second=0, microsecond=0)


def main() -> None:
    """Walk, and print the figures."""
    asked = argparse.ArgumentParser(prog="python -m tests.school_day", description=__doc__)
    asked.add_argument("--way", choices=[*Way], help="everything in one way; default: each person his own")
    asked.add_argument("--pupils", type=int, default=600)
    asked.add_argument("--tied", type=int, default=20, help="cards tied on the page")
    asked.add_argument("--listed", type=int, default=82, help="cards that the list names")
    asked.add_argument("--kills", type=int, default=1_000, help="deeds at which the power goes")
    asked.add_argument("--taps-killed", type=int, default=10)
    asked.add_argument("--no-looks", action="store_true", help="without sizes and axe")
    said = asked.parse_args()
    ways = (Way(said.way),) * 3 if said.way else (Way.MOUSE, Way.TOUCH, Way.KEYBOARD)
    plan = DayPlan(said.pupils, said.tied, said.listed, said.kills, said.taps_killed, not said.no_looks, ways)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="school-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        walk = SchoolWalk(SchoolPlace(Path(folder), tomorrow_morning()), browser, plan)
        try:
            records = walk.whole()
        finally:
            walk.place.end()
            browser.close()
    for line in figures(walk, records, time.monotonic() - began):
        print(line)


def figures(walk: SchoolWalk, records: dict[str, int], took_s: float) -> list[str]:
    """What was counted, a line each."""
    seen = walk.seen_ms
    p95 = statistics.quantiles(seen, n=20)[-1]
    return [
        *(f"{name}: {count}" for name, count in sorted(walk.counts.items())),
        f"taps: {sum(walk.taps.values())} ({', '.join(f'{name} {count}' for name, count in walk.taps.items())})",
        f"tap's end to the cashier's page: median {statistics.median(seen):.0f} ms, p95 {p95:.0f} ms of {len(seen)}",
        f"papers: {', '.join(f'{name} {size}' for name, size in walk.papers.items())}",
        f"portions on record: {records['portions']}, given: {records['expected']}; twice: none",
        f"starts of the terminal: {walk.place.starts}; took {took_s:.0f} s",
    ]


if __name__ == "__main__":
    main()
