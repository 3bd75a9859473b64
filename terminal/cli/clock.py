"""`terminal clock`: what is known of a terminal's clock (O-05), and an operator's word for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import Config, Json, Keys, Number, State, station_config

if TYPE_CHECKING:
    from terminal.journal.clock_ledger import ClockRows

app = typer.Typer(help="Check and accept a terminal's clock.", no_args_is_help=True)


@app.command()
def show(config: Config = None, state: State = None, keys: Keys = None, json: Json = False) -> None:
    """Show what the records say of the clock, also while the terminal runs."""
    from cardcli import MADE_AT
    from terminal.app.output import print_json
    from terminal.app.station import journal_reader
    from terminal.clock import SystemClock, unix_ms

    at = station_config(config, state=state, keys=keys)
    with journal_reader(at.terminal.state, at.keys.file) as reader:
        rows = reader.clock()
    found = _found(rows, unix_ms(MADE_AT), unix_ms(SystemClock().now()))
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(f"{name.removesuffix('_ms').replace('_', ' '):<14} {_shown(name, value)}")


def _found(rows: ClockRows, made: int, now: int) -> dict[str, int | str | None]:
    """A clock that is behind by now is shown, although only the next tap will record the doubt."""
    from terminal.fault_texts import fault_text
    from terminal.trip.clock_watch import behind_floor, floor_ms

    floor = floor_ms(rows, made)
    doubt = behind_floor(floor, now) if rows.doubt is None else rows.doubt
    doubted = now if rows.doubt is None else rows.doubt.at_ms
    return {
        "doubt": None if doubt is None else fault_text(doubt.code, doubt.inputs),
        "doubted_at_ms": None if doubt is None else doubted,
        "signed_ms": None if rows.authenticated is None else rows.authenticated.stated_ms,
        "accepted_ms": None if rows.accepted is None else rows.accepted.at_ms,
        "accepted_by": None if rows.accepted is None else rows.accepted.operator_ref,
        "newest_tap_ms": rows.newest_ms or None,
        "not_before_ms": floor,
        "now_ms": now,
    }


def _shown(name: str, value: int | str | None) -> str:
    from terminal.clock import from_unix_ms

    if value is None:
        return "-"
    return f"{from_unix_ms(int(value)):%Y-%m-%d %H:%M:%S} UTC" if name.endswith("_ms") else str(value)


@app.command()
def accept(
    by: Annotated[str, typer.Option(help="Staff reference of who answers for it, not a name.")],
    config: Config = None,
    state: State = None,
    number: Number = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Accept the clock as it stands now: ends a doubt, on record. The terminal must not be running."""
    from cardcli import MADE_AT
    from terminal.access.references import require_reference
    from terminal.app.output import print_json
    from terminal.app.station import journal_file, open_journal
    from terminal.clock import SystemClock, unix_ms
    from terminal.errors import JournalLocked
    from terminal.operations.status import say_clock_accepted
    from terminal.trip.clock_watch import accept_clock

    require_reference(by)
    at, now = station_config(config, state=state, number=number, keys=keys), SystemClock().now()
    folder = at.terminal.state
    journal_file(folder)  # a mistyped folder is no terminal, and gets no journal
    try:
        with open_journal(folder, at.terminal.number, at.keys.file) as journal:
            accept_clock(journal, unix_ms(now), by, unix_ms(MADE_AT))
    except JournalLocked as locked:
        raise JournalLocked(
            locked.what,
            "Stop the terminal, accept the clock, start it again; until then a service card confirms the time",
        ) from locked
    with suppress(OSError):  # it is on record, whatever `terminal health` may show
        say_clock_accepted(folder, unix_ms(now))
    if json:
        print_json({"accepted_ms": unix_ms(now), "by": by})
    else:
        print(f"{now:%Y-%m-%d %H:%M:%S} UTC accepted by {by}")
