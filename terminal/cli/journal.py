"""`terminal journal show|verify|recompute`: what the terminal did, whether anybody changed it, whether it was right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from terminal.cli import recompute
from terminal.cli.options import DEFAULT_STATE, Json, State

app = typer.Typer(help="Look at a terminal's journal; no command here writes.", no_args_is_help=True)
app.command("recompute")(recompute.recompute)


@app.command()
def show(
    state: State = DEFAULT_STATE,
    after: Annotated[int, typer.Option(help="Start after this sequence number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records.")] = 1000,
    json: Json = False,
) -> None:
    """Print the journal's records, one per line."""
    from terminal.cli.output import print_json
    from terminal.journal.reader import JournalReader
    from terminal.journal.records import parse_record

    for row in JournalReader(existing_journal(state)).rows(after, limit):
        record = parse_record(row.body)
        if json:
            print_json({"sequence": row.sequence, "kind": type(record).__name__, **_fields(record)})
        else:
            fields = " ".join(
                f"{k}={v}" for k, v in _fields(record).items() if v not in ("", (), [], {}, None)
            )
            print(f"{row.sequence:>7} {type(record).__name__:<12} {fields}")


@app.command()
def verify(state: State = DEFAULT_STATE, json: Json = False) -> None:
    """Check every record against the hash chain; names the first that was changed, lost, reordered or cut."""
    from dataclasses import asdict

    from terminal.cli.output import print_json
    from terminal.errors import JournalDamaged
    from terminal.journal.verify import verify as check

    found = check(existing_journal(state))
    if json:
        print_json({"ok": found.ok, **asdict(found)})
    elif found.ok:
        print(f"the journal is sound: {found.rows} records, {found.first} to {found.last}")
    if found.problem is not None:
        raise JournalDamaged(
            f"the journal in {state} is damaged: {found.problem}",
            "Keep the file for the auditor and put the terminal on a new journal.",
        )


def existing_journal(state: Path) -> Path:
    """The journal's file in a terminal's folder; raises `JournalError` when there is none."""
    from terminal.cli.assemble import JOURNAL_FILE
    from terminal.errors import JournalError

    path = state / JOURNAL_FILE
    if not path.exists():
        raise JournalError(
            f"there is no journal in {state}", "Give --state the folder of a terminal that has run."
        )
    return path


def _fields(record: Any) -> dict[str, Any]:
    """A record's fields for people: bytes as hex, the proof only as a count of card commands."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    if "proof" in fields:
        fields["proof"] = f"{len(fields['proof'])} card commands"
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
