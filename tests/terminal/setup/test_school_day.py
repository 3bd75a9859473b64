"""`python -m tests.school_day` with a small school and a few cuts of power."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.school_day.__main__ import figures, tomorrow_morning
from tests.school_day.place import SchoolPlace
from tests.school_day.walk import DayPlan, SchoolWalk


def test_from_an_empty_folder_to_reports_with_nothing_lost_and_nothing_twice(
    tmp_path: Path, browser: Browser
) -> None:
    """By mouse, touch and keyboard, as the guides say it; the first run is closed for good afterwards."""
    plan = DayPlan(pupils=60, tied=2, listed=4, kills=2, taps_killed=1)
    walk = SchoolWalk(SchoolPlace(tmp_path, tomorrow_morning()), browser, plan)
    try:
        records = walk.whole()
        assert not (tmp_path / "var/terminal/setup").exists()
        again = walk.place.first.run("setup")
        assert again.returncode == 15
        assert "set up already" in again.stderr
    finally:
        walk.place.end()
    print(*figures(walk, records, 0), sep="\n")
    assert (walk.counts["breaks"], walk.counts["kills"], walk.counts["taps killed"]) == (3, 2, 1)
    assert walk.counts["reports printed"] == 3, "day, month, and the day again when it is over"
