"""The roster of a school: who eats here, as far as the terminal has to know (O-01, D-01, D-02).

A roster comes as a file from the school's system and is checked against the region document. On the terminal it is
kept sealed as a whole: names, grounds that reveal health, forbidden foods and balances are of the same kind. A
roster with an older sequence than the one in force is refused; one that has grown old works on and is flagged,
because no child is turned away for it (O-03, M-37).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import msgspec

from terminal.canteen.documents import ListMistake, MealOrder, RosterDocument, RosterHeader, RosterPupil
from terminal.decision.canteen.undo import against_order
from terminal.errors import Mistake
from terminal.policy.base import Thing, unique, unknown
from terminal.policy.policy import Policy
from terminal.trip.pupil import Age

AFTER_GRADES: Final = 1_000
"""Where classes without a grade stand in a school's order."""


@dataclass(frozen=True, slots=True, repr=False)
class Roster:
    """A checked roster, indexed. `late_orders` is how many orders were dropped for coming after the cut-off."""

    document: RosterDocument
    pupils: Mapping[bytes, RosterPupil]
    classes: Mapping[str, tuple[bytes, ...]]
    late_orders: int
    worked_out: dict[Hashable, Any] = field(default_factory=dict, compare=False)
    """What follows from the list alone and takes a while: kept until another list is in force."""

    def __repr__(self) -> str:
        return f"Roster({self.document!r})"

    @classmethod
    def of(cls, document: RosterDocument, policy: Policy) -> Roster:
        """Index a sound document; orders that came too late are dropped (M-32)."""
        school, pupils, late = document.header.school, {}, 0
        classes: dict[str, list[bytes]] = {}
        for pupil in document.pupils:
            in_time = tuple(order for order in pupil.orders if _in_time(order, policy, school))
            late += len(pupil.orders) - len(in_time)
            ref = bytes.fromhex(pupil.ref)
            pupils[ref] = _with_orders(pupil, in_time)
            classes.setdefault(pupil.class_id, []).append(ref)
        return cls(
            document,
            MappingProxyType(pupils),
            MappingProxyType({name: tuple(refs) for name, refs in sorted(classes.items(), key=_by_class)}),
            late,
        )

    @property
    def header(self) -> RosterHeader:
        """What the roster says of itself."""
        return self.document.header

    def age(self, now: datetime, policy: Policy) -> Age:
        """O-03: by the document's limits since it was issued; past its validity it has expired."""
        ages, since = policy.document.ages, now - self.header.issued_at
        if now >= self.header.valid_to or since > timedelta(hours=ages.stale_h):
            return Age.EXPIRED
        return Age.STALE if since > timedelta(hours=ages.fresh_h) else Age.FRESH


def roster_problems(document: RosterDocument, policy: Policy) -> Iterator[Mistake]:
    """Everything in `document` that does not fit the region document, in reading order. Names no pupil."""
    yield from unique("pupils", (pupil.ref for pupil in document.pupils), key="ref")
    codes = {concession.code for concession in policy.document.concessions}
    for index, pupil in enumerate(document.pupils):
        path = f"pupils[{index}]"
        for at, grant in enumerate(pupil.grants):
            if grant.code not in codes:
                yield unknown(f"{path}.grants[{at}].code", Thing.CONCESSION, grant.code, sorted(codes))
            if grant.valid_from > grant.valid_to:
                yield Mistake(f"{path}.grants[{at}].valid_to", ListMistake.GRANT_ENDS_FIRST)
        yield from unique(f"{path}.grants", (grant.code for grant in pupil.grants), key="code")
        for at, order in enumerate(pupil.orders):
            if order.kind not in policy.meals.kinds:
                yield unknown(f"{path}.orders[{at}].kind", Thing.MEAL_KIND, order.kind, policy.meals.kinds)
            if order.placed_at.tzinfo is not None:
                yield Mistake(f"{path}.orders[{at}].placed_at", ListMistake.ORDER_WITH_OFFSET)
        yield from unique(f"{path}.orders", ((order.day, order.kind) for order in pupil.orders))


def _by_class(item: tuple[str, list[bytes]]) -> tuple[int, str]:
    return class_order(item[0])


@lru_cache(maxsize=1024)
def class_order(class_id: str) -> tuple[int, str]:
    """For sorting classes as a school does: 3а, 3б, 10а, then those without a grade, such as staff."""
    digits = class_id[: len(class_id) - len(class_id.lstrip("0123456789"))]
    return int(digits) if digits else AFTER_GRADES * bool(class_id), class_id.casefold()


def _in_time(order: MealOrder, policy: Policy, school: str) -> bool:
    return against_order(order.placed_at, order.day, policy.meals, school) is None


def _with_orders(pupil: RosterPupil, orders: tuple[MealOrder, ...]) -> RosterPupil:
    return msgspec.structs.replace(pupil, orders=orders) if orders != pupil.orders else pupil
