"""A desk that has something to show: some taps, one of them torn and settled, some rows on their way."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sim.desk.disturbance import Disturbance, Mishap
from terminal.lab.desk.session import DeskSession

SETTLE_S: Final = 10.0
SCENE: Final[tuple[tuple[str, str, Mishap], ...]] = (
    ("adult_purse", "front", Mishap.NONE),
    ("free_pensioner", "front", Mishap.NONE),
    ("month_pass_ev1", "rear", Mishap.NONE),
    ("blocked", "rear", Mishap.NONE),
    ("pupil_grade3", "canteen", Mishap.NONE),
    ("foreign_desfire", "front", Mishap.NONE),
    ("social_pack_45", "front", Mishap.COMMIT_AFTER),
    ("social_pack_45", "front", Mishap.NONE),
    ("pupil_grade3", "canteen", Mishap.NONE),
    ("student_half_price", "front", Mishap.NONE),
)


def arrange(session: DeskSession) -> None:
    """Take the scene's taps on `session`; the last two find no network, so that the queue holds something."""
    for number, (card, place, mishap) in enumerate(SCENE):
        if number == len(SCENE) - 2:
            session.wire.settle(SETTLE_S)
            session.switch(network=False)
        session.advance(timedelta(seconds=4))
        session.tap(card, place, Disturbance(mishap))
