"""Opening a resident card of any kind: EV2 or EV1, with its own UID or a random one.

An EV1 card knows no EV2 session and says so (1C); AES authentication with EV1 messaging is then used with the same
key. An attacker in between could answer 1C, too, to force the older messaging. A session for money therefore asks
the card inside it whether it has a transaction MAC (`has_transaction_mac`) and ends if so.

A card with random UID cannot be opened with a diversified key, because the UID the key derives from is not
known yet. It has one more key, IDENTIFY, the same on every card of the region, which opens no file and only
lets GetCardUID be asked; with the UID known the conversation goes on under the diversified key
(docs/adr/0006-random-uid.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cardproto.desfire.card import DesfireCard
from cardproto.desfire.crypto import CardKey
from cardproto.desfire.messaging import Session
from cardproto.errors import ProtocolError, StatusError
from cardproto.resident.keyset import UID_BYTES
from cardproto.resident.layout import FILE_TRANSACTION_MAC, KeyNo

RANDOM_UID_BYTES: Final = 4
RANDOM_UID_FIRST: Final = 0x08
_UNKNOWN_COMMAND: Final = 0x911C

Randomness = Callable[[int], bytes]


def is_random(shown_uid: bytes) -> bool:
    """Whether anticollision showed a random UID: four bytes, the first 08 (ISO 14443-3)."""
    return len(shown_uid) == RANDOM_UID_BYTES and shown_uid[0] == RANDOM_UID_FIRST


def begin(card: DesfireCard, number: KeyNo, key: CardKey, rnd: Randomness) -> None:
    """Authenticate in the selected application: EV2, or AES where the card does not know EV2.

    Raises as `DesfireCard.authenticate_ev2_first` does.
    """
    try:
        card.authenticate_ev2_first(number, key, rnd(16))
    except StatusError as refusal:
        if refusal.sw != _UNKNOWN_COMMAND:
            raise
        card.authenticate_aes(number, key, rnd(16))


def go_on(card: DesfireCard, number: KeyNo, key: CardKey, rnd: Randomness) -> None:
    """Change the key inside the conversation; the transaction goes on."""
    if isinstance(card.session, Session):
        card.authenticate_ev2_non_first(number, key, rnd(16))
    else:
        card.authenticate_aes(number, key, rnd(16))


def open_as(
    card: DesfireCard,
    shown_uid: bytes,
    number: KeyNo,
    key_of: Callable[[bytes], CardKey],
    identify_key: Callable[[], CardKey],
    rnd: Randomness,
) -> bytes:
    """Authenticate as `number` in the selected application; returns the real 7-byte UID.

    `key_of(uid)` is the card's own key, `identify_key()` the region's IDENTIFY key, asked for only when the UID
    shown is random. Raises `CardError`, also for a UID no DESFire has.
    """
    if not is_random(shown_uid):
        if len(shown_uid) != UID_BYTES:
            raise ProtocolError(f"a UID of {len(shown_uid)} bytes; a DESFire has {UID_BYTES}")
        begin(card, number, key_of(shown_uid), rnd)
        return shown_uid
    begin(card, KeyNo.IDENTIFY, identify_key(), rnd)
    uid = card.get_card_uid()
    go_on(card, number, key_of(uid), rnd)
    return uid


def has_transaction_mac(card: DesfireCard) -> bool:
    """Whether the card can prove its transactions; one MACed question in an older session, none in an EV2 one.

    Every EV2 resident card has the transaction MAC file, so an EV2 session answers this by being one.
    """
    return isinstance(card.session, Session) or FILE_TRANSACTION_MAC in card.get_file_ids()
