"""From a feed to checked tables, or the list of everything that has to be corrected first.

Only what a fare depends on is read: trips and timetables are not opened. What has no effect (draft columns and files,
areas without stops, ...) is reported as a warning, because an author may have meant it to have one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from terminal.errors import FeedError
from terminal.policy.gtfs.cells import CellError
from terminal.policy.gtfs.checks import known_time_zone, tables_problems
from terminal.policy.gtfs.columns import (
    DRAFT_FILES,
    FILES,
    REQUIRED_FILES,
    Column,
    CsvFile,
    Feed,
    FeedProblem,
    FileSpec,
    open_feed,
)
from terminal.policy.gtfs.services import services_of
from terminal.policy.gtfs.tables import GtfsTables

NOT_V2: Final = "Only GTFS-Fares v2 can be imported: fare_products.txt and fare_leg_rules.txt at least."


@dataclass(frozen=True, slots=True)
class Imported:
    """Checked tables and what was reported on the way."""

    name: str
    tables: GtfsTables
    warnings: tuple[FeedProblem, ...]


class FeedRefused(FeedError):
    """A feed with mistakes: `problems` holds each once, the message the first."""

    def __init__(self, name: str, problems: Iterable[FeedProblem]) -> None:
        self.problems = each_once(problems)
        first, others = self.problems[0], len(self.problems) - 1
        more = f" (and {others} more)" if others else ""
        super().__init__(f"{name}: {first}{more}", first.advice)


def import_feed(path: Path) -> Imported:
    """Return the fares of the feed in a directory or zip file.

    Raises `FeedError` when there is no feed, `FeedRefused` when something in it is wrong.
    """
    feed = open_feed(path, frozenset(FILES))
    _require_files(feed)
    reading = _FeedReading(feed)
    for spec in FILES.values():
        reading.read(spec)
    if reading.problems:
        raise FeedRefused(feed.name, reading.problems)
    tables = _tables(reading)
    problems = [
        reading.at(found.table, found.row, found.column, found.what, found.advice)
        for found in tables_problems(tables)
    ]
    if problems:
        raise FeedRefused(feed.name, problems)
    warnings = each_once((*reading.warnings, *feed_warnings(tables, reading.at)))
    return Imported(feed.name, _without_trip_services(tables), warnings)


def each_once(problems: Iterable[FeedProblem]) -> tuple[FeedProblem, ...]:
    """The same thing in many rows is reported once, with its first row and how often it is there."""
    rows: dict[tuple[str, str | None, str], list[FeedProblem]] = {}
    for problem in problems:
        rows.setdefault((problem.file, problem.column, problem.what), []).append(problem)
    return tuple(
        found[0]
        if len(found) == 1
        else dataclasses.replace(found[0], what=f"{found[0].what} (in {len(found)} rows)")
        for found in rows.values()
    )


def _require_files(feed: Feed) -> None:
    missing = [file for file in REQUIRED_FILES if file not in feed]
    if not missing:
        return
    v1 = "fare_attributes.txt" in feed and "fare_products.txt" in missing
    what = "has GTFS-Fares v1 only" if v1 else "is not in the feed"
    advice = NOT_V2 if v1 else "Add it."
    raise FeedRefused(feed.name, [FeedProblem(file, what, advice) for file in missing])


class _FeedReading:
    """Rows of every file with the lines they came from, and everything reported on the way."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.rows: dict[str, list[Any]] = {}
        self.lines: dict[str, list[int]] = {}
        self.headers: dict[str, tuple[str, ...]] = {}
        self.problems: list[FeedProblem] = []
        self.warnings: list[FeedProblem] = [
            FeedProblem(file, "is of a draft, not of the standard: ignored", "Say it in the region document.")
            for file in sorted(DRAFT_FILES & feed.files)
        ]

    def read(self, spec: FileSpec) -> None:
        """Read one file into rows; what is wrong joins `problems`."""
        table = spec.file.removesuffix(".txt")
        rows, lines = self.rows.setdefault(table, []), self.lines.setdefault(table, [])
        if spec.file not in self.feed:
            return
        content = self.feed.read(spec.file)
        if isinstance(content, FeedProblem):
            self.problems.append(content)
            return
        self.headers[table] = content.header
        missing = tuple(_missing_columns(spec, content))
        self.problems += missing
        if spec.fares:
            self.warnings += _idle_columns(spec, content)
        if missing:
            return
        columns = [(content.header.index(c.name), c) for c in spec.columns if c.name in content.header]
        for line, cells in content.rows:
            try:
                rows.append(_row(spec, columns, cells))
            except CellError as error:
                self.problems.append(FeedProblem(spec.file, error.what, error.advice, line, error.column))
            else:
                lines.append(line)

    def at(self, table: str, row: int | None, column: str, what: str, advice: str) -> FeedProblem:
        """The problem at a row of a table, where the author finds it."""
        line = None if row is None else self.lines[table][row]
        return FeedProblem(f"{table}.txt", what, advice, line, column or None)


def _row(spec: FileSpec, columns: list[tuple[int, Column]], cells: list[str]) -> Any:
    """One row of `spec`; a short row has blank cells at its end. Raises `CellError`."""
    values: dict[str, Any] = {}
    for place, column in columns:
        cell = cells[place].strip() if place < len(cells) else ""
        if cell:
            values[column.field or column.name] = _cell(column, cell)
        elif column.required:
            raise CellError("is blank", "Fill it in every row.", column.name)
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
            yield FeedProblem(spec.file, "the column is missing", "Add it.", 1, column.name)


def _idle_columns(spec: FileSpec, content: CsvFile) -> Iterator[FeedProblem]:
    """Columns that have no effect, as a warning each."""
    known = {column.name for column in spec.columns}
    for place, name in enumerate(content.header):
        if name in spec.drafts:
            filled = sum(place < len(cells) and bool(cells[place].strip()) for _, cells in content.rows)
            what = f"is of a draft, not of the standard: ignored in {filled} rows"
            advice = "Say it in the region document where fares depend on it."
        elif name and name not in known | spec.unused:
            close = get_close_matches(name, known, n=1)
            what = "is not a column of the standard: ignored"
            advice = f"Did you mean {close[0]}?" if close else "Remove it if it was meant to have an effect."
        else:
            continue
        yield FeedProblem(spec.file, what, advice, 1, name)


def _tables(reading: _FeedReading) -> GtfsTables:
    """The tables as read. Raises `FeedRefused` for what concerns the feed as a whole."""
    rows: Mapping[str, list[Any]] = reading.rows
    zones = [row.agency_timezone for row in rows["agency"]]
    problem = _zone_problem(zones)
    if problem is not None:
        row, what, advice = problem
        column = "agency_timezone"
        raise FeedRefused(
            reading.feed.name, (reading.at("agency", row if zones else None, column, what, advice),)
        )
    for file in ("fare_products", "fare_leg_rules"):
        if not rows[file]:
            empty = reading.at(file, None, "", "has no rows: every fare is unknown", "Add the feed's fares.")
            raise FeedRefused(reading.feed.name, (empty,))
    info = rows["feed_info"]
    values: dict[str, Any] = {
        name: tuple(found) for name, found in rows.items() if name not in ("agency", "feed_info")
    }
    return GtfsTables(
        time_zone=zones[0],
        uses_rule_priority="rule_priority" in reading.headers["fare_leg_rules"],
        feed_version=info[0].feed_version if info else None,
        **values,
    )


def _zone_problem(zones: list[str]) -> tuple[int, str, str] | None:
    if not zones:
        return 0, "no agency, so no time zone", "Name the agency and its time zone."
    for row, zone in enumerate(zones):
        if not known_time_zone(zone):
            return (
                row,
                f"unknown time zone {zone!r}",
                "Use a name of the IANA database such as Europe/Volgograd.",
            )
        if zone != zones[0]:
            return (
                row,
                f"{zone} beside {zones[0]} of another agency",
                "All agencies of a feed share one time zone.",
            )
    return None


def _without_trip_services(tables: GtfsTables) -> GtfsTables:
    """Only the services that timeframes name: those of trips change no fare."""
    named = {frame.service_id for frame in tables.timeframes}
    return replace(
        tables,
        calendar=tuple(row for row in tables.calendar if row.service_id in named),
        calendar_dates=tuple(row for row in tables.calendar_dates if row.service_id in named),
    )


At = Callable[[str, int, str, str, str], FeedProblem]
"""Makes a problem of (table, row, column, what, advice), at the place where the author finds it."""


def feed_warnings(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """What is allowed and can have no effect, or not the one it seems to have."""
    yield from _areas_without_stops(tables, at)
    yield from _networks_without_routes(tables, at)
    yield from _idle_timeframes(tables, at)
    default = any(row.is_default_fare_category for row in tables.rider_categories)
    if tables.rider_categories and not default:
        yield FeedProblem(
            "rider_categories.txt",
            "no category is the default one",
            "Only displays need it: fares do not change.",
        )
    legs = {rule.fare_product_id for rule in tables.fare_leg_rules}
    for row, product in enumerate(tables.fare_products):
        if product.amount_minor < 0 and product.fare_product_id in legs:
            yield at(
                "fare_products",
                row,
                "amount",
                "a leg costs less than nothing: nothing is charged for it",
                "Negative amounts are for transfers.",
            )
    for row, rule in enumerate(tables.fare_transfer_rules):
        if rule.duration_limit is None:
            yield at(
                "fare_transfer_rules",
                row,
                "duration_limit",
                "is blank: only the document's longest_change_s ends such a journey",
                "State gtfs.longest_change_s.",
            )


def _areas_without_stops(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.area_id for row in tables.stop_areas}
    for column in ("from_area_id", "to_area_id"):
        warned = set()
        for row, rule in enumerate(tables.fare_leg_rules):
            area = getattr(rule, column)
            if area is not None and area not in served and area not in warned:
                warned.add(area)
                what = f"no stop is in area {area!r}: the rule can never apply"
                yield at("fare_leg_rules", row, column, what, "Add its stops to stop_areas.txt.")


def _networks_without_routes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.network_id for row in tables.route_networks} | {row.network_id for row in tables.routes}
    for row, network in enumerate(tables.networks):
        if network.network_id not in served:
            yield at(
                "networks",
                row,
                "network_id",
                f"no route is in network {network.network_id!r}",
                "Add its routes to route_networks.txt.",
            )


def _idle_timeframes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    services = services_of(tables.calendar, tables.calendar_dates)
    idle = {name for name in {frame.service_id for frame in tables.timeframes} if services[name].never_runs}
    for row, frame in enumerate(tables.timeframes):
        if frame.service_id in idle:
            yield at(
                "timeframes",
                row,
                "service_id",
                f"service {frame.service_id!r} runs on no day: the timeframe never holds",
                "Give the service days in calendar.txt or calendar_dates.txt.",
            )
