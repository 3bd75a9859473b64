"""Conditions of a feed that are not known: never dropped, because the rule would then hold where it must not.

A row with such a condition either ends the import, or it is left out together with whatever depends on it. Leaving a
row out must not let another one hold more widely. So a leg rule or transfer rule that is left out stays in its table
without a price: blank cells of other rules still mean what is listed nowhere, and a rule of a lower priority does not
take its place. The rides it was for then have no fare, unless another rule of the feed is for them, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from msgspec.structs import replace

from terminal.policy.gtfs.columns import FILES, TABLE_ENDINGS, FileSpec, of_the_fares
from terminal.policy.gtfs.files import CsvFile, Feed, FeedProblem, FileRefused
from terminal.policy.gtfs.tables import FareLegRule, FareTransferRule

SIMILAR: Final = 0.85
"""How alike a column of a file that is not of the fares is to one that is read, to be taken for it."""
CORRECT: Final = "Correct or clear it, or import with --unknown-conditions leave-out."


Marked = dict[int, str]
"""Rows of one table that have such a condition, by index, each with the column it is in."""
Place = tuple[int, str]


class UnknownColumns:
    """The columns of one file whose filled cells are conditions that are not known."""

    def __init__(self, spec: FileSpec, content: CsvFile) -> None:
        self._spec = spec
        self._known = {column.name for column in spec.columns}
        descriptive = self._known | spec.descriptive
        self.places: tuple[Place, ...] = tuple(
            (place, name or f"{place + 1}")
            for place, name in enumerate(content.header)
            if spec.fares and (not name or name not in descriptive)
        )
        self.filled: set[str] = set()

    def in_row(self, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Name and content of every such cell of a row that is filled."""
        neutral = self._spec.neutral
        for place, name in self.places:
            cell = cells[place].strip() if place < len(cells) else ""
            if cell and neutral.get(name) != cell:
                self.filled.add(name)
                yield name, cell

    def problem(self, name: str, cell: str, line: int) -> FeedProblem:
        """The condition, where the author finds it."""
        reason = self._spec.drafts.get(name)
        if reason is not None:
            what = f"is a condition that cannot be judged: {reason}"
            return FeedProblem(self._spec.file, what, CORRECT, line, name)
        what = f"is no column of the standard: {cell[:40]!r} is a condition that is not known"
        return FeedProblem(self._spec.file, what, self._advice(name), line, name)

    def blank(self) -> Iterator[FeedProblem]:
        """Unknown columns that no row fills: one may be misspelt, and that a column is there can decide things."""
        for _, name in self.places:
            if name not in self.filled and name not in self._spec.drafts and not name.isdecimal():
                what = "is not a column of the standard: ignored"
                yield FeedProblem(self._spec.file, what, self._advice(name), 1, name)

    def _advice(self, name: str) -> str:
        close = get_close_matches(name.lower(), self._known, n=1)
        return f"Did you mean {close[0]}?" if close else CORRECT


def misspelt_columns(spec: FileSpec, content: CsvFile) -> Iterator[FeedProblem]:
    """Columns of a file that is not of the fares that look like one that is read and missing: `parent_staton`."""
    missing = [column.name for column in spec.columns if column.name not in content.header]
    for name in content.header if not spec.fares and missing else ():
        close = get_close_matches(name.lower(), missing, n=1, cutoff=SIMILAR)
        if close:
            what = "is no column of the standard, and fares depend on the one it is like"
            yield FeedProblem(spec.file, what, f"Did you mean {close[0]}?", 1, name)


def misnamed_files(feed: Feed) -> Iterator[FeedProblem]:
    """Files with rows that are named almost like one that is read, and would be passed over: `calender_dates.txt`,
    `Timeframes.txt`, `stop_areas.csv`.
    """
    missing = [name for name in FILES if name not in feed]
    for file in sorted(feed.files - FILES.keys()):
        name = _meant(file, missing)
        if name is not None and _has_rows(feed, file):
            what = f"is not read, and fares depend on {name}, which it is named like"
            yield FeedProblem(file, what, f"Name it {name}, or remove it.")


def _meant(file: str, missing: Sequence[str]) -> str | None:
    """The file that is read whose name this one nearly has: other letters' case or ending, or, of those that are
    missing, a slip of the pen.
    """
    if not file.lower().endswith(TABLE_ENDINGS):
        return None
    plain = f"{file[:-4].lower()}.txt"
    if plain in FILES:
        return plain
    if of_the_fares(plain):
        return None if of_the_fares(file) else plain
    return next(iter(get_close_matches(plain, missing, n=1, cutoff=SIMILAR)), None)


def unknown_files(feed: Feed) -> Iterator[FeedProblem]:
    """Files of the fares that are not read and have rows."""
    for file in sorted(feed.files):
        if of_the_fares(file) and _has_rows(feed, file):
            what = "is a file of the fares that is not read: what it says is not known"
            advice = "Remove it, or import with --unknown-conditions leave-out; say its rules in the region document."
            yield FeedProblem(file, what, advice)


def _has_rows(feed: Feed, file: str) -> bool:
    try:
        return next(feed.read(file).rows, None) is not None
    except FileRefused:
        return True


# leaving out


@dataclass(slots=True)
class LeavingOut:
    """Takes marked rows out of `rows`, table by table, and whatever depends on them. `report` says what and why.

    `lines` are the lines the rows came from.
    """

    rows: dict[str, list[Any]]
    lines: dict[str, list[int]]
    marked: Mapping[str, Marked]
    uses_rule_priority: bool
    report: list[FeedProblem] = field(default_factory=list)

    def run(self) -> None:
        """Leave out in the order in which rows depend on each other."""
        media = self._ids("fare_media", "fare_media_id")
        categories = self._ids("rider_categories", "rider_category_id")
        self._drop("fare_media")
        self._drop("rider_categories")
        unsold = self._products(media, categories)
        areas = self._ids("areas", "area_id") | self._ids("stop_areas", "area_id")
        networks = self._ids("networks", "network_id") | self._ids("route_networks", "network_id")
        frames = self._ids("timeframes", "timeframe_group_id")
        for table in ("areas", "stop_areas", "networks", "route_networks", "timeframes"):
            what = "has a condition that is not known: no rule that names it is used"
            self._say(table, self.marked.get(table, {}), what)
        self._leg_rules(
            {
                "fare_product_id": unsold,
                "network_id": networks,
                "from_area_id": areas,
                "to_area_id": areas,
                "from_timeframe_group_id": frames,
                "to_timeframe_group_id": frames,
            }
        )
        self._join_rules(networks)
        self._transfer_rules(unsold)

    def _ids(self, table: str, column: str) -> dict[str, str]:
        """The ids of marked rows, each with the reason for whatever names it."""
        return {
            getattr(self.rows[table][row], column): f"{table}.txt line {self.lines[table][row]} is left out"
            for row in self.marked.get(table, {})
        }

    def _say(self, table: str, rows: Iterable[int], what: str, advice: str = "") -> None:
        for row in rows:
            line = self.lines[table][row]
            self.report.append(FeedProblem(f"{table}.txt", what, advice or CLEARED, line))

    def _drop(self, table: str, gone: Mapping[int, str] | None = None) -> None:
        """Take rows out of a table whose rows nothing else can take the place of."""
        marked = self.marked.get(table, {})
        self._say(table, marked, "left out: a condition of the row is not known")
        gone = dict(marked) | dict(gone or {})
        if gone:
            for column in (self.rows, self.lines):
                column[table] = [one for at, one in enumerate(column[table]) if at not in gone]

    def _products(self, media: Mapping[str, str], categories: Mapping[str, str]) -> dict[str, str]:
        """Leave out prices; returns the products that then have none."""
        rows, marked = self.rows["fare_products"], self.marked.get("fare_products", {})
        gone: dict[int, str] = {}
        for row, price in enumerate(rows):
            why = media.get(price.fare_media_id) or categories.get(price.rider_category_id)
            if why is not None and row not in marked:
                gone[row] = why
                self._say("fare_products", (row,), f"left out: {why}")
        before = {price.fare_product_id for price in rows}
        self._drop("fare_products", gone)
        sold = {price.fare_product_id for price in self.rows["fare_products"]}
        return {product: f"no price of {product!r} is left" for product in before - sold}

    def _leg_rules(self, gone: Mapping[str, Mapping[str, str]]) -> None:
        rules, why = self.rows["fare_leg_rules"], self._why("fare_leg_rules", gone)
        for row in why:
            rules[row] = replace(rules[row], left_out=True)
        others = Covering(rules, wide=self.uses_rule_priority) if why else None
        for row, reason in why.items():
            assert others is not None
            found = [self.lines["fare_leg_rules"][other] for other in others.of(rules[row])]
            left = f"are charged by line {found[0]}" if found else "have no fare"
            what = f"left out: {reason}; rides {_rides(rules[row])} {left}"
            self._say("fare_leg_rules", (row,), what)

    def _why(self, table: str, gone: Mapping[str, Mapping[str, str]]) -> dict[int, str]:
        marked = self.marked.get(table, {})
        why = dict.fromkeys(marked, "a condition of the row is not known")
        columns = [(column, ids) for column, ids in gone.items() if ids]
        for row, rule in enumerate(self.rows[table]) if columns else ():
            reasons = [ids[value] for column, ids in columns if (value := getattr(rule, column)) in ids]
            if reasons:
                why.setdefault(row, reasons[0])
        return why

    def _join_rules(self, networks: Mapping[str, str]) -> None:
        table = "fare_leg_join_rules"
        why = self._why(table, {"from_network_id": networks, "to_network_id": networks})
        for row, reason in why.items():
            self._say(table, (row,), f"left out: {reason}; its legs are charged as two rides")
        kept = {at for at in range(len(self.rows[table])) if at not in why}
        for column in (self.rows, self.lines) if why else ():
            column[table] = [one for at, one in enumerate(column[table]) if at in kept]

    def _transfer_rules(self, unsold: Mapping[str, str]) -> None:
        table = "fare_transfer_rules"
        rules = self.rows[table]
        why = self._why(table, {"fare_product_id": unsold, "filter_fare_product_id": unsold})
        for row, reason in why.items():
            rules[row] = replace(rules[row], left_out=True)
            others = [
                self.lines[table][at]
                for at, other in enumerate(rules)
                if at not in why and _same_groups(other, rules[row])
            ]
            left = f"are charged by line {others[0]}" if others else "are charged as two rides"
            what = f"left out: {reason}; changes {_change(rules[row])} {left}"
            self._say(table, (row,), what)
        self._idle_transfers(why)

    def _idle_transfers(self, why: Mapping[int, str]) -> None:
        """Transfer rules whose groups have no leg rule left."""
        legs: defaultdict[str | None, bool] = defaultdict(bool)
        for rule in self.rows["fare_leg_rules"]:
            legs[rule.leg_group_id] |= not rule.left_out
        for row, rule in enumerate(self.rows["fare_transfer_rules"]):
            for group in (rule.from_leg_group_id, rule.to_leg_group_id):
                if row not in why and group is not None and not legs[group]:
                    what = f"can no longer apply: every leg rule of group {group!r} is left out"
                    self._say("fare_transfer_rules", (row,), what)
                    break


CLEARED: Final = "Correct or clear the condition to have the row back."


def _rides(rule: FareLegRule) -> str:
    """The rides of a leg rule, for people."""
    parts = [
        f"{word} {value!r}"
        for word, value in (
            ("in network", rule.network_id),
            ("from area", rule.from_area_id),
            ("to area", rule.to_area_id),
            ("beginning within", rule.from_timeframe_group_id),
            ("ending within", rule.to_timeframe_group_id),
            ("on days of", rule.service_id),
        )
        if value is not None
    ]
    return " ".join(parts) or "of whatever no other rule lists"


def _change(rule: FareTransferRule) -> str:
    before, after = rule.from_leg_group_id, rule.to_leg_group_id
    return f"from {before or 'any other group'!r} to {after or 'any other group'!r}"


def _same_groups(first: FareTransferRule, second: FareTransferRule) -> bool:
    return (first.from_leg_group_id, first.to_leg_group_id) == (
        second.from_leg_group_id,
        second.to_leg_group_id,
    )


class Covering:
    """Which leg rules hold wherever a given one does, and are chosen there: what else its rides are charged by.

    `wide`: a blank cell does not matter (the feed has priorities); else a place must be named by the same id. A blank
    timeframe or service is any time in both readings.
    """

    def __init__(self, rules: Sequence[FareLegRule], *, wide: bool) -> None:
        self._wide = wide
        self._rules = rules
        self._by_places: defaultdict[tuple[str | None, ...], list[int]] = defaultdict(list)
        for row, rule in enumerate(rules):
            if not rule.left_out:
                self._by_places[rule.network_id, rule.from_area_id, rule.to_area_id].append(row)

    def of(self, rule: FareLegRule) -> Iterator[int]:
        """Rows of the other rules of at least its priority, in no order."""
        for row in self.wherever(rule):
            if (self._rules[row].rule_priority or 0) >= (rule.rule_priority or 0):
                yield row

    def wherever(self, rule: FareLegRule) -> Iterator[int]:
        """The same whatever the priority."""
        for places in self._places(rule):
            for row in self._by_places.get(places, ()):
                other = self._rules[row]
                if other is not rule and _any_time(other, rule):
                    yield row

    def _places(self, rule: FareLegRule) -> Iterator[tuple[str | None, ...]]:
        places = (rule.network_id, rule.from_area_id, rule.to_area_id)
        if not self._wide:
            yield places
            return
        for mask in range(8):
            if all(place is not None for bit, place in enumerate(places) if mask >> bit & 1):
                yield tuple(None if mask >> bit & 1 else place for bit, place in enumerate(places))


def _any_time(other: FareLegRule, rule: FareLegRule) -> bool:
    """Whether `other` holds at every time `rule` does."""
    return not other.transfer_only and all(
        getattr(other, column) in (None, getattr(rule, column))
        for column in ("from_timeframe_group_id", "to_timeframe_group_id", "service_id")
    )


At = Callable[[str, int, str, str, str], FeedProblem]
"""Makes a problem of (table, row, column, what, advice), at the place where the author finds it."""
