"""Opening a resident card of any kind: EV2 or EV1, with its own UID or a random one.

An EV1 card knows no EV2 session and says so (1C); AES authentication with EV1 messaging is then used with the same
key. Anything in between could say 1C, too, to get the older messaging; so a caller that uses an older session for
money asks the card inside it whether it has a transaction MAC (`has_transaction_mac`) and refuses the detour if so.

A card with random UID cannot be opened with a diversified key, because it is not known yet whose key it would be. It
has one more key, IDENTIFY, the same on every card of the region, which opens no file and only lets GetCardUID be
asked; with the UID known the conversation goes on under the diversified key (docs/adr/0006-random-uid.md).

A card holds one version of its keys and does not say which before it is authenticated. So versions are tried in turn:
AE is the card's answer to the wrong one, and costs two exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cardproto.desfire.authentication import AesAuthentication, Authentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.crypto import CardKey
from cardproto.desfire.messaging import Session
from cardproto.errors import ProtocolError, StatusError
from cardproto.resident.keyset import UID_BYTES
from cardproto.resident.layout import FILE_TRANSACTION_MAC, KeyNo

RANDOM_UID_BYTES: Final = 4
RANDOM_UID_FIRST: Final = 0x08
NO_OWN_UID: Final = bytes([RANDOM_UID_FIRST, 0, 0, 0])
"""For a card that says it has a random UID, where anticollision does not: as if it had been shown one."""
_UNKNOWN_COMMAND: Final = 0x911C
_OTHER_KEY: Final = 0x91AE

Randomness = Callable[[int], bytes]
Attempt = Callable[[], Authentication]
"""A fresh authentication with one key at each call."""


class OpeningKeys(Protocol):
    """One role's keys to the region's cards, by version; each call of the last two is a fresh attempt."""

    def versions(self, uid: bytes | None) -> Sequence[int]:
        """At least one, in the order to try on the card with this UID; None while the UID is not known."""
        ...

    def own(self, uid: bytes, version: int) -> Authentication:
        """With the key of the card with this UID."""
        ...

    def identify(self, version: int) -> Authentication:
        """With the key that all cards with random UID share."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedCard:
    """Whose card it is, by its real 7-byte UID, and which version of its keys it has."""

    uid: bytes
    key_version: int


def is_random(shown_uid: bytes) -> bool:
    """Whether anticollision showed a random UID: four bytes, the first 08 (ISO 14443-3)."""
    return len(shown_uid) == RANDOM_UID_BYTES and shown_uid[0] == RANDOM_UID_FIRST


def in_memory(key: CardKey, rnd: Randomness) -> Attempt:
    """Attempts with a key in memory: for issuing points and laboratories."""
    return lambda: AesAuthentication(key, rnd(16))


def begin(card: DesfireCard, number: KeyNo, attempt: Attempt) -> None:
    """Authenticate in the selected application: EV2, or AES where the card does not know EV2.

    Raises as `DesfireCard.authenticate_ev2_first` does.
    """
    begin_with(card, number, (0,), lambda _version: attempt())


def begin_with(
    card: DesfireCard, number: KeyNo, versions: Sequence[int], attempt: Callable[[int], Authentication]
) -> int:
    """As `begin`, with the first of `versions` that the card takes; returns it.

    Each version the card refuses costs two exchanges and 66 bytes. Raises the refusal of the last one.
    """
    left = list(versions)
    authenticate: Callable[[int, Authentication], None] = card.authenticate_ev2_first
    while True:
        try:
            authenticate(number, attempt(left[0]))
        except StatusError as refusal:
            if refusal.sw == _UNKNOWN_COMMAND and authenticate != card.authenticate_aes:
                authenticate = card.authenticate_aes
            elif refusal.sw == _OTHER_KEY and len(left) > 1:
                del left[0]
            else:
                raise
        else:
            return left[0]


def go_on(card: DesfireCard, number: KeyNo, attempt: Attempt) -> None:
    """Change the key inside the conversation; the transaction goes on."""
    if isinstance(card.session, Session):
        card.authenticate_ev2_non_first(number, attempt())
    else:
        card.authenticate_aes(number, attempt())


def open_as(card: DesfireCard, shown_uid: bytes, number: KeyNo, keys: OpeningKeys) -> OpenedCard:
    """Authenticate as `number` in the selected application.

    The keys of one card are of one version, so the one IDENTIFY was proved with is the one of its own key. Raises
    `CardError`, also for a UID no DESFire has, and what `keys` raises.
    """
    if not is_random(shown_uid):
        if len(shown_uid) != UID_BYTES:
            raise ProtocolError(f"a UID of {len(shown_uid)} bytes; a DESFire has {UID_BYTES}")
        version = begin_with(card, number, keys.versions(shown_uid), lambda v: keys.own(shown_uid, v))
        return OpenedCard(shown_uid, version)
    version = begin_with(card, KeyNo.IDENTIFY, keys.versions(None), keys.identify)
    uid = card.get_card_uid()
    go_on(card, number, lambda: keys.own(uid, version))
    return OpenedCard(uid, version)


def has_transaction_mac(card: DesfireCard) -> bool:
    """Whether the card can prove its transactions; one MACed question in an older session, none in an EV2 one.

    Every EV2 resident card has the transaction MAC file, so an EV2 session answers this by being one.
    """
    return isinstance(card.session, Session) or FILE_TRANSACTION_MAC in card.get_file_ids()
