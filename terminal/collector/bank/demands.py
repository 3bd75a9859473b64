"""What an acquirer was, or is to be, asked, in the ledger.

demand   an authorisation, a charge, a refund
item     which rides a charge is for, and how much of it
doubt    what fits nothing and is kept for a person: an answer of the acquirer's, a refund that cannot be
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

TABLES: Final = (
    """CREATE TABLE demand (
    id INTEGER PRIMARY KEY, card INTEGER NOT NULL, kind TEXT NOT NULL, amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL, day TEXT NOT NULL, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL,
    of INTEGER, cause TEXT NOT NULL, made_ms INTEGER NOT NULL, file INTEGER, sent_ms INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL, answered_ms INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
    request INTEGER UNIQUE
)""",
    "CREATE INDEX demand_of_card ON demand (card)",
    "CREATE INDEX demand_asked ON demand (file) WHERE state = 'asked'",
    "CREATE INDEX demand_declined ON demand (card) WHERE state = 'declined'",
    """CREATE TABLE item (
    demand INTEGER, terminal INTEGER, sequence INTEGER, amount_minor INTEGER NOT NULL,
    PRIMARY KEY (demand, terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX item_of_ride ON item (terminal, sequence)",
    "CREATE TABLE doubt (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, demand INTEGER NOT NULL, why TEXT NOT NULL, "
    "UNIQUE (demand, why))",
)


class DemandKind(StrEnum):
    """What an acquirer is asked."""

    AUTHORISE = "authorise"
    """Whether the account will pay: for a card that has not been seen for long, soon after its first ride."""
    CHARGE = "charge"
    REFUND = "refund"


class DemandState(StrEnum):
    """What came of it."""

    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"


class DemandCause(StrEnum):
    """Why it was asked."""

    FIRST_RIDE = "first_ride"
    DAY = "day"
    SUM = "sum"
    AGAIN = "again"
    """A declined one, some days later."""
    TAP = "tap"
    """A declined one, because the card was presented again."""
    REQUEST = "request"
    """A declined one, because the cardholder asked; or a refund that two persons decided."""


class Demand(NamedTuple):
    """What an acquirer is asked: `id` names it there, too. `terminal` and `sequence` are of the ride whose record goes
    with it, `of` is the demand that is asked for again or refunded (0: none), `file` the order file it went in
    (0: none yet), `request` the office's (0: none).
    """

    id: int
    card: int
    kind: DemandKind
    amount_minor: int
    currency: str
    day: str
    terminal: int
    sequence: int
    of: int
    cause: DemandCause
    made_ms: int
    file: int
    sent_ms: int
    state: DemandState
    answered_ms: int
    code: str
    request: int


class DemandItem(NamedTuple):
    """A ride that a demand is for, and how much of it; below 0: what was charged too much is taken off."""

    terminal: int
    sequence: int
    amount_minor: int


_DEMAND: Final = (
    "id, card, kind, amount_minor, currency, day, terminal, sequence, coalesce(of, 0), cause, made_ms,"
    " coalesce(file, 0), sent_ms, state, answered_ms, code, coalesce(request, 0)"
)


class DemandTable:
    """What the ledger has of demands, over its connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def put(self, demand: Demand, items: Iterable[DemandItem] = ()) -> int:
        """Keep a new demand, whatever its `id`, and what it is for."""
        written = self._execute(
            "INSERT INTO demand (card, kind, amount_minor, currency, day, terminal, sequence, of, cause, made_ms,"
            " state, answered_ms, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(demand.card, demand.kind, demand.amount_minor, demand.currency, demand.day),
                *(demand.terminal, demand.sequence, demand.of or None, demand.cause, demand.made_ms),
                *(demand.state, demand.answered_ms, demand.request or None),
            ),
        ).lastrowid
        assert written is not None, "it was inserted"
        self._connection.executemany(
            "INSERT INTO item VALUES (?, ?, ?, ?)", ((written, *one) for one in items)
        )
        return written

    def get(self, number: int) -> Demand | None:
        found = self._execute(f"SELECT {_DEMAND} FROM demand WHERE id = ?", (number,)).fetchone()  # noqa: S608 ours
        return None if found is None else _demand(found)

    def of_card(self, card: int) -> list[Demand]:
        """Everything asked about `card`, in order."""
        query = f"SELECT {_DEMAND} FROM demand WHERE card = ? ORDER BY id"  # noqa: S608 ours
        return [_demand(row) for row in self._execute(query, (card,))]

    def unsent(self, limit: int) -> list[Demand]:
        """So much of what is in no order file."""
        query = f"SELECT {_DEMAND} FROM demand WHERE state = 'asked' AND file IS NULL ORDER BY id LIMIT ?"  # noqa: S608 ours
        return [_demand(row) for row in self._execute(query, (limit,))]

    def in_file(self, number: int) -> list[Demand]:
        query = f"SELECT {_DEMAND} FROM demand WHERE file = ? ORDER BY id"  # noqa: S608 ours
        return [_demand(row) for row in self._execute(query, (number,))]

    def open_files(self) -> list[int]:
        """The order files in which something has no answer."""
        query = "SELECT DISTINCT file FROM demand WHERE state = 'asked' AND file IS NOT NULL ORDER BY file"
        return [number for (number,) in self._execute(query)]

    def put_in_file(self, demands: Iterable[Demand]) -> int:
        """Give `demands` the next number of an order file, and return that."""
        (number,) = self._execute("SELECT coalesce(max(file), 0) + 1 FROM demand").fetchone()
        self._connection.executemany(
            "UPDATE demand SET file = ? WHERE id = ?", ((number, one.id) for one in demands)
        )
        return int(number)

    def note_written(self, number: int, at_ms: int) -> None:
        """The order file is on the disk."""
        self._execute("UPDATE demand SET sent_ms = ? WHERE file = ? AND state = 'asked'", (at_ms, number))

    def answer(self, number: int, state: DemandState, at_ms: int, code: str) -> None:
        """What the acquirer answered; the first answer counts."""
        self._execute(
            "UPDATE demand SET state = ?, answered_ms = ?, code = ? WHERE id = ? AND state = 'asked'",
            (state, at_ms, code, number),
        )
        refused = "DELETE FROM item WHERE demand = (SELECT id FROM demand WHERE id = ? AND kind = 'refund')"
        if state is DemandState.DECLINED:  # what was not given back is owed still
            self._execute(refused, (number,))

    def items(self, number: int) -> list[DemandItem]:
        """What a demand is for."""
        query = (
            "SELECT terminal, sequence, amount_minor FROM item WHERE demand = ? ORDER BY terminal, sequence"
        )
        return [DemandItem(*row) for row in self._execute(query, (number,))]

    def asked_by(self, request: int) -> bool:
        """Whether the office's request has become a demand."""
        return self._execute("SELECT 1 FROM demand WHERE request = ?", (request,)).fetchone() is not None

    def doubt(self, at_ms: int, number: int, why: str) -> None:
        """Keep, once, that an answer about demand `number` fits nothing."""
        self._execute(
            "INSERT INTO doubt (at_ms, demand, why) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (at_ms, number, why),
        )

    def doubts(self) -> list[tuple[int, int, str]]:
        return [tuple(row) for row in self._execute("SELECT at_ms, demand, why FROM doubt ORDER BY id")]


def _demand(row: tuple[object, ...]) -> Demand:
    made = Demand._make(row)
    return made._replace(
        kind=DemandKind(made.kind), cause=DemandCause(made.cause), state=DemandState(made.state)
    )
