"""A resident's phone, tapped or shown as a code: rights that an issuer signed, and a state that the terminal kept.

The state has the form of a resident card's newest event, so that one set of rules decides for both: transfers, limits,
repeated taps, journeys. What differs is said here: a phone holds no money, its answer has a time, a code counts once.
A code on paper is copied as often as anyone likes: it counts for what the document says, when staff saw whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as records_replace
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cardproto.credential.grant import Credential
from cardproto.errors import FormatError
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
class Answered:
    """How long the phone took to answer the challenge."""

    answered_ms: int

    @property
    def fact(self) -> Reason:
        """For the trail."""
        return Reason(PhoneEffect.ANSWERED, {"answered_ms": self.answered_ms})


@dataclass(frozen=True, slots=True)
class CodeShown:
    """A code by its counter, how old it was, and the counter of the last one that was shown here (0: none was)."""

    counter: int
    age_s: int
    last: int

    @property
    def fact(self) -> Reason:
        """For the trail."""
        return Reason(PhoneEffect.CODE_SHOWN, {"counter": self.counter, "age_s": self.age_s})


@dataclass(frozen=True, slots=True)
class OnPaper:
    """A code without a phone; `checked`: staff saw whose it is (M-35)."""

    checked: bool

    @property
    def fact(self) -> Reason:
        """For the trail."""
        return Reason(PhoneEffect.PRINTED_CHECKED if self.checked else PhoneEffect.PRINTED)


PhoneWay = Answered | CodeShown | OnPaper


@dataclass(frozen=True, slots=True)
class PhoneSnapshot(CardSnapshot):
    """A phone as a card of its rights. `uid` is the credential's id, for the deny list."""

    way: PhoneWay = Answered(0)


def phone_snapshot(
    credential: Credential, held: bytes | None, region: int, reference: bytes, way: PhoneWay
) -> PhoneSnapshot:
    """`held` is the newest event that was kept for this phone; None, or no event: it was not here before."""
    try:
        event = _first(credential) if held is None else parse_event(held)
    except FormatError:
        event = _first(credential)
    return PhoneSnapshot(credential.id, _rights(credential, region), event, reference, way)


def decide_phone(snapshot: PhoneSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
    """As `decide`; refused where the answer came too late, the code was shown before, or money would be needed."""
    way = snapshot.way
    if isinstance(way, OnPaper):
        snapshot, policy = on_paper(snapshot, policy)
        trip = _listed_on_paper(trip, policy)
    refused = None if trip.inspection is not None else _refused(snapshot)
    if refused is not None:
        return refused
    decision = decide(snapshot, policy, trip, now)
    facts = (way.fact, *_elsewhere(snapshot.event, trip), *decision.facts)
    if isinstance(way, OnPaper) and decision.meal is not None and not decision.meal.entitled:
        return _not_on_paper(*facts)
    if decision.outcome.message != Message.NO_FUNDS:
        return replace(decision, facts=facts)
    outcome = Outcome(Message.NO_RIGHT_IN_PHONE, Admission.REFUSED)
    return replace(decision, outcome=outcome, facts=(*facts, Reason(PhoneEffect.PAYS_NOTHING)))


def printable(credential: Credential, policy: Policy) -> tuple[int, ...]:
    """The concessions of a code on paper that count."""
    known = policy.concessions_on_paper
    return tuple(one.code for one in credential.entitlements[:CONCESSION_SLOTS] if one.code in known)


def on_paper(snapshot: PhoneSnapshot, policy: Policy) -> tuple[PhoneSnapshot, Policy]:
    """Both without the concessions that no code on paper may bring, also where a list of grants states them."""
    known = policy.concessions_on_paper
    kept = tuple(
        one if one is not None and one.code in known else None for one in snapshot.rights.concessions
    )
    less = {code: rule for code, rule in policy.concessions.items() if code in known}
    rights = records_replace(snapshot.rights, concessions=kept)
    return records_replace(snapshot, rights=rights), replace(policy, concessions=less)


def _listed_on_paper(trip: Trip, policy: Policy) -> Trip:
    """As `on_paper`, of what a school's roster grants."""
    pupil, known = trip.canteen.pupil, policy.concessions_on_paper
    if pupil is None:
        return trip
    grants = tuple(one for one in pupil.grants if one.code in known)
    return replace(trip, canteen=replace(trip.canteen, pupil=replace(pupil, grants=grants)))


def _not_on_paper(*facts: Reason) -> Decision:
    outcome = Outcome(Message.CODE_PRINTED, Admission.REFUSED)
    return Decision(outcome, None, (*facts, Reason(PhoneEffect.NOT_ON_PAPER)))


def _refused(snapshot: PhoneSnapshot) -> Decision | None:
    way = snapshot.way
    if isinstance(way, OnPaper):
        if not any(snapshot.rights.concessions):
            return _not_on_paper(way.fact)
        if way.checked:
            return None
        return Decision(Outcome(Message.CODE_CHECK, Admission.REFUSED), None, (way.fact,))
    if isinstance(way, CodeShown):
        if way.counter > way.last:
            return None
        message, why = Message.CODE_USED, Reason(PhoneEffect.CODE_USED, {"last": way.last})
    else:
        if way.answered_ms <= ANSWERS_WITHIN_MS:
            return None
        message, why = Message.READ_AGAIN, Reason(PhoneEffect.TOO_SLOW, {"limit_ms": ANSWERS_WITHIN_MS})
    return Decision(Outcome(message, Admission.REFUSED), None, (way.fact, why))


def _elsewhere(event: Event, trip: Trip) -> tuple[Reason, ...]:
    """That another terminal's word of the phone's last tap was heard and counted."""
    if event.terminal in (0, trip.terminal):
        return ()
    return (Reason(PhoneEffect.RODE_ELSEWHERE, {"terminal": event.terminal, "row": event.sequence}),)


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
