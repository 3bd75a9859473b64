"""Finish a first run in FOLDER, and die at the Nth change of a name on the disk: `python -m … FOLDER N`.

Every file that counts is put in place by a rename or a link, so these are the moments at which a power cut shows.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from terminal.app.setup.making import SchoolMaker, SetupPlace
from terminal.clock import SystemClock
from terminal.screen.console.roles import Role
from terminal.screen.setup.draft import DraftKeeper, DraftStaff
from terminal.screen.setup.questions import PAGES

ANSWERS = {
    "school.name": "Школа № 12",
    "school.region": "34",
    "meals.breakfast.price": "78,02",
    "categories.primary.by_shift.regional": "71,09",
}
PASSPHRASE = "six words that are not in a book"


def place_in(folder: Path) -> SetupPlace:
    return SetupPlace(config=folder / "terminal.toml", state=folder / "state", screen_port=1, console_port=2)


def opened(folder: Path) -> tuple[DraftKeeper, SchoolMaker]:
    """The draft as it lies there, filled in where it is new, and what makes the terminal."""
    clock, place = SystemClock(), place_in(folder)
    keeper, maker = DraftKeeper(place.draft, {}, "ru", clock.now().date()), SchoolMaker(place, clock)
    if not keeper.draft.staff:
        for page in PAGES:
            keeper.take(page, lambda name: ANSWERS.get(name, keeper.texts.get(name, "")), left=True)
        hashed = maker.hash_pin(keeper.texts, "7294")
        keeper.put_staff(DraftStaff("1002", Role.CASHIER, hashed, maker.keys_name(keeper.texts)))
    return keeper, maker


def main(folder: Path, last: int) -> None:
    keeper, maker = opened(folder)
    left = last

    def counted(change: Any) -> Any:
        def changes(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return changes

    os.rename, os.replace, os.link = counted(os.rename), counted(os.replace), counted(os.link)
    maker.finish(keeper.texts, keeper.draft.staff, PASSPHRASE)
    print(last - left)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
