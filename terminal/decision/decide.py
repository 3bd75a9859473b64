"""What a tap means. Pure: the same snapshot, policy, trip and time give the same decision, byte for byte.

First what holds for the terminal and for every card, in this order; then the profile's own rules (`bus`,
`canteen`), or those for bank cards.

The inspector's tap asks whether a ride is paid: it changes nothing (T-70), and may report misuse (T-71).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from cardproto.resident.records.event import EventKind
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.bus.bank import BankSnapshot, as_resident, decide_bank
from terminal.decision.bus.cover import CONCESSION_SLOTS
from terminal.decision.bus.decide import decide_ride
from terminal.decision.canteen.decide import decide_meal
from terminal.decision.effects import CardEffect, InspectionEffect, TerminalEffect
from terminal.decision.ended import note_bundles, note_end
from terminal.decision.flags import TapFlag
from terminal.decision.outcome import (
    DENY_CARD,
    DENY_MEDIUM,
    DENY_PERSON,
    DENY_REFERENCE,
    GRANTS,
    Decision,
    Message,
)
from terminal.decision.place import placed
from terminal.decision.tap import CANTEEN, Tap, Trail, rebase
from terminal.policy.deny_list import DenyKind
from terminal.policy.document.schema import Ages
from terminal.policy.ends import DocumentEnd
from terminal.policy.policy import Policy
from terminal.trip.facts import FRESH, Freshness, Inspection, Trip

PROFILES: Final[Mapping[str, Callable[[Tap, Trail], Decision]]] = MappingProxyType(
    {"bus": decide_ride, CANTEEN: decide_meal}
)
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
BY_DENY_LIST: Final[Mapping[DenyKind, tuple[Message, CardEffect, str]]] = MappingProxyType(
    {
        DenyKind.CARD: (Message.BLOCKED, CardEffect.CARD_DENIED, DENY_CARD),
        DenyKind.REFERENCE: (Message.BLOCKED, CardEffect.CARD_DENIED, DENY_REFERENCE),
        DenyKind.MEDIUM: (Message.MEDIUM_INACTIVE, CardEffect.OTHER_MEDIUM_ACTIVE, DENY_MEDIUM),
        DenyKind.PERSON: (Message.DENY_LIST, CardEffect.PERSON_DENIED, DENY_PERSON),
    }
)
"""What a refusal by the deny list says, how it is recorded, and under which name the list. Only a person has a debt to
settle: a card that was lost, copied or replaced is blocked, and its holder reads so."""


def decide(snapshot: CardSnapshot | BankSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
    """Return the outcome for the rider, what is written to the card, and why.

    `now` is aware. Never raises for anything a card holds: every refusal is an outcome.
    """
    trail = Trail()
    refusal = _refused_terminal(trip, trail) or _marked(policy, trip, now, trail)
    if refusal is not None:
        return trail.refuse(refusal)
    trip = placed(trip, policy.document.vehicle, trail)
    if isinstance(snapshot, BankSnapshot):
        asked = trip.inspection is not None
        return (
            inspect_bank(snapshot, policy, trip, now, trail)
            if asked
            else decide_bank(snapshot, policy, trip, now, trail)
        )
    tap = rebase(snapshot, policy, trip, now)
    if tap.listed:
        trail.lists[GRANTS] = policy.grants.name
    if trip.inspection is not None:
        return inspect(tap, trip.inspection, trail)
    if tap.age_s is None:
        trail.note(CardEffect.EVENT_AHEAD, {"event_at": int(snapshot.event.at.timestamp())})
    refusal = _refused_card(tap, trail)
    if refusal is not None:
        return trail.refuse(refusal)
    return PROFILES.get(trip.profile, _no_rules)(tap, trail)


def _no_rules(tap: Tap, trail: Trail) -> Decision:
    trail.note(TerminalEffect.NO_PROFILE_RULES, {"profile": tap.trip.profile})
    return trail.refuse(Message.OUT_OF_ORDER)


def _refused_terminal(trip: Trip, trail: Trail) -> Message | None:
    """The message of a terminal that takes no taps now, or None. Entitled meals do not wait for a clock (M-37)."""
    if not trip.reader_ok:
        trail.note(TerminalEffect.OUT_OF_SERVICE)
        return Message.OUT_OF_ORDER
    if not trip.shift and trip.inspection is None:
        trail.note(TerminalEffect.NO_SHIFT)
        return Message.SHIFT_CLOSED
    if trip.on_break and trip.inspection is None:
        trail.note(TerminalEffect.ON_BREAK)
        return Message.SHIFT_CLOSED
    if trip.clock.suspect and not trip.clock.confirmed and trip.profile == "bus":
        trail.note(TerminalEffect.CLOCK_UNCONFIRMED)
        return Message.CLOCK_UNCONFIRMED
    return None


def _marked(policy: Policy, trip: Trip, now: datetime, trail: Trail) -> Message | None:
    """What marks every record of this terminal now; the message where no ride is decided by this document any more.
    Entitled meals are, and whether a ride is paid can still be asked (O-01).
    """
    if trip.clock.suspect:
        trail.flag(TerminalEffect.CLOCK_JUMPED, TapFlag.CLOCK_SUSPECT)
    pays = trip.profile != CANTEEN and trip.inspection is None
    if trip.freshness is not FRESH:
        _note_ages(policy.document.ages, trip.freshness, trail)
        stopped = note_bundles(policy.document.ages, trip.freshness.bundles_age_s, trail) if pays else False
        if stopped:
            return Message.OUT_OF_ORDER
    if now < policy.ends_at:
        return None
    end = note_end(policy.document, now, trail, clock_suspect=trip.clock.suspect)
    return Message.OUT_OF_ORDER if pays and end is DocumentEnd.PAST else None


def _note_ages(ages: Ages, freshness: Freshness, trail: Trail) -> None:
    """O-03: what is marked as old. Concessions look for themselves whether lists are too old for them."""
    if freshness.lists_older_than(ages.fresh_h * HOUR_S):  # never longer than `stale_h`
        age_s = freshness.lists_age_s
        if age_s > ages.stale_h * HOUR_S:
            trail.flag(TerminalEffect.DATA_EXPIRED, TapFlag.EXPIRED_DATA, {"data_age_s": age_s})
        else:
            trail.flag(TerminalEffect.DATA_STALE, TapFlag.STALE_DATA, {"data_age_s": age_s})
    age_s, days = freshness.document_age_s, ages.document_stale_days
    if days is not None and age_s > days * DAY_S:
        trail.flag(TerminalEffect.DOCUMENT_STALE, TapFlag.STALE_DOCUMENT, {"document_age_s": age_s})


def _refused_card(tap: Tap, trail: Trail) -> Message | None:
    """The message for a card that may not be used here, or None."""
    rights, header = tap.snapshot.rights, tap.policy.document.header
    if rights.blocked:
        trail.note(CardEffect.BLOCKED_ON_CARD)
        return Message.BLOCKED
    if rights.inactive:
        trail.note(CardEffect.OTHER_MEDIUM_ACTIVE)
        return Message.MEDIUM_INACTIVE
    if tap.denied is not None and _lists_cards(tap):
        message, effect, name = BY_DENY_LIST[tap.denied]
        trail.note(effect)
        trail.lists[name] = tap.policy.deny_list.name
        return message
    if not (rights.valid_from <= tap.service_date <= rights.valid_to or _no_date(tap)):
        early = tap.service_date < rights.valid_from
        trail.note(
            CardEffect.NOT_YET_VALID if early else CardEffect.EXPIRED,
            {"valid_from": rights.valid_from.isoformat(), "valid_to": rights.valid_to.isoformat()},
        )
        return Message.NOT_YET_VALID if early else Message.EXPIRED
    if rights.region != header.region:
        trail.note(CardEffect.OTHER_REGION, {"region": rights.region})
        return Message.OTHER_REGION
    return None


def _no_date(tap: Tap) -> bool:
    """M-37: the date of a suspect clock stands against no meal."""
    return tap.trip.profile == CANTEEN and not tap.periods.trusted


def _lists_cards(tap: Tap) -> bool:
    """O-09: some regions have no deny lists."""
    profiles = tap.policy.document.profiles
    return (profiles.canteen if tap.trip.profile == CANTEEN else profiles.bus).deny_lists


def inspect_bank(card: BankSnapshot, policy: Policy, trip: Trip, now: datetime, trail: Trail) -> Decision:
    """Whether a bank card has paid on the vehicle inspected: by its newest ride that is known here, or by what the
    vehicle's own terminal says. Nothing is on the card: where neither this terminal runs a shift nor the vehicle's is
    heard, it cannot be said.
    """
    tap = rebase(as_resident(card, policy), policy.of_bank_cards(), trip, now)
    if not _paid_here(tap):
        said = _paid_by_vehicle(policy, trip, now, trail)
        if said is not None:
            return said
        known = trip.shift or (trip.inspection is not None and trip.inspection.heard)
        trail.note(InspectionEffect.BANK_CARD_NOT_SEEN if known else InspectionEffect.BANK_CARD_CANNOT_TELL)
        return trail.refuse(Message.INSPECTION_UNPAID)
    event = tap.snapshot.event
    values: dict[str, int | str] = {
        "time": f"{event.at.astimezone(policy.zone):%H:%M}",
        "route": event.route,
    }
    trail.note(InspectionEffect.BANK_CARD_SEEN, {**values, "terminal": event.terminal})
    return trail.repeat(Message.INSPECTION_PAID, Admission.INSIDE, values)


def inspect(tap: Tap, inspection: Inspection, trail: Trail) -> Decision:
    """`inspection_paid` with time and route of the payment on this vehicle, or `inspection_unpaid`; never a write."""
    event = tap.snapshot.event
    if inspection.misuse:
        _report(tap, trail)
    if not _paid_here(tap):
        said = _paid_by_vehicle(tap.policy, tap.trip, tap.at, trail)
        if said is not None:
            return said
        trail.note(InspectionEffect.NOT_PAID_HERE, {"route": event.route})
        return trail.refuse(Message.INSPECTION_UNPAID)
    paid_at = f"{event.at.astimezone(tap.policy.zone):%H:%M}"
    values: dict[str, int | str] = {"time": paid_at, "route": event.route}
    trail.note(InspectionEffect.PAID_HERE, {**values, "terminal": event.terminal})
    return trail.repeat(Message.INSPECTION_PAID, Admission.INSIDE, values)


def _paid_by_vehicle(policy: Policy, trip: Trip, now: datetime, trail: Trail) -> Decision | None:
    """The answer where the vehicle's own terminal took a ride of this card lately, whatever the card itself shows."""
    said_at = 0 if trip.inspection is None else trip.inspection.said_at
    if not said_at or abs(now.timestamp() - said_at) > policy.document.guards.inspection_s:
        return None
    paid = datetime.fromtimestamp(said_at, UTC).astimezone(policy.zone)
    trail.note(InspectionEffect.PAID_BY_VEHICLE, {"said_at": said_at, "route": trip.route})
    values: dict[str, int | str] = {"time": f"{paid:%H:%M}", "route": trip.route}
    return trail.repeat(Message.INSPECTION_PAID, Admission.INSIDE, values)


def _paid_here(tap: Tap) -> bool:
    """Whether the newest ride is on this vehicle, known by route and direction. Who is checked in rides, whatever the
    card was used for since.
    """
    event, trip = tap.snapshot.event, tap.trip
    if not (event.inside or event.kind is EventKind.RIDE) or tap.age_s is None:
        return False
    check_in, longest_s = tap.policy.check_in, tap.policy.document.guards.inspection_s
    if event.inside and check_in is not None:
        longest_s = max(longest_s, check_in.longest_s)
    if tap.age_s > longest_s:
        return False
    return (event.route, event.direction) == (trip.route, trip.direction)


def _report(tap: Tap, trail: Trail) -> None:
    """Only concessions are personal; the report goes to the operator, who alone may block."""
    if tap.snapshot.event.paid_by in CONCESSION_SLOTS or any(tap.concessions):
        trail.flag(InspectionEffect.MISUSE_REPORTED, TapFlag.MISUSE)
    else:
        trail.note(InspectionEffect.NO_CONCESSION)
