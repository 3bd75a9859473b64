"""What the records of a canteen come to: who was served what, and what was undone. A fold over rows, in order.

The same fold stands behind the next decision (has this pupil eaten today, what is on the account) and behind the
reports, so they cannot disagree. It holds rows of one terminal at the counter, of all of a school in the office.

A tap counts when its card is known to have taken it; until then it is uncertain and stands apart. Of two records
of one pupil, day and kind the later is a duplicate (O-08): both stay, the parents are charged once and no budget
is claimed twice.

Meals, sales and attendance are a person's: a pupil with a new card goes on where he was. Only what is said of one card
goes by the card: that it was lent, and whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from terminal.canteen.card_book import CardBook
from terminal.journal.canteen_records import (
    AccountCredited,
    Annulment,
    AttendanceCorrected,
    BuffetSale,
    CardLent,
    CardTied,
    CardUse,
    DayClosed,
    MealLine,
    MealOrdered,
    MealServed,
    NotCollected,
    ServedBy,
    owner_of,
)
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, Unwritten, parse_record
from terminal.journal.taps import End, Intents
from terminal.policy.document.meals import PARENTS

PAGE_ROWS: Final = 1000

RowId: TypeAlias = tuple[int, int]
"""Terminal and journal row."""


class Meal(Struct, frozen=True):
    """One portion that was served, by a tap or without one."""

    row: RowId
    at_ms: int
    pupil: bytes
    how: ServedBy
    line: MealLine
    currency: str

    @property
    def parents_minor(self) -> int:
        """What the hot-meal account paid of it."""
        return self.line.sources.get(PARENTS, 0)

    @property
    def day(self) -> str:
        """The service day it belongs to."""
        return self.line.day


class LedgerSale(Struct, frozen=True):
    """One sale of the buffet."""

    row: RowId
    at_ms: int
    pupil: bytes
    sale: BuffetSale

    @property
    def day(self) -> str:
        """The service day it belongs to."""
        return self.sale.day

    @property
    def currency(self) -> str:
        """What its sums are in."""
        return self.sale.currency


class Ledger:
    """Everything the canteen's rows say, indexed by pupil. Rows of one terminal come in their order."""

    def __init__(self) -> None:
        self.meals: dict[RowId, Meal] = {}
        self.sales: dict[RowId, LedgerSale] = {}
        self.uncertain: dict[RowId, Meal] = {}
        """Taps whose card may or may not have taken the meal."""
        self.annulments: dict[RowId, tuple[RowId, Annulment]] = {}
        """By the row that was annulled: the annulment's own row, and what it says."""
        self.not_collected: dict[tuple[bytes, str, str], NotCollected] = {}
        """By pupil, day and kind."""
        self.attendance: dict[tuple[str, bytes], AttendanceCorrected] = {}
        self.credits: dict[str, tuple[RowId, AccountCredited]] = {}
        """By the payment's mark: the first row that has it."""
        self.closed_days: set[str] = set()
        self.spare: set[int] = set()
        """Numbers of the spare log that are in the journal by now (O-06)."""
        self.cards = CardBook()
        self._intents: dict[int, Intents] = {}
        self._lent: dict[tuple[bytes, str], bytes] = {}
        self._owners: dict[bytes, bytes] = {}
        self.order_count = 0
        """How often orders were taken or taken back at the counter."""
        self._credits_of: dict[bytes, list[str]] = {}
        self._orders: dict[tuple[bytes, str], set[str]] = {}
        self._of_pupil: dict[bytes, list[RowId]] = {}
        self._read: dict[int, int] = {}

    def follow(self, journal: Journal) -> None:
        """Take in the rows that are new since the last time."""
        while rows := journal.rows(after=self._read.get(journal.terminal, 0), limit=PAGE_ROWS):
            for row in rows:
                self.apply((journal.terminal, row.sequence), parse_record(row.body))
            self._read[journal.terminal] = rows[-1].sequence

    def apply(self, row: RowId, record: AnyRecord) -> None:
        """Take in one record; what is not about a canteen is passed over."""
        match record:
            case Intent() | Committed() | NotCommitted():
                self._apply_tap(row, record)
            case Unwritten(card_ref=bytes() as card_ref):
                self._owners[card_ref] = owner_of(card_ref, record.person_ref)
            case MealServed():
                if record.spare:
                    self.spare.add(record.spare)
                self._serve(Meal(row, record.at_ms, record.pupil, record.how, record.meal, record.currency))
            case BuffetSale():
                self.sales[row] = LedgerSale(row, record.at_ms, record.pupil, record)
                self._of_pupil.setdefault(record.pupil, []).append(row)
            case Annulment():
                self.annulments[row[0], record.of] = (row, record)
            case AccountCredited() | MealOrdered():
                self._apply_parents(row, record)
            case NotCollected():
                self.not_collected[record.pupil, record.day, record.kind] = record
            case AttendanceCorrected():
                self.attendance[record.day, record.pupil] = record
            case DayClosed():
                self.closed_days.add(record.day)
            case CardLent() | CardTied():
                self._apply_card(record)
            case _:
                pass

    def _apply_parents(self, row: RowId, record: AccountCredited | MealOrdered) -> None:
        """What parents paid in and ordered."""
        if isinstance(record, MealOrdered):
            self.order_count += 1
            kinds = self._orders.setdefault((record.pupil, record.day), set())
            (kinds.discard if record.cancelled else kinds.add)(record.kind)
        elif record.payment not in self.credits:
            self.credits[record.payment] = (row, record)
            self._credits_of.setdefault(record.pupil, []).append(record.payment)

    def _apply_tap(self, row: RowId, record: Intent | Committed | NotCommitted) -> None:
        settled = self._intents.setdefault(row[0], Intents()).take(row[1], record)
        if isinstance(record, Intent):
            self._owners[record.card_ref] = owner_of(record.card_ref, record.person_ref)
        if isinstance(record, Intent) and (line := record.meal) is not None:
            pupil = self.holder_of(record.card_ref, record.person_ref, line.day)
            self.uncertain[row] = Meal(row, record.at_ms, pupil, ServedBy.CARD, line, record.currency)
        if settled is not None:
            meal = self.uncertain.pop((row[0], settled.sequence), None)
            if meal is not None and settled.end is End.COMMITTED:
                self._serve(meal)

    def _apply_card(self, record: CardLent | CardTied) -> None:
        """Whom a card stands for, for a day or from now on."""
        if isinstance(record, CardLent):
            self._lent[record.card_ref, record.day] = record.pupil
            return
        self.cards.apply(record)
        if record.use is CardUse.UNTIED:
            self._owners[record.card_ref] = record.owner

    def _serve(self, meal: Meal) -> None:
        self.meals[meal.row] = meal
        self._of_pupil.setdefault(meal.pupil, []).append(meal.row)

    def copy(self) -> Ledger:
        """What is known now, for those who look at it longer; records themselves never change."""
        made = Ledger()
        made.meals, made.sales = dict(self.meals), dict(self.sales)
        made.annulments, made.not_collected = dict(self.annulments), dict(self.not_collected)
        made.credits = dict(self.credits)
        made.attendance, made.closed_days = dict(self.attendance), set(self.closed_days)
        return made

    # What is asked of it

    def standing(self, meals: Iterable[Meal]) -> Iterator[Meal]:
        """Those of `meals` that were not annulled."""
        return (meal for meal in meals if meal.row not in self.annulments)

    def duplicates(self, meals: Iterable[Meal]) -> set[RowId]:
        """O-08: of standing records of one pupil, day and kind all but the first."""
        seen: set[tuple[bytes, str, str]] = set()
        found = set()
        for meal in sorted(self.standing(meals), key=lambda meal: (meal.at_ms, meal.row)):
            portion = (meal.pupil, meal.line.day, meal.line.kind)
            if portion in seen:
                found.add(meal.row)
            seen.add(portion)
        return found

    def meals_of(self, pupil: bytes) -> list[Meal]:
        """Every portion of one pupil, annulled ones included."""
        return [self.meals[row] for row in self._of_pupil.get(pupil, ()) if row in self.meals]

    def sales_of(self, pupil: bytes) -> list[LedgerSale]:
        """Every sale to one pupil, annulled ones included."""
        return [self.sales[row] for row in self._of_pupil.get(pupil, ()) if row in self.sales]

    def credits_of(self, pupil: bytes) -> list[tuple[RowId, AccountCredited]]:
        """Every payment to one pupil's accounts, each once."""
        return [self.credits[payment] for payment in self._credits_of.get(pupil, ())]

    def ordered(self, pupil: bytes, day: str, kind: str) -> bool:
        """Whether the meal was ordered at the counter, and not taken back."""
        return kind in self._orders.get((pupil, day), ())

    def orders_of(self, pupil: bytes, day: str) -> frozenset[str]:
        """The kinds ordered at the counter for `day`."""
        return frozenset(self._orders.get((pupil, day), ()))

    def who_ordered(self, day: str) -> frozenset[bytes]:
        """Who has an order for `day` that was taken at the counter."""
        return frozenset(pupil for (pupil, on), kinds in self._orders.items() if on == day and kinds)

    def newest_of(self, pupil: bytes) -> Meal | LedgerSale | None:
        """The last meal or sale of a pupil that was not annulled."""
        for row in reversed(self._of_pupil.get(pupil, ())):
            if row not in self.annulments:
                return self.meals.get(row) or self.sales[row]
        return None

    def holder_of(self, card_ref: bytes, person_ref: bytes | None, day: str) -> bytes:
        """Whom a card stands for on `day`: the pupil it was lent to (M-35), or its own holder."""
        return self._lent.get((card_ref, day)) or owner_of(card_ref, person_ref)

    def owner_of(self, card_ref: bytes) -> bytes | None:
        """Whose card this is, by its newest tap here or a tie since then; None for one that no row held here knows."""
        owner = self._owners.get(card_ref)
        return None if owner is None else self.cards.pupil_of(card_ref, owner) or owner

    def owners(self) -> frozenset[bytes]:
        """Everyone whose card was presented here."""
        return frozenset(self._owners.values())

    def cards_of(self, pupil: bytes) -> tuple[bytes, ...]:
        """The cards of one person that were presented here, by their newest tap."""
        return tuple(card for card, owner in self._owners.items() if owner == pupil)

    def absent(self, pupil: bytes, day: str) -> bool:
        """Whether the class's attendance says so (M-33)."""
        corrected = self.attendance.get((day, pupil))
        return corrected is not None and corrected.absent
