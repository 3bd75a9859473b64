"""The resident card as a medium: what the tap asks of the port, done by the card's own protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import structs

from cardproto.channel import CardChannel
from cardproto.credential.keys import IssuerKeys
from cardproto.errors import CardError, TransmissionError
from cardproto.resident.records.event import build_event
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.decide import decide
from terminal.decision.effects import CredentialEffect
from terminal.decision.flags import TapFlag
from terminal.decision.outcome import Decision, Message, Outcome, WritePlan
from terminal.decision.tap import CANTEEN
from terminal.errors import KeyLimitReached
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.keys.provider import FittingVersions, ValidationKeys
from terminal.media.port import (
    LastTap,
    MediumSetup,
    PlannedWrite,
    Presented,
    UnsupportedCard,
    WriteDone,
    WriteNotDone,
    WriteResult,
    WriteUnknown,
)
from terminal.media.resident import RESIDENT
from terminal.media.resident.credential import CredentialCheck, CredentialRefusal
from terminal.media.resident.machine import SAID, Course, WriteState
from terminal.media.resident.open import CardSession, open_resident, open_session, select_resident
from terminal.media.resident.settle import Settlement, settle, tap_of
from terminal.media.resident.write import done, planned_commands, write_plan_to_card
from terminal.messages import MediumMessage
from terminal.policy.policy import Policy
from terminal.trail import Reason
from terminal.trip.facts import Trip


@dataclass(frozen=True, slots=True)
class ResidentSnapshot(CardSnapshot):
    """What was read from the card, and why the rights on it are not believed, if so."""

    refusal: CredentialRefusal | None = None


class ResidentMedium:
    """Resident cards of one region, EV1 to EV3, with their own UID on show or a random one.

    `credentials` says when the issuer's signed grant is read and verified as well (one more exchange). Without `proof`
    no card is asked to prove a tap: all are settled as those of EV1 are.
    `by_name`: cards whose chip holds another application too are taken, as `select_resident` has it.
    """

    name: Final = RESIDENT
    messages: Final[tuple[MediumMessage, ...]] = ()

    def __init__(
        self, setup: MediumSetup, credentials: CredentialCheck, *, proof: bool = True, by_name: bool = False
    ) -> None:
        self.setup = setup
        self.by_name = by_name
        self.credentials = credentials
        self.proof = proof
        self._fitting = FittingVersions()

    def trust(self, issuers: IssuerKeys) -> None:
        """Others count from the next card on."""
        self.credentials.trust(issuers)

    def select(self, channel: CardChannel) -> bool:
        return select_resident(channel, by_name=self.by_name)

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        session = open_session(channel, self._keys(), proof=self.proof)
        card = session.snapshot
        refusal = self.credentials.refusal(session.card, card, now)
        reference = self.setup.card(card.uid)
        return Presented(
            reference=reference,
            snapshot=ResidentSnapshot(card.uid, card.rights, card.event, reference, refusal),
            person=self.setup.person(card.rights.pseudonym),
            last=LastTap(tap_of(card.event), card.event.at),
            balance_minor=card.balance_minor,
            read=session.read if refusal is None else (),  # the credential check is not repeated from records
            writer=ResidentWriter(session, lambda: open_resident(channel, self._keys(), proof=self.proof)),
        )

    def _keys(self) -> ValidationKeys:
        return ValidationKeys(self.setup.keys, self.setup.region, self._fitting)

    def decide(self, snapshot: ResidentSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
        decision = decide(snapshot, policy, trip, now)
        if snapshot.refusal is None or trip.inspection is not None or decision.outcome.message in OF_TERMINAL:
            return decision  # an inspection asks what was paid, whatever the rights are worth now
        if snapshot.refusal.effect in OUT_OF_DATE and trip.clock.suspect and trip.profile == CANTEEN:
            return decision  # M-37: such a date stands against no meal
        flags = tuple(flag for flag in decision.flags if flag in OF_EVERY_TAP)
        return structs.replace(_not_granted(snapshot.refusal), flags=flags)


OF_TERMINAL: Final = frozenset((Message.SHIFT_CLOSED, Message.CLOCK_UNCONFIRMED, Message.OUT_OF_ORDER))
"""A terminal that takes no taps says so, whatever the card is."""
OF_EVERY_TAP: Final = frozenset(TapFlag)


def _not_granted(refusal: CredentialRefusal) -> Decision:
    """The rights on the card are not what an issuer signed: none of them counts, and the operator learns why."""
    message = OUT_OF_DATE.get(refusal.effect, Message.CREDENTIAL_NOT_TRUSTED)
    return Decision(Outcome(message, Admission.REFUSED), None, (Reason(refusal.effect),))


OUT_OF_DATE: Final[Mapping[CredentialEffect, Message]] = MappingProxyType(
    {
        CredentialEffect.EXPIRED: Message.CREDENTIAL_EXPIRED,
        CredentialEffect.NOT_YET_VALID: Message.NOT_YET_VALID,
    }
)
"""Of a grant that is genuine and not in force now."""


class ResidentWriter:
    """Writes the card of one session. Each write takes its steps in the table of `machine`, which tests walk whole.

    `open_again` opens the same card anew; it raises as `open_resident`.
    """

    def __init__(self, session: CardSession, open_again: Callable[[], CardSession]) -> None:
        self._session = session
        self._open_again = open_again

    def planned(self, plan: WritePlan) -> PlannedWrite:
        return PlannedWrite(
            event=build_event(plan.event),
            proof=tuple((c.ins, c.header, c.data) for c in planned_commands(self._session.card, plan)),
            paid_by=plan.paid_by,
            balance_before_minor=self._session.snapshot.balance_minor,
            balance_after_minor=plan.event.balance_after_minor,
            key_version=self._session.key_version,
        )

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        """As the port says. A card that answered the commit wrongly and is still there can tell at once what it did;
        one that left is asked when it comes back."""
        course, session = Course(), self._session
        result = write_plan_to_card(session.card, plan, intent, course, proving=session.proving)
        if not isinstance(result, WriteUnknown) or isinstance(result.cause, TransmissionError):
            return result
        try:
            previous = tap_of(session.snapshot.event)
            return _became(self._open_again(), tap_of(plan.event), previous, course) or result
        except (CardError, UnsupportedCard, KeyLimitReached):
            return result

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:
        return _became(self._session, earlier, previous, Course(WriteState.UNRESOLVED))


def _became(
    session: CardSession, earlier: TapId, previous: TapId, course: Course
) -> WriteDone | WriteNotDone | None:
    """What the card says of tap `earlier`; None when it cannot tell any more."""
    verdict = settle(session.snapshot.event, session.recent_events, earlier, previous)
    if verdict is Settlement.STILL_OPEN or not session.purse_agrees():
        course.take(SAID[Settlement.STILL_OPEN])
        return None
    if verdict is Settlement.NOT_COMMITTED:
        course.take(SAID[verdict])
        return WriteNotDone()
    newest = tap_of(session.snapshot.event) == earlier
    proof = session.last_transaction_mac() if newest else None
    course.take(SAID[verdict])
    return done(proof)
