"""A resident with a card, tapping: each write plan becomes the card's newest event, as a commit does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from cardproto.resident.records.event import Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.load import DEMO_REGION, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.scenario.play import facts_of
from terminal.trip.facts import Trip
from terminal.trip.pupil import NO_CANTEEN, CanteenContext
from terminal.trip.stated import restore

ZONE = ZoneInfo("Europe/Volgograd")
DEMO = Policy.of(load_region(DEMO_REGION))
TODAY = date(2026, 9, 15)
FIRST, LAST = date(2026, 9, 1), date(2027, 5, 31)
UID = bytes.fromhex("04A1B2C3D4E5F6")

PENSIONER = Concession(1, 0, FIRST, LAST)
STUDENT = Concession(2, 0, FIRST, LAST)
MONTH_PASS = Contract(100, FIRST, date(2026, 9, 30), 0)
SOCIAL_PACK = Contract(145, FIRST, LAST, 45)


def local(clock: str, day: date = TODAY) -> datetime:
    """`clock` ("08:00", "08:00:01") on `day` as the region's people say it."""
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=ZONE)


def demo_with(*changes: tuple[str, str]) -> Policy:
    """The demo region with pieces of its text replaced; each piece must be there."""
    text = DEMO_REGION.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in the demo region"
        text = text.replace(old, new)
    return Policy.of(parse_region(text, "changed demo.toml"))


BANK = {"taken_today": "bank.taps_today", "taken_today_minor": "bank.sum_today_minor"}


def trip_at(
    profile: str = "bus",
    terminal: int = 7,
    sequence: int = 1,
    canteen: CanteenContext = NO_CANTEEN,
    **where: object,
) -> Trip:
    """A trip in an open shift; `where` names further facts as scenarios do (zone, to_zone, position_manual, ...)."""
    facts = facts_of({BANK.get(name, name): value for name, value in where.items()})
    return restore(Trip(profile, terminal, sequence, shift=1, canteen=canteen), facts)


def issued(balance_minor: int = 10_000) -> Event:
    """The record the issuing point leaves."""
    return Event(EventKind.ISSUE, local("12:00", date(2026, 9, 1)), 0xDE5C, 1, balance_minor, 0)


@dataclass
class Rider:
    """One card and how it is tapped. `tap` and `eat` decide and write what is planned."""

    concessions: tuple[Concession, ...] = ()
    contracts: tuple[Contract, ...] = ()
    balance_minor: int = 10_000
    policy: Policy = DEMO
    event: Event | None = None
    sequence: int = 100
    blocked: bool = False
    inactive: bool = False
    region: int = 34
    valid_from: date = date(2025, 1, 1)
    valid_to: date = date(2030, 12, 31)
    reference: bytes = b""

    @property
    def snapshot(self) -> CardSnapshot:
        rights = Rights(
            region=self.region,
            pseudonym=b"resident",
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            issued_on=FIRST,
            revision=1,
            blocked=self.blocked,
            inactive=self.inactive,
            concessions=(*self.concessions, None, None, None)[:3],
            contracts=(*self.contracts, None, None)[:2],
        )
        return CardSnapshot(UID, rights, self.newest, self.reference)

    @property
    def newest(self) -> Event:
        return issued(self.balance_minor) if self.event is None else self.event

    def tap(
        self,
        now: datetime,
        *,
        route: int = 5,
        direction: int = 0,
        terminal: int = 7,
        shift_open: bool = True,
        **where: object,
    ) -> Decision:
        """`where`: further facts of the trip (mode, zone, mark_m, ...)."""
        run = {"turn": 1, "route": route, "direction": direction, "shift_open": shift_open}
        return self._decide(now, trip_at("bus", terminal, self.sequence, **run, **where))

    def eat(self, now: datetime, terminal: int = 70, **where: object) -> Decision:
        return self._decide(now, trip_at("canteen", terminal, self.sequence, **where))

    def _decide(self, now: datetime, trip: Trip) -> Decision:
        decision = decide(self.snapshot, self.policy, trip, now)
        if decision.write_plan is not None:
            self.event = parse_event(build_event(decision.write_plan.event))
            self.sequence += 1
        return decision

    def rode(self, at: datetime, paid_by: PaidBy = PaidBy.PURSE, **fields: object) -> Rider:
        """Put a ride paid at `at` on terminal 7, route 5, onto the card."""
        seen = issued(self.balance_minor)._replace(
            kind=EventKind.RIDE, at=at, terminal=7, route=5, paid_by=paid_by
        )
        self.event = seen._replace(**fields)
        return self


def rules(decision: Decision) -> list[str]:
    """The ids of the decision's trail, in order."""
    return [reason.rule for reason in decision.facts]
