"""What a decision in the canteen makes of one meal or sale, and how its records are marked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from msgspec import Struct, field

from terminal.policy.document.meals import PAID, PARENTS


class Serving(Struct, frozen=True):
    """One portion as it goes into the records: what, for which day, who pays how much, on which ground.

    `category` is the concession codes of the ground, "meals_2" and the like for one that reveals health
    (D-03), "paid" for none.
    """

    school: str
    class_id: str
    kind: str
    day: date
    sources: Mapping[str, int]
    category: str
    flags: tuple[str, ...] = ()

    @property
    def sum_minor(self) -> int:
        """What the portion costs, from all sources."""
        return sum(self.sources.values())

    @property
    def parents_minor(self) -> int:
        """What the hot-meal account is charged; the only part that can ever be given back (M-03)."""
        return self.sources.get(PARENTS, 0)

    @property
    def entitled(self) -> bool:
        """Whether any budget pays: such a meal is never withheld for a machine's sake (M-37, O-06)."""
        return self.category != PAID


class BasketLine(Struct, frozen=True):
    """So many of one product at the buffet; `foods` are the names a parent may forbid it by, its own included."""

    product: str
    count: int
    price_minor: int
    foods: frozenset[str] = field(default_factory=frozenset)

    @property
    def sum_minor(self) -> int:
        """What the line costs."""
        return self.count * self.price_minor
