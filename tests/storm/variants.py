"""Terminals and collectors with one deliberate mistake each. The storm must find every one of them.

A variant replaces one function of the product while it is entered. Each says in its docstring what it does wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardError
from cardproto.resident.layout import FILE_EVENTS, FILE_PURSE
from cardproto.resident.records.event import build_event
from terminal import tap
from terminal.collector import alarms, booking, reconcile, store
from terminal.journal import database, journal, stored, tail
from terminal.journal.chain import Head
from terminal.journal.open_records import OpenRecords
from terminal.media.port import WriteNotDone, WriteUnknown
from terminal.media.resident import medium
from terminal.media.resident.machine import WriteStep
from terminal.media.resident.settle import Settlement
from terminal.media.resident.write import done
from terminal.sync import client
from terminal.sync.wire import row_hashes

Patch = pytest.MonkeyPatch


def outcome_before_intent(patch: Patch) -> None:
    """The card is written first; what was intended is put on record afterwards."""

    class Later:
        def __init__(self, owner: journal.Journal, record: Any, sequence: int) -> None:
            self.owner, self.record, self.sequence = owner, record, sequence

        def wait(self) -> int:
            return self.sequence

    def commit_first(card: Any, plan: Any, intent: Later, course: Any, *, proving: bool) -> Any:
        course.take(WriteStep.INTENT_DURABLE)
        course.take(WriteStep.COMMIT_SENT)
        try:
            if plan.debit_minor:
                card.debit(FILE_PURSE, plan.debit_minor, CommMode.MAC)
            card.write_record(FILE_EVENTS, 0, build_event(plan.event), CommMode.MAC)
            proof = card.commit_transaction(return_mac=proving)
        except CardError as cause:
            course.take(WriteStep.NO_PROOF)
            intent.owner.append(intent.record)
            return WriteUnknown(cause)
        course.take(WriteStep.PROVEN)
        intent.owner.append(intent.record)
        return done(proof)

    original = tap._Stages._serve

    def serve(self: Any, which: Any, card: Any) -> Any:
        owner = self.t.journal
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(
                owner, "begin", lambda record, sequence: Later(owner, record, sequence), raising=False
            )
            inner.setattr(owner, "append", _append(owner), raising=False)
            return original(self, which, card)

    patch.setattr(tap._Stages, "_serve", serve)
    patch.setattr(medium, "write_plan_to_card", commit_first)


def _append(owner: Any) -> Callable[[Any], int]:
    """Append by the class's own `begin`, whatever stands in its place on the object."""

    def append(record: Any) -> int:
        sequence = type(owner).begin(owner, record).wait()
        owner.keep(sequence, record)
        return int(sequence)

    return append


def unsigned_acknowledgement_trusted(patch: Patch) -> None:
    """Whatever answers is taken for the collector."""
    patch.setattr(client, "ack_is_genuine", lambda _ack, _key: True)


def sequence_reused_after_restart(patch: Patch) -> None:
    """After a restart numbering goes on behind what is acknowledged, as if the rows above had gone."""
    original = tail.load_tail

    def load(connection: Any, contents: Any, state: Any, path: Any, open_records: OpenRecords) -> Head:
        head = original(connection, contents, state, path, open_records)
        last = stored.row_at(connection, contents, head.sequence - 1)
        if last is None or head.sequence <= max(state.acknowledged, state.noted.sequence):
            return head
        connection.execute("DELETE FROM row WHERE sequence = ?", (head.sequence,))
        return Head(last.sequence, last.hash)

    patch.setattr(journal, "load_tail", load)


def unknown_treated_as_failed(patch: Patch) -> None:
    """No answer to the commit means the commit did not happen."""
    original = tap.end_row

    def end_row(at: Any, sequence: int, result: Any, how: str) -> Any:
        return original(at, sequence, WriteNotDone() if isinstance(result, WriteUnknown) else result, how)

    patch.setattr(tap, "end_row", end_row)


def flush_skipped(patch: Patch) -> None:
    """Rows are handed to the operating system and reported as durable."""
    original = database._use_wal

    def use_wal(connection: Any) -> None:
        original(connection)
        connection.execute("PRAGMA synchronous=OFF")

    patch.setattr(database, "_use_wal", use_wal)


def dedupe_outside_the_transaction(patch: Patch) -> None:
    """What is already held is noted first, in a transaction of its own, and the rows are stored afterwards."""
    original = store.CollectorStore._receive

    def receive(self: Any, batch: Any, hashes: Any, at_ms: int) -> Head:
        held = self._held(batch.terminal)
        if batch.bodies and held.sequence < batch.last and batch.first <= held.sequence + 1:
            values = (batch.terminal, batch.last, hashes[-1], batch.head_sequence, batch.sent_at_ms, at_ms)
            self._connection.execute(store._UPSERT_TERMINAL, values)
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")
            new = range(held.sequence + 1, batch.last + 1)
            rows = [(batch.terminal, n, batch.bodies[n - batch.first], hashes[n - batch.first]) for n in new]
            self._connection.executemany(store._INSERT_RECORD, rows)
            return Head(batch.last, hashes[-1])
        return original(self, batch, hashes, at_ms)

    patch.setattr(store.CollectorStore, "_receive", receive)


def recovery_forgets_another_terminal(patch: Patch) -> None:
    """Settling looks at the newest event's number only, and takes any other terminal's event for "not committed"."""

    def settle(newest: Any, recent: Any, intended: Any, previous: Any) -> Settlement:
        if (newest.terminal, newest.sequence) == intended:
            return Settlement.COMMITTED
        return Settlement.NOT_COMMITTED

    patch.setattr(medium, "settle", settle)


def rounding_in_the_sum(patch: Patch) -> None:
    """The collector adds up in roubles."""
    original = reconcile._Reconciler.result

    def result(self: Any) -> Any:
        found = original(self)
        for totals in (found.total, *found.terminals.values()):
            totals.charged_minor = {
                currency: round(sum_minor / 10_000) * 10_000
                for currency, sum_minor in totals.charged_minor.items()
            }
        return found

    patch.setattr(reconcile._Reconciler, "result", result)


def recovery_recorded_before_told(patch: Patch) -> None:
    """A settled tap is closed before the passenger hears of it (as the terminal once did)."""

    def recover_first(self: Any, card: Any) -> Any:
        told: list[Any] = []
        signal, self.t.signal = self.t.signal, told.append
        try:
            report = recover(self, card)
        finally:
            self.t.signal = signal
        for outcome in told:
            signal(outcome)
        return report

    recover = tap._Stages._recover
    patch.setattr(tap._Stages, "_recover", recover_first)


def acknowledged_before_stored(patch: Patch) -> None:
    """The collector flushes when it has time."""
    original = store.CollectorStore._prepare

    def prepare(self: Any) -> None:
        original(self)
        self._connection.execute("PRAGMA synchronous=OFF")

    patch.setattr(store.CollectorStore, "_prepare", prepare)


def busy_taken_for_stored(patch: Patch) -> None:
    """An answer from the collector is an answer: what it refused for now is let go."""
    original = client.SyncClient._refused

    def refused(self: Any, answer: Any, batch: Any) -> Any:
        if answer.status == 429 and batch.bodies:
            self._journal.acknowledge(batch.last, row_hashes(batch)[-1], batch.sent_at_ms)
        return original(self, answer, batch)

    patch.setattr(client.SyncClient, "_refused", refused)


def newer_by_the_clock(patch: Patch) -> None:
    """Of two batches the one with the later time is the newer (as the collector once had it): a late one is taken for
    a cut journal.
    """
    original = store.CollectorStore._receive

    def receive(self: Any, batch: Any, hashes: Any, at_ms: int) -> Head:
        query = "SELECT sequence, sent_at_ms FROM terminal WHERE terminal = ?"
        found = self._connection.execute(query, (batch.terminal,)).fetchone()
        if found and batch.head_sequence < found[0] and batch.sent_at_ms > found[1]:
            alarm = alarms.Alarm(
                alarms.AlarmKind.CUT_TAIL, batch.terminal, batch.head_sequence, "an older head"
            )
            alarms.raise_alarm(self._connection, alarm, at_ms)
        return original(self, batch, hashes, at_ms)

    patch.setattr(store.CollectorStore, "_receive", receive)


def books_marked_before_they_are_written(patch: Patch) -> None:
    """How far the books have come is noted first; the sums follow in a transaction of their own."""
    original = booking.Booking.finish

    def finish(self: Any) -> None:
        rows = [(n, mark.sequence, mark.at_ms, mark.reader) for n, mark in self.marks.items()]
        self._connection.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        original(self)

    patch.setattr(booking.Booking, "finish", finish)


VARIANTS: tuple[Callable[[Patch], None], ...] = (
    outcome_before_intent,
    unsigned_acknowledgement_trusted,
    sequence_reused_after_restart,
    unknown_treated_as_failed,
    flush_skipped,
    dedupe_outside_the_transaction,
    recovery_forgets_another_terminal,
    rounding_in_the_sum,
    recovery_recorded_before_told,
    acknowledged_before_stored,
    busy_taken_for_stored,
    newer_by_the_clock,
    books_marked_before_they_are_written,
)


@contextmanager
def broken(variant: Callable[[Patch], None]) -> Iterator[None]:
    """While it lasts the product has this one mistake."""
    with pytest.MonkeyPatch.context() as patch:
        variant(patch)
        yield
