"""What `terminal card look` finds out of any card, without a key: resident card, bank card, both, another one.

Numbers are masked, holders' names are not shown, and nothing found here is proven: a look has no keys to prove it with.
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
from cardproto.emv import tags
from cardproto.emv.authentication import choose_method
from cardproto.emv.faults import NotRead, ReadFault
from cardproto.emv.opening import OpenedApplication, open_application, read_directory
from cardproto.emv.selection import Candidate
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import CardError, CardGone, FormatError, ProtocolError, StatusError
from cardproto.resident.layout import AID
from terminal.errors import ReaderError
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


def card_look(connection: CardConnection, at: datetime, draw: Randomness) -> dict[str, Any]:
    """What the card is, as JSON values. `at` is shown to a bank application.

    Raises `ReaderError` when card or reader cannot be spoken with, `CardGone` when the card left.
    """
    try:
        uid = _uid(connection)
        desfire = _desfire(connection)
        bank = _bank(connection, at, draw)
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


def _bank(connection: CardConnection, at: datetime, draw: Randomness) -> dict[str, Any] | None:
    """None for a card without a directory of bank applications."""
    listed = read_directory(CardChannel(connection))
    if isinstance(listed, NotRead):
        return (
            None if listed.fault is ReadFault.NO_BANK_APPLICATION else {"applications": [], **_fault(listed)}
        )
    taken = {one.aid[: tags.RID_BYTES] for one in listed}
    opened = open_application(CardChannel(connection), taken, BankTransaction(at), draw)
    found = _fault(opened) if isinstance(opened, NotRead) else _opened(opened, at)
    return {"applications": [_candidate(one) for one in listed], **found}


def _fault(not_read: NotRead) -> dict[str, Any]:
    sw = None if not_read.sw is None else f"{not_read.sw:04X}"
    return {"read": None, "fault": not_read.fault.value, "sw": sw}


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "aid": one.aid.hex().upper(),
        "label": _text(one.label),
        "priority": one.priority,
        "kernel": one.kernel.hex().upper() or None,
    }


def _opened(opened: OpenedApplication, at: datetime) -> dict[str, Any]:
    index = opened.data.get(tags.TAG_CA_INDEX)
    return {
        "read": {
            "aid": opened.application.aid.hex().upper(),
            "label": _text(opened.application.label),
            "number": opened.pan.masked,
            "sequence": opened.sequence,
            "expires_on": None if opened.expires_on is None else opened.expires_on.isoformat(),
            "expired": opened.expires_on is None or at.date() > opened.expires_on,
            "profile": f"{opened.aip:04X}",
            "method": choose_method(opened.data, opened.aip).value,
            "ca_key": None
            if index is None
            else f"{opened.application.rid.hex().upper()} {index.hex().upper()}",
            "tags": [f"{tag:X}" for tag in sorted(opened.data.values)],
            "signed_tags": [f"{tag:X}" for tag in sorted(opened.data.signed_tags)],
        },
        "fault": None,
        "sw": None,
    }


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")


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
        _print_bank(say, found["bank"])


def _print_desfire(say: Callable[[str], None], desfire: dict[str, Any]) -> None:
    listed = desfire["applications"]
    applications = "not listed without a key" if listed is None else ", ".join(listed) or "none"
    say(f"{desfire['generation'] or 'DESFire of unknown generation'}; applications: {applications}")


def _print_bank(say: Callable[[str], None], bank: dict[str, Any]) -> None:
    for one in bank["applications"]:
        say(f"bank application {one['aid']} {one['label']!r}, priority {one['priority']}")
    read = bank["read"]
    if read is None:
        say(f"bank application not read: {bank['fault']}" + (f" ({bank['sw']})" if bank["sw"] else ""))
        return
    sequence = "none" if read["sequence"] is None else read["sequence"]
    say(f"read {read['aid']} {read['label']!r}: number {read['number']}, sequence {sequence}")
    late = " (expired)" if read["expired"] else ""
    say(f"expires {read['expires_on'] or 'not stated'}{late}, profile {read['profile']}")
    say(f"offers {read['method']} under CA key {read['ca_key'] or 'not stated'}; not verified by a look")
    say(f"tags {' '.join(read['tags'])}")
    say(f"of these in signed records {' '.join(read['signed_tags']) or 'none'}")
