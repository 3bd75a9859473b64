"""The bank side of `terminal card look`: directory, masked number, which authentication is offered, whether it holds.

A number is masked in whatever field the card puts it. Data objects are named by their tags alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from cardproto.apdu import SW
from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
from cardproto.emv import tags
from cardproto.emv.authentication import choose_method
from cardproto.emv.faults import NotRead, ReadFault
from cardproto.emv.opening import OpenedApplication, open_application, read_directory, select_command
from cardproto.emv.proving import prove
from cardproto.emv.selection import Candidate
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import ProtocolError
from terminal.keys.bank_ca import BankCa
from terminal.media.port import Randomness

CONTACTS_ONLY: Final = "contacts_only"
"""It answers with the directory of its contacts, which no tap reads."""
COUNTS_AS_NONE: Final = "counts_as_none"
"""The static signature is right, and is copied with the card's data."""
_NUMBER: Final = re.compile(r"(?:[0-9][ -]?){8,}")
"""Digits in a label or kernel: none is called so, and a number may stand there."""


def bank_look(
    connection: CardConnection, at: datetime, draw: Randomness, ca: BankCa | None
) -> dict[str, Any] | None:
    """What the bank applications are, as JSON values; None for a card without a directory of them.

    Without `ca` nothing is proven. Raises `TransmissionError`.
    """
    listed = read_directory(CardChannel(connection))
    if isinstance(listed, NotRead):
        if listed.fault is not ReadFault.NO_BANK_APPLICATION:
            return {"applications": [], **_fault(listed)}
        return _through_contacts(connection)
    taken = {one.aid[: tags.RID_BYTES] for one in listed}
    channel, transaction = CardChannel(connection), BankTransaction(at)
    opened = open_application(channel, taken, transaction, draw)
    applications = {"applications": [_candidate(one) for one in listed]}
    if isinstance(opened, NotRead):
        return {**applications, **_fault(opened)}
    proven = _authentication(channel, opened, transaction, ca)
    return {
        **applications,
        "read": {**_opened(opened, at), "authentication": proven},
        "fault": None,
        "sw": None,
    }


def _through_contacts(connection: CardConnection) -> dict[str, Any] | None:
    try:
        answer = CardChannel(connection).send(select_command(tags.PSE))
    except ProtocolError:
        return None
    if answer.sw != SW.OK:
        return None
    return {"applications": [], "read": None, "fault": CONTACTS_ONLY, "sw": None}


def _fault(not_read: NotRead) -> dict[str, Any]:
    sw = None if not_read.sw is None else f"{not_read.sw:04X}"
    return {"read": None, "fault": not_read.fault.value, "sw": sw}


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "aid": one.aid.hex().upper(),
        "label": _text(one.label),
        "priority": one.priority,
        "kernel": _without_number(one.kernel.hex().upper()) or None,
    }


def _opened(opened: OpenedApplication, at: datetime) -> dict[str, Any]:
    index = opened.data.get(tags.TAG_CA_INDEX)
    rid = opened.application.rid.hex().upper()
    return {
        "aid": opened.application.aid.hex().upper(),
        "label": _text(opened.application.label),
        "number": opened.pan.masked,
        "sequence": opened.sequence,
        "expires_on": None if opened.expires_on is None else opened.expires_on.isoformat(),
        "expired": opened.expires_on is None or at.date() > opened.expires_on,
        "profile": f"{opened.aip:04X}",
        "method": choose_method(opened.data, opened.aip).value,
        "ca_key": None if index is None or len(index) != 1 else f"{rid} {index.hex().upper()}",
        "tags": [f"{tag:X}" for tag in sorted(opened.data.values)],
        "signed_tags": [f"{tag:X}" for tag in sorted(opened.data.signed_tags)],
    }


def _authentication(
    channel: CardChannel, opened: OpenedApplication, transaction: BankTransaction, ca: BankCa | None
) -> dict[str, Any]:
    """`verdict` is `held`, `not_held` with a `fault`, or `not_checked`; `keys` says whose keys checked it."""
    if ca is None:
        return {"verdict": "not_checked", "fault": None, "keys": None, "proven_tags": []}
    found, *_ = prove(channel, opened, transaction, ca.trust)
    fault = None if found.genuine else COUNTS_AS_NONE if found.fault is None else found.fault.value
    return {
        "verdict": "held" if found.genuine else "not_held",
        "fault": fault,
        "keys": ca.environment,
        "proven_tags": [f"{tag:X}" for tag in sorted(found.signed_tags)],
    }


def _text(label: bytes) -> str:
    return _without_number(label.decode("ascii", "replace"))


def _without_number(text: str) -> str:
    return _NUMBER.sub(lambda digits: "*" * len(digits[0]), text)


def print_bank(say: Callable[[str], None], bank: dict[str, Any]) -> None:
    """The same for people."""
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
    say(f"offers {read['method']} under CA key {read['ca_key'] or 'not stated'}")
    say(_verdict_line(read["authentication"]))
    say(f"tags {' '.join(read['tags'])}")
    say(f"of these in signed records {' '.join(read['signed_tags']) or 'none'}")


def _verdict_line(proven: dict[str, Any]) -> str:
    if proven["verdict"] == "not_checked":
        return "authentication not checked: --ca FILE names the CA keys to check it with"
    held = "held" if proven["verdict"] == "held" else f"not held ({proven['fault']})"
    return f"authentication {held}, by {proven['keys']} CA keys; not certified"
