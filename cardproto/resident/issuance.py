"""What a card is before it is issued, found without changing it, and how a card whose issue was interrupted is emptied.

Two keys are tried on the card's own master key: the one this issuing point gives its cards, and the factory's, 16 zero
bytes. A refused authentication changes nothing on a card. What other applications lie there is asked under the key that
fits, because a card may keep its list from others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cardproto.desfire.application import PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardGone, ProtocolError, StatusError
from cardproto.resident.keyset import ResidentKeys
from cardproto.resident.layout import AID, FILE_EVENTS, KeyNo
from cardproto.resident.opening import Randomness, begin, in_memory
from cardproto.resident.records.event import EVENT_BYTES

ZERO_KEY: Final = bytes(16)
LOOK_EXCHANGES: Final = 48
"""The most that looking at a card and emptying it takes."""


class CardBefore(StrEnum):
    """What is there before issuing begins."""

    EMPTY = "empty"
    """As the factory delivers it: its master key is zeros, and nothing lies on it."""
    EMPTIED = "emptied"
    """Ours, and our application is not on it."""
    INTERRUPTED = "interrupted"
    """Our application is on it and not complete."""
    ISSUED = "issued"
    OTHERS = "others"
    """Another system's applications lie there, under a master key of zeros."""
    FOREIGN = "foreign"
    """Its master key is neither ours nor zeros."""


@dataclass(frozen=True, slots=True, repr=False)
class FoundCard:
    """`master` opens the card itself; empty for a foreign one. `others` are the applications that are not ours."""

    before: CardBefore
    master: bytes = b""
    key_type: KeyType = KeyType.AES
    others: tuple[bytes, ...] = ()


def look_at(card: DesfireCard, keys: ResidentKeys, rnd: Randomness) -> FoundCard:
    """What `card` is, whose own keys would be `keys`. Raises `CardError` when it leaves or answers nonsense."""
    opened = _opened(card, keys.picc, rnd)
    if opened is None:
        return FoundCard(CardBefore.FOREIGN)
    master, key_type = opened
    found = card.get_application_ids()
    others = tuple(aid for aid in found if aid != AID)
    if AID in found:
        complete = master != ZERO_KEY and _complete(card, keys, rnd)
        before = CardBefore.ISSUED if complete else CardBefore.INTERRUPTED
    elif master != ZERO_KEY:
        before = CardBefore.EMPTIED
    else:
        before = CardBefore.OTHERS if others else CardBefore.EMPTY
    return FoundCard(before, master, key_type, others)


def empty(card: DesfireCard, found: FoundCard, rnd: Randomness) -> FoundCard:
    """Take our application off the card, and say what it is now. Where nothing else lies there the card is formatted,
    which gives its memory back; the applications of others stay. Raises `CardError`.
    """
    card.select_application(PICC_AID)
    begin_as_master(card, found.master, found.key_type, rnd)
    if found.others:
        card.delete_application(AID)
    else:
        card.format_picc()
    ours = found.master != ZERO_KEY
    before = CardBefore.EMPTIED if ours else CardBefore.OTHERS if found.others else CardBefore.EMPTY
    return FoundCard(before, found.master, found.key_type, found.others)


def begin_as_master(card: DesfireCard, master: bytes, key_type: KeyType, rnd: Randomness) -> None:
    """Authenticate with the card's own master key; the card itself is selected. Raises as `begin`."""
    if key_type is KeyType.AES:
        begin(card, KeyNo.APPLICATION, in_memory(AesKey(master), rnd))
    else:
        card.authenticate_iso(0, DesKey(master), rnd(8))


def _opened(card: DesfireCard, own: bytes, rnd: Randomness) -> tuple[bytes, KeyType] | None:
    for master, key_type in ((own, KeyType.AES), (ZERO_KEY, KeyType.AES), (ZERO_KEY, KeyType.DES)):
        card.select_application(PICC_AID)
        try:
            begin_as_master(card, master, key_type, rnd)
        except CardGone:
            raise
        except (StatusError, ProtocolError):  # this is not its key
            continue
        return master, key_type
    return None


def _complete(card: DesfireCard, keys: ResidentKeys, rnd: Randomness) -> bool:
    """Whether the application opens with its own key and has its first event: issuing ends with that.

    A rolled card has keys of a later generation. Where no key of ours fits and the application's own key is not that
    of creation either, there is no telling: it counts as complete, because it may hold money.
    """
    for generation in (keys, *keys.spare):
        if _fits(card, KeyNo.VALIDATE, generation.validate, rnd):
            try:
                return bool(card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))
            except StatusError:
                return False
    created = _fits(card, KeyNo.APPLICATION, ZERO_KEY, rnd)
    return not created


def _fits(card: DesfireCard, number: KeyNo, key: bytes, rnd: Randomness) -> bool:
    card.select_application(AID)
    try:
        begin(card, number, in_memory(AesKey(key), rnd))
    except StatusError as refusal:
        if refusal.passing:
            raise
        return False
    return True
