"""A small bus day as `python -m tests.bus_day` walks a large one: every section of the driver's guide pressed by touch,
tears, a dead on-board computer, the power going at a deed; report, exports, office and settlement equal what the rows
come to apart.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from terminal.screen.console.roles import Role
from tests.bus_day.books import books_agree
from tests.bus_day.place import BusPlace
from tests.bus_day.walk import BusPlan, BusWalk
from tests.terminal.screen.browser import NewPage, browser, new_page
from tests.terminal.screen.console.cab import DRIVER, ref_of

__all__ = ["browser", "new_page"]

PLAN = BusPlan(taps=48, cards=8, kills=1)


def test_a_bus_day_by_the_guides_and_its_books(tmp_path: Path, browser: Browser, new_page: NewPage) -> None:
    walk = BusWalk(BusPlace(tmp_path), browser, PLAN)
    try:
        walk.whole()
    finally:
        walk.place.end()
    books_agree(walk, new_page())
    read = [(row["notice"], row["operator_ref"]) for row in walk.rows if row["kind"] == "NoticeRead"]
    assert read == [("detour", DRIVER), ("detour", ref_of(Role.CONDUCTOR))], "each who drives reads it"
    assert sum(walk.taps.values()) == PLAN.taps
    assert walk.counts["kills"] == PLAN.kills
    assert walk.out_of_reach == []
