"""A digest of everything a stress run did, to prove that a change to the code is a move and nothing else.

    cards      the committed memory of every card, keys as check values
    exchanges  every command and answer between the terminals and the cards, in order
    rows       the records of every terminal, as promised and as its journal still holds them, and what the collector
               stored of them
    books      every table of the collector's books, and its alarms

Two runs with the same seed and options have the same digest as long as they behave the same: in any process, with any
number of jobs, on any day and in any folder. Names of classes, functions and modules do not enter it. Left out is what
is drawn afresh each time and decides nothing: the Ed25519 keys of terminals and collector with the signatures made by
them (receipts count without their envelope), journal keys and nonces (rows count as their plain bytes), and the rounds
of `--processes`.

Runs to be compared need the same version of the program (it is in the records) and both apsw or neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import sha256
from typing import Any, Final

import msgspec

from cardproto.connection import CardConnection
from cardproto.errors import CardGone
from terminal.collector.books import BOOKS_FILE
from terminal.collector.store import CollectorStore, connect
from terminal.journal.records import build_record
from terminal.lab.stress.world import Post, StormTown

STORED: Final = (
    "SELECT terminal, sequence, body, hash FROM record ORDER BY terminal, sequence",
    "SELECT terminal, first, last, sent_at_ms, received_at_ms FROM receipt ORDER BY terminal, first",
    "SELECT * FROM terminal ORDER BY terminal",
    "SELECT * FROM operation ORDER BY id",
)
"""What the collector holds of the terminals, without signatures."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Digest(msgspec.Struct, frozen=True):
    """SHA-256 in hexadecimal, one for each part."""

    cards: str
    exchanges: str
    rows: str
    books: str

    @property
    def whole(self) -> str:
        """Equal only if every part is."""
        return _sha256([self.cards, self.exchanges, self.rows, self.books])

    def as_json(self) -> dict[str, str]:
        return {**msgspec.to_builtins(self), "whole": self.whole}


class DigestListener:
    """Hears every exchange of a town from now on, and makes its journals independent of the machine's speed."""

    def __init__(self, town: StormTown) -> None:
        self._heard = sha256()
        town.listen = self._listen
        for post in town.posts:
            post.journal.steady = True

    @property
    def exchanges(self) -> str:
        """The digest of what was heard so far."""
        return self._heard.hexdigest()

    def hear(self, terminal: int, command: bytes, answer: bytes | str) -> None:
        """Take in one exchange; a text in place of an answer says why there was none."""
        self._heard.update(
            _encode([terminal, command.hex(), answer if isinstance(answer, str) else [answer.hex()]])
        )

    def _listen(self, terminal: int, connection: CardConnection) -> CardConnection:
        return _Heard(self, terminal, connection)


class _Heard:
    """A connection whose exchanges are taken down."""

    def __init__(self, listener: DigestListener, terminal: int, connection: CardConnection) -> None:
        self._listener, self._terminal, self._connection = listener, terminal, connection

    def transmit(self, command: bytes) -> bytes:
        answer: bytes | str = "no answer"
        try:
            return (answer := self._connection.transmit(command))
        except CardGone:
            answer = "gone"
            raise
        finally:
            self._listener.hear(self._terminal, command, answer)


def digest_of(town: StormTown, listener: DigestListener) -> Digest:
    """Of a town that has settled down, whose books have caught up and whose files are still open."""
    return Digest(
        cards=_sha256(rider.card.image() for rider in town.riders),
        exchanges=listener.exchanges,
        rows=_sha256(_rows(town)),
        books=_sha256(_books(town)),
    )


def together(digests: Iterable[tuple[int, Digest]]) -> Digest:
    """One digest of many towns, given with their seeds in any order."""
    towns = [digest for _, digest in sorted(digests, key=lambda town: town[0])]
    names = Digest.__struct_fields__
    return Digest(**{name: _sha256(getattr(town, name) for town in towns) for name in names})


def _rows(town: StormTown) -> Iterator[Any]:
    for post in town.posts:
        yield from _rows_of(post)
    yield from _stored(town.store)


def _rows_of(post: Post) -> Iterator[Any]:
    for sequence, record in sorted(post.journal.promised.items()):
        yield ["promised", post.number, sequence, build_record(record)]
    for row in post.journal.rows():
        yield ["held", post.number, *row]


def _stored(store: CollectorStore) -> Iterator[Any]:
    with closing(store.reader()) as reader:
        for query in STORED:
            yield from map(list, reader.execute(query))


def _books(town: StormTown) -> Iterator[Any]:
    path = town.collector_folder / BOOKS_FILE
    with closing(connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as books:
        yield from _tables(books)
    yield from map(list, town.store.alarms())


def _tables(database: sqlite3.Connection) -> Iterator[Any]:
    """Every row of every table, by the table's name and then by all its columns."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    for (table,) in tables:
        columns = len(database.execute(f"PRAGMA table_info({table})").fetchall())
        order = ", ".join(str(column) for column in range(1, columns + 1))
        for row in database.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 the books' own names
            yield [table, *row]


def _sha256(values: Iterable[Any]) -> str:
    """Of values in order, each as JSON on a line of its own."""
    digest = sha256()
    for value in values:
        digest.update(_encode(value) + b"\n")
    return digest.hexdigest()
