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
from typing import Final

from cardproto.channel import CardChannel
from cardproto.credential.grant import Credential, RejectedCredential, verify_credential
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.phone import (
    PhoneApplication,
    PhoneFault,
    PhoneRefused,
    ask_proof,
    read_credential,
    select_phone,
)
from cardproto.credential.proof import CHALLENGE_BYTES, TERMINAL_BYTES, challenge_text, verify_proof
from terminal.decision.outcome import Decision, Message
from terminal.decision.phone import PhoneSnapshot, decide_phone
from terminal.decision.phone_record import PhoneRecord, near_record
from terminal.media.held import HeldEvents
from terminal.media.phone import PHONE
from terminal.media.phone.state import PhoneStates, not_believed
from terminal.media.port import MediumSetup, Presented, UnsupportedCard
from terminal.messages import MediumMessage
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

_ASKS_HOLDER: Final = frozenset((PhoneFault.LOCKED, PhoneFault.SWITCHED))


class PhoneMedium:
    """Phones of residents of one region, for terminal `number`. `issuers` are those whose credentials count."""

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
        self._random = setup.random
        self._terminal = number.to_bytes(TERMINAL_BYTES, "big")
        self._issuers = issuers
        self._states = PhoneStates(setup, held)
        self._monotonic = monotonic
        self._selected: PhoneApplication | PhoneRefused | None = None

    def trust(self, issuers: IssuerKeys) -> None:
        """Others count from the next phone on."""
        self._issuers = issuers

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
            data = read_credential(channel, selected)
            credential = verify_credential(data, self._issuers, now)
            if isinstance(credential, RejectedCredential):
                raise not_believed(credential)
            answered_ms, record = self._challenge(channel, data, credential)
        except PhoneRefused as refused:
            asks = Message.UNLOCK_PHONE if refused.fault in _ASKS_HOLDER else Message.UNKNOWN_CARD
            raise UnsupportedCard(str(refused), asks) from refused
        return self._states.presented(credential, answered_ms, record, now)

    def decide(self, snapshot: PhoneSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
        return decide_phone(snapshot, policy, trip, now)

    def _challenge(
        self, channel: CardChannel, data: bytes, credential: Credential
    ) -> tuple[int, PhoneRecord]:
        challenge = self._random(CHALLENGE_BYTES)
        text = challenge_text(challenge, self._terminal, data)
        asked = self._monotonic()
        proof = ask_proof(channel, text)
        answered_ms = round((self._monotonic() - asked) * 1000)
        rejected = verify_proof(proof, text, credential)
        if rejected is not None:
            raise UnsupportedCard(f"the phone's proof: {rejected.reason}", Message.CREDENTIAL_NOT_TRUSTED)
        return answered_ms, near_record(data, challenge, proof, answered_ms)
