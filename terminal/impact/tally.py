"""Sums over replayed taps: by group, by reason of refusal, by card and month; and the taps that changed most.

Memory is bounded by groups and cards: a group holds two numbers for each kind of sum, and a bit for each card.
"""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from cardproto.resident.records.event import PaidBy
from cardproto.resident.records.rights import Rights
from terminal.codes import Admission
from terminal.decision.bus.cash import CashDecision
from terminal.decision.bus.cover import CONCESSION_SLOTS, CONTRACT_SLOTS
from terminal.decision.outcome import Decision
from terminal.impact.cards import CardInReplay
from terminal.impact.source import Passed
from terminal.journal.records import Intent
from terminal.policy.policy import Policy
from terminal.trail import Reason, TrailEntry, recorded
from terminal.trip.facts import Trip

MOST_SHOWN: Final = 10
MOST_GROUPS: Final = 20_000
"""Of one dimension; what comes after them is summed in one more."""
MOST_CELLS: Final = 20_000
"""Combinations of groups that are summed at once."""
OTHERS: Final = ("others",)
REFUSED: Final = "refused"
REPEATED: Final = "repeated"
CASH: Final = "cash"
NAMED_BY: Final = ("fare", "cap", "product")
"""Inputs of a trail's step that name an entry of the document."""
BESIDE: Final = frozenset(
    {"t-34:pays_for_others", "t-07:held", "t-20:companions", "t-34:asked_by_crew", "t-34:asked_by_rider"}
)
"""Steps beside the one that set the price."""

GroupKey: TypeAlias = tuple[str, ...]


class Dimension(StrEnum):
    """By what taps are put into groups. A key has one code, those of right and rule have one for each document."""

    CONCESSION = "concession"
    """The category used under the old document, else under the new one, else the first in force; "0" for none."""
    ROUTE = "route"
    HOUR = "hour"
    """Of the local day."""
    RIGHT = "right"
    """What paid: purse, concession, a product by its number, cash."""
    RULE = "rule"
    """The rule that set the price, and the entry of the document where the trail names one."""


class ReplayedTap(NamedTuple):
    """One tap under both documents."""

    card: CardInReplay
    passed: Passed
    rights: Rights
    trip: Trip
    at: datetime
    before: Decision
    after: Decision


class Side(msgspec.Struct, frozen=True):
    """What one document makes of a tap."""

    message: str
    admission: str
    charge_minor: int
    values: dict[str, int | str]
    trail: tuple[TrailEntry, ...]


class ShownTap(msgspec.Struct, frozen=True):
    """A tap as an example; a card is only a number within this replay."""

    card: int
    terminal: int
    sequence: int
    at: datetime
    route: int
    old: Side
    new: Side


class CardSet:
    """Ordinals of cards, a bit each."""

    __slots__ = ("bits",)

    def __init__(self) -> None:
        self.bits = bytearray(8)

    def add(self, number: int) -> None:
        at = number >> 3
        self.reach(at)
        self.bits[at] |= 1 << (number & 7)

    def reach(self, at: int) -> None:
        """Have room for the bits of the byte `at`."""
        while at >= len(self.bits):
            self.bits.extend(bytes(len(self.bits)))

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "big").bit_count()


def _add_to(sets: list[CardSet], number: int) -> None:
    """Add a card to each of `sets`: a million times twelve, so no call for each."""
    at, bit = number >> 3, 1 << (number & 7)
    for cards in sets:
        if at >= len(cards.bits):
            cards.reach(at)
        cards.bits[at] |= bit


class GroupSums:
    """Of the taps of one group."""

    __slots__ = ("accepted", "cards", "changed", "changed_cards", "new_minor", "old_minor", "refused", "taps")

    def __init__(self) -> None:
        self.taps = self.changed = self.old_minor = self.new_minor = self.refused = self.accepted = 0
        self.cards, self.changed_cards = CardSet(), CardSet()


class CellSums:
    """Of taps that are in the same `groups`, one of each dimension and all: they are summed here first, once for all.

    Which cards they are of stands in the groups.
    """

    __slots__ = (
        *("accepted", "cards", "changed", "changed_cards", "groups", "new_minor", "old_minor", "refused"),
        "taps",
    )

    def __init__(self, groups: tuple[GroupSums, ...]) -> None:
        self.groups = groups
        self.cards = [sums.cards for sums in groups]
        self.changed_cards = [sums.changed_cards for sums in groups]
        self.taps = self.changed = self.old_minor = self.new_minor = self.refused = self.accepted = 0

    def fold(self) -> None:
        """Add its sums to those of its groups."""
        for sums in self.groups:
            sums.taps += self.taps
            sums.old_minor += self.old_minor
            sums.new_minor += self.new_minor
            sums.changed += self.changed
            sums.refused += self.refused
            sums.accepted += self.accepted


class ReasonSums:
    """Taps that changed sides, by message and last step of the trail under the document that refuses."""

    __slots__ = ("cards", "example", "taps")

    def __init__(self, example: ShownTap) -> None:
        self.taps, self.cards, self.example = 0, CardSet(), example


class ImpactTally:
    """Everything that is counted of a replay. `routes` limits what is counted to these; None: all."""

    def __init__(self, old: Policy, new: Policy, routes: frozenset[int] | None = None) -> None:
        self._old, self._new, self._routes = old, new, routes
        self._all = GroupSums()
        self._groups: dict[Dimension, dict[GroupKey, GroupSums]] = {dimension: {} for dimension in Dimension}
        self._cells: dict[tuple[GroupKey, ...], CellSums] = {}
        self._taps = 0
        self.recorded_minor = 0
        self.refused: dict[GroupKey, ReasonSums] = {}
        self.accepted: dict[GroupKey, ReasonSums] = {}
        self.months: Counter[int] = Counter()
        """How many cards paid that much more in a month: a card counts once for each month it was used in."""
        self.first_day: date | None = None
        self.last_day: date | None = None
        self._largest: list[tuple[int, int, ShownTap]] = []

    @property
    def all(self) -> GroupSums:
        """The sums of all taps so far."""
        self._fold()
        return self._all

    @property
    def groups(self) -> dict[Dimension, dict[GroupKey, GroupSums]]:
        """The sums of each group so far."""
        self._fold()
        return self._groups

    @property
    def largest(self) -> list[ShownTap]:
        """The taps whose charge changes most, one of each card."""
        return [shown for _, _, shown in sorted(self._largest, key=lambda one: (-one[0], -one[1]))]

    def take(self, tap: ReplayedTap) -> None:
        """Count one tap."""
        if self._routes is not None and tap.trip.route not in self._routes:
            return
        before, after = tap.before, tap.after
        old_minor, new_minor = before.outcome.charge_minor, after.outcome.charge_minor
        was, now = before.outcome.admission, after.outcome.admission
        refused = now is Admission.REFUSED and was is not Admission.REFUSED
        accepted = was is Admission.REFUSED and now is not Admission.REFUSED
        local = tap.at.astimezone(self._old.zone)
        day, rule = self._seen(local), _rule(before.facts)
        keys = (
            (_concession(tap, day),),
            (str(tap.trip.route),),
            (f"{local.hour:02}",),
            (_right(before, tap.rights), _right(after, tap.rights)),
            (rule, rule if after.facts == before.facts else _rule(after.facts)),
        )
        self._count(keys, tap.card.number, old_minor, new_minor, refused=refused, accepted=accepted)
        record = tap.passed.record
        self.recorded_minor += record.charge_minor if isinstance(record, Intent) else 0
        self._count_month(tap.card, day, new_minor - old_minor)
        if refused or accepted:
            self._changed_sides(tap, local, refused=refused)
        if old_minor != new_minor:
            self._show(tap, local, abs(new_minor - old_minor))

    def take_cash(
        self, passed: Passed, trip: Trip, at: datetime, before: CashDecision, after: CashDecision
    ) -> None:
        """Count one cash sale: of no card."""
        if self._routes is not None and trip.route not in self._routes:
            return
        local = at.astimezone(self._old.zone)
        self._seen(local)
        keys = (
            ("0",),
            (str(trip.route),),
            (f"{local.hour:02}",),
            tuple(REFUSED if sold.sum_minor is None else CASH for sold in (before, after)),
            (_rule(before.facts), _rule(after.facts)),
        )
        refused = after.sum_minor is None and before.sum_minor is not None
        accepted = before.sum_minor is None and after.sum_minor is not None
        sums = before.sum_minor or 0, after.sum_minor or 0
        self._count(keys, 0, *sums, refused=refused, accepted=accepted)
        self.recorded_minor += getattr(passed.record, "sum_minor", 0)

    def close_month(self, diff_minor: int, month: int) -> None:
        """A card has been used in `month` and paid `diff_minor` more in it; 0 for no month."""
        if month:
            self.months[diff_minor] += 1

    def _seen(self, local: datetime) -> date:
        day = self._old.service_date(local)
        if self.first_day is None or day < self.first_day:
            self.first_day = day
        if self.last_day is None or day > self.last_day:
            self.last_day = day
        return day

    def _count(
        self,
        keys: tuple[GroupKey, ...],
        card: int,
        old_minor: int,
        new_minor: int,
        *,
        refused: bool,
        accepted: bool,
    ) -> None:
        """Into the sums of all and of its groups, which have `keys` in the order of dimensions."""
        cell = self._cells.get(keys) or self._new_cell(keys)
        self._taps += 1
        cell.taps += 1
        cell.old_minor += old_minor
        cell.new_minor += new_minor
        if card:
            _add_to(cell.cards, card)
        if not (refused or accepted or old_minor != new_minor):
            return
        cell.changed += 1
        cell.refused += refused
        cell.accepted += accepted
        if card:
            _add_to(cell.changed_cards, card)

    def _new_cell(self, keys: tuple[GroupKey, ...]) -> CellSums:
        if len(self._cells) == MOST_CELLS:
            self._fold()
        by_dimension = zip(self._groups.values(), keys, strict=True)
        groups = (groups.get(key) or self._new_group(groups, key) for groups, key in by_dimension)
        cell = self._cells[keys] = CellSums((self._all, *groups))
        return cell

    def _fold(self) -> None:
        """Bring what was summed in cells into the groups."""
        for cell in self._cells.values():
            cell.fold()
        self._cells.clear()

    def _new_group(self, groups: dict[GroupKey, GroupSums], key: GroupKey) -> GroupSums:
        return groups.setdefault(key if len(groups) < MOST_GROUPS else OTHERS, GroupSums())

    def _count_month(self, card: CardInReplay, day: date, diff_minor: int) -> None:
        month = day.year * 12 + day.month
        if month != card.month:
            self.close_month(card.month_minor, card.month)
            card.month, card.month_minor = month, 0
        card.month_minor += diff_minor

    def _changed_sides(self, tap: ReplayedTap, local: datetime, *, refused: bool) -> None:
        by_reason, decision = (self.refused, tap.after) if refused else (self.accepted, tap.before)
        key = (str(decision.outcome.message), decision.facts[-1].code if decision.facts else "")
        sums = by_reason.get(key)
        if sums is None:
            sums = by_reason[key] = ReasonSums(_shown(tap, local))
        sums.taps += 1
        sums.cards.add(tap.card.number)

    def _show(self, tap: ReplayedTap, local: datetime, by_minor: int) -> None:
        """Keep it where it is among the largest; of a card the largest, of equals the first."""
        kept = self._largest
        if len(kept) == MOST_SHOWN and by_minor <= kept[0][0]:
            return
        number = tap.card.number
        same = next((one for one in kept if one[2].card == number), None)
        if same is not None:
            if by_minor <= same[0]:
                return
            kept.remove(same)
            heapq.heapify(kept)
        heapq.heappush(kept, (by_minor, -self._taps, _shown(tap, local)))
        if len(kept) > MOST_SHOWN:
            heapq.heappop(kept)


def _concession(tap: ReplayedTap, day: date) -> str:
    for decision in (tap.before, tap.after):
        plan = decision.write_plan
        if plan is not None and plan.paid_by in CONCESSION_SLOTS:
            used = tap.rights.concessions[CONCESSION_SLOTS.index(plan.paid_by)]
            if used is not None:
                return str(used.code)
    for held in tap.rights.concessions:
        if held is not None and held.valid_from <= day <= held.valid_to:
            return str(held.code)
    return "0"


def _right(decision: Decision, rights: Rights) -> str:
    plan = decision.write_plan
    if plan is None:
        return REFUSED if decision.outcome.admission is Admission.REFUSED else REPEATED
    paid_by = plan.paid_by
    if paid_by in CONTRACT_SLOTS:
        contract = rights.contracts[CONTRACT_SLOTS.index(paid_by)]
        return "product" if contract is None else f"product:{contract.product}"
    return _RIGHTS.get(paid_by) or "other"


_RIGHTS: Final = {
    PaidBy.NOTHING: "nothing",
    PaidBy.PURSE: "purse",
    PaidBy.CONCESSION_A: "concession",
    PaidBy.CONCESSION_B: "concession",
    PaidBy.CONCESSION_C: "concession",
    PaidBy.TRANSFER: "transfer",
    PaidBy.BUDGET: "budget",
    PaidBy.GRACE: "grace",
    PaidBy.BANK: "bank",
}


def _rule(facts: tuple[Reason, ...]) -> str:
    for fact in reversed(facts):
        effect, inputs = fact.effect, fact.inputs
        if effect not in BESIDE:  # a member is equal to its code, and `code` would be asked for every step
            for name in NAMED_BY:
                if name in inputs:
                    value = inputs[name]
                    return f"{effect} {value}" if value else str(effect)
            return str(effect)
    return ""


def _shown(tap: ReplayedTap, local: datetime) -> ShownTap:
    passed = tap.passed
    sides = (_side(tap.before), _side(tap.after))
    return ShownTap(tap.card.number, passed.terminal, passed.sequence, local, tap.trip.route, *sides)


def _side(decision: Decision) -> Side:
    outcome = decision.outcome
    trail = recorded(decision.facts)
    return Side(
        str(outcome.message), outcome.admission.value, outcome.charge_minor, dict(outcome.values), trail
    )
