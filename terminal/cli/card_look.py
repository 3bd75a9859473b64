"""What `terminal card look` finds out of any card, without a secret key: resident card, bank card, both, another one.

Numbers are masked and holders' names are not shown. Nothing is proven but a bank card's signature, by public CA keys.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from cardcli.console import ReadableConsole
from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
from cardproto.desfire.application import PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import CardError, CardGone, FormatError, ProtocolError, StatusError
from cardproto.resident.layout import AID
from terminal.cli.card_look_bank import bank_look, print_bank
from terminal.errors import ReaderError
from terminal.keys.bank_ca import BankCa
from terminal.media.port import Randomness

WIDTH: Final = 110
_UID_SHOWN: Final = 4
"""Only the last hexadecimal digits: the whole UID identifies the card everywhere."""
_DESFIRE: Final = 0x91
_GENERATIONS: Final = {
    0x00: "DESFire",
    0x01: "DESFire EV1",
    0x12: "DESFire EV2",
    0x22: "DESFire EV2 XL",
    0x30: "DESFire Light",
    0x33: "DESFire EV3",
}
"""By the major version of the hardware, as GetVersion states it."""


def card_look(
    connection: CardConnection, at: datetime, draw: Randomness, ca: BankCa | None = None
) -> dict[str, Any]:
    """What the card is, as JSON values. `at` is shown to a bank application, whose signature is held against `ca`.

    Raises `ReaderError` when card or reader cannot be spoken with, `CardGone` when the card left.
    """
    try:
        uid = _uid(connection)
        desfire = _desfire(connection)
        bank = bank_look(connection, at, draw, ca)
    except CardGone:
        raise
    except CardError as error:
        raise ReaderError(
            f"the card could not be looked at: {error}", "Leave it on the reader and try again."
        ) from error
    return {"kind": _kind(desfire, bank), "uid": uid, "desfire": desfire, "bank": bank}


def _kind(desfire: dict[str, Any] | None, bank: dict[str, Any] | None) -> str:
    """`resident`, `bank`, `resident_and_bank`, `desfire` (another system's, or empty), `unknown`."""
    resident = desfire is not None and desfire["resident"]
    if resident or bank is not None:
        return "_and_".join(name for name, is_one in (("resident", resident), ("bank", bank)) if is_one)
    return "unknown" if desfire is None else "desfire"


def _uid(connection: CardConnection) -> dict[str, Any] | None:
    try:
        uid = CardChannel(connection).read_uid()
    except ProtocolError:
        return None
    return {"end": uid.hex().upper()[-_UID_SHOWN:], "bytes": len(uid)}


def _desfire(connection: CardConnection) -> dict[str, Any] | None:
    """None for a card that does not answer as DESFire does."""
    card = DesfireCard(DesfireChannel(CardChannel(connection)))
    try:
        resident = _selects(card, AID)
        if resident is None or _selects(card, PICC_AID) is None:
            return None
    except ProtocolError:
        return None
    return {"resident": resident, **_version(card), "applications": _applications(card)}


def _selects(card: DesfireCard, aid: bytes) -> bool | None:
    try:
        card.select_application(aid)
    except StatusError as refusal:
        return False if refusal.sw >> 8 == _DESFIRE else None
    return True


def _version(card: DesfireCard) -> dict[str, Any]:
    try:
        hardware = card.get_version().hardware
    except (StatusError, ProtocolError, FormatError):
        return {"generation": None, "storage_code": None}
    return {"generation": _GENERATIONS.get(hardware.major), "storage_code": hardware.storage}


def _applications(card: DesfireCard) -> list[str] | None:
    """None where the card lists them to its issuer only."""
    try:
        return [aid.hex().upper() for aid in card.get_application_ids()]
    except (StatusError, ProtocolError):
        return None


_KINDS: Final = {
    "resident": "resident card",
    "bank": "bank card",
    "resident_and_bank": "resident card with a bank application",
    "desfire": "DESFire card of another system, or empty",
    "unknown": "unknown card: neither DESFire nor bank application answers",
}


def print_look(found: dict[str, Any]) -> None:
    """The same for people."""
    console = ReadableConsole(WIDTH)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    uid = found["uid"]
    say(_KINDS[found["kind"]])
    say("reader gives no UID" if uid is None else f"UID of {uid['bytes']} bytes, ends in {uid['end']}")
    if found["desfire"] is not None:
        _print_desfire(say, found["desfire"])
    if found["bank"] is not None:
        print_bank(say, found["bank"])


def _print_desfire(say: Callable[[str], None], desfire: dict[str, Any]) -> None:
    listed = desfire["applications"]
    applications = "not listed without a key" if listed is None else ", ".join(listed) or "none"
    say(f"{desfire['generation'] or 'DESFire of unknown generation'}; applications: {applications}")
