"""What a canteen terminal's rows say besides taps: meals by list, buffet sales, and what undoes or closes them.

A `pupil` is a person by a token of the purpose "school" (D-01), the same as `person_ref` of a tap in the canteen,
whichever card was presented; a `card_ref` is one card. A category that reveals health stands here only as its effect
(D-03). `operator` is a staff number. A `day` is a service day, "2026-09-15". `action` is the form of the console a row
is the answer to, empty for none. Tags 20 to 39 belong to this module.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from terminal.journal.record_base import Record
from terminal.policy.document.meals import PAID
from terminal.trail import TrailEntry


def owner_of(card_ref: bytes, person_ref: bytes | None) -> bytes:
    """Whose card was tapped, as a `pupil` stands here: of a medium that knows no person, it stands for itself."""
    return person_ref or card_ref


class MealLine(msgspec.Struct, frozen=True, array_like=True):
    """One portion: what, for which day, and who pays how much of it (M-01).

    The sums of `sources` add up to its cost; "parents" among them is the hot-meal account. `category`: the
    concession codes of the ground, "meals_2" and the like for one that reveals health, "paid" for none.
    `roster` is the sequence of the roster that was in force, 0 when there was none.
    """

    school: str
    class_id: str
    kind: str
    day: str
    sources: dict[str, int]
    category: str
    flags: tuple[str, ...] = ()
    roster: int = 0

    @property
    def sum_minor(self) -> int:
        """What the portion costs, from all sources."""
        return sum(self.sources.values())

    @property
    def entitled(self) -> bool:
        """Whether any budget pays: such a meal is given even when nothing may be sold (O-06)."""
        return self.category != PAID


class ServedBy(StrEnum):
    """How a portion or a product reached a pupil (M-30)."""

    CARD = "card"
    """By a tap that wrote no card (O-06)."""
    CLASS_LIST = "class_list"
    COVERED_TABLE = "covered_table"
    STREAM = "stream"
    PRE_ORDER = "pre_order"
    FORGOTTEN_CARD = "forgotten_card"
    ASKED = "asked"
    """After a tap that left it to the cashier, who said yes."""
    BUFFET = "buffet"


class MealServed(Record, frozen=True, array_like=True, tag=20):
    """A portion was given without writing a card: by class list, from an order, on a covered table (M-30).

    `confirmed_by` is the second staff number where one is needed (M-35). `spare` is the number this meal had in
    the spare log when the journal could not take it (O-06), 0 otherwise.
    """

    pupil: bytes
    shift: int
    how: ServedBy
    operator: str
    meal: MealLine
    tariff: str
    reasons: tuple[TrailEntry, ...] = ()
    confirmed_by: str = ""
    spare: int = 0
    action: str = ""
    currency: str = ""


class SaleLine(msgspec.Struct, frozen=True, array_like=True):
    """So many of one product for so much in all."""

    product: str
    count: int
    sum_minor: int


class BuffetSale(Record, frozen=True, array_like=True, tag=21):
    """Products were sold from the buffet account (M-01)."""

    pupil: bytes
    shift: int
    operator: str
    school: str
    class_id: str
    day: str
    lines: tuple[SaleLine, ...]
    tariff: str
    flags: tuple[str, ...] = ()
    roster: int = 0
    action: str = ""
    currency: str = ""

    @property
    def sum_minor(self) -> int:
        """What the sale costs."""
        return sum(line.sum_minor for line in self.lines)


class Annulment(Record, frozen=True, array_like=True, tag=22):
    """The meal or sale in row `of` counts as not having been (M-34); that row itself stays.

    `returned_minor` goes back to the account of the parents it came from; subsidy never does (M-03). `confirmed_by` is
    the second staff number where the time of one person was over.
    """

    pupil: bytes
    of: int
    day: str
    operator: str
    shift: int
    returned_minor: int
    action: str = ""
    currency: str = ""
    confirmed_by: str = ""


class NotCollected(Record, frozen=True, array_like=True, tag=23):
    """An ordered meal was not collected: nothing is charged or claimed (M-32)."""

    pupil: bytes
    school: str
    class_id: str
    kind: str
    day: str
    category: str
    operator: str
    shift: int
    action: str = ""


class AttendanceCorrected(Record, frozen=True, array_like=True, tag=24):
    """The class's attendance of the day now says so of this pupil (M-33)."""

    pupil: bytes
    school: str
    class_id: str
    day: str
    absent: bool
    operator: str
    shift: int
    action: str = ""


class DayClosed(Record, frozen=True, array_like=True, tag=25):
    """Nothing more is served or annulled on this day here. `totals` is what the operator was shown, by name."""

    day: str
    operator: str
    totals: dict[str, int]
    action: str = ""
    currency: str = ""


class CardLent(Record, frozen=True, array_like=True, tag=26):
    """For one day the card `card_ref`, this one and no other of its holder, stands for `pupil`, who forgot his own
    (M-35)."""

    card_ref: bytes
    pupil: bytes
    day: str
    operator: str
    confirmed_by: str
    action: str = ""


class RosterLoaded(Record, frozen=True, array_like=True, tag=27):
    """From here on this roster is in force; its balances include this journal's rows up to `through`."""

    school: str
    roster: int
    through: int
    pupils: int
    action: str = ""


class IssueRefused(Record, frozen=True, array_like=True, tag=28):
    """A pupil of a list or at the buffet was refused; of a tap see `Unwritten`."""

    pupil: bytes
    shift: int
    how: ServedBy
    operator: str
    message: str
    tariff: str
    reasons: tuple[TrailEntry, ...]
    action: str = ""
    currency: str = ""


class CardUse(StrEnum):
    """What became of a card (M-35)."""

    TIED = "tied"
    """It stands for the pupil from now on."""
    UNTIED = "untied"
    """It stands for its own holder again."""
    LOST = "lost"
    """It is refused here; its holder's other cards are not."""
    FOUND = "found"


class CardTied(Record, frozen=True, array_like=True, tag=29):
    """The card `card_ref` of `owner`, who holds it as the card says (`owner_of`), stands for `pupil` of the school's
    list, or does no longer. Taps after it name the pupil as their person."""

    card_ref: bytes
    owner: bytes
    pupil: bytes
    use: CardUse
    day: str
    operator: str
    action: str = ""


class CanteenAccount(StrEnum):
    """One of the two accounts (M-01)."""

    HOT = "hot"
    BUFFET = "buffet"


class AccountCredited(Record, frozen=True, array_like=True, tag=30):
    """A payment of the parents reached an account; `payment` is a digest of its number, by which it counts once."""

    pupil: bytes
    school: str
    day: str
    account: CanteenAccount
    amount_minor: int
    payment: str
    operator: str
    action: str = ""
    currency: str = ""


class MealOrdered(Record, frozen=True, array_like=True, tag=31):
    """A meal of a coming `day` was ordered at the counter, or such an order taken back (M-32)."""

    pupil: bytes
    school: str
    class_id: str
    day: str
    kind: str
    cancelled: bool
    operator: str
    action: str = ""


CanteenRecord: TypeAlias = (
    AccountCredited
    | MealOrdered
    | MealServed
    | BuffetSale
    | Annulment
    | NotCollected
    | AttendanceCorrected
    | DayClosed
    | CardLent
    | RosterLoaded
    | IssueRefused
    | CardTied
)
