"""`terminal collector recompute`, `verdicts` and `documents`: decisions made again at the collector."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json
from terminal.errors import CollectorError

if TYPE_CHECKING:
    from terminal.recompute.documents import DocumentFolder

Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys", help="Key file with the list key of grants; without it no grants list can be asked."
    ),
]

documents_app = typer.Typer(
    help="Keep what decisions are made from: region documents, tables of feeds, grants lists, by SHA-256.",
    no_args_is_help=True,
)


@documents_app.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="Files as they were published to the terminals.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Check files and keep them; rows that waited for them are recomputed. What is there already stays."""
    from terminal.app.output import print_json
    from terminal.recompute.documents import in_order_to_add

    kept = documents_in(folder, keys)
    added = [one for file in in_order_to_add(files) for one in kept.add(file)]
    if json:
        print_json({"documents": added})
        return
    for one in added:
        print(f"{one.sha256}  {one.kind.value}  {one.edition}")


@documents_app.command("list")
def list_documents(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False) -> None:
    """List what is kept, and the hashes that rows name and that are missing."""
    from terminal.app.output import print_json
    from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader
    from terminal.recompute.documents import missing

    kept = documents_in(folder, None)
    named = LedgerReader(folder / LEDGER_FILE).documents_named()
    listed, lacking = kept.listed(), missing(named, kept.names())
    if json:
        wanted = [{"sha256": name, "terminals": named[name]} for name in lacking]
        print_json({"documents": listed, "missing": wanted})
        return
    for one in listed:
        used = named.get(one.sha256, 0)
        print(f"{one.sha256}  {one.kind.value:<6}  {one.edition}  {one.bytes} bytes, {used} terminals")
    for name in lacking:
        print(f"{name}  MISSING, named by {named[name]} terminals")


@documents_app.command("remove")
def remove(
    sha256: Annotated[str, typer.Argument(help="The hash of a document, or the beginning of it.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
) -> None:
    """Remove a document. Verdicts already given stay; later rows under it are unproven."""
    print(f"{documents_in(folder, None).remove(sha256)} is removed")


def documents_in(folder: Path, keys: Path | None) -> DocumentFolder:
    """The documents of a collector's folder."""
    from terminal.recompute import DOCUMENTS_FOLDER
    from terminal.recompute.documents import DocumentFolder

    return DocumentFolder(folder / DOCUMENTS_FOLDER, grants_key(keys))


def grants_key(keys: Path | None) -> bytes | None:
    """The list key "grants" of a key file."""
    if keys is None:
        return None
    from terminal.keys.file import load_file_keys

    return load_file_keys(keys).list_key("grants")


def recompute(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    keys: Keys = None,
    zone: Annotated[
        str, typer.Option(help="Time zone of the service days; default: that of the books.")
    ] = "",
    day_ends_at: Annotated[
        int,
        typer.Option(min=-1, max=12, help="Hour at which a service day ends; default: that of the books."),
    ] = -1,
    once: Annotated[bool, typer.Option("--once", help="End when every row held is recomputed.")] = False,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
    json: Json = False,
) -> None:
    """Recompute decisions of the rows held, beside a collector started with --no-recompute or at rest."""
    from terminal.app.collector import asked_to_end
    from terminal.app.output import print_json
    from terminal.collector.office import DATABASE_FILE
    from terminal.collector.recompute.run import NICE, FollowSettings, StoredRows, follow, parent_gone
    from terminal.collector.store import CollectorStore

    if not (folder / DATABASE_FILE).is_file():
        raise CollectorError(f"no collector has run in {folder}", "Give --folder.")
    made_for = books_made_for(folder)
    settings = FollowSettings(
        folder,
        zone or made_for.get("zone", "Europe/Moscow"),
        day_ends_at if day_ends_at >= 0 else int(made_for.get("day_ends_at", "3")),
        grants_key(keys),
    )
    if child:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # of the collector's terminal: that ends the child in its own way
    ended = parent_gone(sys.stdin.fileno()) if child else asked_to_end()
    os.nice(NICE)
    store = CollectorStore(folder / DATABASE_FILE)
    rows = StoredRows(store)
    try:
        done = follow(rows, settings, once=once, ended=ended, log=lambda text: print(text, file=sys.stderr))
    finally:
        rows.close()
        store.close()
    if json:
        print_json({"rows": done})
    else:
        print(f"{done} rows gone through")


def verdicts(
    day: Annotated[str, typer.Option(help="Service day (2026-09-15); default: all.")] = "",
    differing: Annotated[bool, typer.Option("--differing", help="List differing rows in full.")] = False,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
) -> None:
    """Show what recomputation found: rows and money by day, terminal, verdict and reason; or what differs."""
    from terminal.app.output import print_json
    from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader
    from terminal.money import amount_text

    ledger = LedgerReader(folder / LEDGER_FILE)
    if differing:
        found = ledger.differing(day)
        if json:
            print_json({"differing": [one._asdict() for one in found]})
            return
        for one in found:
            said = "; ".join(
                f"{what}: recorded {values['recorded']}, recomputed {values['recomputed']}"
                for what, values in one.found.items()
            )
            print(f"{one.day}  terminal {one.terminal} row {one.sequence}  {said}")
        return
    sums = ledger.sums(day)
    if json:
        statements = [one._asdict() for one in ledger.statements().values()]
        print_json({"verdicts": [one._asdict() for one in sums], "statements": statements})
        return
    for line in sums:
        verdict = f"{line.kind}:{line.reason}" if line.reason else line.kind
        amount = amount_text(line.sum_minor, line.currency)
        print(
            f"{line.day}  terminal {line.terminal:>7}  {verdict:<26} {line.rows:>9}  {amount} {line.currency}"
        )


def books_made_for(folder: Path) -> dict[str, str]:
    """Zone and border of the days that a collector's books are kept in; empty while there are none."""
    from terminal.collector.books import BOOKS_FILE
    from terminal.collector.books_reader import made_for

    return made_for(folder / BOOKS_FILE)
