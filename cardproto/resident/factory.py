"""Back to how the factory delivers a card: no application, a DES master key of zeros."""

from __future__ import annotations

from collections.abc import Callable

from cardproto.desfire.application import PICC_AID, PICC_KEY
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.resident.layout import KeyNo
from cardproto.resident.opening import begin, in_memory


def to_factory_state(card: DesfireCard, picc_key: bytes, rnd: Callable[[int], bytes]) -> None:
    """Delete every application and give the card its first master key again; `picc_key` is the AES key it has.

    A random UID, another ATS, a default key and a transaction timer stay. Raises `CardError`, also for a card whose
    configuration forbids formatting.
    """
    card.select_application(PICC_AID)
    begin(card, KeyNo.APPLICATION, in_memory(AesKey(picc_key), rnd))
    card.format_picc()
    card.change_key(PICC_KEY[KeyType.DES], bytes(16), 0, key_type=KeyType.DES)
