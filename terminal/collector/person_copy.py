"""A person's request for a copy: everything the collector holds of a card, readable and signed by the collector's key.

    copy.json    every row that names the card, its orders, and requests about it
    copy.txt     the same rides as a printed statement
    copy.sig     Ed25519 over `SIGNED_AS`, copy.json

Neither name nor document is among it: the collector has none (D-02).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.collector.card_rides import card_statement
from terminal.collector.issuing_orders import IssuingOrder
from terminal.collector.office import Office
from terminal.collector.statement_text import statement_lines
from terminal.collector.store import CollectorStore, OperationCode
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.decoding import DOCUMENT_BYTES, read_within
from terminal.errors import CollectorError
from terminal.files import replace_file
from terminal.journal.checkpoint import Signer
from terminal.journal.records import UnreadableRecord, parse_record, shown_fields

SIGNED_AS: Final = b"resident-card-person-copy-1\n"
COPY: Final = "copy.json"
TEXT: Final = "copy.txt"
SIGNATURE: Final = "copy.sig"


def write_copy(
    views: OperatorViews, office: Office, who: Who, card: bytes, out: Path, language: str, signer: Signer
) -> int:
    """Write the copy into `out`, and note who made it; how many rows it has. Raises `CollectorError`."""
    zone = views.books.calendar().zone
    cards = views.books.references(card)
    rows = list(_rows(views.store, cards))
    orders = [_order(one) for one in office.orders() if cards & {one.subject.card, one.onto}]
    said = msgspec.json.format(
        msgspec.json.encode({"version": 1, "card": card.hex(), "rows": rows, "orders": orders}), indent=1
    )
    lines = statement_lines(card_statement(views, card), card.hex(), language, zone)
    files = {COPY: said, TEXT: ("\n".join(lines) + "\n").encode(), SIGNATURE: signer.sign(SIGNED_AS + said)}
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(out / name, content)
    except OSError as error:
        raise CollectorError(f"{out} cannot be written: {error.strerror}", "Give another --out.") from error
    office.note(who.ref, OperationCode.PERSON_COPIED, about=card.hex())
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
