"""Where the back office has rides from: the rows of terminals, and what they sealed, wherever a collector keeps both.

One for a collector's folder is here, one for a fleet's database in `terminal.collector.fleet.bank_rides`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from terminal.collector.recompute.run import StoredRows
from terminal.collector.store import CollectorStore
from terminal.journal.taps import TapId


class RideSource(Protocol):
    """Every method raises `CollectorError`, and may be called again after it did."""

    def claim(self, ledger: str) -> None:
        """Let no process settle these rides but this one, and no ledger but that of this name, before each run."""
        ...

    def held(self) -> Mapping[int, int]:
        """The newest row held of each terminal."""
        ...

    def rows(self, terminal: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most `limit` rows with a number above `after`, in order, with their bodies."""
        ...

    def bodies(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        """The bodies of these rows, of those that are held."""
        ...

    def sealed(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        """What these rows sealed to the back office, of those of which it has come and is not gone."""
        ...

    def drop_sealed(self, rows: Sequence[TapId]) -> None:
        """Let go, for good, what these rows sealed: a copy that comes later is not kept."""
        ...


class FolderRides(StoredRows):
    """The rides of an embedded collector's folder, as `RideSource`."""

    def __init__(self, store: CollectorStore) -> None:
        super().__init__(store)
        self._records = store

    def claim(self, ledger: str) -> None:
        """The lock on the ledger in the same folder lets no other in."""

    def bodies(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        found = ((row, self._records.record(*row)) for row in rows)
        return {row: body for row, body in found if body is not None}

    def sealed(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        found = ((row, self._records.sealed(*row)) for row in rows)
        return {row: body for row, body in found if body is not None}

    def drop_sealed(self, rows: Sequence[TapId]) -> None:
        self._records.drop_sealed(list(rows))
