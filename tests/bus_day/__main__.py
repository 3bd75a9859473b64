"""The whole walk, and what it came to: `python -m tests.bus_day [--taps 400] [--kills 20] …`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.bus_day.books import books_agree
from tests.bus_day.place import BusPlace
from tests.bus_day.walk import BusPlan, BusWalk
from tests.terminal.screen.browser import CHROMIUM, FLAGS


def main() -> None:
    """Walk, compare, and print the figures."""
    asked = argparse.ArgumentParser(prog="python -m tests.bus_day", description=__doc__)
    asked.add_argument("--taps", type=int, default=400)
    asked.add_argument("--cards", type=int, default=40)
    asked.add_argument("--kills", type=int, default=20, help="deeds at which the power goes")
    asked.add_argument("--seed", type=int, default=19)
    asked.add_argument("--no-looks", action="store_true", help="without sizes and axe")
    said = asked.parse_args()
    plan = BusPlan(said.taps, said.cards, said.kills, not said.no_looks, said.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bus-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        walk = BusWalk(BusPlace(Path(folder)), browser, plan)
        try:
            walk.whole()
            counted = books_agree(walk, browser.new_page())
        finally:
            walk.place.end()
            browser.close()
    for name, count in (*sorted(walk.counts.items()), *counted.items()):
        print(f"{name}: {count}")
    print(f"out of reach without scrolling: {len(walk.out_of_reach)}", *walk.out_of_reach, sep="\n  ")
    print(f"taps: {sum(walk.taps.values())} ({', '.join(f'{name} {n}' for name, n in walk.taps.items())})")
    print(f"starts of the terminal: {walk.place.starts}; took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
