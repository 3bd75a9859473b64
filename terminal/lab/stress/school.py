"""The school of a stress run: a roster on which every other pupil stands, loaded at every counter.

Listed pupils eat by their class list, the others by what their cards say; both stand in one queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from sim.card.virtual import VirtualCard
from sim.days import parse_day
from sim.profile import CardProfile
from terminal.app.station import Station
from terminal.canteen.documents import (
    SCHEMA_VERSION,
    ListFile,
    RosterDocument,
    RosterGrant,
    RosterHeader,
    RosterPupil,
)
from terminal.canteen.store import CanteenLists
from terminal.codes import SetKind
from terminal.keys.provider import person_token
from terminal.lab.oracle.meals import OracleGround, OraclePupil
from terminal.lab.world import World, pseudonym_on

SCHOOL: Final = "storm_school"
ROSTER_FILE: Final = "roster.json"
LISTED_EVERY: Final = 2

Pupil = tuple[CardProfile, VirtualCard]


def grade_of(profile: CardProfile) -> int:
    """The grade on the pupil's card, 0 where there is none."""
    return profile.concessions[0].parameter % 16 if profile.concessions else 0


def write_roster(world: World, pupils: Sequence[Pupil], now: datetime) -> Path:
    """The roster as the school's system hands it over."""
    day = now.astimezone(world.policy.zone).date()
    header = RosterHeader(
        kind="roster",
        schema=SCHEMA_VERSION,
        school=SCHOOL,
        region=world.policy.document.header.region,
        sequence=1,
        issued_at=now,
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=300),
        grades_on=day,
    )
    listed = tuple(_listed(world, pupil, day) for pupil in pupils[::LISTED_EVERY])
    path = world.folder / ROSTER_FILE
    path.write_bytes(msgspec.json.encode(RosterDocument(header=header, pupils=listed)))
    return path


def load_roster(world: World, station: Station, roster: Path, now: datetime) -> None:
    """Publish the roster to the counter of `station`, which takes it with its next start."""
    with closing(station.open_active(world.keys, now)) as active:
        CanteenLists(active).offer(SetKind.ROSTER, ListFile.read(roster), now)


def _listed(world: World, pupil: Pupil, day: date) -> RosterPupil:
    """The pupil with the grounds that stand on the card; its parameter holds shift and grade."""
    profile, card = pupil
    pseudonym = pseudonym_on(card)
    assert pseudonym is not None, "pupils hold resident cards"
    shift, grade = divmod(profile.concessions[0].parameter, 16)
    grants = tuple(
        RosterGrant(
            code=ground.code,
            valid_from=parse_day(ground.valid_from).on(day),
            valid_to=parse_day(ground.valid_to).on(day),
            issued_on=day,
        )
        for ground in profile.concessions
    )
    ref = person_token(world.keys, "school", pseudonym).hex()
    return RosterPupil(ref=ref, class_id=f"{grade}a", grade=grade, shift=shift, grants=grants)


def listed_pupils(pupils: Sequence[Pupil], day: date) -> Iterator[tuple[int, OraclePupil]]:
    """Which of the pupils stand on that roster, and what it says of them, for the oracle."""
    for number, (profile, _) in list(enumerate(pupils))[::LISTED_EVERY]:
        shift, grade = divmod(profile.concessions[0].parameter, 16)
        grounds = tuple(
            OracleGround(
                code=ground.code,
                first=parse_day(ground.valid_from).on(day),
                last=parse_day(ground.valid_to).on(day),
                issued=day,
            )
            for ground in profile.concessions
        )
        yield number, OraclePupil(grade, day, shift, f"{grade}a", grounds)
