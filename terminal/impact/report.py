"""The result of a replay as data: what `--json` prints and table, page and picture are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from terminal.impact.gaps import Gap, Gaps
from terminal.impact.tally import Dimension, GroupKey, GroupSums, ImpactTally, ReasonSums, ShownTap
from terminal.money import DECIMALS
from terminal.policy.policy import Policy

SENSITIVE: Final = "sensitive"
FEW_CARDS: Final = 10
"""A sensitive category that fewer cards used is not named: it might name a person."""
THRESHOLDS: Final = (0, 50, 100, 200, 500, 1_000)
"""In whole units of the currency."""


class GroupRow(msgspec.Struct, frozen=True):
    """One group. `old` and `new` are its codes under the two documents; `name` is the document's own, if it has one.

    `cards` is how many cards are in it, `changed_cards` of how many at least one tap comes out differently.
    """

    old: str
    new: str
    name: str
    taps: int
    changed: int
    cards: int
    changed_cards: int
    old_minor: int
    new_minor: int
    difference_minor: int
    refused: int
    accepted: int


class ReasonRow(msgspec.Struct, frozen=True):
    """Taps that one document refuses and the other does not: the message and the last step of the trail there."""

    message: str
    code: str
    taps: int
    cards: int
    example: ShownTap


class MonthRow(msgspec.Struct, frozen=True):
    """In how many months a card paid more than `over_minor` more, and in how many as much less."""

    over_minor: int
    more: int
    less: int


class DocumentName(msgspec.Struct, frozen=True):
    tariff: str
    valid_from: str
    valid_to: str


class ImpactReport(msgspec.Struct, frozen=True):
    """All of it. `card_months` counts a card once for each month in which it was used; nothing is extrapolated."""

    old: DocumentName
    new: DocumentName
    currency: str
    first_day: date | None
    last_day: date | None
    terminals: int
    cards: int
    recorded_minor: int
    total: GroupRow
    groups: dict[str, tuple[GroupRow, ...]]
    refused: tuple[ReasonRow, ...]
    accepted: tuple[ReasonRow, ...]
    card_months: int
    months: tuple[MonthRow, ...]
    largest: tuple[ShownTap, ...]
    gaps: tuple[Gap, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing comes out differently."""
        return not self.total.changed


def report_of(
    tally: ImpactTally, gaps: Gaps, old: Policy, new: Policy, *, terminals: int, cards: int
) -> ImpactReport:
    """What a replay that is concluded has found."""
    names = _names(old, new)
    return ImpactReport(
        old=_document(old),
        new=_document(new),
        currency=old.document.header.currency,
        first_day=tally.first_day,
        last_day=tally.last_day,
        terminals=terminals,
        cards=cards,
        recorded_minor=tally.recorded_minor,
        total=_row(("all", "all"), tally.all, ""),
        groups={
            dimension.value: tuple(_rows(dimension, sums, names, old, new))
            for dimension, sums in tally.groups.items()
        },
        refused=tuple(_reasons(tally.refused)),
        accepted=tuple(_reasons(tally.accepted)),
        card_months=tally.months.total(),
        months=tuple(_months(tally.months, 10 ** DECIMALS.get(old.currency, 0))),
        largest=tuple(tally.largest),
        gaps=tuple(gaps.listed()),
    )


def _document(policy: Policy) -> DocumentName:
    header = policy.document.header
    return DocumentName(policy.tariff, header.valid_from.isoformat(), header.valid_to.isoformat())


def _names(*policies: Policy) -> dict[str, str]:
    """Of concessions and products, by the codes of groups; a later document's name does not replace an earlier one."""
    names: dict[str, str] = {}
    for policy in policies:
        for concession in policy.document.concessions:
            names.setdefault(str(concession.code), concession.name)
        for product in policy.document.products:
            names.setdefault(f"product:{product.id}", product.name)
    return names


def _rows(
    dimension: Dimension, groups: dict[GroupKey, GroupSums], names: dict[str, str], *policies: Policy
) -> Iterator[GroupRow]:
    rows = [_row(key, sums, _name(dimension, key, names)) for key, sums in groups.items()]
    if dimension is Dimension.CONCESSION:
        rows = _without_few(rows, policies)
    by_size = dimension in (Dimension.RIGHT, Dimension.RULE, Dimension.CONCESSION)
    yield from sorted(rows, key=_by_difference if by_size else _by_number)


def _name(dimension: Dimension, key: GroupKey, names: dict[str, str]) -> str:
    if dimension not in (Dimension.CONCESSION, Dimension.RIGHT):
        return ""
    return " → ".join(dict.fromkeys(names[code] for code in key if code in names))


def _row(key: GroupKey, sums: GroupSums, name: str) -> GroupRow:
    return GroupRow(
        old=key[0],
        new=key[-1],
        name=name,
        taps=sums.taps,
        changed=sums.changed,
        cards=len(sums.cards),
        changed_cards=len(sums.changed_cards),
        old_minor=sums.old_minor,
        new_minor=sums.new_minor,
        difference_minor=sums.new_minor - sums.old_minor,
        refused=sums.refused,
        accepted=sums.accepted,
    )


def _without_few(rows: list[GroupRow], policies: Iterable[Policy]) -> list[GroupRow]:
    """Sensitive categories of few cards are one group without a name."""
    sensitive = {str(one.code) for policy in policies for one in policy.document.concessions if one.sensitive}
    few = [row for row in rows if row.old in sensitive and row.cards < FEW_CARDS]
    shown = [row for row in rows if row not in few]
    return [*shown, _together(few)] if few else shown


def _together(rows: list[GroupRow]) -> GroupRow:
    """The sums of all; a card that is in two of the groups counts twice."""
    counted = (name for name, kind in GroupRow.__annotations__.items() if kind == "int")
    sums = {name: sum(getattr(row, name) for row in rows) for name in counted}
    return GroupRow(SENSITIVE, SENSITIVE, "", **sums)


def _by_difference(row: GroupRow) -> tuple[int, int, str, str]:
    return (-abs(row.difference_minor), -row.taps, row.old, row.new)


def _by_number(row: GroupRow) -> tuple[int, str]:
    return (int(row.old), "") if row.old.isdecimal() else (1 << 32, row.old)


def most_different(rows: Sequence[GroupRow], most: int) -> list[GroupRow]:
    """The rows with the largest differences, in the order of `rows`."""
    chosen = sorted(range(len(rows)), key=lambda at: -abs(rows[at].difference_minor))[:most]
    return [rows[at] for at in sorted(chosen)]


def _reasons(reasons: dict[GroupKey, ReasonSums]) -> Iterator[ReasonRow]:
    for (message, code), sums in sorted(reasons.items(), key=lambda one: (-one[1].taps, one[0])):
        yield ReasonRow(message, code, sums.taps, len(sums.cards), sums.example)


def _months(months: dict[int, int], unit_minor: int) -> Iterator[MonthRow]:
    for over_minor in (units * unit_minor for units in THRESHOLDS):
        more = sum(count for diff, count in months.items() if diff > over_minor)
        less = sum(count for diff, count in months.items() if diff < -over_minor)
        yield MonthRow(over_minor, more, less)
