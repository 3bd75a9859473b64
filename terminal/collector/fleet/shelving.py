"""What of a group of messages is new, what is late and what contradicts: pure, between the two database queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec

from terminal.collector.alarms import Alarm
from terminal.collector.fleet.placing import compare, cut_tail, given_up, statements
from terminal.collector.restoring import declared_gap
from terminal.collector.store import BatchRefused
from terminal.journal.chain import Head, genesis
from terminal.sync.wire import Batch, encode, parse_batch, row_hashes

RowId: TypeAlias = tuple[int, int]
"""Terminal and sequence."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message with a batch. `number` is its place in its stream, `at_ms` when it came in there."""

    stream: str
    number: int
    at_ms: int
    data: bytes
    batch: Batch
    hashes: list[bytes] = field(repr=False)

    @classmethod
    def parse(cls, stream: str, number: int, at_ms: int, data: bytes) -> Arrival:
        """Raises `Malformed`."""
        batch = parse_batch(data)
        return cls(stream, number, at_ms, data, batch, row_hashes(batch))

    @property
    def terminal(self) -> int:
        return self.batch.terminal


class ShelvedRow(NamedTuple):
    """A record as it is stored."""

    terminal: int
    sequence: int
    body: bytes
    hash: bytes


class ReceiptRow(NamedTuple):
    """The batch that rows `first` to `last` came with, without its rows: the terminal's signature over them."""

    terminal: int
    first: int
    last: int
    sent_at_ms: int
    received_at_ms: int
    envelope: bytes


class SealedPartRow(NamedTuple):
    """What a row sealed to the back office, as it came with the row or with a copy of it."""

    terminal: int
    sequence: int
    body: bytes


@dataclass(slots=True)
class TerminalRow:
    """What is held of one terminal, and what it said last."""

    head: Head
    stated_head: int = 0
    sent_at_ms: int = 0
    received_at_ms: int = 0
    rows: int = 0

    @classmethod
    def unknown(cls, terminal: int) -> TerminalRow:
        return cls(genesis(terminal))


class Shelving:
    """Built from what the database holds of the terminals concerned; takes arrivals in the order of the stream.

    `held` must name every row an arrival may repeat (`repeated`), `terminals` every terminal.
    """

    def __init__(self, terminals: Mapping[int, TerminalRow], held: Mapping[RowId, bytes]) -> None:
        self.terminals = dict(terminals)
        self.rows: list[ShelvedRow] = []
        self.receipts: list[ReceiptRow] = []
        self.sealed: list[SealedPartRow] = []
        self.late: list[Arrival] = []
        self.refused: list[tuple[Arrival, str]] = []
        self.alarms: list[tuple[Alarm, int]] = []
        self.stored: list[Arrival] = []
        self._held: dict[int, dict[int, bytes]] = {
            number: {0: genesis(number).hash, row.head.sequence: row.head.hash}
            for number, row in self.terminals.items()
        }
        self._in_database = frozenset(held)
        for (terminal, sequence), row_hash in held.items():
            self._held[terminal][sequence] = row_hash

    def put(self, arrival: Arrival) -> None:
        """Sort one arrival in: its new rows into `rows`, or itself into `late` or `refused`."""
        batch, terminal = arrival.batch, self.terminals[arrival.terminal]
        lost = None
        if batch.first > terminal.head.sequence:
            lost = declared_gap(batch, terminal.head)
        if batch.first > terminal.head.sequence + 1 and lost is None:
            self.late.append(arrival)
            return
        try:
            self._compare(arrival, terminal.head)
        except BatchRefused as refused:
            self.refused.append((arrival, refused.reason))
            self.alarms.append((refused.alarm, arrival.at_ms))
            return
        if lost is not None:
            self.alarms.append((lost, arrival.at_ms))
        self._take_rows(arrival, terminal)
        self.sealed += (SealedPartRow(batch.terminal, row, body) for row, body in batch.sealed)
        if alarm := cut_tail(batch):
            self.alarms.append((alarm, arrival.at_ms))
        if batch.sent_at_ms >= terminal.sent_at_ms or batch.head_sequence >= terminal.stated_head:
            terminal.stated_head, terminal.sent_at_ms = batch.head_sequence, batch.sent_at_ms
        terminal.received_at_ms = max(terminal.received_at_ms, arrival.at_ms)
        self.stored.append(arrival)

    def _compare(self, arrival: Arrival, newest: Head) -> None:
        batch, held = arrival.batch, self._held[arrival.terminal]
        compare(batch, arrival.hashes, held)
        for sequence in range(batch.first, min(batch.last, newest.sequence) + 1):
            if sequence not in held:
                raise given_up(batch, sequence)

    def _take_rows(self, arrival: Arrival, terminal: TerminalRow) -> None:
        batch, held = arrival.batch, self._held[arrival.terminal]
        if batch.last <= terminal.head.sequence:
            return
        envelope = encode(msgspec.structs.replace(batch, bodies=(), sealed=()))
        first = max(terminal.head.sequence + 1, batch.first)
        new = (first, batch.last, batch.sent_at_ms, arrival.at_ms)
        self.receipts.append(ReceiptRow(batch.terminal, *new, envelope))
        for sequence in range(first, batch.last + 1):
            place = sequence - batch.first
            row = ShelvedRow(batch.terminal, sequence, batch.bodies[place], arrival.hashes[place])
            if (row.terminal, row.sequence) not in self._in_database:
                self.rows.append(row)
                terminal.rows += 1
            held[sequence] = row.hash
        terminal.head = Head(batch.last, arrival.hashes[-1])


def repeated(
    arrivals: Iterable[Arrival], terminals: Mapping[int, TerminalRow], *, all_rows: bool
) -> set[RowId]:
    """Rows that arrivals state and the database may hold: those up to its head, or with `all_rows` any."""
    rows: set[RowId] = set()
    for arrival in arrivals:
        newest = terminals[arrival.terminal].head.sequence
        for sequence in statements(arrival.batch, arrival.hashes):
            if sequence and (all_rows or sequence < newest):
                rows.add((arrival.terminal, sequence))
    return rows
