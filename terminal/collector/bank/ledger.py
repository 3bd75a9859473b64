"""What the back office knows of bank cards: FOLDER/bank/bank.db. No number of a card is in it (D-04).

    rides     `terminal.collector.bank.rides`: mark, ride, proof
    cards     `terminal.collector.bank.cards`: card, token
    demands   `terminal.collector.bank.demands`: demand, item, doubt
    own       what the ledger knows of itself: a random name, so that another one's demands are never taken for its own,
              and which keys it is kept with

One process settles with it (`terminal.collector.bank.settle`); commands of the office add a word beside it. Every step
is one transaction, and each can be done again: a demand is never asked of the acquirer under another number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from terminal.collector.bank import cards, demands, rides
from terminal.collector.bank.cards import CardTable
from terminal.collector.bank.demands import DemandTable
from terminal.collector.bank.rides import RideTable
from terminal.collector.store import connect
from terminal.errors import CollectorError
from terminal.journal.database import SQLITE_FAULTS, said_of, transaction

BANK_FOLDER: Final = "bank"
LEDGER_FILE: Final = "bank.db"
APPLICATION_ID: Final = 0x52434241  # "RCBA"
SCHEMA_VERSION: Final = 2
_OWN: Final = ("CREATE TABLE own (what TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",)
_TABLES: Final = (*rides.TABLES, *cards.TABLES, *demands.TABLES, *_OWN)
_NAME, _CARD_KEY, _PROVEN_WITH = "name", "card_key", "proven_with"


class BankLedger:
    """The ledger in a collector's folder, for one settling process, or `reading` only. Raises `CollectorError`; what
    its tables raise becomes one within `changing` and `reported`.
    """

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        self.path: Final = folder / BANK_FOLDER / LEDGER_FILE
        if not reading:
            self._make_folder()
        with self.reported():
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            self._connection = connect(uri, uri=True) if reading else connect(self.path)
            self._prepare(reading=reading)
        self.rides: Final = RideTable(self._connection)
        self.cards: Final = CardTable(self._connection)
        self.demands: Final = DemandTable(self._connection)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error.strerror or "") from error

    def _prepare(self, *, reading: bool) -> None:
        execute = self._connection.execute
        if not reading and execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            execute("PRAGMA journal_mode=WAL")
            with transaction(self._connection):
                for statement in (*_TABLES, f"PRAGMA application_id={APPLICATION_ID}"):
                    execute(statement)
                execute("INSERT INTO own VALUES (?, ?)", (_NAME, secrets.token_hex(4)))
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
        return self._own(_NAME)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All that is written in it, or nothing."""
        with self.reported(), transaction(self._connection):
            yield

    def close(self) -> None:
        self._connection.close()

    def keep_with(self, card_key: str, proving_keys: str) -> bool:
        """Note, by fingerprints, with which keys the ledger is kept; whether rides were proven with other ones until
        now. Raises `CollectorError` where cards are known by another key: each would be a second card.
        """
        with self.changing():
            if self._own(_CARD_KEY, card_key) != card_key:
                raise CollectorError(
                    f"the ledger {self.path} knows cards by another key than these keys' bank_cards",
                    "Give the key file of the role bank that it was begun with.",
                )
            before = self._own(_PROVEN_WITH, proving_keys)
            self._connection.execute("UPDATE own SET value = ? WHERE what = ?", (proving_keys, _PROVEN_WITH))
        return before != proving_keys

    def _own(self, what: str, first: str | None = None) -> str:
        """What is noted there; `first` where nothing was."""
        execute = self._connection.execute
        if first is not None:
            execute("INSERT INTO own VALUES (?, ?) ON CONFLICT DO NOTHING", (what, first))
        return str(execute("SELECT value FROM own WHERE what = ?", (what,)).fetchone()[0])

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Failures of the disk within it are `CollectorError`."""
        try:
            yield
        except SQLITE_FAULTS as error:
            raise self._unusable(said_of(error)) from error

    def _unusable(self, said: str) -> CollectorError:
        return CollectorError(
            f"the ledger of bank cards {self.path} cannot be used: {said}",
            "Check the disk and its rights. `terminal collector bank settle` makes the ledger.",
        )


@contextmanager
def open_ledger(folder: Path, *, reading: bool = False) -> Iterator[BankLedger]:
    """The ledger as long as the block runs. Raises `CollectorError`, for its tables, too."""
    with closing(BankLedger(folder, reading=reading)) as ledger, ledger.reported():
        yield ledger
