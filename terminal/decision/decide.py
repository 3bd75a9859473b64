"""What a tap means. Pure: the same snapshot, policy, context and time give the same decision, byte for byte.

First what holds for every card, in this order; then the profile's own rules (`bus`, `canteen`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.bus import decide_ride
from terminal.decision.canteen import decide_meal
from terminal.decision.outcome import Decision, Message, TapContext
from terminal.decision.tap import Tap, Trail, rebase
from terminal.policy.policy import Policy

PROFILES: Final[Mapping[str, Callable[[Tap, Trail], Decision]]] = MappingProxyType(
    {"bus": decide_ride, "canteen": decide_meal}
)


def decide(snapshot: CardSnapshot, policy: Policy, context: TapContext, now: datetime) -> Decision:
    """Return what the rider is told, what is written to the card, and why.

    `now` is aware. Never raises for anything a card holds: every refusal is an outcome.
    """
    trail = Trail()
    if not context.shift_open:
        trail.note("T-60", "no sale before a shift is open")
        return trail.refuse(Message.SHIFT_CLOSED)
    tap = rebase(snapshot, policy, context, now)
    if tap.age_s is None:
        trail.note(
            "O-05", "newest event lies ahead of the clock", {"event_at": snapshot.event.at.isoformat()}
        )
    refusal = _refused_card(tap, trail)
    if refusal is not None:
        return trail.refuse(refusal)
    profile = PROFILES.get(context.profile)
    if profile is None:
        trail.note("K-02", "no rules for this profile", {"profile": context.profile})
        return trail.refuse(Message.OUT_OF_ORDER)
    return profile(tap, trail)


def _refused_card(tap: Tap, trail: Trail) -> Message | None:
    """The message for a card nobody may use here, or None."""
    rights, header = tap.snapshot.rights, tap.policy.document.header
    if rights.blocked:
        trail.note("O-02", "the card carries the blocked flag")
        return Message.BLOCKED
    if rights.inactive:
        trail.note("K-01", "another medium of the holder is the active one")
        return Message.MEDIUM_INACTIVE
    if tap.policy.deny_list.contains(rights.pseudonym):
        trail.note("O-02", "a local block wins over every right on the card")
        return Message.STOP_LIST
    if not rights.valid_from <= tap.service_date <= rights.valid_to:
        early = tap.service_date < rights.valid_from
        trail.note(
            "K-02",
            "card not yet valid" if early else "card expired",
            {"valid_from": rights.valid_from.isoformat(), "valid_to": rights.valid_to.isoformat()},
        )
        return Message.EXPIRED
    if rights.region != header.region:
        trail.note("K-03", "card of another region", {"region": rights.region})
        return Message.UNKNOWN_CARD
    return None
