"""A statement as files for carriers and their accounting: CSV, XLSX, TIDES, and a manifest that the collector signs.

The manifest names each file by its SHA-256; its signature stands beside it. Who holds the collector's public key checks
both with `terminal collector settlement-check`, without the collector.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.collector.order_sums import OrderSum
from terminal.collector.settlement.carriers import CarrierBook
from terminal.collector.settlement.lines import COLUMNS, LineKey, LineNumbers
from terminal.collector.settlement.periods import CarrierStatement, StatementLine, added
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.export.reports import write_table
from terminal.export.tides import FIELDS as TIDES_FIELDS
from terminal.export.tides import fare_transaction
from terminal.export.workbook import Cell, Sum, WorkSheet, workbook
from terminal.files import replace_file
from terminal.journal.checkpoint import Signer
from terminal.journal.taps import JournalTap
from terminal.money import amount_text
from terminal.policy.policy import Policy
from terminal.texts import N_, translator

KEYS: Final = (
    "month",
    "day",
    "correction",
    "carrier",
    "carrier_name",
    "route",
    "product",
    "concession",
    "currency",
)
MONEY: Final = tuple(name for name in COLUMNS if name.endswith("_minor"))
FIELDS: Final = (*KEYS, *(name.removesuffix("_minor") for name in COLUMNS), "due")
MANIFEST: Final = "settlement.json"
SIGNATURE: Final = "settlement.sig"
SIGNED_AS: Final = b"resident-card settlement 1\n"
"""What a signature of this key over a manifest begins with, so that it stands for nothing else."""
HEADS: Final = {
    "carrier_name": N_("Carrier"),
    "day": N_("Day"),
    "route": N_("Route"),
    "product": N_("Paid with"),
    "concession": N_("Concession"),
    "currency": N_("Currency"),
    "rides_proven": N_("Rides proven"),
    "rides_unproven": N_("Rides unproven"),
    "rides_cash": N_("Rides for cash"),
    "proven_minor": N_("Proven"),
    "unproven_minor": N_("Unproven"),
    "cash_minor": N_("Cash"),
    "moved_proven_minor": N_("Transfers, proven"),
    "moved_unproven_minor": N_("Transfers, unproven"),
    "rides_open": N_("Rides of unknown end"),
    "unlinked": N_("Transfers not divided yet"),
    "due": N_("Due"),
}


_SheetLine: TypeAlias = tuple[str, LineKey, LineNumbers]


class ManifestFile(msgspec.Struct, frozen=True):
    """One file of a statement."""

    name: str
    sha256: str


class SettlementManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. `digest` is the statement's own, `carriers` the document it was made by; `closed_at_ms` 0 for a
    month that is not closed."""

    month: str
    carriers: str
    digest: str
    closed_at_ms: int
    files: tuple[ManifestFile, ...]


def table_rows(statement: CarrierStatement, book: CarrierBook) -> list[dict[str, str]]:
    """The lines as machines read them."""
    return [_row(statement.month, line, book) for line in statement.lines]


def _row(month: str, line: StatementLine, book: CarrierBook) -> dict[str, str]:
    key, currency = line.key, line.key.currency
    return {
        "month": month,
        "day": line.day,
        "correction": "1" if line.earlier else "0",
        "carrier": key.carrier,
        "carrier_name": book.name_of(key.carrier),
        "route": str(key.route),
        "product": key.product,
        "concession": key.concession,
        "currency": currency,
        **{
            name.removesuffix("_minor"): _shown(getattr(line.numbers, name), name, currency)
            for name in COLUMNS
        },
        "due": amount_text(line.numbers.due_minor, currency),
    }


def _shown(number: int, name: str, currency: str) -> str:
    return amount_text(number, currency) if name in MONEY else str(number)


def as_csv(statement: CarrierStatement, book: CarrierBook) -> bytes:
    """The lines as CSV: UTF-8, a header, CRLF."""
    out = io.StringIO(newline="")
    write_table(out, FIELDS, table_rows(statement, book))
    return out.getvalue().encode()


def orders_csv(orders: Iterable[OrderSum]) -> bytes:
    """Orders for cards as CSV, in the same form; sums as decimals of their currency."""
    out = io.StringIO(newline="")
    fields = ("orders", "currency", "done", "done_sum")
    rows = (
        (one.what, one.currency, str(one.done), amount_text(one.done_minor, one.currency)) for one in orders
    )
    write_table(out, fields, (dict(zip(fields, row, strict=True)) for row in rows))
    return out.getvalue().encode()


def as_tides(taps: Iterable[JournalTap], policy: Policy) -> bytes:
    """The rides and sales as TIDES `fare_transactions`. Carriers need no cards: no row has a token."""
    out = io.StringIO(newline="")
    rows = (fare_transaction(tap, policy, lambda _: b"") for tap in taps)
    write_table(out, TIDES_FIELDS, (row for row in rows if row is not None))
    return out.getvalue().encode()


def as_workbook(statement: CarrierStatement, book: CarrierBook, language: str) -> bytes:
    """The same for people: what each carrier is due, by route and day, and the corrections by themselves."""
    _ = translator(language).gettext
    own = [line for line in statement.lines if not line.earlier]
    earlier = [line for line in statement.lines if line.earlier]

    def sheet(
        title: str, keys: Sequence[str], lines: Iterable[tuple[str, LineKey, LineNumbers]]
    ) -> WorkSheet:
        heads = [_(HEADS[name]) for name in (*keys, *COLUMNS, "due")]
        rows: list[Sequence[Cell]] = [heads]
        rows += [_cells(keys, day, key, numbers, book, language) for day, key, numbers in lines]
        return WorkSheet(title, rows, landscape=True)

    def by(
        lines: list[StatementLine], left: Callable[[StatementLine], LineKey]
    ) -> list[tuple[str, LineKey, LineNumbers]]:
        return [("", key, numbers) for key, numbers in added(lines, left).items()]

    whole = ("day", "carrier_name", "route", "product", "concession", "currency")
    return workbook(
        [
            sheet(_("Carriers"), ("carrier_name", "currency"), by(statement.lines, of_carrier)),
            sheet(_("Routes"), ("carrier_name", "route", "currency"), by(own, of_route)),
            sheet(_("Days"), whole, [(line.day, line.key, line.numbers) for line in own]),
            sheet(_("Corrections"), whole, [(line.day, line.key, line.numbers) for line in earlier]),
        ]
    )


def of_carrier(line: StatementLine) -> LineKey:
    """Of a line's key what is of its carrier."""
    return LineKey(line.key.carrier, 0, "", "", line.key.currency)


def of_route(line: StatementLine) -> LineKey:
    """Of a line's key what is of its route."""
    return line.key._replace(product="", concession="")


def _cells(
    keys: Sequence[str], day: str, key: LineKey, numbers: LineNumbers, book: CarrierBook, language: str
) -> list[Cell]:
    named: Mapping[str, Cell] = {
        "day": day,
        "carrier_name": carrier_shown(book, key.carrier, language),
        "route": key.route,
        "product": key.product,
        "concession": key.concession,
        "currency": key.currency,
    }
    counts: list[Cell] = [
        Sum(amount_text(getattr(numbers, name), key.currency)) if name in MONEY else getattr(numbers, name)
        for name in COLUMNS
    ]
    return [*(named[name] for name in keys), *counts, Sum(amount_text(numbers.due_minor, key.currency))]


def carrier_shown(book: CarrierBook, carrier: str, language: str) -> str:
    """A carrier's name for people."""
    return book.name_of(carrier) if carrier else translator(language).gettext(N_("without a carrier"))


def write_statement(
    folder: Path, statement: CarrierStatement, files: Mapping[str, bytes], signer: Signer
) -> SettlementManifest:
    """Write the files of a statement into `folder`, then their manifest and its signature. Raises `CollectorError`."""
    manifest = SettlementManifest(
        statement.month,
        statement.carriers,
        statement.digest.hex(),
        statement.closed.closed_at_ms if statement.closed else 0,
        tuple(ManifestFile(name, sha256(content).hexdigest()) for name, content in sorted(files.items())),
    )
    said = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {**files, MANIFEST: said, SIGNATURE: signer.sign(SIGNED_AS + said)}.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise CollectorError(
            f"{folder} cannot be written: {error.strerror}", "Give another --out."
        ) from error
    return manifest


def check_statement(folder: Path, key: Ed25519PublicKey) -> SettlementManifest:
    """The manifest in `folder`, whose signature and files are as the holder of `key` wrote them. Raises
    `CollectorError`."""
    try:
        said = _start_of(folder / MANIFEST)
        key.verify(_start_of(folder / SIGNATURE), SIGNED_AS + said)
        manifest = decode_json(said, SettlementManifest, SMALL_BYTES)
        for one in manifest.files:
            if Path(one.name).name != one.name or _digest(folder / one.name) != one.sha256:
                raise CollectorError(
                    f"{one.name} is not what was signed", "Ask the collector's office for it again."
                )
    except InvalidSignature as error:
        raise CollectorError(
            f"the signature of {folder / MANIFEST} is not this collector's",
            "Check --key, or ask for it again.",
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise CollectorError(
            f"the statement in {folder} is not complete: {error}", "Ask for it again."
        ) from error
    return manifest


def _start_of(path: Path) -> bytes:
    """No more of it than shows that it is too long."""
    with path.open("rb") as file:
        return file.read(SMALL_BYTES + 1)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
