"""Playing a scenario: each tap is decided as on a terminal, and the event it plans is the next tap's card.

Nothing here reads a clock, a file or a card: the same document and file give the same result, byte for byte.

A pupil's accounts and portions move from meal to meal, beginning with what the roster says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from msgspec import structs

from cardproto.resident.records.event import Event, EventKind, build_event, parse_event
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission, TicketKind
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.cash import decide_cash
from terminal.decision.decide import decide
from terminal.decision.outcome import LEFT_TO_OTHERS, Decision, Outcome
from terminal.errors import Mistake
from terminal.policy.base import Thing, Weekday, unknown
from terminal.policy.deny_list import EMPTY_DENY_LIST, AllDenied, DenyKind, DenyList
from terminal.policy.policy import Policy
from terminal.scenario.card import at_issuing_point, listed, local_time, meal_mask, new_card
from terminal.scenario.load import card_of
from terminal.scenario.mistakes import PlayMistake, mistakes_at, unplayable
from terminal.scenario.schema import (
    Cash,
    Expect,
    Grant,
    IssuingPointVisit,
    Repeat,
    RosterFacts,
    Scenario,
    ScenarioFile,
    TapStep,
    Where,
)
from terminal.trip.ages import freshness_of
from terminal.trip.facts import AskedBy, BankFacts, PlaceSource, Trip
from terminal.trip.pupil import Account, Age, MealGrant, ParentLimits
from terminal.trip.pupil import Pupil as KnownPupil
from terminal.trip.stated import Fact, restore

DEFAULTS: Final = Trip("bus", terminal=1, sequence=1, shift=1, turn=1, route=1)
"""Where a tap is taken when the scenario does not say."""
FACTS: Final = MappingProxyType(
    {
        "to_stop": "place.destination.stop",
        "to_zone": "place.destination.zone",
        "to_mark_m": "place.destination.mark_m",
        "arriving": "place.arriving",
    }
    | {
        f"{spot}_{name}": f"place.{spot}.{name}"
        for spot in ("coming", "origin", "terminus")
        for name in ("stop", "zone", "mark_m")
    }
    | {f"place_{name}": f"place.{name}" for name in ("source", "quality", "age_s")}
    | {name: f"place.{name}" for name in ("stop", "zone", "mark_m")}
    | {f"clock_{name}": f"clock.{name}" for name in ("suspect", "confirmed", "authenticated")}
    | {
        f"{what}_age_s": f"freshness.{what}_age_s"
        for what in ("deny_list", "grants", "document", "bank_list", "bundles")
    }
    | {name: f"canteen.{name}" for name in ("school", "serving", "day_closed", "paid_stopped", "only_read")}
    | {"served_elsewhere": "canteen.elsewhere"}
)
"""What a scenario calls a fact of the trip; the others have the same name, or are put together in `facts_of`."""

MOST_LATER_S: Final = 50 * 366 * 86_400
"""Between two taps: no card lives longer, and moments can be counted with."""
ASKED: Final = frozenset({"companions", "to_stop", "to_zone", "to_mark_m"})
"""What someone has said before the tap: the crew, unless the scenario says otherwise."""


@dataclass(frozen=True, slots=True)
class Played:
    """One tap and what came of it. `tap` counts from 1 as in the file; `turn` counts the taps of a repeated one.

    `before` and `after` are the resident card; None for cash, and where a bank card decides, alone or as the second
    application of a card (`by_bank`).
    """

    tap: int
    turn: int
    at: datetime
    trip: Trip
    before: CardSnapshot | None
    decision: Decision
    after: CardSnapshot | None
    expect: tuple[Expect, ...]
    hot_minor: int | None
    by_bank: bool = False

    @property
    def written(self) -> bool:
        """Whether anything was written to a card; of a bank card the terminal keeps what a card would hold."""
        return self.before is not None and self.decision.write_plan is not None


DENIED: Final[Mapping[str, DenyList]] = MappingProxyType(
    {
        "none": EMPTY_DENY_LIST,
        "card": AllDenied("scenario", frozenset({DenyKind.CARD})),
        "person": AllDenied("scenario", frozenset({DenyKind.PERSON})),
    }
)
"""The deny list as a scenario's card finds it, by the author's word."""
UNPAID: Final = AllDenied("scenario", frozenset({DenyKind.BANK_CARD}))
TOKEN: Final = b"scenario"


def play(file: ScenarioFile, number: int, policy: Policy) -> list[Played]:
    """Play scenario `number` (from 1) of `file` under `policy`.

    Raises `ScenarioFileError` with the place inside the file for what the document does not know.
    """
    scenario = file.scenarios[number - 1]
    at = f"scenarios[{number - 1}]"
    with mistakes_at(f"{at}.card"):
        rider = _Rider(file, scenario, policy)
    played: list[Played] = []
    for index, step in enumerate(scenario.taps):
        with mistakes_at(f"{at}.taps[{index}]"):
            played += rider.take(index + 1, step)
    return played


class _Rider:
    """The scenario while it runs: what the rider pays with, what is kept of a bank card, the pupil's accounts."""

    def __init__(self, file: ScenarioFile, scenario: Scenario, policy: Policy) -> None:
        card = card_of(file, scenario)
        self.policy = policy
        self.scenario = scenario
        self.card = None if card is None else new_card(card, policy)
        self.listed = None if card is None else listed(card.listed)
        self.bank = scenario.bank_card
        self.by_token = listed(None if self.bank is None else self.bank.listed, TOKEN)
        self.denied = "none" if card is None else card.deny_listed
        self.pupil = None if scenario.pupil is None else PupilBook(scenario.pupil, policy)
        self.taken: tuple[date | None, int, int] = (None, 0, 0)
        self.at: datetime | None = None
        self.sequence = 0
        self.kept: Event | None = None

    def take(self, number: int, step: TapStep) -> Iterator[Played]:
        if step.issuing_point is not None:
            self._at_issuing_point(step.issuing_point)
        moments = list(self._moments(step))
        for turn, at in enumerate(moments, start=1):
            last = (step.expect_last,) if step.expect_last is not None and turn == len(moments) else ()
            yield self._tap(number, turn, at, step, (step.expect, *last))

    def _at_issuing_point(self, visit: IssuingPointVisit) -> None:
        if self.card is None:
            raise unplayable(Mistake("issuing_point", PlayMistake.NO_CARD_TO_WRITE))
        with mistakes_at("issuing_point"):
            self.card = at_issuing_point(self.card, visit, local_time(visit.at, self.policy), self.policy)
        self.denied = self.denied if visit.deny_listed is None else visit.deny_listed

    def _moments(self, step: TapStep) -> Iterator[datetime]:
        if step.at is not None:
            first = local_time(step.at, self.policy)
        else:
            assert self.at is not None, "the first tap of a scenario states its moment"
            first = _later(self.at, step.after_s or 0)
        if step.repeat is None:
            yield first
        else:
            yield from _repeated(first.astimezone(self.policy.zone), step.repeat)

    def _tap(self, number: int, turn: int, at: datetime, step: TapStep, expect: tuple[Expect, ...]) -> Played:
        self.at, self.sequence, before = at, self.sequence + 1, self.card
        trip = self._trip(step)
        decision, by_bank = self._decide(trip, at)
        if decision.write_plan is not None and by_bank:
            self.kept = parse_event(build_event(decision.write_plan.event))
            self._took(decision.write_plan.event, self._service_date(at))
        elif decision.write_plan is not None and before is not None:
            self.card = replace(before, event=parse_event(build_event(decision.write_plan.event)))
        if self.pupil is not None:
            self.pupil.served(decision, self._service_date(at))
        hot_minor = None if self.pupil is None else self.pupil.hot_minor
        cards = (None, None) if by_bank else (before, self.card)
        return Played(number, turn, at, trip, cards[0], decision, cards[1], expect, hot_minor, by_bank)

    def _decide(self, trip: Trip, at: datetime) -> tuple[Decision, bool]:
        """The decision, and whether it is the bank card's: alone, or where the resident one leaves it to others."""
        if self.card is None or self.listed is None:
            cash = self.scenario.cash or Cash()
            return self._by_bank(trip, at) or (_for_cash(self.policy, trip, at, cash.ticket), False)
        policy = structs.replace(self.policy, deny_list=DENIED[self.denied], grants=self.listed)
        decision = decide(self.card, policy, trip, at)
        left = decision.write_plan is None and decision.outcome.message in LEFT_TO_OTHERS
        second = self._by_bank(trip, at) if left and trip.inspection is None else None
        if second is not None and second[0].outcome.admission is not Admission.REFUSED:
            return second
        return decision, False

    def _by_bank(self, trip: Trip, at: datetime) -> tuple[Decision, bool] | None:
        if self.bank is None:
            return None
        card = BankSnapshot(
            TOKEN,
            self.bank.expires_on,
            self.bank.readable,
            self.bank.authenticated,
            event=self.kept,
            second=self.card is not None,
        )
        stopped = UNPAID if self.bank.deny_listed else EMPTY_DENY_LIST
        policy = structs.replace(self.policy, bank_deny_list=stopped, grants=self.by_token)
        return decide(card, policy, trip, at), True

    def _took(self, event: Event, day: date) -> None:
        """What this terminal took from a bank card today: what T-43 is measured by. A ride that is charged when it
        ends is counted then.
        """
        count, minor = self.taken[1:] if self.taken[0] == day else (0, 0)
        if event.kind is not EventKind.CHECK_IN or event.amount_minor:
            self.taken = (day, count + 1, minor + event.amount_minor)

    def _service_date(self, at: datetime) -> date:
        return self.policy.service_date(at.astimezone(self.policy.zone))

    def _trip(self, step: TapStep) -> Trip:
        assert self.at is not None, "set by every tap"
        day = self._service_date(self.at)
        count, minor = self.taken[1:] if self.taken[0] == day else (0, 0)
        trip = structs.replace(DEFAULTS, sequence=self.sequence, bank=BankFacts(count, minor))
        stated = {**_stated(self.scenario.terminal), **_stated(step)}
        _known_zones(stated, self.policy)
        if "served_elsewhere" in stated:
            stated["served_elsewhere"] = meal_mask(
                stated["served_elsewhere"], self.policy, "served_elsewhere"
            )
        written = facts_of(stated)
        trip = restore(trip, written, None if self.pupil is None else self.pupil.on(day))
        if self.bank is not None:
            trip = _with_one_list(trip)
        return trip if "document_age_s" in stated else self._with_age(trip)

    def _with_age(self, trip: Trip) -> Trip:
        """How old the document is at that moment, a terminal knows by itself."""
        assert self.at is not None, "set by every tap"
        age_s = freshness_of(self.policy, self.at, trip.clock).document_age_s
        return structs.replace(trip, freshness=structs.replace(trip.freshness, document_age_s=age_s))


def _with_one_list(trip: Trip) -> Trip:
    """One list names cards, persons and bank cards, so it has one age, whatever the author calls it."""
    known = trip.freshness
    age_s = max(known.deny_list_age_s, known.bank_list_age_s)
    return structs.replace(
        trip, freshness=structs.replace(known, deny_list_age_s=age_s, bank_list_age_s=age_s)
    )


def _later(at: datetime, seconds: int) -> datetime:
    if seconds > MOST_LATER_S:
        raise unplayable(Mistake("after_s", PlayMistake.TOO_LATE, {"seconds": seconds, "most": MOST_LATER_S}))
    return at + timedelta(seconds=seconds)


def facts_of(written: Mapping[str, Any]) -> dict[str, Fact]:
    """The facts of a trip in what a scenario's author wrote of it."""
    facts = dict(written)
    by_hand, shift_open = facts.pop("position_manual", False), facts.pop("shift_open", True)
    asked, misuse = facts.pop("inspection", False), facts.pop("misuse", False)
    if facts.get("companions") or facts.keys() & (ASKED - {"companions"}):
        facts.setdefault("asked_by", AskedBy.CREW.value)
    named: dict[str, Fact] = {FACTS.get(name, name): value for name, value in facts.items()}
    if by_hand:
        named["place.source"] = PlaceSource.HAND.value
    if not shift_open:
        named |= {"shift": 0, "turn": 0}
    if asked:
        named["inspection.misuse"] = misuse
    return named


def _for_cash(policy: Policy, trip: Trip, at: datetime, ticket: TicketKind) -> Decision:
    """A sale for cash in the form of a decision: nothing is written, and the charge is what everybody pays."""
    sold = decide_cash(policy, trip, 1 + trip.companions, at, ticket)
    admission = Admission.REFUSED if sold.sum_minor is None else Admission.LET_IN
    outcome = Outcome(sold.message, admission, charge_minor=sold.sum_minor or 0)
    return Decision(outcome, None, sold.facts, sold.flags)


def _stated(where: Where) -> dict[str, Any]:
    """What the author wrote of the place; the rest is left to who knows better."""
    stated = ((name, getattr(where, name)) for name in Where.__struct_fields__)
    return {name: value for name, value in stated if value is not None}


def _known_zones(stated: Mapping[str, Any], policy: Policy) -> None:
    """A zone that a document with zones does not have is a slip of the author's: its ride would fall under no table."""
    known = {zone.number for zone in policy.document.zones}
    for name in ("zone", "to_zone", "coming_zone", "origin_zone", "terminus_zone") if known else ():
        if stated.get(name, 0) not in {0, *known}:
            raise unplayable(unknown(name, Thing.ZONE, stated[name], sorted(known)))


def _repeated(first: datetime, repeat: Repeat) -> Iterator[datetime]:
    """`times` moments from `first` on; the clock and the weekdays say which."""
    days = {list(Weekday).index(day) for day in repeat.weekdays}
    given, day = 0, first.date()
    while given < repeat.times:
        for clock in sorted(repeat.clock) if day.weekday() in days else ():
            at = datetime.combine(day, clock, first.tzinfo)
            if at >= first and given < repeat.times:
                given += 1
                yield at
        day += timedelta(days=1)


REF: Final = b"scenario"


class PupilBook:
    """What a canteen terminal would know of the pupil, kept up to date by its own records."""

    def __init__(self, pupil: RosterFacts, policy: Policy) -> None:
        self._bits = {kind.id: 1 << kind.bit for kind in policy.document.meals.kinds}
        self._day: date | None = None
        self._known = KnownPupil(
            ref=REF,
            school=pupil.school,
            class_id=pupil.class_id,
            grade=pupil.grade,
            shift=pupil.shift,
            home_schooled=pupil.home_schooled,
            grants=tuple(map(_grant, pupil.grants)),
            hot=None if pupil.hot_minor is None else Account(pupil.hot_minor),
            buffet=None if pupil.buffet_minor is None else Account(pupil.buffet_minor),
            limits=ParentLimits(pupil.day_limit_minor, pupil.buffet_limit_minor),
            forbidden=frozenset(pupil.forbidden),
            orders=frozenset(pupil.orders),
            absent=pupil.absent,
            age=Age(pupil.age),
        )

    @property
    def hot_minor(self) -> int | None:
        """The hot-meal account."""
        return None if self._known.hot is None else self._known.hot.balance_minor

    def on(self, day: date) -> KnownPupil:
        """The pupil on service day `day`: what was served and spent on another one is forgotten."""
        if self._day not in (None, day):
            self._known = structs.replace(
                self._known,
                served=0,
                annulled=0,
                spent_hot_minor=0,
                spent_buffet_minor=0,
                orders=frozenset(),
                absent=False,
            )
        self._day = day
        return self._known

    def served(self, decision: Decision, day: date) -> None:
        """Book the portion of `decision`, if it gave one."""
        meal, pupil = decision.meal, self.on(day)
        if meal is None or not decision.outcome.accepted:
            return
        paid = meal.parents_minor
        hot = pupil.hot and Account(pupil.hot.balance_minor - paid, pupil.hot.uncertain)
        self._known = structs.replace(
            pupil,
            served=pupil.served | self._bits.get(meal.kind, 0),
            hot=hot,
            spent_hot_minor=pupil.spent_hot_minor + paid,
            orders=pupil.orders - {meal.kind},
        )


def _grant(grant: Grant) -> MealGrant:
    return MealGrant(grant.code, grant.valid_from, grant.valid_to, grant.valid_from, grant.grade, grant.shift)
