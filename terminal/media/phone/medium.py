"""A resident's phone as a medium: selection, credential, proof. Three exchanges, and nothing is written to it.

    select   our application; a locked or empty phone is recognised and says so at `open`
    open     credential (issuer's signature), challenge and answer (the phone's), what was kept of it here
    decide   `terminal.decision.phone`
    commit   the new state, kept by the terminal instead of the phone

A phone that leaves at any exchange has done nothing: it holds no money. Its reference follows from its key, so that a
renewed credential is the same phone, and neither pseudonym nor credential id is in a record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cardproto.channel import CardChannel
from cardproto.credential.grant import Credential, CredentialDefect, RejectedCredential, verify_credential
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.phone import (
    PhoneApplication,
    PhoneFault,
    PhoneRefused,
    ask_proof,
    read_credential,
    select_phone,
)
from cardproto.credential.proof import (
    CHALLENGE_BYTES,
    TERMINAL_BYTES,
    RejectedProof,
    challenge_text,
    holder_key,
    verify_proof,
)
from cardproto.errors import FormatError
from cardproto.resident.records.event import Event, build_event
from terminal.decision.outcome import Decision, Message, WritePlan
from terminal.decision.phone import PhoneSnapshot, decide_phone, phone_snapshot
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.media.held import HeldEvents
from terminal.media.phone import PHONE
from terminal.media.port import (
    LastTap,
    MediumSetup,
    PlannedWrite,
    Presented,
    UnsupportedCard,
    WriteDone,
    WriteNotDone,
    WriteResult,
)
from terminal.messages import MediumMessage
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

_ASKS_HOLDER: Final = frozenset((PhoneFault.LOCKED, PhoneFault.SWITCHED))
_OUT_OF_DATE: Final = MappingProxyType(
    {
        CredentialDefect.EXPIRED: Message.CREDENTIAL_EXPIRED,
        CredentialDefect.NOT_YET_VALID: Message.NOT_YET_VALID,
    }
)


class PhoneMedium:
    """Phones of residents of one region, for terminal `number`. `issuers` says whose credentials count now."""

    name: Final = PHONE
    messages: Final[tuple[MediumMessage, ...]] = ()

    def __init__(
        self,
        setup: MediumSetup,
        number: int,
        issuers: IssuerKeys,
        held: HeldEvents,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._setup = setup
        self._number = number
        self._issuers = issuers
        self._held = held
        self._monotonic = monotonic
        self._selected: PhoneApplication | PhoneRefused | None = None

    def select(self, channel: CardChannel) -> bool:
        try:
            self._selected = select_phone(channel)
        except PhoneRefused as refused:
            self._selected = refused
        return self._selected is not None

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        selected, self._selected = self._selected, None
        try:
            if isinstance(selected, PhoneRefused):
                raise selected
            assert selected is not None, "open follows a selection"
            return self._opened(channel, selected, now)
        except PhoneRefused as refused:
            asks = Message.UNLOCK_PHONE if refused.fault in _ASKS_HOLDER else Message.UNKNOWN_CARD
            raise UnsupportedCard(str(refused), asks) from refused

    def decide(self, snapshot: PhoneSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
        return decide_phone(snapshot, policy, trip, now)

    def _opened(self, channel: CardChannel, application: PhoneApplication, now: datetime) -> Presented:
        data = read_credential(channel, application)
        credential = self._verified(data, now)
        answered_ms = self._challenge(channel, data, credential)
        reference = self._setup.reference(_identity(credential))
        snapshot = self._snapshot(credential, reference, answered_ms)
        return Presented(
            reference=reference,
            snapshot=snapshot,
            person=self._setup.person(credential.pseudonym),
            last=LastTap(_tap_of(snapshot.event), snapshot.event.at),
            writer=_Keeper(self._held, reference, snapshot.event),
        )

    def _verified(self, data: bytes, now: datetime) -> Credential:
        result = verify_credential(data, self._issuers, now)
        if isinstance(result, RejectedCredential):
            message = _OUT_OF_DATE.get(result.reason, Message.CREDENTIAL_NOT_TRUSTED)
            raise UnsupportedCard(f"the phone's credential: {result.reason}", message)
        return result

    def _challenge(self, channel: CardChannel, data: bytes, credential: Credential) -> int:
        terminal = self._number.to_bytes(TERMINAL_BYTES, "big")
        text = challenge_text(self._setup.random(CHALLENGE_BYTES), terminal, data)
        asked = self._monotonic()
        proof = ask_proof(channel, text)
        answered_ms = round((self._monotonic() - asked) * 1000)
        rejected = verify_proof(proof, text, credential)
        if rejected is not None:
            raise UnsupportedCard(f"the phone's proof: {rejected.reason}", Message.CREDENTIAL_NOT_TRUSTED)
        return answered_ms

    def _snapshot(self, credential: Credential, reference: bytes, answered_ms: int) -> PhoneSnapshot:
        region, held = self._setup.region, self._held.newest(reference)
        try:
            return phone_snapshot(credential, held, region, reference, answered_ms)
        except FormatError:  # of software before this one: as if it had not been here
            return phone_snapshot(credential, None, region, reference, answered_ms)


def _identity(credential: Credential) -> bytes:
    key = holder_key(credential)
    assert not isinstance(key, RejectedProof), "its proof was verified with it"
    return b"phone" + key.public_numbers().x.to_bytes(32, "big")


def _tap_of(event: Event) -> TapId:
    return (event.terminal, event.sequence)


class _Keeper:
    """The writing side: what a card would hold is kept here. `found` is what was kept before."""

    def __init__(self, held: HeldEvents, reference: bytes, found: Event) -> None:
        self._held = held
        self._reference = reference
        self._found = found

    def planned(self, plan: WritePlan) -> PlannedWrite:
        return PlannedWrite(build_event(plan.event), (), plan.paid_by, 0, 0)

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        intent.wait()
        self._held.keep(self._reference, build_event(plan.event), plan.event.at)
        return WriteDone()

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:  # noqa: ARG002 the port's
        return WriteDone() if _tap_of(self._found) == earlier else WriteNotDone()
