"""Whether a card gave the proof that a row states, asked without the card's own key.

With the session keys of a dossier each transaction is checked here; without them the verify-only service has been asked
before, and its answers are looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from cardproto.desfire.crypto import BLOCK
from cardproto.desfire.transaction_mac import (
    TMV_BYTES,
    DataCommand,
    session_transaction_mac_value,
    tmi,
)
from terminal.audit.dossier import DossierBatch
from terminal.collector.registry import CardRegistry, ProvingCard
from terminal.journal.records import Committed, Intent

MOST_COUNTER: Final = (1 << 32) - 1
MOST_INPUT_BYTES: Final = 8_192


class CardWord(StrEnum):
    """What the registry behind the service says of a transaction."""

    GENUINE = "genuine"
    NOT_GENUINE = "not_genuine"
    KNOWN = "known"
    """Nothing was given to be judged, and the card can prove."""
    CANNOT_PROVE = "cannot_prove"
    """Nothing was given to be judged, and the card cannot prove."""
    UNKNOWN_CARD = "unknown_card"


class CardQuestion(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Is `tmv` what the card behind `card_ref` gave over `commands`, as its transaction `tmc`? Without a `tmv`: is a
    proof to be expected of that card?"""

    card_ref: Annotated[bytes, Meta(min_length=1, max_length=32)]
    tmc: Annotated[int, Meta(ge=0, le=MOST_COUNTER)]
    tmv: Annotated[bytes, Meta(max_length=TMV_BYTES)]
    commands: Annotated[bytes, Meta(max_length=MOST_INPUT_BYTES)]


class SessionCard(Struct, frozen=True):
    """A card for one value of its counter; without a key it is one that is known, and proved nothing."""

    session_key: bytes = b""
    proves: bool = True

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:  # noqa: ARG002 the key holds for one counter
        whole = len(self.session_key) == BLOCK
        return whole and tmv == session_transaction_mac_value(self.session_key, commands)

    def __repr__(self) -> str:
        return f"SessionCard(proves={self.proves})"


class AnsweredCard(Struct, frozen=True):
    """A card of which the service said whether it gave the proof of one row."""

    genuine: bool
    proves: bool = True

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:  # noqa: ARG002 just that was asked
        return self.genuine


def session_key(registry: CardRegistry, card_ref: bytes, tmc: int | None) -> bytes | None:
    """The key that proves transaction `tmc` of a card, and no other; empty without a counter. None for a card that is
    not known."""
    card = registry.card(card_ref, tmc)
    if card is None:
        return None
    if tmc is None or not 0 <= tmc <= MOST_COUNTER:
        return b""
    return card.session(tmc)


def cards_of(part: DossierBatch) -> dict[int, ProvingCard]:
    """The cards behind the commits of a batch, by row, as its session keys know them."""
    return {row: SessionCard(key, proves=row not in part.unable) for row, key in part.session_keys.items()}


def answered(words: Mapping[int, CardWord]) -> dict[int, ProvingCard]:
    """The cards behind the commits of a batch, by row, as the service answered."""
    return {
        row: AnsweredCard(word is CardWord.GENUINE, proves=word is not CardWord.CANNOT_PROVE)
        for row, word in words.items()
        if word is not CardWord.UNKNOWN_CARD
    }


def question_of(intent: Intent, committed: Committed) -> CardQuestion:
    """What to ask of a committed tap."""
    card_ref, tmc, tmv = intent.card_ref[:32] or b"\x00", committed.tmc, committed.tmv[:TMV_BYTES]
    if tmc is None or not 0 <= tmc <= MOST_COUNTER or not tmv:
        return CardQuestion(card_ref, 0, b"", b"")
    commands = [DataCommand(*command) for command in intent.proof if 0 <= command[0] <= 0xFF]
    return CardQuestion(card_ref, tmc, tmv, tmi(commands)[:MOST_INPUT_BYTES])
