"""What two people decide: the first asks, the second confirms or rejects. The rows stay.

A request waits for three days. What it is about is named so that the second confirms exactly what the first saw: an
alarm with how often it was seen, a repository by the SHA-256 of its timestamp, a month by that of its statement.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from typing import Final, NamedTuple

WAITS_MS: Final = 3 * 24 * 3600 * 1000
MOST_WAITING: Final = 1_000
SCHEMA: Final = """CREATE TABLE request (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
    comment TEXT NOT NULL, by TEXT NOT NULL, decided_at_ms INTEGER, decided_by TEXT NOT NULL, outcome TEXT NOT NULL
)"""


class Act(StrEnum):
    """What no one does alone."""

    ACKNOWLEDGE = "acknowledge"
    ROLL_OUT = "roll_out"
    REFUND = "refund"
    """Give back of a bank card's charge; the subject is its number and the sum (`terminal.collector.bank.charging`)."""
    CLOSE_MONTH = "close_month"
    REPLACE_CARD = "replace_card"
    """A lost card's balance goes onto a new card (`terminal.collector.issuing_orders`)."""
    REPAY_RIDE = "repay_ride"
    """A ride's charge is paid back onto its card."""
    SETTLE_LATER = "settle_later"
    """What a lost card took after its balance had moved is settled on its successor."""
    FORGIVE_LATER = "forgive_later"
    """It is not collected."""
    MOVE_ORDER = "move_order"
    """A begun order leaves a card that broke; the subject is its number and that card."""
    DROP_ORDER = "drop_order"
    """An order that was not begun is given up; the subject is its number."""
    ERASE_PERSON = "erase_person"
    """What names a card's holder goes (`terminal.collector.erasing`)."""


class Decided(StrEnum):
    """What became of a request."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Approval(NamedTuple):
    """One request. `decided_by` is the second person."""

    id: int
    at_ms: int
    what: Act
    subject: str
    comment: str
    by: str
    decided_at_ms: int | None
    decided_by: str
    outcome: Decided


def ask(
    connection: sqlite3.Connection, what: Act, subject: str, by: str, comment: str, at_ms: int
) -> int | None:
    """The number of the request; of the one that waits already, who has asked the same. None: too many wait."""
    held = waiting(connection, at_ms)
    for one in held:
        if (one.what, one.subject) == (what, subject):
            return one.id
    if len(held) >= MOST_WAITING:
        return None
    statement = (
        "INSERT INTO request (at_ms, what, subject, comment, by, decided_by, outcome)"
        " VALUES (?, ?, ?, ?, ?, '', ?)"
    )
    values = (at_ms, what, subject, comment, by, Decided.WAITING)
    return connection.execute(statement, values).lastrowid


def approval(connection: sqlite3.Connection, number: int) -> Approval | None:
    """Request `number`, decided or not."""
    found = connection.execute("SELECT * FROM request WHERE id = ?", (number,)).fetchone()
    return _approval(found) if found else None


def waiting(connection: sqlite3.Connection, now_ms: int) -> list[Approval]:
    """What waits, oldest first."""
    query = "SELECT * FROM request WHERE outcome = ? AND at_ms > ? ORDER BY id"
    return [_approval(row) for row in connection.execute(query, (Decided.WAITING, now_ms - WAITS_MS))]


def is_over(one: Approval, now_ms: int) -> bool:
    """Whether it has waited too long to be confirmed."""
    return now_ms - one.at_ms >= WAITS_MS


def decide(connection: sqlite3.Connection, number: int, outcome: Decided, by: str, at_ms: int) -> None:
    """Write down what became of request `number`; `WAITING` takes a decision back that could not be carried out."""
    decided = (None, "") if outcome is Decided.WAITING else (at_ms, by)
    connection.execute(
        "UPDATE request SET outcome = ?, decided_at_ms = ?, decided_by = ? WHERE id = ?",
        (outcome, *decided, number),
    )


def _approval(row: tuple[object, ...]) -> Approval:
    number, at_ms, what, subject, comment, by, decided_at_ms, decided_by, outcome = row
    return Approval._make(
        (
            number,
            at_ms,
            Act(str(what)),
            subject,
            comment,
            by,
            decided_at_ms,
            decided_by,
            Decided(str(outcome)),
        )
    )
