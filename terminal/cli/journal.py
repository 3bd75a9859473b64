"""`terminal journal`: what the terminal did, whether it was changed, how full it is, and its key and form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terminal.cli.options import Config, Json, Keys, Number, State, station_config

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from terminal.journal.reader import BrokenRow, JournalReader, Row
    from terminal.trail import TrailEntry

app = typer.Typer(
    help="Inspect a terminal's journal; upgrade, downgrade and wipe-key change it.", no_args_is_help=True
)


@app.command()
def show(
    config: Config = None,
    state: State = None,
    after: Annotated[int, typer.Option(min=0, help="Only records after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of records.")] = 1000,
    last: Annotated[int, typer.Option(min=0, help="Only this number of newest records.")] = 0,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only records of this kind (Intent, Fault, …); may be repeated.")
    ] = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Print records, one per line. Unreadable records are marked and end with exit code 26."""
    from terminal.app.station import journal_reader
    from terminal.errors import JournalUnreadable

    at = station_config(config, state=state, keys=keys)
    unreadable = printed = 0
    with journal_reader(at.terminal.state, at.keys.file) as reader:
        for sequence, what, fields in _records(_rows(reader, after, last)):
            if kind and what not in kind:
                continue
            unreadable += what == UNREADABLE
            _print_record(sequence, what, fields, json)
            printed += 1
            if printed == limit:
                break
    if unreadable:
        raise JournalUnreadable(
            f"{unreadable} records cannot be read by this software",
            "Check them with `terminal journal verify`; records of newer software need that software.",
        )


UNREADABLE = "Unreadable"


def _rows(reader: JournalReader, after: int, last: int) -> Iterator[Row | BrokenRow]:
    if last:
        newest = reader.last_sequence()
        after = max(after, newest - last)
    yield from reader.scan(after)


def _records(rows: Iterator[Row | BrokenRow]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Sequence, kind and fields of each row, whatever is in it."""
    from terminal.journal.reader import BrokenRow
    from terminal.journal.records import UnreadableRecord, shown_fields

    for row in rows:
        if isinstance(row, BrokenRow):
            yield row.sequence, UNREADABLE, {"why": "it was changed"}
            continue
        try:
            record = row.record
        except UnreadableRecord as error:
            yield row.sequence, UNREADABLE, {"why": str(error), "bytes": len(row.body)}
            continue
        yield row.sequence, type(record).__name__, shown_fields(record)


def _print_record(sequence: int, kind: str, fields: dict[str, Any], json: bool) -> None:
    from terminal.app.output import print_json

    if json:
        print_json({"sequence": sequence, "kind": kind, **fields})
        return
    if fields.get("reasons"):
        currency = str(fields.get("currency", ""))
        fields = {**fields, "reasons": " | ".join(_step(step, currency) for step in fields["reasons"])}
    said = " ".join(f"{k}={v}" for k, v in fields.items() if v not in ("", (), [], {}, None))
    print(f"{sequence:>7} {kind:<12} {said}")


def _step(step: TrailEntry, currency: str) -> str:
    from terminal.trail_steps import step_line

    return step_line(step, currency, titled=False)


@app.command()
def verify(
    config: Config = None,
    state: State = None,
    identity: Annotated[
        list[Path] | None,
        typer.Option(
            help="Public key (.pub) this terminal signs or once signed with; may be repeated.",
            show_default="its own",
        ),
    ] = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Verify the hash chain and the signed checkpoints.

    Names the first record, checkpoint or note that was changed, removed, reordered or cut.
    """
    from msgspec.structs import asdict

    from terminal.app.output import print_json
    from terminal.app.station import journal_file, journal_key
    from terminal.errors import JournalDamaged
    from terminal.journal.verify import verify as check

    at = station_config(config, state=state, keys=keys)
    folder = at.terminal.state
    path = journal_file(folder)
    found = check(path, journal_key(path, at.keys.file), _identities(folder, identity))
    if json:
        print_json({"ok": found.ok, **asdict(found)})
    elif found.ok:
        print(f"the journal is sound: {found.rows} records, {found.first} to {found.last}")
        signed = f"{found.signatures} of {found.checkpoints}" if found.checkpoints else "no"
        print(f"{signed} signed checkpoints checked with the terminal's public key")
        if found.skipped:
            print(f"{found.skipped} numbers were passed over; signed rows say which and why")
        if found.unreadable:
            print(f"{found.unreadable} records are of newer software")
    if found.problem is not None:
        raise JournalDamaged(
            f"the journal in {folder} is damaged: {found.problem}",
            "Keep the file for the auditor and put the terminal on a new journal.",
        )


def _identities(state: Path, given: list[Path] | None) -> list[Ed25519PublicKey]:
    from terminal.app.station import IDENTITY_FILE
    from terminal.sync.credentials import public_keys
    from terminal.sync.identity import public_path

    own = public_path(state / IDENTITY_FILE)
    paths = given or ([own] if own.exists() else [])
    return [key for path in paths for key in public_keys(path)]


@app.command()
def status(config: Config = None, state: State = None, keys: Keys = None, json: Json = False) -> None:
    """Show fill level, unsent records and the last signed checkpoint. Exit code 23: full."""
    from terminal.app.output import print_json
    from terminal.app.station import journal_file, journal_reader
    from terminal.errors import JournalFull
    from terminal.journal.room import ADVICE, CAPACITY_ROWS, FillLevel, fill_of
    from terminal.journal.stored import count_skipped

    at = station_config(config, state=state, keys=keys)
    folder = at.terminal.state
    path = journal_file(folder)
    with journal_reader(folder, at.keys.file) as reader:
        known, newest, signed = reader.state(), reader.last_sequence(), reader.newest_checkpoint()
    skipped = count_skipped(known.skipped, known.base.sequence, newest)
    fill = fill_of(path, newest - known.base.sequence - skipped, CAPACITY_ROWS)
    unsent = newest - known.acknowledged - count_skipped(known.skipped, known.acknowledged, newest)
    values = {
        "terminal": known.terminal,
        "level": fill.level.value,
        "rows": fill.rows,
        "capacity_rows": fill.capacity_rows,
        "share": round(fill.share, 4),
        "first": known.base.sequence + 1,
        "last": newest,
        "acknowledged_through": known.acknowledged,
        "unsent": unsent,
        "numbers_passed_over": skipped,
        "file_bytes": path.stat().st_size,
        "log_bytes": _size(path.with_name(path.name + "-wal")),
        "disk_free_bytes": fill.disk_free_bytes,
        "sealed": reader.sealed,
        "signed_through": signed.head_sequence if signed else 0,
        "signed_at_ms": signed.at_ms if signed else None,
    }
    if json:
        print_json(values)
    else:
        for name, value in values.items():
            print(f"  {name:<22} {value}")
    if fill.level is FillLevel.FULL:
        raise JournalFull(f"the journal in {folder} is {fill}", ADVICE)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@app.command()
def upgrade(
    config: Config = None, state: State = None, number: Number = None, keys: Keys = None, json: Json = False
) -> None:
    """Convert a journal of older software to the present format; starting the terminal does the same."""
    from terminal.app.output import print_json
    from terminal.app.station import journal_file, open_journal
    from terminal.journal.database import SCHEMA_VERSION, schema_of

    at = station_config(config, state=state, number=number, keys=keys)
    before = schema_of(journal_file(at.terminal.state))
    with open_journal(at.terminal.state, at.terminal.number, at.keys.file) as journal:
        head = journal.head.sequence
    if json:
        print_json({"from": before, "to": SCHEMA_VERSION, "last": head})
    elif before == SCHEMA_VERSION:
        print(f"the journal has schema {before} already")
    else:
        print(
            f"schema {before} -> {SCHEMA_VERSION}: records up to {head} are kept, sealed, numbered as before"
        )


@app.command()
def downgrade(config: Config = None, state: State = None, keys: Keys = None, json: Json = False) -> None:
    """Convert the journal to the format of the previous software. It is then no longer sealed."""
    from terminal.app.output import print_json
    from terminal.app.station import journal_file, journal_key
    from terminal.journal.rewrite import downgrade as take_back

    at = station_config(config, state=state, keys=keys)
    path = journal_file(at.terminal.state)
    found = take_back(path, journal_key(path, at.keys.file))
    if json:
        print_json({"to": 1, "rows": found.rows, "last": found.head.sequence})
    else:
        print(
            f"schema 1: {found.rows} records up to {found.head.sequence} are kept, now unsealed; "
            "signed checkpoints stay behind"
        )


@app.command("wipe-key")
def wipe_key(
    config: Config = None,
    state: State = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for confirmation; for the housing contact.")
    ] = False,
) -> None:
    """Destroy the journal's key: its records become unreadable for ever, unsent ones included (D-07)."""
    import sys

    from terminal.app.station import journal_file
    from terminal.journal.key_file import wipe_key as wipe
    from terminal.journal.lock import FileLock

    path = journal_file(station_config(config, state=state).terminal.state)
    print(
        "Lost for good: every record the collector does not hold yet, the totals of the open shift, and what is known "
        "of taps whose end is open. Money on cards is not touched.",
        file=sys.stderr,
    )
    if not yes:
        typer.confirm("Destroy the key of this journal?", abort=True)
    if not wipe(path):
        print(f"there is no key for {path}: it was wiped before, or the journal was never sealed")
        return
    print(f"the key of {path} is destroyed; go on with a new folder and a new terminal number")
    lock = FileLock.acquire(path)
    if isinstance(lock, int):
        print(f"process {lock} still has the key in memory: stop it now", file=sys.stderr)
    else:
        lock.release()
