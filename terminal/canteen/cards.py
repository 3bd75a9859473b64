"""Cards to pupils (M-35): a card that was presented here stands for a pupil of the list, until it is lost or taken
back.

It does not matter who personalised it: the region, or an issuing point with a box of blank cards.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from terminal.canteen.counter import CanteenCounter
from terminal.clock import unix_ms
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import CardTied, CardUse


def tie_card(
    counter: CanteenCounter,
    card_ref: bytes,
    pupil: bytes,
    operator: str,
    now: datetime,
    *,
    replaces: bool = False,
) -> list[CardTied]:
    """Let `card_ref` stand for `pupil`; with `replaces` his other cards are lost from now on. Nothing where it does.

    Raises `CanteenRefused` for a pupil who is not listed, and for a card that was never presented here, is another
    pupil's by the list, or was tied to another pupil.
    """
    counter.follow()
    counter.require_listed(pupil)
    owner = _require_presented(counter, card_ref)
    holder = counter.ledger.cards.pupil_of(card_ref, owner) or owner
    if holder != pupil and counter.roster is not None and holder in counter.roster.pupils:
        raise CanteenRefused(
            "this card is another pupil's", "Take it from him first.", CanteenFault.CARD_OF_ANOTHER
        )
    others = counter.ledger.cards.of(pupil) if replaces else ()
    replaced = [card for card in others if card.card_ref != card_ref and not card.lost_since]
    written = [
        _append(counter, card.card_ref, card.owner, pupil, CardUse.LOST, operator, now) for card in replaced
    ]
    if holder != pupil or counter.ledger.cards.lost_since(card_ref):
        written.append(_append(counter, card_ref, owner, pupil, CardUse.TIED, operator, now))
    counter.keep_cards()
    return written


def mark_card(
    counter: CanteenCounter, card_ref: bytes, use: CardUse, operator: str, now: datetime
) -> list[CardTied]:
    """Say what became of a card that was presented here. Nothing where it is so already. Raises `CanteenRefused`."""
    counter.follow()
    owner = _require_presented(counter, card_ref)
    book = counter.ledger.cards
    tied = book.pupil_of(card_ref, owner)
    lost = bool(book.lost_since(card_ref))
    already = {CardUse.LOST: lost, CardUse.FOUND: not lost, CardUse.UNTIED: tied is None}
    if already.get(use, True):
        return []
    written = [_append(counter, card_ref, owner, tied or owner, use, operator, now)]
    counter.keep_cards()
    return written


def tie_listed_cards(
    counter: CanteenCounter, cards: Iterable[tuple[bytes, bytes]], operator: str, now: datetime
) -> list[CardTied]:
    """Tie what a list states, by reference of card or holder and pupil; a card that has a pupil already keeps him."""
    counter.follow()
    listed = {} if counter.roster is None else counter.roster.pupils
    written = [
        _append(counter, card, card, pupil, CardUse.TIED, operator, now)
        for card, pupil in cards
        if card not in listed and counter.ledger.cards.pupil_of(card, card) is None
    ]
    if written:
        counter.keep_cards()
    return written


def _require_presented(counter: CanteenCounter, card_ref: bytes) -> bytes:
    """Whose the card is as it says itself. Raises `CanteenRefused` for one that was never presented here."""
    owner = presented_owner(counter, card_ref)
    if owner is None:
        raise CanteenRefused(
            "this card was not presented here",
            "Hold the card against the terminal first.",
            CanteenFault.CARD_UNKNOWN,
        )
    return owner


def presented_owner(counter: CanteenCounter, card_ref: bytes) -> bytes | None:
    """Whose a card is as it says itself; None for one that was never presented here."""
    return counter.ledger.cards.owner_of(card_ref) or counter.ledger.owner_of(card_ref)


def _append(
    counter: CanteenCounter,
    card_ref: bytes,
    owner: bytes,
    pupil: bytes,
    use: CardUse,
    operator: str,
    now: datetime,
) -> CardTied:
    day = counter.day_of(now).isoformat()
    record = CardTied(unix_ms(now), card_ref, owner, pupil, use, day, operator)
    counter.append(record)
    return record
