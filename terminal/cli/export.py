"""`terminal export tides|csv`: what the journal says, for analysts and for accounting."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from cardcli.output import data_output
from terminal.cli.options import Config, Keys, station_config

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.cli.export_sources import Sources
    from terminal.journal.taps import JournalTap
    from terminal.policy.policy import Policy

app = typer.Typer(help="Export the journal as tables. Read-only.", no_args_is_help=True)

PURPOSE = "export"

States = Annotated[
    list[Path] | None,
    typer.Option("--state", help="Terminal folder; may be repeated.", show_default="var/terminal"),
]
Collector = Annotated[
    Path | None,
    typer.Option(
        "--collector", help="Collector folder: all its terminals, with the ends they report for each other."
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Region document the taps were decided with; may be repeated."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Output file; default: standard output.")]


class Report(StrEnum):
    """What a CSV report is about."""

    DAY = "day"
    SHIFT = "shift"


@app.command()
def tides(
    config: Config = None,
    state: States = None,
    collector: Collector = None,
    region: Regions = None,
    keys: Keys = None,
    out: Out = None,
) -> None:
    """Export TIDES fare_transactions: one row for each ride written to a card, cards under a pseudonym."""
    from terminal.app.simulated import laboratory_keys
    from terminal.cli.export_sources import Sources
    from terminal.export.reports import write_table
    from terminal.export.tides import FIELDS, fare_transaction
    from terminal.journal.taps import End
    from terminal.keys.file import load_file_keys
    from terminal.keys.limits import UNLIMITED

    at = _station(config, state, collector, keys)
    policies, sources = _policies(at, region), Sources(at, state, collector)
    provider = load_file_keys(at.keys.file or laboratory_keys(), UNLIMITED)

    unknown = 0

    def rows() -> Iterator[dict[str, str]]:
        nonlocal unknown
        for tap in _taps(sources):
            unknown += tap.end is End.UNRESOLVED
            row = fare_transaction(
                tap,
                _policy_of(tap, policies),
                lambda card_ref: provider.token(PURPOSE, card_ref),
            )
            if row is not None:
                yield row

    with _output(out) as stream:
        count = write_table(stream, FIELDS, rows())
    _done(count, out)
    if unknown:
        print(f"left out: {unknown} taps whose end is not known here yet", file=sys.stderr)


@app.command("csv")
def table(
    report: Annotated[Report, typer.Argument(help="Report per day and product, or per shift.")],
    config: Config = None,
    state: States = None,
    collector: Collector = None,
    region: Regions = None,
    keys: Keys = None,
    out: Out = None,
) -> None:
    """Export the report of each service day or shift; the last row is the total."""
    from terminal.cli.export_sources import Sources
    from terminal.export.reports import (
        DAY_FIELDS,
        SHIFT_FIELDS,
        RideReport,
        shift_report,
        shift_rows,
        write_table,
    )

    at = _station(config, state, collector, keys)
    policies, sources = _policies(at, region), Sources(at, state, collector)
    policy = next(iter(policies.values()))
    if report is Report.DAY:
        day = RideReport(policy)
        for tap in _taps(sources):
            day.take(tap, policies.get(tap.record.tariff))
        fields: Sequence[str] = DAY_FIELDS
        rows = day.rows()
    else:
        shifts = [
            shift
            for journal in sources.journals()
            for shift in shift_report(journal.terminal, journal.rows, journal.settled)
        ]
        fields, rows = SHIFT_FIELDS, shift_rows(shifts, policy.zone)
    with _output(out) as stream:
        write_table(stream, fields, rows)
    _done(len(rows), out)


def _station(
    config: Path | None, states: list[Path] | None, collector: Path | None, keys: Path | None
) -> StationConfig:
    """Whose journal is read where no folder is given, and with which keys; a collector's rows need none."""
    if collector is not None and keys is None:
        return station_config(config)
    return station_config(config, state=states[0] if states else None, keys=keys)


def _policies(at: StationConfig, regions: list[str] | None) -> dict[str, Policy]:
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy

    policies = [Policy.of(load_region(region)) for region in regions or [at.terminal.region_or_demo]]
    return {policy.tariff: policy for policy in policies}


def _policy_of(tap: JournalTap, policies: dict[str, Policy]) -> Policy:
    """The document a tap was decided with; raises `RegionDocumentError` when it was not given."""
    from terminal.errors import RegionDocumentError

    policy = policies.get(tap.record.tariff)
    if policy is None:
        raise RegionDocumentError(
            f"row {tap.sequence} of terminal {tap.terminal} was decided with {tap.record.tariff}",
            "Give that region document with --region.",
        )
    return policy


def _taps(sources: Sources) -> Iterator[JournalTap]:
    from terminal.journal.taps import taps

    for journal in sources.journals():
        yield from taps(journal.terminal, journal.rows, journal.settled)


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    from terminal.errors import TerminalError
    from terminal.files import replacing

    if out is None:
        yield data_output()
        return
    try:
        with replacing(out) as file:
            stream = io.TextIOWrapper(file, encoding="utf-8", newline="")
            yield stream
            stream.detach()  # flushed; the file is closed by what opened it
    except OSError as error:
        raise TerminalError(f"{out} cannot be written: {error.strerror}", "Give another --out.") from error


def _done(count: int, out: Path | None) -> None:
    if out is not None:
        print(f"wrote {out}: {count} rows")
