"""`terminal policy impact`: what a new region document would have done to the days in journals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.cli.options import DEFAULT_LANGUAGE, Config, Json, Keys, ShownLang, station_config

if TYPE_CHECKING:
    from datetime import date

    from terminal.app.config.settings import StationConfig
    from terminal.impact.gaps import Gaps
    from terminal.impact.report import ImpactReport
    from terminal.policy.policy import Policy

EARLIEST_MS: Final = -(1 << 62)
LATEST_MS: Final = 1 << 62
REPORT_EVERY: Final = 500
INTERRUPTED: Final = 130


def impact(
    old: Annotated[str, typer.Argument(help="Document in force then.")],
    new: Annotated[str, typer.Argument(help="New document.")],
    journal: Annotated[
        Path,
        typer.Option(
            "--journal",
            help="Folder with terminals' folders, journals, backups or a collector's database; or one such file.",
        ),
    ],
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First service day, as 2026-09-01.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last service day.")] = None,
    routes: Annotated[
        str | None, typer.Option(help="Count only taps of these routes: 15,16. All taps are replayed.")
    ] = None,
    grants: Annotated[Path | None, typer.Option(help="List of grants the terminals had then.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page that stands alone.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Also write a picture.")] = None,
    language: ShownLang = DEFAULT_LANGUAGE,
    config: Config = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Replay recorded days under two documents: who pays what differently, and what cannot be known.

    Exit code 26: rows or journals could not be read; the result is that of the others.
    """
    from terminal.app.output import print_json
    from terminal.errors import JournalUnreadable
    from terminal.impact.gaps import INCOMPLETE

    for file in (html, svg):
        if file is not None:
            _require_place(file)
    at = station_config(config, keys=keys)
    policies = _policies(old, new, grants, at)
    report = _replayed(journal, policies, _days(policies[0], first, last), _routes(routes), at)
    if html is not None:
        from terminal.impact.page import page

        _write(html, page(report, language))
    if svg is not None:
        from terminal.impact.picture import picture

        _write(svg, picture(report, language))
    if json:
        print_json(report)
    else:
        from terminal.impact.table import lines

        print("\n".join(lines(report, language)))
    unread = sum(gap.count for gap in report.gaps if gap.kind in INCOMPLETE)
    if unread:
        raise JournalUnreadable(
            f"{unread} rows or journals could not be read",
            "The result is that of the others. Run `terminal journal verify` where they lie.",
        )


def _policies(old: str, new: str, grants: Path | None, at: StationConfig) -> tuple[Policy, Policy]:
    from terminal.app.simulated import laboratory_keys
    from terminal.errors import RegionDocumentError
    from terminal.keys.file import load_file_keys
    from terminal.policy.grants import NO_GRANTS, GrantList, load_grants
    from terminal.policy.load import load_region, require_of_region
    from terminal.policy.policy import Policy

    listed: GrantList = NO_GRANTS
    if grants is not None:
        keys = load_file_keys(at.keys.file or laboratory_keys())
        listed = load_grants(grants, keys.list_key("grants"))
    before, after = (Policy.of(load_region(document), grants=listed) for document in (old, new))
    headers = before.document.header, after.document.header
    if headers[0].region != headers[1].region:
        raise RegionDocumentError(
            f"the documents are of regions {headers[0].region} and {headers[1].region}",
            "Compare two documents of one region.",
        )
    if headers[0].currency != headers[1].currency:
        raise RegionDocumentError(
            f"the documents are in {headers[0].currency} and {headers[1].currency}",
            "Compare two documents in one currency.",
        )
    require_of_region(before.document, listed)
    return before, after


def _days(policy: Policy, first: str | None, last: str | None) -> tuple[int, int]:
    """The time of these service days in milliseconds: its first, and the first after it."""
    from datetime import datetime, time, timedelta

    from terminal.clock import unix_ms

    def begins_ms(day: date) -> int:
        hour = time(policy.document.header.service_day_end_hour)
        return unix_ms(datetime.combine(day, hour, policy.zone))

    begin = None if first is None else _day("--from", first)
    end = None if last is None else _day("--to", last)
    if begin is not None and end is not None and end < begin:
        raise typer.BadParameter(f"--to {last} lies before --from {first}")
    return (
        EARLIEST_MS if begin is None else begins_ms(begin),
        LATEST_MS if end is None else begins_ms(end + timedelta(days=1)),
    )


def _day(option: str, written: str) -> date:
    from datetime import date, timedelta

    try:
        found = date.fromisoformat(written)
        found + timedelta(days=1)  # the last day of all calendars has no next
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{option}: {written!r} is no day; write it as 2026-09-01") from error
    return found


def _routes(written: str | None) -> frozenset[int] | None:
    if written is None:
        return None
    try:
        return frozenset(int(one) for one in written.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"--routes: {written!r} is no list of route numbers such as 15,16"
        ) from error


def _replayed(
    place: Path,
    policies: tuple[Policy, Policy],
    days: tuple[int, int],
    routes: frozenset[int] | None,
    at: StationConfig,
) -> ImpactReport:
    """Raises `JournalError` where there is nothing of this tariff to replay."""
    from contextlib import closing
    from tempfile import TemporaryDirectory

    from terminal.app.simulated import laboratory_keys
    from terminal.app.station import journal_key
    from terminal.impact.gaps import Gaps
    from terminal.impact.replay import ImpactReplay
    from terminal.impact.report import report_of
    from terminal.impact.source import RowSources
    from terminal.impact.tally import ImpactTally
    from terminal.journal.reader import JournalReader
    from terminal.keys.file import load_file_keys
    from terminal.operations.archive import read_archive

    gaps, (old, new), keys = Gaps(), policies, load_file_keys(at.keys.file or laboratory_keys())
    with (
        TemporaryDirectory(prefix="impact-") as scratch,
        closing(
            RowSources(
                place,
                Path(scratch),
                lambda path: JournalReader(path, journal_key(path, keys)),
                lambda path, folder: read_archive(path, folder, keys.sealer),
                gaps,
            )
        ) as sources,
    ):
        tally = ImpactTally(old, new, routes)
        replay = ImpactReplay(old, new, sources.terminals, tally, gaps)
        with _progress(sources.rows) as on_rows:
            for passed in sources.in_order(*days, on_rows):
                replay.take(passed)
        replay.conclude()
        _require_taps(tally.all.taps, gaps, old)
        return report_of(tally, gaps, old, new, terminals=len(sources.terminals), cards=replay.cards)


def _require_taps(taps: int, gaps: Gaps, old: Policy) -> None:
    from terminal.errors import JournalError, JournalUnreadable
    from terminal.impact.gaps import GapKind

    if taps:
        return
    if gaps.count(GapKind.JOURNAL_UNREADABLE):
        named = ", ".join(one.file for one in gaps.examples(GapKind.JOURNAL_UNREADABLE))
        raise JournalUnreadable(
            f"no tap could be read: these cannot be read, or not to their end: {named}",
            "Run `terminal journal verify` where they lie, or give a backup of them.",
        )
    if gaps.count(GapKind.OTHER_REGION):
        raise JournalError(
            f"no tap there was decided by a document of {old.document.header.id}",
            "Give the document that was in force where the journals come from.",
        )
    if gaps.count(GapKind.MEAL):
        raise JournalError(
            "there are only meals in these journals",
            "Rides can be replayed, meals cannot: give a bus's journals.",
        )
    raise JournalError("there is no tap to replay in these journals", "Give others, or other days or routes.")


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing where errors go to a file; an interrupt ends the command in one line."""
    from rich.progress import Progress

    from cardcli.console import progress_console

    console = progress_console()
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("replay", total=rows)
            yield lambda count: bar.update(task, advance=count)
    except KeyboardInterrupt as interrupt:
        print("terminal: interrupted; nothing was written", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interrupt


def _require_place(path: Path) -> None:
    """A file that cannot be written is said before the replay of an hour, not after it."""
    from terminal.errors import TerminalError
    from terminal.files import check_place

    try:
        check_place(path)
    except OSError as error:
        raise TerminalError(f"{path} cannot be written: {error.strerror}", "Give another file.") from error


def _write(path: Path, text: str) -> None:
    from terminal.errors import TerminalError
    from terminal.files import SHARED, replace_file

    try:
        replace_file(path, text.encode(), SHARED)
    except OSError as error:
        raise TerminalError(f"{path} cannot be written: {error.strerror}", "Give another file.") from error
