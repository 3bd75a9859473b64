"""`terminal canteen report|month`: what the records come to, beside a running terminal or at the collector."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    DEFAULT_LANGUAGE,
    Config,
    Json,
    Keys,
    Region,
    ShownLang,
    station_config,
)

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.canteen.facts import Known
    from terminal.canteen.ledger import Ledger

States = Annotated[
    list[Path] | None,
    typer.Option(
        "--state",
        help="Folder of a terminal of this school; the first one's roster is used.",
        show_default="var/terminal",
    ),
]
CollectorFolder = Annotated[
    Path | None,
    typer.Option("--collector-folder", help="Collector folder, for records that have left the terminals."),
]
SchoolId = Annotated[
    str | None, typer.Option("--school", help="School id; default: the school of the roster.")
]


def report(
    day: Annotated[str | None, typer.Option(help="Service day (2026-09-15); default: today.")] = None,
    config: Config = None,
    state: States = None,
    collector_folder: CollectorFolder = None,
    school: SchoolId = None,
    region: Region = None,
    keys: Keys = None,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Day report: entitled, served, absent, not collected, by source of money (M-40). Read-only."""
    from terminal.canteen.report import day_report
    from terminal.canteen.requests import concession_names
    from terminal.cli.canteen_view import show_day
    from terminal.clock import SystemClock

    now = SystemClock().now()
    source = _SchoolRecords(
        station_config(config, state=_first(state), region=region, keys=keys), state, collector_folder
    )
    policy = source.policy
    on = policy.service_date(now.astimezone(policy.zone)) if day is None else _day(day)
    made = day_report(source.ledger, source.school(school), on, source.known, policy.currency)
    show_day(made, concession_names(policy), language, json)


def month(
    of: Annotated[str | None, typer.Argument(help="Month (2026-09); default: the present one.")] = None,
    config: Config = None,
    state: States = None,
    collector_folder: CollectorFolder = None,
    school: SchoolId = None,
    region: Region = None,
    keys: Keys = None,
    names: Annotated[bool, typer.Option("--names", help="Show names; for the staff's screen only.")] = False,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Month table of every pupil (M-40). Warns when days may be missing because records have left."""
    from terminal.canteen.month import month_table
    from terminal.cli.canteen_view import show_month
    from terminal.clock import SystemClock

    source = _SchoolRecords(
        station_config(config, state=_first(state), region=region, keys=keys), state, collector_folder
    )
    today = source.policy.service_date(SystemClock().now().astimezone(source.policy.zone))
    first = today if of is None else _day(f"{of}-01")
    roster = None if source.known is None else source.known.roster
    table = month_table(
        source.ledger, source.school(school), first, source.left, source.policy.currency, roster
    )
    show_month(table, source.known if names else None, language, json)


def _first(states: list[Path] | None) -> Path | None:
    return states[0] if states else None


class _SchoolRecords:
    """The records of one school, from terminals and collector together; a record that is in both counts once."""

    def __init__(self, at: StationConfig, states: list[Path] | None, collector: Path | None) -> None:
        from terminal.app.simulated import laboratory_keys
        from terminal.canteen.facts import Known
        from terminal.canteen.ledger import Ledger
        from terminal.keys.file import load_file_keys
        from terminal.policy.load import load_region
        from terminal.policy.policy import Policy

        self.policy = Policy.of(load_region(at.terminal.region_or_demo))
        self.ledger: Ledger = Ledger()
        self.left: dict[int, int] = {}
        self.known: Known | None = None
        self._keys = load_file_keys(at.keys.file or laboratory_keys())
        through = self._read_collector(collector)
        for place in states or ([at.terminal.state] if collector is None else []):
            terminal = self._read_journal(place, through)
            if self.known is None:
                self.known = self._roster(place, terminal, Known)

    def _read_collector(self, folder: Path | None) -> dict[int, int]:
        from terminal.collector.office import DATABASE_FILE
        from terminal.collector.store import CollectorStore
        from terminal.errors import CollectorError
        from terminal.journal.records import UnreadableRecord, parse_record

        through: dict[int, int] = {}
        if folder is None:
            return through
        if not (folder / DATABASE_FILE).is_file():
            raise CollectorError(
                f"there is no collector database in {folder}", "Give the collector's folder."
            )
        store = CollectorStore(folder / DATABASE_FILE)
        try:
            for stored in store.records():
                through[stored.terminal] = stored.sequence
                try:
                    record = parse_record(stored.body)
                except UnreadableRecord:
                    continue  # of newer software: no canteen record this version could count
                self.ledger.apply((stored.terminal, stored.sequence), record)
        finally:
            store.close()
        return through

    def _read_journal(self, state: Path, through: dict[int, int]) -> int:
        from terminal.app.station import journal_reader

        with journal_reader(state, self._keys) as reader:
            kept = reader.state()
            if kept.base.sequence > through.get(kept.terminal, 0):
                self.left[kept.terminal] = kept.base.sequence
            for row in reader.all_rows():
                if row.sequence > through.get(kept.terminal, 0):
                    self.ledger.apply((kept.terminal, row.sequence), row.record)
        return kept.terminal

    def _roster(self, state: Path, terminal: int, known: type[Known]) -> Known | None:
        from terminal.canteen.store import CanteenLists, RosterPart
        from terminal.codes import SetKind
        from terminal.updates.active import ActiveSet

        parts = {SetKind.ROSTER: RosterPart(terminal, self._keys.sealer)}
        roster = CanteenLists(ActiveSet(state, parts, to_read=True)).roster(self.policy)
        return None if roster is None else known(terminal, self.policy, roster, self.ledger)

    def school(self, asked: str | None) -> str:
        if asked is not None:
            return asked
        return "" if self.known is None else self.known.roster.header.school


def _day(text: str) -> date:
    from terminal.codes import CanteenFault
    from terminal.errors import CanteenRefused

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CanteenRefused(
            f"{text!r} is no date", "Write it as 2026-09-15, a month as 2026-09.", CanteenFault.NOT_UNDERSTOOD
        ) from error
