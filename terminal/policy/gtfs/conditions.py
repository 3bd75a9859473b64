"""Conditions of a feed that are not known: never dropped, because the rule would then hold where it must not.

A row with such a condition either ends the import, or it is left out together with whatever depends on it. Leaving a
row out must not let another one hold more widely. So a leg rule or transfer rule that is left out stays in its table
without a price: blank cells of other rules still mean what is listed nowhere, and a rule of a lower priority does not
take its place. The rides it was for then have no fare, unless another rule of the feed is for them, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, Protocol

from msgspec.structs import replace

from terminal.errors import MistakeCode
from terminal.policy.gtfs.checks import near_of
from terminal.policy.gtfs.columns import FILES, TABLE_ENDINGS, FileSpec, of_the_fares
from terminal.policy.gtfs.feed_findings import FeedCondition
from terminal.policy.gtfs.feed_mistakes import FeedFileMistake
from terminal.policy.gtfs.files import CsvFile, Feed, FeedProblem, FileRefused
from terminal.policy.gtfs.tables import FareLegRule, FareTransferRule
from terminal.texts import N_

SIMILAR: Final = 0.85
"""How alike a column of a file that is not of the fares is to one that is read, to be taken for it."""


Marked = dict[int, str]
"""Rows of one table that have such a condition, by index, each with the column it is in."""
Place = tuple[int, str]
Why = Mapping[str, int | str]
"""Values that say why a row is left out: what it names is (`because`, `because_line`), or a `product` has no price."""
NO_REASON: Final[Why] = MappingProxyType({})
"""A condition of the row itself is not known."""
SHOWN: Final = 40
"""Characters of a cell."""


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
        draft = self._spec.drafts.get(name)
        if draft is not None:
            return FeedProblem(self._spec.file, draft, {}, line, name)
        values, near = {"cell": cell[:SHOWN]}, self._near(name)
        code = FeedCondition.UNKNOWN_NEAR if near else FeedCondition.UNKNOWN
        return FeedProblem(self._spec.file, code, values | near, line, name)

    def blank(self) -> Iterator[FeedProblem]:
        """Unknown columns that no row fills: one may be misspelt, and that a column is there can decide things."""
        for _, name in self.places:
            if name not in self.filled and name not in self._spec.drafts and not name.isdecimal():
                near = self._near(name)
                code = FeedCondition.IGNORED_NEAR if near else FeedCondition.IGNORED
                yield FeedProblem(self._spec.file, code, near, 1, name)

    def _near(self, name: str) -> dict[str, str]:
        return near_of(get_close_matches(name.lower(), self._known, n=1))


def misspelt_columns(spec: FileSpec, content: CsvFile) -> Iterator[FeedProblem]:
    """Columns of a file that is not of the fares that look like one that is read and missing: `parent_staton`."""
    missing = [column.name for column in spec.columns if column.name not in content.header]
    for name in content.header if not spec.fares and missing else ():
        close = get_close_matches(name.lower(), missing, n=1, cutoff=SIMILAR)
        if close:
            yield FeedProblem(spec.file, FeedCondition.MISSPELT, {"near": close[0]}, 1, name)


def misnamed_files(feed: Feed) -> Iterator[FeedProblem]:
    """Files with rows that are named almost like one that is read, and would be passed over: `calender_dates.txt`,
    `Timeframes.txt`, `stop_areas.csv`; and what lies in a folder of the zip, `new/fare_transfer_rules.txt`.
    """
    missing = [name for name in FILES if name not in feed]
    for file in sorted(feed.files - FILES.keys()):
        name = _meant(file, missing)
        if name is not None and _has_rows(feed, file):
            yield FeedProblem(file, FeedFileMistake.MISNAMED, {"name": name})
    for file in feed.deeper:
        name = file.rpartition("/")[2].lower()
        if name in FILES or of_the_fares(name):
            yield FeedProblem(file, FeedFileMistake.DEEPER)


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
            yield FeedProblem(file, FeedFileMistake.UNKNOWN)


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
            self._say(table, self.marked.get(table, {}), FeedCondition.NAMED)
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

    def _ids(self, table: str, column: str) -> dict[str, Why]:
        """The ids of marked rows, each with the reason for whatever names it."""
        return {
            getattr(self.rows[table][row], column): {
                "because": f"{table}.txt",
                "because_line": self.lines[table][row],
            }
            for row in self.marked.get(table, {})
        }

    def _say(self, table: str, rows: Iterable[int], code: FeedCondition, values: Why = NO_REASON) -> None:
        for row in rows:
            self.report.append(FeedProblem(f"{table}.txt", code, values, self.lines[table][row]))

    def _drop(self, table: str, gone: Iterable[int] = ()) -> None:
        """Take rows out of a table whose rows nothing else can take the place of."""
        marked = self.marked.get(table, {})
        self._say(table, marked, FeedCondition.ROW)
        gone = {*marked, *gone}
        if gone:
            for column in (self.rows, self.lines):
                column[table] = [one for at, one in enumerate(column[table]) if at not in gone]

    def _products(self, media: Mapping[str, Why], categories: Mapping[str, Why]) -> dict[str, Why]:
        """Leave out prices; returns the products that then have none."""
        rows, marked = self.rows["fare_products"], self.marked.get("fare_products", {})
        gone: set[int] = set()
        for row, price in enumerate(rows):
            why = media.get(price.fare_media_id) or categories.get(price.rider_category_id)
            if why is not None and row not in marked:
                gone.add(row)
                self._say("fare_products", (row,), FeedCondition.PRICE_NAMES, why)
        before = {price.fare_product_id for price in rows}
        self._drop("fare_products", gone)
        sold = {price.fare_product_id for price in self.rows["fare_products"]}
        return {product: {"product": product} for product in before - sold}

    def _leg_rules(self, gone: Mapping[str, Mapping[str, Why]]) -> None:
        rules, why = self.rows["fare_leg_rules"], self._why("fare_leg_rules", gone)
        for row in why:
            rules[row] = replace(rules[row], left_out=True)
        others = Covering(rules, wide=self.uses_rule_priority) if why else None
        for row, reason in why.items():
            assert others is not None
            found = [self.lines["fare_leg_rules"][other] for other in others.of(rules[row])]
            by = {"by": found[0]} if found else NO_REASON
            code = LEGS[_kind(reason), bool(found)]
            self._say("fare_leg_rules", (row,), code, {**reason, "thing": _rides(rules[row]), **by})

    def _why(self, table: str, gone: Mapping[str, Mapping[str, Why]]) -> dict[int, Why]:
        marked = self.marked.get(table, {})
        why: dict[int, Why] = dict.fromkeys(marked, NO_REASON)
        columns = [(column, ids) for column, ids in gone.items() if ids]
        for row, rule in enumerate(self.rows[table]) if columns else ():
            reasons = [ids[value] for column, ids in columns if (value := getattr(rule, column)) in ids]
            if reasons:
                why.setdefault(row, reasons[0])
        return why

    def _join_rules(self, networks: Mapping[str, Why]) -> None:
        table = "fare_leg_join_rules"
        why = self._why(table, {"from_network_id": networks, "to_network_id": networks})
        for row, reason in why.items():
            self._say(table, (row,), FeedCondition.JOIN_NAMES if reason else FeedCondition.JOIN, reason)
        kept = {at for at in range(len(self.rows[table])) if at not in why}
        for column in (self.rows, self.lines) if why else ():
            column[table] = [one for at, one in enumerate(column[table]) if at in kept]

    def _transfer_rules(self, unsold: Mapping[str, Why]) -> None:
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
            by = {"by": others[0]} if others else NO_REASON
            code = CHANGES[_kind(reason), bool(others)]
            self._say(table, (row,), code, {**reason, "change": _change(rules[row]), **by})
        self._idle_transfers(why)

    def _idle_transfers(self, why: Mapping[int, Why]) -> None:
        """Transfer rules whose groups have no leg rule left."""
        legs: defaultdict[str | None, bool] = defaultdict(bool)
        for rule in self.rows["fare_leg_rules"]:
            legs[rule.leg_group_id] |= not rule.left_out
        for row, rule in enumerate(self.rows["fare_transfer_rules"]):
            for group in (rule.from_leg_group_id, rule.to_leg_group_id):
                if row not in why and group is not None and not legs[group]:
                    self._say("fare_transfer_rules", (row,), FeedCondition.IDLE_CHANGE, {"group": group})
                    break


def _kind(reason: Why) -> str:
    """Why a row is left out: for a condition of its own, for a row it names, or for a product without a price."""
    return next(iter(reason), "")


LEGS: Final[Mapping[tuple[str, bool], FeedCondition]] = {
    ("", False): FeedCondition.LEG,
    ("", True): FeedCondition.LEG_BY,
    ("because", False): FeedCondition.LEG_NAMES,
    ("because", True): FeedCondition.LEG_NAMES_BY,
    ("product", False): FeedCondition.LEG_UNSOLD,
    ("product", True): FeedCondition.LEG_UNSOLD_BY,
}
CHANGES: Final[Mapping[tuple[str, bool], FeedCondition]] = {
    ("", False): FeedCondition.CHANGE,
    ("", True): FeedCondition.CHANGE_BY,
    ("product", False): FeedCondition.CHANGE_UNSOLD,
    ("product", True): FeedCondition.CHANGE_UNSOLD_BY,
}
"""By the kind of reason, and whether another line charges what the row was for."""


def _rides(rule: FareLegRule) -> str:
    """The rides of a leg rule by its cells, which need no language, or a word of the catalogues where all are blank."""
    named = [
        f"{column} '{value}'"
        for column in (
            *("network_id", "from_area_id", "to_area_id"),
            *("from_timeframe_group_id", "to_timeframe_group_id", "service_id"),
        )
        if (value := getattr(rule, column)) is not None
    ]
    return f"({', '.join(named)})" if named else BLANK_LEG


BLANK_LEG: Final = N_("that no other rule lists")


def _change(rule: FareTransferRule) -> str:
    """A blank group, which is every group that is not listed, is shown as a star."""
    before, after = rule.from_leg_group_id, rule.to_leg_group_id
    return f"{before or '*'} → {after or '*'}"


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


class At(Protocol):
    """Makes a problem of a row of a table, at the place where the author finds it."""

    def __call__(
        self, table: str, row: int, column: str, code: MistakeCode, /, **values: int | str
    ) -> FeedProblem: ...
