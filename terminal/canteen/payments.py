"""Payments of the parents that arrive between two lists of pupils: a file of the school's bank or office, in which each
payment becomes a record of its own, once (M-01, M-03).

    payment;pupil;account;amount
    2026-09-15/0001;9f3c2a51d0e84b77;hot;500.00

A file is loaded whole or not at all. A payment is known by its own number: one that was loaded before, in this file or
another, changes nothing. The next list of pupils, whose balances name the rows they include, takes over from there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.clock import unix_ms
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import AccountCredited, CanteenAccount
from terminal.money import DECIMALS, AmountRefused, parse_amount

COLUMNS: Final = ("payment", "pupil", "account", "amount")
MOST_BYTES: Final = 1 << 20
MOST_PAYMENTS: Final = 10_000
MOST_MISTAKES: Final = 10
MOST_NUMBER: Final = 64
LARGEST_MINOR: Final = 0xFFFFFF


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


def parse_payments(content: bytes, currency: str, listed: frozenset[bytes]) -> tuple[Payment, ...]:
    """The payments in a file. `listed` are the pupils there are. Raises `CanteenRefused` with the lines at fault."""
    if len(content) > MOST_BYTES:
        raise _refused(f"the file has more than {MOST_BYTES} bytes", "Split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(f"byte {error.start} is not UTF-8", "Save it as CSV in UTF-8.") from error
    lines = text.splitlines()
    separator = next((one for one in ";\t," if lines and one in lines[0]), ";")
    rows = list(csv.reader(lines, delimiter=separator))
    if not rows or tuple(cell.strip().lower() for cell in rows[0]) != COLUMNS:
        raise _refused("the first line does not name the columns", f"Begin with: {';'.join(COLUMNS)}")
    if len(rows) > MOST_PAYMENTS + 1:
        raise _refused(f"it has more than {MOST_PAYMENTS} payments", "Split it.")
    found, mistakes, seen = [], [], set[str]()
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        one = _payment([cell.strip() for cell in row], currency, listed)
        if isinstance(one, str):
            mistakes.append(f"line {number}: {one}")
        elif one.mark in seen:
            mistakes.append(f"line {number}: this payment stands in the file already")
        else:
            seen.add(one.mark)
            found.append(one)
    if mistakes:
        more = len(mistakes) - MOST_MISTAKES
        shown = "; ".join(mistakes[:MOST_MISTAKES]) + (f" (and {more} more)" if more > 0 else "")
        raise _refused(shown, "Mend these lines; nothing was loaded.")
    return tuple(found)


def _payment(cells: list[str], currency: str, listed: frozenset[bytes]) -> Payment | str:
    """The payment in a line, or what is wrong with it."""
    if len(cells) != len(COLUMNS):
        return f"{len(cells)} cells, not {len(COLUMNS)}"
    number, ref, name, amount = cells
    pupil, account = _pupil(ref), next((one for one in CanteenAccount if one == name), None)
    amount_minor = _amount(amount, currency)
    if not 0 < len(number) <= MOST_NUMBER or not number.isprintable():
        return f"a payment has a number of 1 to {MOST_NUMBER} characters"
    if pupil not in listed:
        return "the list has no such pupil"
    if account is None:
        return "the account is hot or buffet"
    return (
        amount_minor
        if isinstance(amount_minor, str)
        else Payment(mark_of(number), pupil, account, amount_minor)
    )


def mark_of(number: str) -> str:
    """What records hold in place of a payment's number."""
    return blake2b(number.encode(), digest_size=16, person=b"rct payment").hexdigest()


def _pupil(ref: str) -> bytes:
    try:
        return bytes.fromhex(ref)
    except ValueError:
        return b""


def _amount(text: str, currency: str) -> int | str:
    """Minor units, or what is wrong with the amount. Zeros at its end may be left out."""
    whole, _, part = text.replace(",", ".").partition(".")
    decimals = DECIMALS.get(currency, 0)
    amount = f"{whole}.{part.ljust(decimals, '0')}" if part or decimals else whole
    try:
        amount_minor = parse_amount(amount, currency)
    except AmountRefused as refused:
        return str(refused)
    if 0 < amount_minor <= LARGEST_MINOR:
        return amount_minor
    return "the amount is more than nothing, and less than the largest balance"


def take_payments(counter: CanteenCounter, content: bytes, operator: str, now: datetime) -> PaymentsTaken:
    """Write down every payment of the file that is new. Raises `CanteenRefused` for a file with a mistake in it, and
    `JournalError`; the same file again goes on where it was cut off.
    """
    counter.follow()
    payments = parse_payments(content, counter.policy.currency, frozenset(counter.require_roster().pupils))
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


def _refused(what: str, advice: str) -> CanteenRefused:
    return CanteenRefused(what, advice, CanteenFault.NOT_UNDERSTOOD)
