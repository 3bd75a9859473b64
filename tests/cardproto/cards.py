"""A personalised software card and the terminal's end of it, made through real APDUs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import count

from cardproto.connection import CardConnection
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.resident.keyset import MasterKeys, ResidentKeys
from cardproto.resident.layout import AID, KeyNo
from cardproto.resident.personalise import CardContent, personalise
from cardproto.resident.records.event import Event, EventKind
from cardproto.resident.records.rights import Concession, Contract, Rights
from sim.card.virtual import VirtualCard

UID = bytes.fromhex("04AA1122334455")
REGION = 34


def master_keys(version: int, spare: tuple[MasterKeys, ...] = ()) -> MasterKeys:
    """One generation of a region's master keys, all different."""
    keys = (bytes((version, *(number,) * 15)) for number in range(1, 10))
    return MasterKeys(*keys, version=version, spare=spare)


NEXT_MASTERS = master_keys(2), master_keys(3)
MASTERS = master_keys(1, NEXT_MASTERS)
KEYS: ResidentKeys = MASTERS.for_card(UID, REGION)
PURSE_MINOR = 25_000
RIGHTS = Rights(
    region=REGION,
    pseudonym=b"\x01\x02\x03\x04\x05\x06\x07\x08",
    valid_from=date(2025, 1, 1),
    valid_to=date(2030, 12, 31),
    issued_on=date(2025, 1, 1),
    revision=1,
    concessions=(Concession(7, 50, date(2025, 9, 1), date(2026, 5, 31)), None, None),
    contracts=(None, Contract(45, date(2025, 9, 1), date(2025, 9, 30), 45)),
)
ISSUED = Event(
    EventKind.ISSUE,
    datetime(2025, 1, 1, 9, tzinfo=UTC),
    terminal=900001,
    sequence=1,
    balance_after_minor=PURSE_MINOR,
    amount_minor=PURSE_MINOR,
)
CONTENT = CardContent(RIGHTS, ISSUED, PURSE_MINOR)


def numbers(seed: str = "card") -> Callable[[int], bytes]:
    """Repeatable bytes that never repeat within one source."""
    turn = count()
    return lambda length: hashlib.shake_128(f"{seed} {next(turn)}".encode()).digest(length)


def blank_card() -> VirtualCard:
    card = VirtualCard(UID, numbers())
    card.power_on()
    return card


def resident_card(content: CardContent = CONTENT) -> VirtualCard:
    card = blank_card()
    personalise(terminal_end(card), KEYS, content, numbers("desk"))
    card.power_off()
    card.power_on()
    return card


class OpeningInMemory:
    """`OpeningKeys` with the key K1 of these master keys, by version."""

    def __init__(self, rnd: Callable[[int], bytes], *masters: MasterKeys, region: int = REGION) -> None:
        self._masters = dict(enumerate(masters, 1))
        self._region = region
        self._rnd = rnd

    def versions(self, uid: bytes | None) -> list[int]:
        return sorted(self._masters, reverse=True)

    def own(self, uid: bytes, version: int) -> AesAuthentication:
        key = self._masters[version].for_card(uid, self._region).validate
        return AesAuthentication(AesKey(key), self._rnd(16))

    def identify(self, version: int) -> AesAuthentication:
        key = self._masters[version].identify_key(self._region)
        return AesAuthentication(AesKey(key), self._rnd(16))


def terminal_end(connection: CardConnection, max_exchanges: int = 64) -> DesfireCard:
    return DesfireCard(DesfireChannel(connection, max_exchanges=max_exchanges))


def authenticated(
    connection: CardConnection, number: KeyNo = KeyNo.VALIDATE, keys: ResidentKeys = KEYS
) -> DesfireCard:
    """The resident application selected and a session begun: three exchanges."""
    card = terminal_end(connection)
    card.select_application(AID)
    card.authenticate_ev2_first(
        number, AesAuthentication(AesKey(keys.application_key(number)), numbers("terminal")(16))
    )
    return card
