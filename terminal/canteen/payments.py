"""Payments of the parents that arrive between two lists of pupils: a file of the school's bank or office, in which each
payment becomes a record of its own, once (M-01, M-03).

    payment;pupil;account;amount
    2026-09-15/0001;9f3c2a51d0e84b77;hot;500.00
    2026-09-15/0002;К-114;buffet;150

A pupil is named by his reference or by the school's own number; columns and accounts may have Russian names.

A file is loaded whole or not at all. A payment is known by its own number: one that was loaded before, in this file or
another, changes nothing. The next list of pupils, whose balances name the rows they include, takes over from there.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.roster import Roster
from terminal.clock import unix_ms
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused, Mistake, MistakeCode
from terminal.journal.canteen_records import AccountCredited, CanteenAccount
from terminal.mistakes.words import said
from terminal.money import DECIMALS, AmountRefused, parse_amount
from terminal.texts import N_

COLUMNS: Final = ("payment", "pupil", "account", "amount")
CALLED: Final[Mapping[str, str]] = {
    **{name: name for name in COLUMNS},
    **{"платёж": "payment", "платеж": "payment", "ученик": "pupil", "счёт": "account", "счет": "account"},
    **{"сумма": "amount"},
}
"""What the columns may be called."""
ACCOUNTS: Final[Mapping[str, CanteenAccount]] = {
    **{str(one): one for one in CanteenAccount},
    **{"питание": CanteenAccount.HOT, "горячее питание": CanteenAccount.HOT, "буфет": CanteenAccount.BUFFET},
}
MOST_BYTES: Final = 1 << 20
MOST_PAYMENTS: Final = 10_000
MOST_MISTAKES: Final = 10
MOST_NUMBER: Final = 64
LARGEST_MINOR: Final = 0xFFFFFF


class PaymentMistake(MistakeCode):
    """What may be wrong with a file of payments."""

    TOO_LARGE = "payments_too_large", N_("the file has more than {most} bytes"), N_("Split it.")
    NOT_TEXT = "payments_not_text", N_("byte {at} is not UTF-8"), N_("Save it as CSV in UTF-8.")
    NO_COLUMNS = (
        "payments_no_columns",
        N_("the first line does not name the columns"),
        N_("Begin with: {columns}"),
    )
    TOO_MANY = "payments_too_many", N_("it has more than {most} payments"), N_("Split it.")
    CELLS = "payment_cells", N_("{cells} cells, not {wanted}"), N_("Fill in each column.")
    NUMBER = (
        "payment_number",
        N_("a payment has a number of 1 to {most} characters"),
        N_("Write the number by which the payment is known."),
    )
    NO_PUPIL = (
        "payment_no_pupil",
        N_("the list has no such pupil"),
        N_("Write the pupil's number of the list of pupils, or the reference."),
    )
    ACCOUNT = "payment_account", N_("the account is hot or buffet"), N_("Write hot or buffet.")
    NO_AMOUNT = "payment_no_amount", N_("not a sum of money"), N_("Write roubles and kopecks: 78,02.")
    AMOUNT = (
        "payment_amount",
        N_("the amount is more than nothing, and less than the largest balance"),
        N_("Check the sum."),
    )
    TWICE = "payment_twice", N_("this payment stands in the file already"), N_("Take one of them out.")


class PaymentsRefused(CanteenRefused):
    """A file of payments with mistakes in it; nothing of it was loaded."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        shown = "; ".join(_sentence(one) for one in self.mistakes[:MOST_MISTAKES])
        more = len(self.mistakes) - MOST_MISTAKES
        advice = said(self.mistakes[0])[1] if len(self.mistakes) == 1 else "Mend these lines."
        super().__init__(
            shown + (f" (and {more} more)" if more > 0 else ""),
            f"{advice} Nothing was loaded.",
            CanteenFault.NOT_UNDERSTOOD,
        )


def _sentence(mistake: Mistake) -> str:
    line = "" if mistake.line is None else f"line {mistake.line}: "
    return f"{line}{said(mistake)[0]}"


class Payment(Struct, frozen=True):
    """One line of the file. `mark` stands for the payment's number, in which banks write names, too (D-02)."""

    mark: str
    pupil: bytes
    account: CanteenAccount
    amount_minor: int


class PaymentsTaken(Struct, frozen=True):
    """What came of a file: payments that are new, those known before, and what the new ones come to."""

    new: int
    known: int
    sum_minor: int


class ListedPupils(Struct, frozen=True):
    """By what a file may name a pupil: the reference, or the school's own number where one pupil has it."""

    refs: frozenset[bytes]
    numbers: Mapping[str, bytes]

    @classmethod
    def of(cls, roster: Roster) -> ListedPupils:
        """All of a list."""
        counts = Counter(one.number for one in roster.pupils.values())
        numbers = {one.number: ref for ref, one in roster.pupils.items() if counts[one.number] == 1}
        numbers.pop("", None)
        return cls(frozenset(roster.pupils), numbers)

    def find(self, text: str) -> bytes | None:
        """The pupil; None for one that is not listed."""
        if text in self.numbers:
            return self.numbers[text]
        try:
            ref = bytes.fromhex(text)
        except ValueError:
            return None
        return ref if ref in self.refs else None


def parse_payments(content: bytes, currency: str, listed: ListedPupils) -> tuple[Payment, ...]:
    """The payments in a file. Raises `PaymentsRefused` with the lines at fault."""
    found, mistakes, seen = [], [], set[str]()
    for number, row in enumerate(_rows(content), start=2):
        if not any(cell.strip() for cell in row):
            continue
        one = _payment([cell.strip() for cell in row], currency, listed)
        if isinstance(one, Payment) and one.mark in seen:
            one = Mistake("", PaymentMistake.TWICE)
        if isinstance(one, Mistake):
            mistakes.append(replace(one, line=number))
        else:
            seen.add(one.mark)
            found.append(one)
    if mistakes:
        raise PaymentsRefused(mistakes)
    return tuple(found)


def _rows(content: bytes) -> list[list[str]]:
    """The lines below the heading, within limits."""
    if len(content) > MOST_BYTES:
        raise _refused(PaymentMistake.TOO_LARGE, most=MOST_BYTES)
    lines = _text(content).splitlines()
    separator = next((one for one in ";\t," if lines and one in lines[0]), ";")
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error:  # a cell larger than any that is meant
        rows = []
    if not rows or tuple(CALLED.get(cell.strip().casefold(), "") for cell in rows[0]) != COLUMNS:
        raise _refused(PaymentMistake.NO_COLUMNS, columns=";".join(COLUMNS))
    if len(rows) > MOST_PAYMENTS + 1:
        raise _refused(PaymentMistake.TOO_MANY, most=MOST_PAYMENTS)
    return rows[1:]


def _text(content: bytes) -> str:
    """UTF-8 with or without its mark, else cp1251 as Excel saves it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return content.decode("cp1251")
        except UnicodeDecodeError:
            raise _refused(PaymentMistake.NOT_TEXT, at=error.start) from error


def _payment(cells: list[str], currency: str, listed: ListedPupils) -> Payment | Mistake:
    """The payment in a line, or what is wrong with it."""
    if len(cells) != len(COLUMNS):
        return Mistake("", PaymentMistake.CELLS, {"cells": len(cells), "wanted": len(COLUMNS)})
    number, who, name, amount = cells
    pupil, account = listed.find(who), ACCOUNTS.get(name.casefold())
    amount_minor = _amount(amount, currency)
    if not 0 < len(number) <= MOST_NUMBER or not number.isprintable():
        return Mistake("", PaymentMistake.NUMBER, {"most": MOST_NUMBER})
    if pupil is None:
        return Mistake("", PaymentMistake.NO_PUPIL)
    if account is None:
        return Mistake("", PaymentMistake.ACCOUNT)
    if isinstance(amount_minor, PaymentMistake):
        return Mistake("", amount_minor)
    return Payment(mark_of(number), pupil, account, amount_minor)


def mark_of(number: str) -> str:
    """What records hold in place of a payment's number."""
    return blake2b(number.encode(), digest_size=16, person=b"rct payment").hexdigest()


def _amount(text: str, currency: str) -> int | PaymentMistake:
    """Minor units, or what is wrong with the amount. Zeros at its end may be left out."""
    whole, _, part = text.replace(",", ".").partition(".")
    decimals = DECIMALS.get(currency, 0)
    amount = f"{whole}.{part.ljust(decimals, '0')}" if part or decimals else whole
    try:
        amount_minor = parse_amount(amount, currency)
    except AmountRefused:
        return PaymentMistake.NO_AMOUNT
    return amount_minor if 0 < amount_minor <= LARGEST_MINOR else PaymentMistake.AMOUNT


def take_payments(counter: CanteenCounter, content: bytes, operator: str, now: datetime) -> PaymentsTaken:
    """Write down every payment of the file that is new. Raises `PaymentsRefused` for a file with a mistake in it, and
    `JournalError`; the same file again goes on where it was cut off.
    """
    counter.follow()
    payments = parse_payments(content, counter.policy.currency, ListedPupils.of(counter.require_roster()))
    new = [one for one in payments if one.mark not in counter.ledger.credits]
    for record in _records(counter, new, operator, now):
        counter.append(record)
    return PaymentsTaken(len(new), len(payments) - len(new), sum(one.amount_minor for one in new))


def _records(
    counter: CanteenCounter, payments: list[Payment], operator: str, now: datetime
) -> Iterator[AccountCredited]:
    for one in payments:
        yield AccountCredited(
            at_ms=unix_ms(now),
            pupil=one.pupil,
            school=counter.school,
            day=counter.day_of(now).isoformat(),
            account=one.account,
            amount_minor=one.amount_minor,
            payment=one.mark,
            operator=operator,
            currency=counter.policy.currency,
        )


def _refused(code: PaymentMistake, **values: int | str) -> PaymentsRefused:
    return PaymentsRefused([Mistake("", code, values)])
