"""Which card stands for which pupil, and which are lost (M-35): a fold over the rows that say so.

A tie is of a person where the card names one, so that his next card works without being tied again; a loss is of one
card. What is folded is kept outside the journal too, because rows leave it (`PupilFiles`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from terminal.journal.canteen_records import CardTied, CardUse, owner_of


class HeldCard(msgspec.Struct, frozen=True, array_like=True):
    """One card: whose it is as it says itself, whom it stands for, and since which day it is lost ("" for not)."""

    card_ref: bytes
    owner: bytes
    pupil: bytes
    lost_since: str = ""


class CardBook:
    """All cards that staff tied or lost here."""

    def __init__(self) -> None:
        self._cards: dict[bytes, HeldCard] = {}
        self._pupils: dict[bytes, bytes] = {}

    def restore(self, cards: Iterable[HeldCard]) -> None:
        """Begin with what was kept; rows that are held follow and end with the same."""
        for card in cards:
            self._hold(card)

    def held(self) -> tuple[HeldCard, ...]:
        """Everything, to be kept."""
        return tuple(self._cards.values())

    def apply(self, record: CardTied) -> None:
        """Take in one row."""
        if record.use is CardUse.UNTIED:
            self._pupils.pop(record.owner, None)
            for ref in [ref for ref, card in self._cards.items() if card.owner == record.owner]:
                del self._cards[ref]
            return
        lost_since = record.day if record.use is CardUse.LOST else ""
        self._hold(HeldCard(record.card_ref, record.owner, record.pupil, lost_since))

    def _hold(self, card: HeldCard) -> None:
        self._cards[card.card_ref] = card
        if card.pupil != card.owner:
            self._pupils[card.owner] = card.pupil

    # What is asked of it

    def pupil_of(self, card_ref: bytes, person_ref: bytes | None) -> bytes | None:
        """The pupil a card of this person was tied to; None for one that was not."""
        return self._pupils.get(owner_of(card_ref, person_ref)) or self._pupils.get(card_ref)

    def lost_since(self, card_ref: bytes) -> str:
        """Since which day the card is lost; empty for one that is not."""
        card = self._cards.get(card_ref)
        return "" if card is None else card.lost_since

    def owner_of(self, card_ref: bytes) -> bytes | None:
        """Whose a tied card is, as it says itself."""
        card = self._cards.get(card_ref)
        return None if card is None else card.owner

    def of(self, pupil: bytes) -> tuple[HeldCard, ...]:
        """The cards of one pupil, lost ones included."""
        return tuple(card for card in self._cards.values() if card.pupil == pupil)

    def pupils(self) -> frozenset[bytes]:
        """Who has a card that is not lost."""
        return frozenset(card.pupil for card in self._cards.values() if not card.lost_since)
