"""A school for tests: the demo region with one school in it, a roster, and a counter over a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from terminal.canteen.buffet import Sold, sell
from terminal.canteen.closing import report_of
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import (
    MealOrder,
    PriceListDocument,
    PriceListHeader,
    Product,
    RosterDocument,
    RosterGrant,
    RosterHeader,
    RosterPupil,
)
from terminal.canteen.issuing import How, Issued, ServingList, issue
from terminal.canteen.price_list import PriceList
from terminal.canteen.report import DayReport
from terminal.canteen.roster import Roster
from terminal.canteen.spare_log import SpareLog
from terminal.journal.journal import Journal
from terminal.policy.load import DEMO_REGION, parse_region
from terminal.policy.policy import Policy
from terminal.trip.shifts import open_shift
from tests.journal_rows import assert_codes_in
from tests.terminal.journal.samples import refused

ZONE = ZoneInfo("Europe/Volgograd")
TODAY = date(2026, 9, 15)
FIRST, LAST = date(2026, 9, 1), date(2027, 5, 31)
SCHOOL = "school_12"
CASHIER, TEACHER = "staff-1", "staff-2"

SCHOOL_TEXT = """
[meals.ask]
without_order = "serve"
other_entitlement = "serve"
not_listed = "serve"

[[meals.calendars]]
id = "year"
first = 2026-08-01
last = 2027-08-31
weekdays = ["mon", "tue", "wed", "thu", "fri"]
holidays = [
  { first = 2026-08-01, last = 2026-08-31, name = "summer" },
  { first = 2026-10-26, last = 2026-11-04, name = "autumn" },
]
extra = [2026-09-19]

[[meals.schools]]
id = "school_12"
name = "a school"
calendars = ["year"]
breaks = [
  { first = 2026-09-28, last = 2026-10-02, name = "primary wing", grades = { first = 1, last = 4 } },
  { first = 2026-10-05, last = 2026-10-05, name = "an outing", classes = ["7b"] },
]
"""

PRICES = PriceList.of(
    PriceListDocument(
        header=PriceListHeader(
            kind="price_list",
            schema=1,
            school=SCHOOL,
            region=34,
            sequence=1,
            issued_at=datetime(2026, 9, 1, tzinfo=ZONE),
            valid_from=datetime(2026, 9, 1, tzinfo=ZONE),
            valid_to=datetime(2027, 6, 1, tzinfo=ZONE),
        ),
        products=(
            Product(id="bun", name="Булочка", price_minor=3500),
            Product(id="juice", name="Сок", price_minor=4500),
            Product(id="nut_bar", name="Батончик", price_minor=6000, foods=("nuts", "sugar")),
        ),
    )
)


def region_with(*changes: tuple[str, str], extra: str = SCHOOL_TEXT) -> Policy:
    """The demo region with a school in it and pieces of its text replaced; each piece must be there."""
    text = DEMO_REGION.read_text(encoding="utf-8") + extra
    for old, new in changes:
        assert old in text, f"{old!r} is not in the region"
        text = text.replace(old, new)
    return Policy.of(parse_region(text, "school.toml"))


POLICY = region_with()


def local(clock: str, day: date = TODAY) -> datetime:
    """`clock` ("09:00", "09:00:01") on `day` as the school's people say it."""
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=ZONE)


def ref(number: int) -> bytes:
    """The reference of pupil `number`."""
    return number.to_bytes(8, "big")


def grant(code: int, first: date = FIRST, last: date = LAST, **fields: Any) -> RosterGrant:
    return RosterGrant(code=code, valid_from=first, valid_to=last, issued_on=first, **fields)


def order(kind: str, day: date = TODAY, placed: str = "2026-09-14T17:00") -> MealOrder:
    return MealOrder(day=day, kind=kind, placed_at=datetime.fromisoformat(placed))


def child(number: int, *codes: int, class_id: str = "3a", grade: int = 3, **fields: Any) -> RosterPupil:
    """A pupil of the roster with grants of these codes for the school year."""
    fields.setdefault("grants", tuple(grant(code) for code in codes))
    fields.setdefault("shift", 1)
    return RosterPupil(ref=ref(number).hex(), class_id=class_id, grade=grade, **fields)


def roster_document(*pupils: RosterPupil, **header: Any) -> RosterDocument:
    fields: dict[str, Any] = {
        "kind": "roster",
        "schema": 1,
        "school": SCHOOL,
        "region": 34,
        "sequence": 7,
        "issued_at": local("06:00"),
        "valid_from": local("00:00", FIRST),
        "valid_to": local("00:00", date(2027, 9, 1)),
        "grades_on": FIRST,
    }
    return RosterDocument(header=RosterHeader(**fields | header), pupils=pupils)


@dataclass
class Canteen:
    """A counter and the hands at it. Times are clock times of `day`."""

    canteen: CanteenCounter
    day: date = TODAY

    def at(self, clock: str) -> datetime:
        return local(clock, self.day)

    def give(
        self,
        *pupils: int,
        serving: str = "",
        at: str = "09:00",
        how: How = How.CLASS_LIST,
        confirmed_by: str = "",
    ) -> list[Issued]:
        """Issue to these pupils as one list."""
        batch = ServingList(serving, how, CASHIER, self.at(at), confirmed_by)
        return issue(self.canteen, [ref(number) for number in pupils], batch)

    def told(
        self, *pupils: int, serving: str = "", at: str = "09:00", how: How = How.CLASS_LIST
    ) -> list[str]:
        """What each of them is told."""
        return [one.outcome.message.value for one in self.give(*pupils, serving=serving, at=at, how=how)]

    def present(self, card_ref: bytes, person_ref: bytes | None = None) -> None:
        """A tap of this card of this person was recorded here; nothing was given."""
        row = refused(
            card_ref=card_ref, person_ref=person_ref, profile="canteen", message="meal_not_arranged"
        )
        self.canteen.append(row)

    def sell(self, pupil: int, at: str = "10:00", **counts: int) -> Sold:
        return sell(self.canteen, ref(pupil), counts, CASHIER, self.at(at))

    def report(self) -> DayReport:
        return report_of(self.canteen, self.day)

    def hot_minor(self, pupil: int, at: str = "16:00") -> int:
        known = self.canteen.pupil(ref(pupil), self.at(at))
        assert known is not None
        assert known.hot is not None
        return known.hot.balance_minor

    def buffet_minor(self, pupil: int, at: str = "16:00") -> int:
        known = self.canteen.pupil(ref(pupil), self.at(at))
        assert known is not None
        assert known.buffet is not None
        return known.buffet.balance_minor


@contextmanager
def open_canteen(
    folder: Path,
    *pupils: RosterPupil,
    policy: Policy = POLICY,
    terminal: int = 80001,
    day: date = TODAY,
    capacity_rows: int = 600_000,
    **header: Any,
) -> Iterator[Canteen]:
    """A counter with an open shift on the morning of `day`; the roster is of that morning."""
    header.setdefault("issued_at", local("06:00", day))
    journal = Journal.open(folder / f"{terminal}.db", terminal, capacity_rows=capacity_rows)
    try:
        if journal.open_shift is None:
            open_shift(journal, local("07:00", day), CASHIER, "canteen")
        school_counter = CanteenCounter(
            terminal=terminal,
            policy=policy,
            journal=journal,
            roster=Roster.of(roster_document(*pupils, **header), policy),
            spare=SpareLog(folder / f"{terminal}.spare"),
            price_list=PRICES,
        )
        school_counter.start()
        yield Canteen(school_counter, day)
        assert_codes_in(journal.path)
    finally:
        journal.close()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
