"""From a feed to checked tables, or the list of everything that has to be corrected first.

Only what a fare depends on is read: trips and timetables are not opened. Conditions that are not known are never
dropped (`conditions`); what has no effect, or not the one it seems to have, is a warning (`warnings`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from terminal.errors import FeedError, MistakeCode
from terminal.mistakes.words import ENGLISH
from terminal.policy.gtfs.cells import CellError
from terminal.policy.gtfs.checks import known_time_zone, near_of, tables_problems
from terminal.policy.gtfs.columns import FILES, REQUIRED_FILES, Column, FileSpec
from terminal.policy.gtfs.conditions import (
    LeavingOut,
    Marked,
    UnknownColumns,
    misnamed_files,
    misspelt_columns,
    unknown_files,
)
from terminal.policy.gtfs.feed_mistakes import FeedCellMistake, FeedFileMistake, FeedRowMistake
from terminal.policy.gtfs.files import CsvFile, Feed, FeedProblem, FileRefused, open_feed
from terminal.policy.gtfs.tables import TABLES_FORMAT, GtfsTables
from terminal.policy.gtfs.warnings import feed_warnings
from terminal.texts import N_, translator

CURRENCY: Final = "RUB"
MORE: Final = N_("(and {others} more)")
MOST_PROBLEMS: Final = 10_000
"""So many mistakes end the reading of a file."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Checked tables and what was reported on the way. `left_out` are rows, and what follows from it."""

    name: str
    tables: GtfsTables
    warnings: tuple[FeedProblem, ...]
    left_out: tuple[FeedProblem, ...] = ()


class FeedRefused(FeedError):
    """A feed with mistakes: `problems` holds each once, the message the first."""

    def __init__(self, name: str, problems: Iterable[FeedProblem]) -> None:
        self.name = name
        self.problems = each_once(problems)
        super().__init__(*self.words())

    def words(self, language: str = ENGLISH) -> tuple[str, str]:
        """What is wrong first, with the number of other mistakes, and what to do about it."""
        first, others = self.problems[0], len(self.problems) - 1
        what, advice = first.words(language)
        more = f" {translator(language).gettext(MORE).format(others=others)}" if others else ""
        return f"{self.name}: {first.place_in(language)}: {what}{more}", advice


def import_feed(path: Path, *, leaves_out: bool = False, currency: str = CURRENCY) -> Imported:
    """Return the fares of the feed in a directory or zip file; `leaves_out`: without the rows that have a condition
    that is not known. `currency` is the region document's: a warning says that it is another.

    Raises `FeedError` when there is no feed, `FeedRefused` when something in it is wrong or not known.
    """
    with open_feed(path) as feed:
        _require_files(feed)
        misnamed = tuple(misnamed_files(feed))
        reading = _FeedReading(feed)
        for spec in FILES.values():
            reading.read(spec)
        files = tuple(unknown_files(feed))
    problems = (*misnamed, *reading.problems, *(() if leaves_out else (*files, *reading.conditions)))
    if problems:
        raise FeedRefused(feed.name, problems)
    left_out = (*files, *reading.leave_out()) if leaves_out else ()
    tables = _tables(reading)
    found = [
        reading.at(wrong.table, wrong.row, wrong.column, wrong.code, **wrong.values)
        for wrong in tables_problems(tables)
    ]
    if found:
        raise FeedRefused(feed.name, found)
    warnings = each_once((*reading.warnings, *feed_warnings(tables, reading.at, currency)))
    return Imported(feed.name, _without_trip_services(tables), warnings, each_once(left_out))


def each_once(problems: Iterable[FeedProblem]) -> tuple[FeedProblem, ...]:
    """The same thing in many rows is reported once, with all its lines."""
    rows: dict[tuple[str, str | None, MistakeCode, frozenset[tuple[str, int | str]]], list[FeedProblem]] = {}
    for problem in problems:
        said = (problem.file, problem.column, problem.code, frozenset(problem.values.items()))
        rows.setdefault(said, []).append(problem)
    return tuple(found[0] if len(found) == 1 else _together(found) for found in rows.values())


def _together(found: list[FeedProblem]) -> FeedProblem:
    lines = tuple(problem.line for problem in found if problem.line is not None)
    return dataclasses.replace(found[0], lines=lines)


def _require_files(feed: Feed) -> None:
    missing = [file for file in REQUIRED_FILES if file not in feed]
    if not missing:
        return
    v1 = "fare_attributes.txt" in feed and "fare_products.txt" in missing
    code = FeedFileMistake.ONLY_V1 if v1 else FeedFileMistake.ABSENT
    raise FeedRefused(feed.name, [FeedProblem(file, code) for file in missing])


class _FeedReading:
    """Rows of every file with the lines they came from, and everything reported on the way."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.rows: dict[str, list[Any]] = {}
        self.lines: dict[str, list[int]] = {}
        self.headers: dict[str, tuple[str, ...]] = {}
        self.problems: list[FeedProblem] = []
        self.conditions: list[FeedProblem] = []
        self.warnings: list[FeedProblem] = []
        self._marked: dict[str, Marked] = {}

    def read(self, spec: FileSpec) -> None:
        """Read one file into rows; what is wrong joins `problems`, what is not known `conditions`."""
        table = spec.file.removesuffix(".txt")
        rows, lines = self.rows.setdefault(table, []), self.lines.setdefault(table, [])
        if spec.file not in self.feed:
            return
        try:
            content = self.feed.read(spec.file)
            self.headers[table] = content.header
            missing = tuple(_missing_columns(spec, content))
            self.problems += (*missing, *misspelt_columns(spec, content))
            if not missing:
                self._rows(spec, content, rows, lines)
        except FileRefused as refused:
            self.problems.append(refused.problem)

    def _rows(self, spec: FileSpec, content: CsvFile, rows: list[Any], lines: list[int]) -> None:
        columns = [(content.header.index(c.name), c) for c in spec.columns if c.name in content.header]
        unknown = UnknownColumns(spec, content)
        marked = self._marked.setdefault(spec.file.removesuffix(".txt"), {})
        for line, cells in content.rows:
            for name, cell in unknown.in_row(cells) if unknown.places else ():
                self.conditions.append(unknown.problem(name, cell, line))
                marked[len(rows)] = name
            try:
                rows.append(_row(spec, columns, cells))
            except CellError as error:
                self.problems.append(FeedProblem(spec.file, error.code, error.values, line, error.column))
                marked.pop(len(rows), None)
                if len(self.problems) >= MOST_PROBLEMS:
                    return
            else:
                lines.append(line)
        self.warnings += unknown.blank()

    def leave_out(self) -> tuple[FeedProblem, ...]:
        """Take the rows with conditions that are not known out, and say what follows; their conditions first."""
        if not any(self._marked.values()):
            return ()
        wide = "rule_priority" in self.headers["fare_leg_rules"]
        leaving = LeavingOut(self.rows, self.lines, self._marked, wide)
        leaving.run()
        return (*self.conditions, *leaving.report)

    def at(
        self, table: str, row: int | None, column: str, code: MistakeCode, /, **values: int | str
    ) -> FeedProblem:
        """The problem at a row of a table, where the author finds it."""
        line = None if row is None else self.lines[table][row]
        return FeedProblem(f"{table}.txt", code, values, line, column or None)


def _row(spec: FileSpec, columns: list[tuple[int, Column]], cells: list[str]) -> Any:
    """One row of `spec`; a short row has blank cells at its end. Raises `CellError`."""
    values: dict[str, Any] = {}
    for place, column in columns:
        cell = cells[place].strip() if place < len(cells) else ""
        if cell:
            values[column.field or column.name] = _cell(column, cell)
        elif column.required:
            raise CellError(FeedCellMistake.BLANK, column.name)
    return spec.row(**(values if spec.finish is None else spec.finish(values)))


def _cell(column: Column, cell: str) -> object:
    try:
        return column.read(cell)
    except CellError as error:
        error.column = column.name
        raise


def _missing_columns(spec: FileSpec, content: CsvFile) -> Iterator[FeedProblem]:
    for column in spec.columns:
        if column.required and column.name not in content.header:
            close = get_close_matches(column.name, content.header, n=1)
            code = FeedFileMistake.NO_COLUMN_NEAR if close else FeedFileMistake.NO_COLUMN
            yield FeedProblem(spec.file, code, near_of(close), 1, column.name)


def _tables(reading: _FeedReading) -> GtfsTables:
    """The tables as read. Raises `FeedRefused` for what concerns the feed as a whole."""
    rows: Mapping[str, list[Any]] = reading.rows
    zones = [row.agency_timezone for row in rows["agency"]]
    problem = _zone_problem(zones)
    if problem is not None:
        row, code, zone = problem
        place = row if zones else None
        raise FeedRefused(reading.feed.name, (reading.at("agency", place, "agency_timezone", code, **zone),))
    for file in ("fare_products", "fare_leg_rules"):
        if not rows[file]:
            empty = reading.at(file, None, "", FeedFileMistake.EMPTY)
            raise FeedRefused(reading.feed.name, (empty,))
    info = rows["feed_info"]
    values: dict[str, Any] = {
        name: tuple(found) for name, found in rows.items() if name not in ("agency", "feed_info")
    }
    return GtfsTables(
        format=TABLES_FORMAT,
        time_zone=zones[0],
        uses_rule_priority="rule_priority" in reading.headers["fare_leg_rules"],
        feed_version=info[0].feed_version if info else None,
        **values,
    )


def _zone_problem(zones: list[str]) -> tuple[int, FeedRowMistake, dict[str, str]] | None:
    if not zones:
        return 0, FeedRowMistake.NO_AGENCY, {}
    for row, zone in enumerate(zones):
        if not known_time_zone(zone):
            return row, FeedRowMistake.TIME_ZONE, {"zone": zone}
        if zone != zones[0]:
            return row, FeedRowMistake.TWO_ZONES, {"zone": zone, "first": zones[0]}
    return None


def _without_trip_services(tables: GtfsTables) -> GtfsTables:
    """Only the services that timeframes and leg rules name: those of trips change no fare."""
    named = {row.service_id for row in tables.timeframes} | {row.service_id for row in tables.fare_leg_rules}
    return replace(
        tables,
        calendar=tuple(row for row in tables.calendar if row.service_id in named),
        calendar_dates=tuple(row for row in tables.calendar_dates if row.service_id in named),
    )
