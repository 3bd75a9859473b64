"""`terminal backup` and `terminal restore`: a terminal onto new hardware, without losing or repeating a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    CollectorUrl,
    Config,
    Json,
    Keys,
    Number,
    State,
    TlsCa,
    station_config,
)

if TYPE_CHECKING:
    from terminal.app.config.settings import CollectorTable
    from terminal.app.station import Station
    from terminal.operations.restore import NewHardware, Restoration


def backup(
    file: Annotated[Path, typer.Argument(help="Backup file, preferably on another disk.")],
    config: Config = None,
    state: State = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Back up a terminal, running or not. The file is sealed, complete, and holds no private key."""
    from terminal.app.output import print_json
    from terminal.app.station import SOFTWARE, journal_file, journal_key, station_of
    from terminal.clock import SystemClock
    from terminal.operations.backup import Source, back_up, check_backup
    from terminal.operations.status import read_status

    station = station_of(station_config(config, state=state, keys=keys))
    provider, journal = station.load_keys(), journal_file(station.state)
    status = read_status(station.state)
    source = Source(
        folder=station.state,
        journal=journal,
        profile=status.profile if status else "",
        software=SOFTWARE,
        key=journal_key(journal, provider),
        sealer=provider.sealer,
    )
    back_up(source, file, SystemClock().now())
    header = check_backup(file, provider.sealer)
    size = file.stat().st_size
    if json:
        print_json({"terminal": header.terminal, "head": header.head, "bytes": size, "file": str(file)})
    else:
        print(f"terminal {header.terminal} up to row {header.head}: {size} bytes in {file}")


def restore(
    file: Annotated[Path, typer.Argument(help="Backup made by `terminal backup`.")],
    config: Config = None,
    state: State = None,
    number: Number = None,
    collector: CollectorUrl = None,
    tls_ca: TlsCa = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Restore a terminal onto this machine; numbering continues above all the old hardware may have used.

    Needs the collector, and this machine's own key enrolled there in place of the old one.
    """
    from terminal.app.output import print_json
    from terminal.app.station import station_of

    at = station_config(config, state=state, number=number, collector=collector, tls_ca=tls_ca, keys=keys)
    station = station_of(at)
    done = _put_onto_this_machine(file, station, at.collector)
    if json:
        print_json(_as_data(station.number, done))
        return
    for line in _said(station.number, done):
        print(line)


def _put_onto_this_machine(file: Path, station: Station, collector: CollectorTable) -> Restoration:
    from terminal.app.uplink import COLLECTOR_KEY_FILE, uplink_of
    from terminal.operations.restore import restore as put_onto
    from terminal.sync.credentials import load_or_make_keys
    from terminal.sync.identity import read_public_key
    from terminal.sync.link import HttpLink

    own = station.state / COLLECTOR_KEY_FILE
    uplink = uplink_of(station.state, collector)
    link = HttpLink(uplink.url, uplink.shown(load_or_make_keys(uplink.identity)))
    try:
        return put_onto(
            file,
            _machine(station),
            link,
            lambda unpacked: read_public_key(own if own.exists() else unpacked / COLLECTOR_KEY_FILE),
        )
    finally:
        link.close()


def _machine(station: Station) -> NewHardware:
    from cardcli import DISTRIBUTION, VERSION
    from terminal.app.station import IDENTITY_FILE, JOURNAL_FILE
    from terminal.clock import SystemClock
    from terminal.operations.restore import NewHardware
    from terminal.sync.credentials import load_or_make_keys

    return NewHardware(
        folder=station.state,
        journal=station.state / JOURNAL_FILE,
        terminal=station.number,
        software=DISTRIBUTION,
        version=VERSION,
        sealer=station.load_keys().sealer,
        signer=load_or_make_keys(station.state / IDENTITY_FILE),
        clock=SystemClock(),
    )


def _as_data(number: int, done: Restoration) -> dict[str, object]:
    return {
        "terminal": number,
        "backup_head": done.backup.head,
        "sent": done.sent,
        "held_through": done.held_through,
        "first": done.first,
        "unresolved": done.unresolved,
        "shift_ended": done.shift_ended,
        "in_force": done.in_force,
    }


def _said(number: int, done: Restoration) -> Iterator[str]:
    held = done.held_through
    yield f"terminal {number} goes on with row {done.first}; the collector holds everything up to {held}"
    if done.sent:
        yield f"  {done.sent} rows of the backup were missing at the collector and were sent"
    yield f"  rows {held + 1} to {done.first - 1} are lost or were never written: see the collector's alarm"
    if done.in_force:
        yield f"  in force as of the backup: {', '.join(done.in_force)}; publish what is newer"
    if done.unresolved:
        yield f"  {done.unresolved} unresolved taps wait for their cards"
    if done.shift_ended is not None:
        yield f"  shift {done.shift_ended} ended with the old hardware: open a new one"
