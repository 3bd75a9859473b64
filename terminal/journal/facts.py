"""What an open journal knows of itself: its rows' numbers, what is open, what the collector confirmed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from terminal.errors import JournalDamaged, JournalError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Checkpoint, Notary
from terminal.journal.clock_ledger import ClockRows
from terminal.journal.console_records import BreakDeclared, OrderDeclared, PlaceSet, TurnStarted
from terminal.journal.database import file_error
from terminal.journal.mending import suspect
from terminal.journal.numbers import Reached
from terminal.journal.open_records import LastIntent, OpenRecords
from terminal.journal.operation_records import SetActivated
from terminal.journal.reader import JournalReader, Row
from terminal.journal.records import Intent, ShiftOpened
from terminal.journal.room import Fill, fill_of
from terminal.journal.stored import JournalState, Skipped, count_skipped, row_before


class Confirmed(NamedTuple):
    """The collector holds every row up to `through`, which was sent under `checkpoint`."""

    through: int
    at_ms: int
    checkpoint: Checkpoint | None


class JournalFacts:
    """The part of `Journal` that only says; every method may be called from any thread."""

    path: Path
    capacity_rows: int
    notary: Notary | None
    """Who signs the checkpoint at a clean shutdown; None: it is not signed."""
    _lock: threading.Lock
    _open_records: OpenRecords
    _state: JournalState
    """As on the disk; replaced by the writer thread alone."""
    _assigned: Head
    _durable: Head
    _confirmed: tuple[Confirmed, ...]
    """Acknowledgements that are not on the disk yet, in order."""
    _skipped: Skipped
    _standing: Reached
    """How far the journal came before; `cause` is None once that is on record, or where there is nothing to say."""
    _reader: JournalReader

    @property
    def next_sequence(self) -> int:
        """The number the next record will get."""
        if self._standing.cause is not None:
            return self._standing.used + 2  # the row that says so comes first
        return self._assigned.sequence + 1

    @property
    def held(self) -> int:
        """How many rows the journal holds."""
        base, last = self.base.sequence, self._assigned.sequence
        return last - base - count_skipped(self._skipped, base, last)

    @property
    def full(self) -> bool:
        """The stated capacity is reached: nothing may be sold until rows have left (O-06)."""
        return self.held >= self.capacity_rows

    @property
    def fill(self) -> Fill:
        """How full it is, by its stated capacity and by the disk."""
        return fill_of(self.path, self.held, self.capacity_rows)

    @property
    def head(self) -> Head:
        """The newest durable row."""
        return self._durable

    @property
    def base(self) -> Head:
        """The last row that has left; held rows begin after it."""
        return self._state.base

    @property
    def acknowledged_through(self) -> int:
        """Every row up to here is durably held by the collector."""
        confirmed = self._confirmed
        return max(self._state.acknowledged, confirmed[-1].through if confirmed else 0)

    @property
    def unsent(self) -> int:
        """How many durable rows the collector has not confirmed."""
        last, through = self._durable.sequence, self.acknowledged_through
        return last - through - count_skipped(self._skipped, through, last)

    def standing_for(self, sequence: int) -> int:
        """`sequence`, or the row before the numbers that were passed over when it is one of them."""
        return row_before(self._skipped, sequence)

    def unresolved(self, card_ref: bytes) -> tuple[int, Intent] | None:
        """The newest intent of this card whose outcome is not known, with its sequence."""
        with self._lock:
            return self._open_records.newest_of(card_ref)

    def open_intents(self) -> list[tuple[int, Intent]]:
        """Every intent whose outcome is not known, oldest first; survives restart and purge."""
        with self._lock:
            return self._open_records.intents()

    @property
    def last_intent(self) -> LastIntent | None:
        """The newest intent, whatever became of it; survives restart and purge."""
        with self._lock:
            return self._open_records.last_intent

    @property
    def open_shift(self) -> ShiftOpened | None:
        """The shift that was opened and not closed; survives restart and purge."""
        with self._lock:
            return self._open_records.shift

    @property
    def open_turn(self) -> TurnStarted | None:
        """The turn of the open shift, once one was started (T-62); survives as the shift does."""
        with self._lock:
            return self._open_records.turn

    @property
    def open_place(self) -> PlaceSet | None:
        """Where the operator says the vehicle is (T-61); None when he says nothing."""
        with self._lock:
            return self._open_records.place

    @property
    def driver_ref(self) -> str:
        """Who drives: the staff number that opened the shift, or took it over since (T-67); empty without a shift."""
        with self._lock:
            crew, shift = self._open_records.crew, self._open_records.shift
        return crew.operator_ref if crew else shift.operator_ref if shift else ""

    @property
    def on_break(self) -> BreakDeclared | None:
        """The break of the open shift that is under way (T-68)."""
        with self._lock:
            return self._open_records.on_break

    @property
    def out_of_order(self) -> OrderDeclared | None:
        """The declaration that took the terminal out of service, until another takes it back (T-64)."""
        with self._lock:
            return self._open_records.out_of_order

    @property
    def clock(self) -> ClockRows:
        """What the rows say of the terminal's clock (O-05); survives restart and purge."""
        with self._lock:
            return self._open_records.clock.rows

    def name_versions(self, tariff: str, deny_list: str) -> None:
        """Checkpoints say from now on that decisions are made from these."""
        if self.notary is not None:
            self.notary = replace(self.notary, tariff=tariff, deny_list=deny_list)

    @property
    def activated(self) -> Mapping[str, SetActivated]:
        """What of the active set came into force last, by its kind; survives restart and purge."""
        with self._lock:
            return self._open_records.activated

    def rows(self, after: int = 0, limit: int = 200) -> list[Row]:
        """At most `limit` durable rows with a sequence above `after`, in order."""
        with self._suspecting():
            return self._reader.rows(after, limit)

    def hash_at(self, sequence: int) -> bytes | None:
        """The hash of a held row, or of the place where held rows begin; None for anything else."""
        with self._suspecting():
            return self._reader.hash_at(sequence)

    @contextmanager
    def _suspecting(self) -> Iterator[None]:
        """What turns out to be damaged while the journal is in use has the next start prove all of it."""
        try:
            yield
        except JournalDamaged as error:
            self._suspect(error)
            raise

    def _suspect(self, error: JournalError) -> JournalError:
        if isinstance(error, JournalDamaged):
            try:
                suspect(self.path)
            except OSError as cause:
                return file_error(self.path, cause)
        return error
