"""What a decision in the canteen may know of a pupil and of the meal being served.

A pupil is a pseudonym of the purpose "school" (D-01) with facts; there is no name here. The facts come from the
roster and from this terminal's own records; the terminal that has neither knows what the card says and nothing
else.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Age(StrEnum):
    """O-03: how old what is known of the pupil is."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class MealGrant(Struct, frozen=True):
    """A ground for meals by its concession code; both days are included (M-20).

    `grade` and `shift` are what the ground itself states of `valid_from`, 0 where it states nothing.
    """

    code: int
    valid_from: date
    valid_to: date
    issued_on: date
    grade: int = 0
    shift: int = 0
    blocked: bool = False
    """Withdrawn by the list: it wins over a card that still carries the ground (O-02)."""


class Account(Struct, frozen=True):
    """One of the two canteen accounts (M-01): the balance as far as this terminal knows, in minor units."""

    balance_minor: int
    uncertain: bool = False
    """Records that moved it may have left this terminal since the balance was stated."""


class ParentLimits(Struct, frozen=True):
    """M-02: how much of the parents' money may be spent a day, in all and in the buffet; None: no limit."""

    day_minor: int | None = None
    buffet_minor: int | None = None


NO_LIMITS: Final = ParentLimits()


class Pupil(Struct, frozen=True):
    """A pupil on one service day. `grade` is the one of that day, 0 and `shift` 0 where they are not known.

    `served` and `annulled` are masks of meal kinds by the records of this terminal: what was served and not
    annulled, and what was annulled. `orders` are the kinds ordered for the day and not yet redeemed (M-32).
    `absent`: the class's attendance says so (M-33). `cards_since`: an older card of this pupil is lost (M-35).
    """

    ref: bytes = b""
    school: str = ""
    class_id: str = ""
    grade: int = 0
    shift: int = 0
    home_schooled: bool = False
    grants: tuple[MealGrant, ...] = ()
    hot: Account | None = None
    buffet: Account | None = None
    spent_hot_minor: int = 0
    spent_buffet_minor: int = 0
    limits: ParentLimits = NO_LIMITS
    forbidden: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    served: int = 0
    annulled: int = 0
    absent: bool = False
    cards_since: date | None = None
    age: Age = Age.FRESH
    listed: bool = True
    """The roster has an entry; without one only the masks are known here, and the card says the rest."""

    @property
    def spent_minor(self) -> int:
        """What the parents have paid today, on both accounts."""
        return self.spent_hot_minor + self.spent_buffet_minor


class CanteenContext(Struct, frozen=True):
    """What a canteen terminal adds to a tap.

    `serving` is the meal being served: a kind, "by_shift" for each pupil's assigned one (M-30 stream), empty
    for the one the clock says. `pupil` is None where nothing but the card is known. `paid_stopped`: the journal
    takes no more (O-06). `roster` is the number of the roster in force, 0 for none. `only_read`: staff asked whose
    card it is, and no meal is given. `elsewhere`: kinds that other terminals of the school say they served to this
    pupil today (bits). `lost_since`: staff marked this card as
    lost on that day, in ISO form; empty for none (M-35).
    """

    school: str = ""
    serving: str = ""
    pupil: Pupil | None = None
    day_closed: bool = False
    paid_stopped: bool = False
    roster: int = 0
    only_read: bool = False
    elsewhere: int = 0
    lost_since: str = ""


NO_CANTEEN: Final = CanteenContext()
