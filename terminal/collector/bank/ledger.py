"""What the back office knows of bank cards: FOLDER/bank/bank.db. No number of a card is in it (D-04).

    mark     terminal -> the newest row that was gone through, and the region document in force after it
    ride     (terminal, sequence) -> a tap that was counted: its token, what was found of its proof, what it comes to
    card     a card by a hash under the back office's own key; when it was authorised, whether it is on the deny list
    token    the token of a row -> card: of one card there is one for each epoch of the tokens' key
    proof    what no two rides may have in common: a card's counter and its signature
    demand   what the acquirer was, or is to be, asked: an authorisation, a charge, a refund
    item     which rides a charge is for, and how much of it
    doubt    what fits nothing and is kept for a person: an answer of the acquirer's, a refund that cannot be
    self     a random name of this ledger: another one's demands are never taken for its own

One process writes it (`terminal.collector.bank.settle`). Every step is one transaction, and each can be done again: a
demand is never asked of the acquirer under another number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.collector.bank.journeys import RideFare
from terminal.collector.store import connect
from terminal.errors import CollectorError
from terminal.journal.database import SQLITE_FAULTS, said_of, transaction
from terminal.journal.taps import TapId
from terminal.trail import TrailEntry

BANK_FOLDER: Final = "bank"
LEDGER_FILE: Final = "bank.db"
APPLICATION_ID: Final = 0x52434241  # "RCBA"
SCHEMA_VERSION: Final = 1
_TABLES: Final = (
    """CREATE TABLE mark (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, document TEXT NOT NULL
)""",
    """CREATE TABLE ride (
    terminal INTEGER, sequence INTEGER, at_ms INTEGER NOT NULL, token BLOB NOT NULL, document TEXT NOT NULL,
    shown_minor INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL DEFAULT '',
    card INTEGER, day TEXT NOT NULL DEFAULT '', ends_ms INTEGER NOT NULL DEFAULT 0,
    charge_minor INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', reasons BLOB NOT NULL DEFAULT x'',
    event BLOB NOT NULL DEFAULT x'', settled INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX ride_of_card ON ride (card, at_ms, terminal, sequence) WHERE card IS NOT NULL",
    "CREATE INDEX ride_in_state ON ride (state, terminal, sequence)",
    "CREATE INDEX ride_kept ON ride (card) WHERE settled = 1 AND dropped = 0",
    "CREATE INDEX ride_unsettled ON ride (card) WHERE settled = 0 AND state = 'decided'",
    """CREATE TABLE card (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, authorised_ms INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0, tapped_ms INTEGER NOT NULL DEFAULT 0, asked_ms INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE TABLE token (token BLOB PRIMARY KEY, card INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX token_of_card ON token (card)",
    "CREATE TABLE proof (digest BLOB PRIMARY KEY, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
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
    "CREATE TABLE self (name TEXT NOT NULL)",
)


class RideState(StrEnum):
    """How far a ride has come."""

    OPEN = "open"
    """Its terminal has not said yet whether the rider was let in."""
    WAITING = "waiting"
    """What it sealed has not been opened, or has not come."""
    PROVEN = "proven"
    """The card's signature was verified; what it comes to is not decided, or to be decided again."""
    DECIDED = "decided"
    UNPROVEN = "unproven"
    """Nothing shows that the card was there: it is never charged. `why` is an `UnprovenCause`."""
    VOID = "void"
    """The rider was not let in."""


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


class LedgerRide(NamedTuple):
    """A ride as the ledger has it; `card` 0 while it is not known."""

    terminal: int
    sequence: int
    at_ms: int
    token: bytes
    document: str
    shown_minor: int
    currency: str
    state: RideState
    why: str
    card: int
    day: str
    charge_minor: int
    message: str
    reasons: tuple[TrailEntry, ...]


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


class DueRide(NamedTuple):
    """What of a decided ride no charge has asked for yet; below 0: too much was charged."""

    terminal: int
    sequence: int
    day: str
    ends_ms: int
    currency: str
    due_minor: int


class CountedCard(NamedTuple):
    """A card: when it was authorised last, whether it is denied, when it was presented while it was, when its holder
    asked last to be charged again; 0: never.
    """

    id: int
    authorised_ms: int
    denied: bool
    tapped_ms: int
    asked_ms: int


_RIDE: Final = (
    "terminal, sequence, at_ms, token, document, shown_minor, currency, state, why, coalesce(card, 0), day,"
    " charge_minor, message, reasons"
)
_DEMAND: Final = (
    "id, card, kind, amount_minor, currency, day, terminal, sequence, coalesce(of, 0), cause, made_ms,"
    " coalesce(file, 0), sent_ms, state, answered_ms, code, coalesce(request, 0)"
)
_OWED: Final = """SELECT r.terminal, r.sequence, r.day, r.ends_ms, r.currency,
    r.charge_minor - coalesce(
        (SELECT sum(i.amount_minor) FROM item i WHERE (i.terminal, i.sequence) = (r.terminal, r.sequence)), 0
    ) AS due
FROM ride r WHERE r.card = ? AND r.state = 'decided' AND due <> 0 ORDER BY r.at_ms, r.terminal, r.sequence"""
_reasons = msgspec.msgpack.Decoder(tuple[TrailEntry, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class BankLedger:
    """The ledger in a collector's folder, for one writing process, or `reading` only. Raises `CollectorError`."""

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        self.path: Final = folder / BANK_FOLDER / LEDGER_FILE
        with self._reported():
            if reading:
                self._connection = connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
            else:
                self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
                self._connection = connect(self.path)
            self._prepare(reading=reading)
        self._execute = self._connection.execute

    def _prepare(self, *, reading: bool) -> None:
        execute = self._connection.execute
        if not reading and execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            execute("PRAGMA journal_mode=WAL")
            with transaction(self._connection):
                for statement in (*_TABLES, f"PRAGMA application_id={APPLICATION_ID}"):
                    execute(statement)
                execute("INSERT INTO self VALUES (?)", (secrets.token_hex(4),))
                execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        execute("PRAGMA synchronous=FULL")
        found = execute("PRAGMA application_id").fetchone() + execute("PRAGMA user_version").fetchone()
        if found != (APPLICATION_ID, SCHEMA_VERSION):
            raise CollectorError(
                f"{self.path} is no ledger of bank cards of schema {SCHEMA_VERSION}",
                "Start the software version that wrote it.",
            )

    @property
    def name(self) -> str:
        """Which ledger this is: 8 hexadecimal digits."""
        return str(self._execute("SELECT name FROM self").fetchone()[0])

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All that is written in it, or nothing."""
        with self._reported(), transaction(self._connection):
            yield

    def close(self) -> None:
        self._connection.close()

    # rows

    def mark(self, terminal: int) -> tuple[int, str]:
        """The newest row of `terminal` that was gone through, and the document in force after it."""
        found = self._execute(
            "SELECT sequence, document FROM mark WHERE terminal = ?", (terminal,)
        ).fetchone()
        return found or (0, "")

    def put_mark(self, terminal: int, sequence: int, document: str) -> None:
        self._execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (terminal, sequence, document))

    def put_ride(self, row: TapId, at_ms: int, token: bytes, document: str, shown: tuple[int, str]) -> None:
        """A tap that was counted; `shown` is the sum its rider was shown, and the currency."""
        self._execute(
            "INSERT INTO ride (terminal, sequence, at_ms, token, document, shown_minor, currency, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*row, at_ms, token, document, *shown, RideState.OPEN),
        )

    def end_ride(self, row: TapId, state: RideState) -> None:
        """Its terminal has said whether the rider was let in; the first word counts."""
        self._execute(
            "UPDATE ride SET state = ? WHERE terminal = ? AND sequence = ? AND state = ?",
            (state, *row, RideState.OPEN),
        )

    def put_refused(self, token: bytes, at_ms: int) -> None:
        """The card of `token` was presented and refused, because it is denied."""
        self._execute(
            "UPDATE card SET tapped_ms = max(tapped_ms, ?) WHERE id = (SELECT card FROM token WHERE token = ?)",
            (at_ms, token),
        )

    # proofs

    def card_of(self, digest: bytes, token: bytes) -> int:
        """The card of this hash, made where it is new, with one more of its tokens; 0 where the token is another's."""
        self._execute("INSERT INTO card (digest) VALUES (?) ON CONFLICT DO NOTHING", (digest,))
        (card,) = self._execute("SELECT id FROM card WHERE digest = ?", (digest,)).fetchone()
        self._execute("INSERT INTO token VALUES (?, ?) ON CONFLICT DO NOTHING", (token, card))
        (owner,) = self._execute("SELECT card FROM token WHERE token = ?", (token,)).fetchone()
        return int(card) if owner == card else 0

    def keep_proofs(self, digests: Iterable[bytes], row: TapId) -> bool:
        """Note what no other ride may have in common with `row`; False, and nothing noted, where one has."""
        found = tuple(digests)
        for digest in found:
            query = "SELECT terminal, sequence FROM proof WHERE digest = ?"
            if self._execute(query, (digest,)).fetchone() not in (None, row):
                return False
        for digest in found:
            self._execute("INSERT INTO proof VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, *row))
        return True

    def judge(self, row: TapId, state: RideState, why: str = "", card: int | None = None) -> None:
        """What was found of the ride's proof."""
        self._execute(
            "UPDATE ride SET state = ?, why = ?, card = ? WHERE terminal = ? AND sequence = ?",
            (state, why, card, *row),
        )

    def rides(self, state: RideState, limit: int, after: TapId = (0, 0)) -> list[LedgerRide]:
        """So many rides in `state` after that row, in the order of their rows."""
        query = (
            f"SELECT {_RIDE} FROM ride WHERE state = ? AND (terminal, sequence) > (?, ?)"  # noqa: S608 ours
            " ORDER BY terminal, sequence LIMIT ?"
        )
        return [_ride(row) for row in self._execute(query, (state, *after, limit))]

    def ride(self, row: TapId) -> LedgerRide | None:
        """The ride in this row."""
        query = f"SELECT {_RIDE} FROM ride WHERE terminal = ? AND sequence = ?"  # noqa: S608 ours
        found = self._execute(query, row).fetchone()
        return None if found is None else _ride(found)

    def count(self, state: RideState) -> int:
        return int(self._execute("SELECT count(*) FROM ride WHERE state = ?", (state,)).fetchone()[0])

    # fares

    def undecided(self) -> list[int]:
        """The cards with a proven ride that is not decided."""
        query = "SELECT DISTINCT card FROM ride WHERE state = ? ORDER BY card"
        return [card for (card,) in self._execute(query, (RideState.PROVEN,))]

    def to_decide(self, card: int) -> tuple[bytes, list[LedgerRide]]:
        """The event of `card` before its first ride that is not decided, and all rides from that one on."""
        first = self._execute(
            "SELECT at_ms, terminal, sequence FROM ride WHERE card = ? AND state = ?"
            " ORDER BY at_ms, terminal, sequence LIMIT 1",
            (card, RideState.PROVEN),
        ).fetchone()
        if first is None:
            return b"", []
        before = self._execute(
            "SELECT event FROM ride WHERE card = ? AND (at_ms, terminal, sequence) < (?, ?, ?)"
            " ORDER BY at_ms DESC, terminal DESC, sequence DESC LIMIT 1",
            (card, *first),
        ).fetchone()
        query = (
            f"SELECT {_RIDE} FROM ride WHERE card = ? AND (at_ms, terminal, sequence) >= (?, ?, ?)"  # noqa: S608 ours
            " ORDER BY at_ms, terminal, sequence"
        )
        return (before[0] if before else b""), [_ride(row) for row in self._execute(query, (card, *first))]

    def put_fares(self, fares: Iterable[RideFare]) -> None:
        self._connection.executemany(
            "UPDATE ride SET state = 'decided', day = ?, ends_ms = ?, charge_minor = ?, message = ?, reasons = ?,"
            " event = ?, settled = 0 WHERE terminal = ? AND sequence = ?",
            (
                (
                    *(one.day, one.ends_ms, one.charge_minor, one.message, _encode(one.reasons), one.event),
                    *(one.terminal, one.sequence),
                )
                for one in fares
            ),
        )

    def due(self, card: int) -> list[DueRide]:
        """What of the decided rides of `card` no charge has asked for, in their order."""
        return [DueRide(*row) for row in self._execute(_OWED, (card,))]

    def settle(self, card: int) -> None:
        """Look no more at rides of `card` of which nothing is due, until they are decided again."""
        open_rows = {(one.terminal, one.sequence) for one in self.due(card)}
        query = "SELECT terminal, sequence FROM ride WHERE card = ? AND state = 'decided' AND settled = 0"
        done = [row for row in self._execute(query, (card,)) if row not in open_rows]
        self._connection.executemany("UPDATE ride SET settled = 1 WHERE terminal = ? AND sequence = ?", done)

    def droppable(self) -> list[int]:
        """The cards with a settled ride whose sealed record is kept."""
        return [
            card
            for (card,) in self._execute("SELECT DISTINCT card FROM ride WHERE settled = 1 AND dropped = 0")
        ]

    def to_drop(self, card: int) -> list[TapId]:
        """The rides of `card` whose sealed records are not needed any more: everything asked about it was approved."""
        query = (
            "SELECT terminal, sequence FROM ride WHERE card = ?1 AND settled = 1 AND dropped = 0 AND NOT EXISTS"
            " (SELECT 1 FROM demand WHERE card = ?1 AND state <> 'approved')"
        )
        return [(terminal, sequence) for terminal, sequence in self._execute(query, (card,))]

    def note_dropped(self, rows: Iterable[TapId]) -> None:
        self._connection.executemany("UPDATE ride SET dropped = 1 WHERE terminal = ? AND sequence = ?", rows)

    def of_card(self, card: int) -> list[LedgerRide]:
        """Every proven ride of `card`, in order."""
        query = f"SELECT {_RIDE} FROM ride WHERE card = ? ORDER BY at_ms, terminal, sequence"  # noqa: S608 ours
        return [_ride(row) for row in self._execute(query, (card,))]

    # cards

    def active(self) -> list[CountedCard]:
        """The cards about which something may have to be done: rides that are not settled, or something declined."""
        query = (
            "SELECT id, authorised_ms, denied, tapped_ms, asked_ms FROM card WHERE denied = 1 OR id IN"
            " (SELECT card FROM ride WHERE settled = 0 AND state = 'decided'"
            " UNION SELECT card FROM demand WHERE state = 'declined') ORDER BY id"
        )
        rows = self._execute(query).fetchall()
        return [CountedCard(id_, at, bool(denied), tapped, asked) for id_, at, denied, tapped, asked in rows]

    def is_denied(self, card: int) -> bool:
        return self._execute("SELECT 1 FROM card WHERE id = ? AND denied = 1", (card,)).fetchone() is not None

    def card_by(self, token: bytes) -> int:
        """The card that `token` stands for; 0 for none that is known."""
        found = self._execute("SELECT card FROM token WHERE token = ?", (token,)).fetchone()
        return int(found[0]) if found else 0

    def forget(self, token: bytes) -> None:
        """Nothing leads from the token's card to its number any more, and no other token to it: what it paid stays.
        Should it ride again, it is a card that never rode."""
        self._execute("PRAGMA secure_delete = ON")
        with self.changing():
            card = self.card_by(token)
            self._execute("UPDATE card SET digest = ? WHERE id = ?", (secrets.token_bytes(32), card))
            self._execute("DELETE FROM token WHERE card = ?", (card,))

    def tokens(self, card: int) -> list[bytes]:
        """By which rows call `card`."""
        found = self._execute("SELECT token FROM token WHERE card = ? ORDER BY token", (card,))
        return [bytes(token) for (token,) in found]

    def first_ride(self, card: int, since_ms: int) -> LedgerRide | None:
        """The first decided ride of `card` since that time."""
        query = (
            f"SELECT {_RIDE} FROM ride WHERE card = ? AND at_ms >= ? AND state = 'decided'"  # noqa: S608 ours
            " ORDER BY at_ms, terminal, sequence LIMIT 1"
        )
        found = self._execute(query, (card, since_ms)).fetchone()
        return None if found is None else _ride(found)

    def note_authorised(self, card: int, at_ms: int) -> None:
        self._execute("UPDATE card SET authorised_ms = max(authorised_ms, ?) WHERE id = ?", (at_ms, card))

    def note_asked(self, card: int, at_ms: int) -> None:
        """Its holder asks to be charged again."""
        self._execute("UPDATE card SET asked_ms = max(asked_ms, ?) WHERE id = ?", (at_ms, card))

    def note_denied(self, card: int, *, denied: bool) -> None:
        self._execute("UPDATE card SET denied = ? WHERE id = ?", (denied, card))

    # demands

    def put_demand(self, demand: Demand, items: Iterable[tuple[int, int, int]] = ()) -> int:
        """Keep a new demand, whatever its `id`, and what it is for: terminal, sequence and sum of each ride."""
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

    def demand(self, number: int) -> Demand | None:
        found = self._execute(f"SELECT {_DEMAND} FROM demand WHERE id = ?", (number,)).fetchone()  # noqa: S608 ours
        return None if found is None else _demand(found)

    def demands(self, card: int) -> list[Demand]:
        """Everything asked about `card`, in order."""
        query = f"SELECT {_DEMAND} FROM demand WHERE card = ? ORDER BY id"  # noqa: S608 ours
        return [_demand(row) for row in self._execute(query, (card,))]

    def unsent(self) -> list[Demand]:
        """What is in no order file."""
        query = f"SELECT {_DEMAND} FROM demand WHERE state = 'asked' AND file IS NULL ORDER BY id"  # noqa: S608 ours
        return [_demand(row) for row in self._execute(query)]

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

    def items(self, number: int) -> list[tuple[int, int, int]]:
        """What a demand is for: terminal, sequence and sum of each ride."""
        query = (
            "SELECT terminal, sequence, amount_minor FROM item WHERE demand = ? ORDER BY terminal, sequence"
        )
        return [tuple(row) for row in self._execute(query, (number,))]

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

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (OSError, *SQLITE_FAULTS) as error:
            said = error.strerror if isinstance(error, OSError) else said_of(error)
            raise CollectorError(
                f"the ledger of bank cards {self.path} cannot be used: {said}",
                "Check the disk and its rights. `terminal collector bank settle` makes the ledger.",
            ) from error


def _ride(row: tuple[object, ...]) -> LedgerRide:
    ride = LedgerRide._make(row)
    reasons = _reasons(bytes(row[-1])) if row[-1] else ()  # type: ignore[call-overload]  # a column of bytes
    return ride._replace(state=RideState(ride.state), reasons=reasons)


def _demand(row: tuple[object, ...]) -> Demand:
    made = Demand._make(row)
    return made._replace(
        kind=DemandKind(made.kind), cause=DemandCause(made.cause), state=DemandState(made.state)
    )
