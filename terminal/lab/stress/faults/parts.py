"""Parts of a storm that fail on demand: a journal, a clock, a connection, a network."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Protocol

from cardproto.connection import CardConnection
from sim.air import VirtualClock
from sim.reader import SimReader
from terminal.collector.intake import Reply, refuse
from terminal.errors import CollectorError, JournalError
from terminal.journal.checkpoint import Signer
from terminal.journal.journal import Journal, Pending
from terminal.journal.records import AnyRecord, Committed, Intent
from terminal.lab.stress.faults.plan import Kind
from terminal.sync.address import TlsFiles
from terminal.sync.exchange import WAIT, Answer
from terminal.sync.wire import Batch, Malformed, RefusalCode, build_ack, encode, parse_ack, parse_batch

BUSY_S: Final = 30


class Died(BaseException):
    """The terminal's process is gone, wherever it was; nothing in it may catch this."""


class TerminalClock:
    """The town's time as one terminal's wrong clock shows it."""

    def __init__(self, town: VirtualClock) -> None:
        self._town = town
        self.ahead_s = 0
        self.jumps = 0

    def now(self) -> datetime:
        return self._town.now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return self._town.monotonic()

    def jump(self, seconds: int) -> None:
        self.ahead_s += seconds
        self.jumps += 1


class StormJournal(Journal):
    """A journal that remembers, outside of its terminal, what it promised, and dies at the given point."""

    dies: str = ""
    promised: dict[int, AnyRecord]
    """Every record reported as durable, by sequence; handed on from one opening to the next."""
    reused: int = 0
    forge: Callable[[AnyRecord], AnyRecord] | None = None
    """What a thief who has this terminal, and so its key, writes in place of the true record."""
    forged: set[int]
    """Intents of which something false was written, since this was last emptied."""
    steady: bool = False
    """Each flush is over before the terminal goes on, and no quiet moment comes by itself: what a crash finds then
    follows from the plan and not from how fast this machine is."""

    def begin(self, record: AnyRecord, *, sequence: int | None = None) -> Pending:
        if self.dies == Kind.CRASH_BEGIN:
            raise Died
        true, record = record, record if self.forge is None else self.forge(record)
        pending = super().begin(record, sequence=sequence)
        if record != true:
            self.forged.add(record.intent if isinstance(record, Committed) else pending.sequence)
        if self.steady:
            self._rest()
        if isinstance(record, Intent):
            if self.dies == Kind.CRASH_DURABLE:
                pending.wait()
                self.keep(pending.sequence, record)
                raise Died
            return _Kept(pending, lambda: self.keep(pending.sequence, record))
        return pending

    def append(self, record: AnyRecord) -> int:
        sequence = super().append(record)
        self.keep(sequence, record if self.forge is None else self.forge(record))
        if self.dies == Kind.CRASH_OUTCOME:
            raise Died
        return sequence

    def checkpoint(self) -> None:
        self._writer.submit(super()._when_quiet, vital=False).wait()

    def _when_quiet(self, connection: sqlite3.Connection) -> None:
        if not self.steady:
            super()._when_quiet(connection)

    def _rest(self) -> None:
        """Return when all that was begun has ended, well or not; who waits for a record hears which."""
        with suppress(JournalError):
            self._writer.submit(lambda _: None, vital=False).wait()

    def keep(self, sequence: int, record: AnyRecord) -> None:
        self.reused += self.promised.setdefault(sequence, record) != record


class _Kept(Pending):
    """A pending record that is taken down as promised once it is durable."""

    __slots__ = ("_kept", "_pending")

    def __init__(self, pending: Pending, kept: Callable[[], None]) -> None:
        self.sequence = pending.sequence
        self._pending = pending
        self._kept = kept

    def wait(self) -> int:
        sequence = self._pending.wait()
        self._kept()
        return sequence


class StormConnection:
    """Passes exchanges on until the one at which the terminal dies or the reader's cable is pulled."""

    def __init__(
        self, connection: CardConnection, reader: SimReader, fault: str, at: int, *, after: bool
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._fault, self._at, self._after = fault, at, after

    def transmit(self, command: bytes) -> bytes:
        if command[:1] != b"\xff":
            self._at -= 1
        strikes = self._at == 0 and command[:1] != b"\xff"
        if strikes and self._fault == Kind.UNPLUGGED and not self._after:
            self._reader.unplug()
        if strikes and self._fault == Kind.CRASH_EXCHANGE and not self._after:
            raise Died
        answer = self._connection.transmit(command)
        if strikes and self._fault == Kind.UNPLUGGED:
            self._reader.unplug()
            return self._connection.transmit(command)
        if strikes and self._fault == Kind.CRASH_EXCHANGE:
            raise Died
        return answer


class BatchSink(Protocol):
    """Somewhere batches go."""

    def take(self, data: bytes) -> Reply: ...


class StormLink:
    """A network between one terminal and the collector; `fault` befalls the next batch."""

    def __init__(self, collector: Callable[[], BatchSink], stranger: Signer) -> None:
        self._collector = collector
        self._stranger = stranger
        self._late: list[bytes] = []
        self.fault = ""
        self.carried = 0
        """The newest row that any batch of this terminal's program may have carried."""
        self.wire: Callable[[], BatchSink] = collector
        """The same collector at the other end of a real connection."""
        self.on_time: Callable[[], None] = lambda: None
        """Called when the terminal can know by an acknowledgement what time it is (ADR 26)."""

    def upload(self, batch: bytes) -> Answer:
        sent = parse_batch(batch)
        new, self.carried = sent.last > self.carried, max(self.carried, sent.last)
        genuine = self.fault != Kind.ACK_FORGED
        answer = self._upload(batch)
        if new and genuine and self._names(answer.body, sent):
            self.on_time()
        return answer

    @staticmethod
    def _names(body: bytes, sent: Batch) -> bool:
        """Whether this is the collector's acknowledgement of the last row of the batch."""
        try:
            return parse_ack(body).through == sent.last
        except Malformed:
            return False

    def _upload(self, batch: bytes) -> Answer:
        fault, self.fault = self.fault, ""
        if fault == Kind.NETWORK_CUT:
            raise CollectorError("the network is cut", WAIT)
        if fault == Kind.DELAYED:
            self._late.append(batch)
            raise CollectorError("no answer", WAIT)
        if fault == Kind.BUSY:
            busy = refuse(RefusalCode.BUSY, "Come back later.", retry_after_s=BUSY_S)
            return Answer(busy.status, busy.body, busy.retry_after_s)
        if fault == Kind.ACK_FORGED:
            return Answer(200, self._forged(parse_batch(batch)))
        if fault == Kind.ACK_GARBAGE:
            self._collector().take(batch)
            return Answer(200, batch[:70])
        reply = (self.wire if fault == Kind.OVER_TLS else self._collector)().take(batch)
        if fault == Kind.DUPLICATED:
            reply = self._collector().take(batch)
        self.deliver_late()
        if fault == Kind.ACK_LOST:
            raise CollectorError("the answer is lost", WAIT)
        return Answer(reply.status, reply.body)

    def deliver_late(self) -> None:
        """What was held up arrives after what was sent later."""
        late, self._late = self._late, []
        for batch in reversed(late):
            self._collector().take(batch)

    def _forged(self, batch: Batch) -> bytes:
        """An attacker in between sees the head, and would like the terminal to forget its rows."""
        return encode(build_ack(batch.terminal, batch.head, batch.sent_at_ms, self._stranger))

    def abort(self) -> None:
        """Exchanges here end at once anyway."""

    def use(self, tls: TlsFiles) -> None:
        """There is no TLS here."""

    def close(self) -> None:
        self._late.clear()
