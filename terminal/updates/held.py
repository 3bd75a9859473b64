"""What is held of the active set: editions in their slots, what waits, what is on trial, and how each change leaves it.

Values alone: what lies on the disk is `terminal.updates.store`, what decides is `terminal.updates.active`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

from msgspec import Struct

from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import SetKind, UpdateFault
from terminal.errors import TerminalError
from terminal.journal.operation_records import SetActivated
from terminal.updates.edition import Edition, LoadedEdition, SetRefusal
from terminal.updates.floors import NO_FLOOR, SetFloor

V = TypeVar("V")


class HeldEdition(NamedTuple):
    """A row: the edition in `slot`, in force since `at_ms`, or waiting for that moment (0: none)."""

    kind: SetKind
    id: str
    version: int
    sha256: bytes
    slot: int
    at_ms: int

    @classmethod
    def of(cls, kind: SetKind, loaded: LoadedEdition[object], slot: int = 0) -> HeldEdition:
        """What was read from `slot`, waiting for its own moment."""
        edition = loaded.edition
        from_ms = 0 if edition.valid_from is None else unix_ms(edition.valid_from)
        return cls(kind, edition.id, edition.version, loaded.sha256, slot, from_ms)

    @property
    def edition(self) -> str:
        """As records name it: "demo:3"."""
        return f"{self.id}:{self.version}"

    def refused(
        self, fault: UpdateFault, known: int | None = None, error: TerminalError | None = None
    ) -> SetRefusal:
        """That it does not come into force, or no longer is; `known` is its own version where none is given."""
        stated = Edition(self.id, self.version, 0)
        return SetRefusal(self.kind, fault, stated, self.version if known is None else known, error)

    def is_said(self, said: Mapping[str, SetActivated]) -> bool:
        """Whether the newest row of this kind says that it is in force."""
        row = said.get(self.kind)
        return row is not None and row.sha256 == self.sha256

    def row(self, now_ms: int, trial_days: int = 0) -> SetActivated:
        """What the journal says of it."""
        held = self.id, self.version, self.sha256, self.at_ms
        return SetActivated(now_ms, self.kind.value, *held, trial_days)


class Trial(NamedTuple):
    """`held` is in force on trial until `until_ms`, and `before` will be again where it is taken back (O-12)."""

    held: HeldEdition
    before: HeldEdition
    until_ms: int


class Offered(Struct, frozen=True):
    """What came of an offer: `held` waits for its moment or is in force; or it was refused. `known`: what was offered
    is what is held, and was before.
    """

    held: HeldEdition | None = None
    refused: SetRefusal | None = None
    known: bool = False


class KindStatus(Struct, frozen=True):
    """What is known of one kind. `until` (None: without end) and `issued_at` are those of what is in force."""

    kind: SetKind
    in_force: HeldEdition | None = None
    until: datetime | None = None
    issued_at: datetime | None = None
    pending: HeldEdition | None = None
    refused: SetRefusal | None = None
    floor: int = 0
    trial: Trial | None = None

    @property
    def follows(self) -> datetime | None:
        """From when what waits decides; None where nothing waits."""
        return None if self.pending is None else from_unix_ms(self.pending.at_ms)


def status_of(known: Iterable[KindStatus], kind: SetKind) -> KindStatus:
    """What is `known` of this kind."""
    return next((one for one in known if one.kind is kind), KindStatus(kind))


class SetRows(NamedTuple):
    """Everything the database says, by kind, and what becomes of it with each change."""

    in_force: Mapping[SetKind, HeldEdition]
    pending: Mapping[SetKind, HeldEdition]
    floors: Mapping[SetKind, SetFloor]
    before: Mapping[SetKind, HeldEdition] = {}
    """Only while what is in force is on trial."""
    returned: Mapping[SetKind, HeldEdition] = {}
    """What was taken back last, until another comes into force."""

    def waiting(self, held: HeldEdition) -> Self:
        """With `held` in place of what waited before."""
        return self._replace(pending={**self.pending, held.kind: held})

    def without_pending(self, kind: SetKind) -> Self:
        return self._replace(pending=without(self.pending, kind))

    def without_damaged(self, kind: SetKind) -> Self:
        """What was in force cannot be read; the floor stays."""
        return self._replace(in_force=without(self.in_force, kind))

    def activated(self, held: HeldEdition, *, trial: bool) -> Self:
        """`held` is in force, with `trial` until it proves itself: then what was in force for good stays known."""
        kind = held.kind
        before = without(self.before, kind)
        if trial:
            before[kind] = self.before.get(kind, self.in_force[kind])
        return self._replace(
            in_force={**self.in_force, kind: held},
            pending=without(self.pending, kind),
            floors={**self.floors, kind: SetFloor(held.version, held.sha256)},
            before=before,
            returned=without(self.returned, kind),
        )

    def confirmed(self, kind: SetKind) -> Self:
        """What is in force is so for good."""
        return self._replace(before=without(self.before, kind))

    def put_back(self, taken: HeldEdition, back: HeldEdition) -> Self:
        """`back` is in force again in place of `taken`, which is not taken any more."""
        kind = back.kind
        return self._replace(
            in_force={**self.in_force, kind: back},
            floors={**self.floors, kind: SetFloor(self.floors.get(kind, NO_FLOOR).version)},
            before=without(self.before, kind),
            returned={**self.returned, kind: taken},
        )


def without(known: Mapping[SetKind, V], kind: SetKind) -> dict[SetKind, V]:
    """What is `known`, without what is known of `kind`."""
    return {one: value for one, value in known.items() if one is not kind}
