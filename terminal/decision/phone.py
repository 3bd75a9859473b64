"""A resident's phone: rights that an issuer signed, and a state that the terminal kept in its place.

The state has the form of a resident card's newest event, so that one set of rules decides for both: transfers, limits,
repeated taps, journeys. What differs is said here: a phone holds no money, and its answer has a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cardproto.credential.grant import Credential
from cardproto.resident.records.event import Event, EventKind, parse_event
from cardproto.resident.records.rights import CONCESSION_SLOTS, CONTRACT_SLOTS, Concession, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.decide import decide
from terminal.decision.effects import PhoneEffect
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.policy.policy import Policy
from terminal.trail import Reason
from terminal.trip.facts import Trip

ANSWERS_WITHIN_MS: Final = 300
"""A phone signs in some tens of milliseconds; an answer that was fetched from elsewhere takes longer."""


@dataclass(frozen=True, slots=True)
class PhoneSnapshot(CardSnapshot):
    """A phone as a card of its rights. `uid` is the credential's id, for the deny list; `answered_ms` how long it took
    to answer the challenge.
    """

    answered_ms: int = 0


def phone_snapshot(
    credential: Credential, held: bytes | None, region: int, reference: bytes, answered_ms: int
) -> PhoneSnapshot:
    """`held` is the newest event that was kept for this phone; None: it was not here before. Raises `FormatError` for
    bytes that are no event.
    """
    event = _first(credential) if held is None else parse_event(held)
    return PhoneSnapshot(credential.id, _rights(credential, region), event, reference, answered_ms)


def decide_phone(snapshot: PhoneSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
    """As `decide`; refused where the answer came too late, or money would be needed."""
    answered = Reason(PhoneEffect.ANSWERED, {"answered_ms": snapshot.answered_ms})
    if snapshot.answered_ms > ANSWERS_WITHIN_MS and trip.inspection is None:
        late = Reason(PhoneEffect.TOO_SLOW, {"limit_ms": ANSWERS_WITHIN_MS})
        return Decision(Outcome(Message.READ_AGAIN, Admission.REFUSED), None, (answered, late))
    decision = decide(snapshot, policy, trip, now)
    facts = (answered, *decision.facts)
    if decision.outcome.message != Message.NO_FUNDS:
        return replace(decision, facts=facts)
    outcome = Outcome(Message.NO_RIGHT_IN_PHONE, Admission.REFUSED)
    return replace(decision, outcome=outcome, facts=(*facts, Reason(PhoneEffect.PAYS_NOTHING)))


def _first(credential: Credential) -> Event:
    """What a card has that was never used."""
    return Event(
        kind=EventKind.ISSUE,
        at=credential.not_before,
        terminal=0,
        sequence=0,
        balance_after_minor=0,
        amount_minor=0,
    )


def _rights(credential: Credential, region: int) -> Rights:
    begins = credential.not_before.date()
    ends = (credential.expires - timedelta(seconds=1)).date()
    granted = credential.entitlements[:CONCESSION_SLOTS]
    concessions = tuple(Concession(one.code, 0, begins, one.last_day) for one in granted)
    return Rights(
        region=region,
        pseudonym=credential.pseudonym,
        valid_from=begins,
        valid_to=ends,
        issued_on=begins,
        revision=1,
        concessions=concessions + (None,) * (CONCESSION_SLOTS - len(concessions)),
        contracts=(None,) * CONTRACT_SLOTS,
    )
