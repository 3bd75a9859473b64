"""Where both sides meet: the oracle's card and taps as the product's, and both answers beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cardproto.resident.records.event import Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.lab.oracle.card import SERVICE_POINT, OracleAnswer, OracleCard, OracleRight, OracleTap
from terminal.lab.oracle.tariff import Tariff
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.scenario.card import at_issuing_point
from terminal.scenario.schema import Bought as BoughtThere
from terminal.scenario.schema import Grant as GrantThere
from terminal.scenario.schema import IssuingPointVisit
from terminal.trip.facts import ClockState, Freshness, Inspection, Place, PlaceQuality, PlaceSource, Trip
from terminal.trip.facts import Spot as SpotThere

WATCHED: Final = ("n", "date", "time", "meal")
CLOCK_FLAGS: Final = frozenset({"period_ahead", "period_lowered"})
MARKS: Final = frozenset({"stale_data", "expired_data", "stale_document", "document_ended"})
SAID: Final = frozenset({"t-38:top_up", "t-38:free_transfer", "t-39:way_back"})
Seen = dict[str, Any]


@dataclass
class Product:
    """The product's side of one life: its policy, its card, its sequence."""

    policy: Policy
    snapshot: CardSnapshot
    sequence: int = 1

    @classmethod
    def policy_of(cls, path: Path) -> Policy:
        return Policy.of(load_region(path))

    @classmethod
    def issued(cls, policy: Policy, card: OracleCard) -> Product:
        """The same fresh card."""
        foreign = 0 if card.readable else policy.document.counters.layout % 15 + 1
        event = Event(
            EventKind.ISSUE,
            card.at,
            SERVICE_POINT,
            1,
            card.money,
            0,
            counter_layout=foreign,
            counters=foreign,
        )
        rights = Rights(
            region=card.region,
            pseudonym=b"resident",
            valid_from=card.first,
            valid_to=card.last,
            issued_on=card.first,
            revision=1,
            blocked=card.blocked,
            inactive=card.inactive,
            concessions=tuple(map(_concession, card.grants)),
            contracts=tuple(map(_contract, card.bought)),
        )
        return cls(policy, CardSnapshot(bytes(7), rights, event))

    def tap(self, tap: OracleTap) -> Seen:
        """Decide and, where something is planned, write."""
        self.sequence += 1
        decision = decide(self.snapshot, self.policy, _trip(tap, self.sequence), tap.at)
        if decision.write_plan is not None:
            event = parse_event(build_event(decision.write_plan.event))
            self.snapshot = replace(self.snapshot, event=event)
        outcome = decision.outcome
        values = {name: _value(outcome.values[name]) for name in WATCHED if name in outcome.values}
        seen: Seen = {
            "admission": outcome.admission.value,
            "message": str(outcome.message),
            "charge": outcome.charge_minor,
            "values": values,
            "written": decision.write_plan is not None,
            "flags": _watched(decision.flags, written=decision.write_plan is not None),
            "says": _said(decision),
        }
        return seen | self.card_seen()

    def trail(self, tap: OracleTap) -> list[str]:
        """What the product says of its reasons, for the reader of a difference."""
        decision = decide(self.snapshot, self.policy, _trip(tap, self.sequence), tap.at)
        return [f"{reason.code} {dict(reason.inputs)}" for reason in decision.facts]

    def visit(self, at: datetime, money: int, card: OracleCard) -> Seen:
        """A reload or issuing point."""
        visit = IssuingPointVisit(
            at=at,
            reload_minor=money,
            concessions=tuple(_grant(g) for g in card.grants if g),
            contracts=tuple(_buy(b) for b in card.bought if b),
        )
        self.snapshot = at_issuing_point(self.snapshot, visit, at, self.policy)
        return self.card_seen()

    def card_seen(self) -> Seen:
        """What every answer shows of the card."""
        event = self.snapshot.event
        return {
            "balance": event.balance_after_minor,
            "kind": event.kind.name.lower(),
            "inside": event.inside,
            "paid_by": event.paid_by.name.lower(),
        }

    def whole(self, tariff: Tariff) -> Seen:
        """The whole visible state, counters by their names."""
        event = self.snapshot.event
        readable = event.counter_layout == self.policy.document.counters.layout or not event.counters
        hidden = _hidden(tariff) | _unused(tariff, [c is not None for c in self.snapshot.rights.contracts])
        counters = {c.name: c.read(event.counters) for c in self.policy.counters if c.name not in hidden}
        bits = {kind.id: 1 << kind.bit for kind in self.policy.document.meals.kinds}
        period = self.policy.service_date(event.at.astimezone(self.policy.zone)) + timedelta(
            event.period_ahead
        )
        return {
            "at": event.at,
            "period": period,
            "route": (event.route, event.direction),
            "meals": sorted(name for name, bit in bits.items() if event.meals & bit),
            "followed": event.transfers,
            "counters": {name: n for name, n in counters.items() if n} if readable else {},
        }


def expected(answer: OracleAnswer) -> Seen:
    """The oracle's answer in the same words."""
    card = answer.card
    return {
        "admission": answer.admission,
        "message": answer.message,
        "charge": answer.charge,
        "values": dict(answer.values),
        "written": answer.written,
        "flags": _watched(answer.flags, written=answer.written),
        "says": sorted(answer.says),
        **card_expected(card),
    }


def card_expected(card: OracleCard) -> Seen:
    return {"balance": card.money, "kind": card.kind, "inside": card.inside, "paid_by": card.paid_by}


def whole_expected(tariff: Tariff, card: OracleCard) -> Seen:
    hidden, used = _hidden(tariff) | _unused(tariff, [b is not None for b in card.bought]), dict(card.used)
    if tariff.checkin is not None:
        used[tariff.checkin["reserve"]] = card.held
    units = {name: int(slot.get("unit_minor", 1)) for name, slot in tariff.slots.items()}
    return {
        "at": card.at,
        "period": card.period,
        "route": (card.route, card.direction),
        "meals": sorted(card.meals),
        "followed": 0 if card.journey is None else card.journey.followed,
        "counters": {
            name: n // units[name] for name, n in used.items() if n and name not in hidden and card.readable
        },
    }


def _said(decision: Decision) -> list[str]:
    """Which rules between rides the payment went by; a ride on credit went by none, whatever was tried."""
    plan = decision.write_plan
    paid = plan is not None and plan.paid_by is not PaidBy.GRACE
    return sorted({reason.code for reason in decision.facts} & SAID) if paid else []


def _watched(flags: Iterable[str], *, written: bool) -> list[str]:
    """What both sides say of a row: how old what it goes by is, and of a write which clock moved its period."""
    return sorted(set(flags) & (MARKS | CLOCK_FLAGS if written else MARKS))


def _hidden(tariff: Tariff) -> set[str]:
    """Counters whose numbers are the product's own: which transfer rule, where the rider boarded, when a ride began."""
    checkin = tariff.checkin or {}
    named = (tariff.doc["counters"].get("journey"), checkin.get("zone"), checkin.get("mark"))
    named += tuple(rule.get("began") for rule in tariff.returns)
    return {name for name in named if name is not None}


def _unused(tariff: Tariff, filled: list[bool]) -> set[str]:
    """The counters of contract slots that hold no contract: what they say means nothing."""
    return {slot for slot, there in zip(tariff.contract_slots, filled, strict=True) if not there}


def _value(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _trip(tap: OracleTap, sequence: int) -> Trip:
    ride = tap.ride
    terminus, coming, first, named = (
        SpotThere(zone=spot.zone, mark_m=spot.mark_m)
        for spot in (ride.terminus, ride.coming, ride.first, ride.named)
    )
    place = Place(
        zone=ride.start.zone,
        mark_m=ride.start.mark_m,
        source=PlaceSource(ride.stated_by),
        quality=PlaceQuality(ride.said),
        age_s=ride.age_s,
        coming=coming,
        arriving=ride.arriving,
        origin=first,
        terminus=terminus,
        destination=named,
    )
    return Trip(
        "canteen" if tap.canteen else "bus",
        tap.terminal,
        sequence,
        shift=1 if tap.shift_open else 0,
        turn=1 if tap.shift_open else 0,
        route=ride.route,
        direction=ride.direction,
        mode=ride.mode,
        companions=tap.companions,
        reader_ok=tap.reader_ok,
        place=place,
        clock=ClockState(tap.suspect, tap.confirmed, tap.authenticated),
        freshness=Freshness(*tap.lists_age_s, tap.document_age_s),
        inspection=Inspection() if tap.inspection else None,
        razzia=tap.razzia,
    )


def _concession(right: OracleRight | None) -> Concession | None:
    return None if right is None else Concession(right.code, right.number, right.first, right.last)


def _contract(right: OracleRight | None) -> Contract | None:
    return None if right is None else Contract(right.code, right.first, right.last, right.number)


def _grant(right: OracleRight) -> GrantThere:
    return GrantThere(code=right.code, valid_from=right.first, valid_to=right.last, parameter=right.number)


def _buy(right: OracleRight) -> BoughtThere:
    return BoughtThere(product=right.code, valid_from=right.first, valid_to=right.last, trips=right.number)
