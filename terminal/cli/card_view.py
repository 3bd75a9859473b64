"""What `terminal card read` shows of a card."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table

from cardcli.console import ReadableConsole
from cardproto.connection import CardConnection
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardError, CardGone, FormatError
from cardproto.resident.layout import FILE_PURSE
from cardproto.resident.records.event import parse_event
from cardproto.resident.records.rights import Rights
from terminal.errors import ReaderError
from terminal.keys.provider import FittingVersions, KeyProvider, ValidationKeys
from terminal.media.port import UnsupportedCard, open_channel
from terminal.media.resident.open import open_resident
from terminal.money import amount_text, money
from terminal.policy.document.schema import Header
from terminal.trail_words import ENGLISH

WIDTH: Final = 110
UID_SHOWN: Final = 4
"""Only the last hexadecimal digits: the whole UID identifies the card everywhere."""


def card_content(connection: CardConnection, keys: KeyProvider, header: Header) -> dict[str, Any]:
    """Everything a validator can read, as JSON values. `header` is that of the region document: a card does not say
    what its purse counts, its region does.

    Raises `ReaderError` when it is no resident card of this region, `CardGone` when it left.
    """
    try:
        session = open_resident(
            open_channel(connection), ValidationKeys(keys, header.region, FittingVersions())
        )
        purse_minor = session.card.get_value(FILE_PURSE, CommMode.MAC)
        proof = session.last_transaction_mac()
        records = session.recent_records()
    except UnsupportedCard as card:
        raise ReaderError(
            f"not a resident card of this region: {card.why}", "Try a card issued with these keys."
        ) from card
    except CardGone:
        raise
    except CardError as error:
        raise ReaderError(
            f"the card could not be read: {error}", "Leave it on the reader and try again."
        ) from error
    snapshot = session.snapshot
    return {
        "uid": "…" + snapshot.uid.hex().upper()[-UID_SHOWN:],
        "key_version": session.key_version,
        "rights": _rights(snapshot.rights),
        "purse_minor": purse_minor,
        "currency": header.currency,
        "purse_agrees": purse_minor == snapshot.balance_minor,
        "transaction_counter": None if proof is None else proof.counter,
        "events": [_event(record) for record in records],
    }


def _rights(rights: Rights) -> dict[str, Any]:
    return {
        "region": rights.region,
        "valid_from": rights.valid_from.isoformat(),
        "valid_to": rights.valid_to.isoformat(),
        "revision": rights.revision,
        "blocked": rights.blocked,
        "inactive": rights.inactive,
        "concessions": [
            {"code": c.code, "from": c.valid_from.isoformat(), "to": c.valid_to.isoformat()}
            for c in rights.concessions
            if c is not None
        ],
        "contracts": [
            {
                "product": c.product,
                "trips": c.trips,
                "from": c.valid_from.isoformat(),
                "to": c.valid_to.isoformat(),
            }
            for c in rights.contracts
            if c is not None
        ],
    }


def _event(record: bytes) -> dict[str, Any]:
    try:
        event = parse_event(record)
    except FormatError as error:
        return {"not_understood": str(error)}
    return {
        "kind": event.kind.name.lower(),
        "at": event.at.isoformat(),
        "terminal": event.terminal,
        "sequence": event.sequence,
        "amount_minor": event.amount_minor,
        "balance_after_minor": event.balance_after_minor,
        "route": event.route,
        "inside": event.inside,
        "period_ahead_days": event.period_ahead,
        "last_order": event.last_order,
        "paid_by": event.paid_by.name.lower(),
    }


def print_content(content: dict[str, Any]) -> None:
    """The same for people."""
    console, rights, currency = ReadableConsole(WIDTH), content["rights"], content["currency"]
    console.print(
        f"card {content['uid']}, region {rights['region']}, valid {rights['valid_from']} to {rights['valid_to']}, "
        f"keys of version {content['key_version']}"
    )
    flags = [name for name in ("blocked", "inactive") if rights[name]]
    note = "" if content["purse_agrees"] else " (differs from the newest event!)"
    purse = money(content["purse_minor"], currency, ENGLISH)
    console.print(f"purse {purse}{note}{', ' if flags else ''}{', '.join(flags)}")
    for concession in rights["concessions"]:
        console.print(f"concession {concession['code']}: {concession['from']} to {concession['to']}")
    for contract in rights["contracts"]:
        trips = f"{contract['trips']} trips, " if contract["trips"] else ""
        console.print(f"product {contract['product']}: {trips}{contract['from']} to {contract['to']}")
    table = Table(title="events, newest first", title_justify="left")
    for heading in ("at (UTC)", "kind", "terminal", "sequence", "route", "paid by", "amount", "balance"):
        table.add_column(heading, no_wrap=True)
    for e in content["events"]:
        if "not_understood" in e:
            table.add_row("not understood")
            continue
        cells = (e["at"][:19], e["kind"], e["terminal"], e["sequence"], e["route"], e["paid_by"])
        sums = (amount_text(e[name], currency) for name in ("amount_minor", "balance_after_minor"))
        table.add_row(*map(str, cells), *sums)
    console.print(table)
    for e in content["events"]:
        if "not_understood" in e:
            console.print(f"not understood: {e['not_understood']}")
