"""A person's request for a copy: everything the collector holds of a card, readable and signed by the collector's key.

    copy.json    every row that names the card, its orders, and requests about it
    copy.txt     the same rides as a printed statement
    copy.sig     Ed25519 over `SIGNED_AS`, copy.json

Neither name nor document is among it: the collector has none (D-02). Of a card whose holder was erased it says that
nothing names the holder, and holds what came after that alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.collector.card_rides import card_statement
from terminal.collector.erasing import was_erased
from terminal.collector.issuing_orders import IssuingOrder
from terminal.collector.office import Office
from terminal.collector.statement_text import statement_lines
from terminal.collector.store import CollectorStore, OperationCode
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.collector.watch import local_time
from terminal.decoding import DOCUMENT_BYTES, read_within
from terminal.errors import CollectorError
from terminal.files import replace_file
from terminal.journal.checkpoint import Signer
from terminal.journal.records import UnreadableRecord, parse_record, shown_fields
from terminal.texts import N_, translator

SIGNED_AS: Final = b"resident-card-person-copy-1\n"
COPY: Final = "copy.json"
TEXT: Final = "copy.txt"
SIGNATURE: Final = "copy.sig"


ERASED: Final = N_(
    "What named the holder was erased on {at}, request {number}. Nothing here names the holder."
)
SINCE: Final = N_("Rows of this card recorded after that: {count}.")


def write_copy(
    views: OperatorViews, office: Office, who: Who, card: bytes, out: Path, language: str, signer: Signer
) -> int:
    """Write the copy into `out`, and note who made it; how many rows it has. Raises `CollectorError`."""
    zone, erased = views.books.calendar().zone, was_erased(office, card)
    since_ms = erased[1] if erased else 0
    cards = views.books.references(card)
    rows = [row for row in _rows(views.store, cards) if row.get("at_ms", 0) >= since_ms]
    orders = [_order(one) for one in office.orders() if cards & {one.subject.card, one.onto, *one.broken}]
    held = {"version": 1, "card": card.hex(), "rows": rows, "orders": orders}
    if erased:
        held["erased"] = {"request": erased[0], "at_ms": erased[1]}
    said = msgspec.json.format(msgspec.json.encode(held), indent=1)
    if erased:
        _ = translator(language).gettext
        lines = [_(ERASED).format(at=local_time(erased[1], language, zone), number=erased[0])]
        lines += [_(SINCE).format(count=len(rows))] if rows else []
    else:
        lines = [*statement_lines(card_statement(views, card), card.hex(), language, zone)]
    files = {COPY: said, TEXT: ("\n".join(lines) + "\n").encode(), SIGNATURE: signer.sign(SIGNED_AS + said)}
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(out / name, content)
    except OSError as error:
        raise CollectorError(f"{out} cannot be written: {error.strerror}", "Give another --out.") from error
    office.note(who.ref, OperationCode.PERSON_COPIED, about="" if erased else card.hex())
    return len(rows)


def check_copy(folder: Path, key: Ed25519PublicKey) -> None:
    """Raises `CollectorError` unless the holder of `key` signed the copy in `folder`."""
    try:
        said = read_within(folder / COPY, DOCUMENT_BYTES)
        key.verify(read_within(folder / SIGNATURE, DOCUMENT_BYTES), SIGNED_AS + said)
    except InvalidSignature as error:
        raise CollectorError(
            f"the signature of {folder / COPY} is not this collector's", "Check --key, or ask for it again."
        ) from error
    except OSError as error:
        raise CollectorError(f"{folder} holds no copy: {error.strerror}", "Check the folder.") from error


def _rows(store: CollectorStore, cards: Container[bytes]) -> Iterator[dict[str, Any]]:
    """Every row that names the card, refusals too: all records are read for it."""
    for one in store.records():
        try:
            record = parse_record(one.body)
        except UnreadableRecord:
            continue
        if getattr(record, "card_ref", None) in cards:
            kind = type(record).__name__
            yield {
                "terminal": one.terminal,
                "sequence": one.sequence,
                "kind": kind,
                **shown_fields(record),
            }


def _order(one: IssuingOrder) -> dict[str, Any]:
    return {
        "number": one.number,
        "what": one.what,
        "minor": one.subject.minor,
        "currency": one.subject.currency,
        "state": one.state,
        "comment": one.comment,
    }
