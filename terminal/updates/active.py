"""The active set of one terminal: what decisions are made from, and the one way to replace it.

    offer      any thread: read, check, put into a slot; from here on it waits for its moment
    activate   the thread that serves cards, between two taps: a journal row, then the set's own row, then it counts

What is refused stays out and what is in force goes on; a refusal is a value with a code, kept for staff until something
better comes. Times are aware; `now` is None while the clock is in doubt: then no end and no moment is judged, and
nothing that waits comes into force.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Final, TypeVar

from terminal.clock import unix_ms
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, RegionDocumentError, TerminalError
from terminal.journal.journal import Journal
from terminal.journal.operation_records import SetActivated, SetReturned
from terminal.updates.edition import Edition, LoadedEdition, Published, SetPart, SetRefusal, unreadable
from terminal.updates.floors import NO_FLOOR, SetFloor
from terminal.updates.held import HeldEdition, KindStatus, Offered, Trial, without
from terminal.updates.store import DamagedSet, KeptCounts, SetStore, TakenFiles, slot_failed

T = TypeVar("T")

DAY_MS: Final = 24 * 3_600_000


class ActiveSet:
    """One per process."""

    def __init__(
        self,
        folder: Path,
        parts: Mapping[SetKind, SetPart[Any]],
        *,
        to_read: bool = False,
    ) -> None:
        """Open the set in `folder`, a terminal's own. A database that cannot be read is put aside and `damaged` says
        so; `to_read`: nothing in the folder is changed. Raises `ActiveSetError`.
        """
        self.parts: Final = parts
        self.damaged: str = ""
        """What was found to be damaged when it was opened; empty for nothing."""
        try:
            self._store = SetStore(folder, to_read=to_read)
            rows = self._store.rows()
        except DamagedSet as damage:
            self.damaged = f"{damage.kept} ({damage})"
            self._store = SetStore(folder)
            rows = self._store.rows()
        self._rows = rows
        self.files: Final = TakenFiles(self._store)
        self._loaded: dict[SetKind, LoadedEdition[Any]] = {}
        self._ready: dict[SetKind, LoadedEdition[Any]] = {}
        self._refused: dict[SetKind, SetRefusal] = {}
        self._said: set[tuple[SetKind, bytes, UpdateFault]] = set()
        self.refusals: SimpleQueue[SetRefusal] = SimpleQueue()
        """Each once, for the log and the journal."""
        self._untidy = True
        self._starts_at: datetime | None = None
        self._offering = Lock()
        self._changing = Lock()
        for kind in tuple(rows.in_force):
            self._load(kind)

    # What is known

    def value(self, kind: SetKind, otherwise: T) -> T:
        """What is in force, ready for use; `otherwise`, whose type it has, where nothing is."""
        loaded = self._loaded.get(kind)
        if loaded is None:
            return otherwise
        value: T = loaded.value
        return value

    def newest(self, kind: SetKind, otherwise: T) -> T:
        """What waits, else what is in force, else `otherwise`."""
        loaded = self._ready.get(kind) or self._loaded.get(kind)
        if loaded is None:
            return otherwise
        value: T = loaded.value
        return value

    def digest(self, kind: SetKind) -> bytes:
        """The hash of what is in force; empty for nothing."""
        held = self._rows.in_force.get(kind)
        return b"" if held is None else held.sha256

    def folder(self, kind: SetKind) -> Path | None:
        """Where the files lie of what is in force; None for nothing. It stays until the second change after it."""
        held = self._rows.in_force.get(kind)
        return None if held is None else self._store.slot(kind, held.slot)

    def holds(self, kind: SetKind, digest: bytes) -> HeldEdition | None:
        """What is in force or waits and has this hash."""
        found = self._rows.in_force.get(kind), self._rows.pending.get(kind)
        return next((held for held in found if held is not None and held.sha256 == digest), None)

    def knows(self, kind: SetKind) -> bool:
        """Whether something of the kind is in force, or waits and can be used."""
        return kind in self._loaded or kind in self._ready

    def foreseen(self, kind: SetKind, otherwise: T, now: datetime) -> T:
        """As `value` will be after `resume` at `now`, if the clock is right."""
        if kind in self._ready and (kind not in self._loaded or kind in self.due(now)):
            value: T = self._ready[kind].value
            return value
        return self.value(kind, otherwise)

    def status(self) -> tuple[KindStatus, ...]:
        """Of every kind of which something is known, in the order of `SetKind`. Any thread."""
        rows, refused = self._rows, self._refused
        known = (kind for kind in SetKind if kind in rows.in_force or kind in rows.pending or kind in refused)
        return tuple(self.status_of(kind) for kind in known)

    def status_of(self, kind: SetKind) -> KindStatus:
        """Of this kind, also where nothing is known of it. Any thread."""
        rows, loaded = self._rows, self._loaded.get(kind)
        return KindStatus(
            kind,
            rows.in_force.get(kind),
            None if loaded is None else loaded.edition.stated_end or loaded.edition.valid_to,
            None if loaded is None else loaded.edition.issued_at,
            rows.pending.get(kind),
            self._refused.get(kind),
            rows.floors.get(kind, NO_FLOOR).version,
            self.trial(kind),
        )

    # Offering

    def offer(self, kind: SetKind, published: Published, now: datetime | None) -> Offered:
        """Check `published` and let it wait for its moment; what is known already is no offer.

        Any thread, one at a time. A refusal is kept and said only when `refuse` is called with it.
        """
        with self._offering:
            digest = sha256(published.content).digest()
            held = self.holds(kind, digest)
            if held is not None:
                return Offered(held, known=True)
            returned = self._rows.returned.get(kind)
            if returned is not None and returned.sha256 == digest:
                return Offered(refused=returned.refused(UpdateFault.TAKEN_BACK))
            taken = self._taken(kind, published, now)
            if isinstance(taken, SetRefusal):
                return Offered(refused=taken)
            self._better(kind)
            return Offered(taken)

    def refuse(self, refused: SetRefusal, digest: bytes = b"") -> None:
        """Keep why something is not taken, and let staff hear of it once."""
        self._refused = {**self._refused, refused.kind: refused}
        said = refused.kind, digest, refused.fault
        if said not in self._said:
            self._said.add(said)
            self.refusals.put(refused)

    def withdraw(self, refused: SetRefusal) -> None:
        """What was `refused` is not published any more."""
        if self._refused.get(refused.kind) is refused:
            self._better(refused.kind)

    def _better(self, kind: SetKind) -> None:
        self._refused = without(self._refused, kind)

    def _taken(self, kind: SetKind, published: Published, now: datetime | None) -> HeldEdition | SetRefusal:
        part, self._untidy = self.parts[kind], True
        if len(published.content) > part.most_bytes:
            return SetRefusal(kind, UpdateFault.TOO_LARGE)
        try:
            slot = self._store.write_slot(kind, part.slot_files(published))
        except OSError as error:
            return SetRefusal(kind, UpdateFault.NO_ROOM, error=slot_failed(error))
        except TerminalError as error:
            return unreadable(kind, error)
        taken = self._from_slot(kind, slot, published.name, now)
        if isinstance(taken, SetRefusal) or taken.slot != slot:
            self._store.drop_slot(kind, slot)
        return taken

    def _from_slot(
        self, kind: SetKind, slot: int, name: str, now: datetime | None
    ) -> HeldEdition | SetRefusal:
        try:
            loaded = self.parts[kind].load(self._store.slot(kind, slot), name)
            refused = self._against(kind, loaded, now)
            if refused is not None:
                return refused
            held = HeldEdition.of(kind, loaded, slot)
            first = self._rows.pending.get(kind)
            if first is not None and self._comes_before(first, held, now):
                return first
            with self._changing:
                self._store.put_pending(held)
                self._ready = {**self._ready, kind: loaded}
                self._rows = self._rows.waiting(held)
        except ActiveSetError as error:
            return SetRefusal(kind, UpdateFault.NO_ROOM, error=error)
        except TerminalError as error:
            return unreadable(kind, error)
        return held

    def _against(self, kind: SetKind, loaded: LoadedEdition[Any], now: datetime | None) -> SetRefusal | None:
        """O-01: why a sound edition does not replace the present one."""
        edition, present = loaded.edition, self._rows.in_force.get(kind)
        floor, waiting = self._rows.floors.get(kind, NO_FLOOR), self._rows.pending.get(kind)
        known = floor.version
        if waiting is not None and not self._comes_before(HeldEdition.of(kind, loaded), waiting, now):
            known = max(known, waiting.version)
        lost = present is None and loaded.sha256 == floor.sha256
        fault: UpdateFault | None = None
        error = self._elsewhere(kind, edition)
        if error is not None:
            fault = UpdateFault.OTHER_REGION
        elif present is not None and present.id != edition.id:
            fault = UpdateFault.OTHER_DOCUMENT
        elif edition.version < known:
            fault = UpdateFault.OLDER
        elif edition.version == known and known and not lost:
            fault = UpdateFault.CHANGED
        elif now is not None and edition.valid_to is not None and edition.valid_to <= now:
            fault = UpdateFault.ENDED
        else:
            fault, error = self.parts[kind].against(loaded.value, self.newest) or (None, None)
        return None if fault is None else SetRefusal(kind, fault, edition, known, error)

    def _comes_before(self, one: HeldEdition, other: HeldEdition, now: datetime | None) -> bool:
        """Whether, while nothing of the kind is in force, only the moment of `one` has come: better an older one than
        none. What has to wait for `other` is offered again where it is published.
        """
        at = now or self._starts_at
        if at is None or one.kind in self._rows.in_force:
            return False
        return one.at_ms <= unix_ms(at) < other.at_ms

    def _elsewhere(self, kind: SetKind, edition: Edition) -> TerminalError | None:
        """For another region than the document in force, or, a first document, than what waits for one."""
        known = self._loaded | self._ready
        region = known.get(SetKind.REGION)
        others = [region] if region is not None else list(known.values()) if kind is SetKind.REGION else []
        for other in (loaded.edition for loaded in others):
            if edition.region and other.region and edition.region != other.region:
                what = f"{edition.id} is of region {edition.region}, {other.id} of region {other.region}"
                return RegionDocumentError(what, "Publish those of one region.")
        return None

    # Activating

    def due(self, now: datetime | None) -> tuple[SetKind, ...]:
        """What waits, is loaded, and whose moment has come. Costs next to nothing where nothing waits."""
        if not self._ready or now is None:
            return ()
        return tuple(kind for kind, held in self._rows.pending.items() if self._is_due(kind, held, now))

    def _is_due(self, kind: SetKind, held: HeldEdition, now: datetime) -> bool:
        loaded = self._ready.get(kind)
        if loaded is None or held.at_ms > unix_ms(now):
            return False
        until = loaded.edition.valid_to
        return until is None or now < until

    def drop_ended(self, now: datetime | None) -> None:
        """What has ended before it came into force waits no longer."""
        for kind, loaded in tuple(self._ready.items()):
            until = loaded.edition.valid_to
            if now is not None and until is not None and until <= now:
                with self._offering, self._changing:
                    self._drop(kind)
                self.refuse(SetRefusal(kind, UpdateFault.ENDED, loaded.edition), loaded.sha256)

    def _drop(self, kind: SetKind) -> None:
        with suppress(ActiveSetError):  # the disk fails: the row is found and dropped again by the next start
            self._store.drop_pending(kind)
        self._untidy = True
        self._ready = without(self._ready, kind)
        self._rows = self._rows.without_pending(kind)

    def activate(
        self, kinds: tuple[SetKind, ...], now: datetime, journal: Journal | None
    ) -> tuple[HeldEdition, ...]:
        """Put what waits of these kinds in force. The journal says so first; raises `JournalError`, and then what is
        not in force yet still waits. What another thread has put in force meanwhile is not among what is returned.
        """
        activated = (self._activate(kind, now, journal) for kind in kinds)
        return tuple(held for held in activated if held is not None)

    def _activate(self, kind: SetKind, now: datetime, journal: Journal | None) -> HeldEdition | None:
        with self._changing:
            if kind not in self._rows.pending:
                return None
            waiting, loaded = self._rows.pending[kind], self._ready[kind]
            held = waiting._replace(at_ms=unix_ms(now))
            trial = loaded.edition.trial_days > 0 and kind in self._rows.in_force
            if journal is not None and not held.is_said(journal.activated):
                journal.append(held.row(unix_ms(now), loaded.edition.trial_days if trial else 0))
            self._store.activate(held, trial=trial)
            self._untidy = True
            self._loaded = {**self._loaded, kind: loaded}
            self._ready = without(self._ready, kind)
            self._rows = self._rows.activated(held, trial=trial)
        refused = self._refused.get(kind)
        if refused is not None and refused.fault is UpdateFault.NO_ROOM and refused.version == held.version:
            self._better(kind)
        return held

    # On trial

    def trial(self, kind: SetKind) -> Trial | None:
        """None where what is in force is so for good. Any thread."""
        rows, loaded = self._rows, self._loaded.get(kind)
        if loaded is None or kind not in rows.before:
            return None
        held = rows.in_force[kind]
        return Trial(held, rows.before[kind], held.at_ms + loaded.edition.trial_days * DAY_MS)

    def _trial_days(self, kind: SetKind) -> int:
        loaded = self._loaded.get(kind)
        return loaded.edition.trial_days if loaded is not None and kind in self._rows.before else 0

    def confirm(self, kind: SetKind) -> None:
        """What is in force is so for good. Raises `ActiveSetError`."""
        with self._changing:
            if kind in self._rows.before:
                self._store.confirm(kind)
                self._rows = self._rows.confirmed(kind)
                self._untidy = True

    def take_back(
        self, trial: Trial, now: datetime, journal: Journal, row: Callable[[int], SetReturned]
    ) -> HeldEdition:
        """Put in force again what `trial` has replaced; the journal says so first, by `row` for this moment. What was
        on trial is not taken any more. Raises `JournalError`, or `ActiveSetError`, also where the slot of the one
        before is damaged: then what is in force goes on.
        """
        kind, now_ms = trial.before.kind, unix_ms(now)
        with self._offering, self._changing:
            loaded = self._checked(kind, trial.before)
            if isinstance(loaded, SetRefusal):
                raise loaded.error or ActiveSetError(
                    f"{trial.before.edition} cannot be put back: its slot is damaged",
                    "Publish it under a higher version.",
                )
            back = trial.before._replace(at_ms=now_ms)
            journal.append(row(now_ms))
            journal.append(back.row(now_ms))
            self._put_back(trial.held, back, loaded)
        self.refuse(trial.held.refused(UpdateFault.TAKEN_BACK), trial.held.sha256)
        return back

    def _put_back(self, taken: HeldEdition, back: HeldEdition, loaded: LoadedEdition[Any]) -> None:
        self._store.put_back(back)
        self._untidy = True
        self._loaded = {**self._loaded, back.kind: loaded}
        self._rows = self._rows.put_back(taken, back)

    def _finish_return(self, said: Mapping[str, SetActivated]) -> tuple[SetKind, ...]:
        """The journal says that what was on trial was taken back, and the power went before the rows did."""
        found = tuple(kind for kind, before in self._rows.before.items() if before.is_said(said))
        for kind in found:
            before, taken = self._rows.before[kind], self._rows.in_force.get(kind)
            loaded = self._checked(kind, before)
            if taken is not None and not isinstance(loaded, SetRefusal):
                with self._offering, self._changing:
                    self._put_back(taken, before._replace(at_ms=said[kind].at_ms), loaded)
        return found

    # Starting

    def resume(
        self, journal: Journal, now: datetime, *, trusted: bool, any_edition: bool = False
    ) -> tuple[SetKind, ...]:
        """The journal is open: finish what a power cut left half done, let what is due come into force, and hold all
        against what the journal says was in force. Returns what has come into force.

        Where nothing is in force, what was offered comes into force whatever its moment. Raises `ActiveSetError` where
        what is left is older than what was in force, or `JournalError`. `any_edition`: a laboratory's terminal, whose
        documents are edited under one version, is not held to that. `refusals` says so where neither a
        journal that was begun anew nor the set knows any floor.
        """
        said = {} if any_edition else dict(journal.activated)
        lost = not self._rows.floors and not journal.activated and journal.base.sequence > 0
        self._drop_older(said)
        again = tuple(
            kind
            for kind, held in self._rows.pending.items()
            if kind in self._ready
            and (kind not in self._rows.in_force or (kind in said and said[kind].sha256 == held.sha256))
        )
        self.activate(again, now, journal)
        back = self._finish_return(said)
        due = self.due(now) if trusted else ()
        self.activate(due, now, journal)
        for kind in self.parts:
            if kind in said:
                self._require(kind, SetFloor(said[kind].version, said[kind].sha256))
        for held in self._rows.in_force.values():
            if not held.is_said(journal.activated):
                journal.append(held.row(unix_ms(now), self._trial_days(held.kind)))
            if lost:
                self.refusals.put(held.refused(UpdateFault.FLOOR_LOST))
        self._store.mend_floors(self._rows.floors)
        return (*again, *back, *due)

    def _drop_older(self, said: Mapping[str, SetActivated]) -> None:
        """What waits in an older copy of the set, and was replaced since, by the set or by what the journal `said`."""
        for kind, held in tuple(self._rows.pending.items()):
            row, known = said.get(kind), self._rows.floors.get(kind, NO_FLOOR)
            if row is not None:
                known = max(known, SetFloor(row.version, row.sha256))
            if held.version < known.version or (
                held.version == known.version and held.sha256 != known.sha256
            ):
                with self._offering, self._changing:
                    self._drop(kind)
                self.refuse(held.refused(UpdateFault.OLDER, known.version), held.sha256)

    def require_all(self) -> None:
        """Raise `ActiveSetError` where what was in force is damaged, and nothing that was offered replaces it."""
        for kind, floor in self._rows.floors.items():
            if kind in self.parts and not self.knows(kind):
                self._require(kind, floor)

    def _require(self, kind: SetKind, floor: SetFloor) -> None:
        held = self._rows.in_force.get(kind)
        if held is not None and held.version >= floor.version:
            return
        refused = self._refused.get(kind)
        found = "there is none" if held is None else f"what there is has version {held.version}"
        if held is None and refused is not None and refused.fault is UpdateFault.OLDER:
            found = f"what there is has version {refused.version}"
        why = "" if refused is None or refused.error is None else f" ({refused.error.what})"
        raise ActiveSetError(
            f"{kind.value}: version {floor.version} was in force, and {found}{why}",
            "Publish that version or a newer one where terminal.toml says ([updates], [lists], terminal.region).",
        )

    def begin_afresh(self, published: Collection[SetKind]) -> None:
        """Where nothing was ever in force: what a start that failed left of the kinds `published` waits no longer. They
        are offered again, and may have been corrected as they are, without another version. What was loaded by a
        command, as a roster before the first start, waits on.
        """
        if not self._rows.in_force and not self._rows.floors:
            with self._offering, self._changing:
                for kind in self._rows.pending.keys() & set(published):
                    self._drop(kind)

    def load_pending(self, by: datetime | None = None) -> None:
        """Make ready what waited when the set was opened; what cannot be read waits no longer and is refused.

        `by`: only what comes into force by then, or is the first of its kind; the rest may take its time.
        """
        self._starts_at = by or self._starts_at
        for kind, held in tuple(self._rows.pending.items()):
            if kind in self._ready or kind not in self.parts:
                continue
            if by is not None and held.at_ms > unix_ms(by) and kind in self._loaded:
                continue
            with self._offering:
                loaded = self._checked(kind, held)
            with self._offering, self._changing:
                if self._rows.pending.get(kind) != held:
                    continue  # replaced meanwhile
                if isinstance(loaded, SetRefusal):
                    self._drop(kind)
                    self.refuse(loaded, held.sha256)
                else:
                    self._ready = {**self._ready, kind: loaded}

    def sweep(self) -> None:
        """Remove slots which no row names, since the last time or since it was opened."""
        if self._untidy:
            with self._offering, self._changing:
                self._store.sweep()
                self._untidy = False

    def counted(self) -> KeptCounts:
        """As `SetStore.counted`."""
        return self._store.counted()

    def put_counted(self, kept: KeptCounts) -> None:
        """As `SetStore.put_counted`. Raises `ActiveSetError`."""
        with self._changing:
            self._store.put_counted(kept)

    def close(self) -> None:
        self._store.close()

    def _load(self, kind: SetKind) -> None:
        """What is in force, from its slot; where that is damaged nothing is in force, and the floor stays."""
        if kind not in self.parts:
            return
        held = self._rows.in_force[kind]
        loaded = self._checked(kind, held)
        if isinstance(loaded, SetRefusal):
            self._rows = self._rows.without_damaged(kind)
            self.refuse(loaded, held.sha256)
        else:
            self._loaded[kind] = loaded

    def _checked(self, kind: SetKind, held: HeldEdition) -> LoadedEdition[Any] | SetRefusal:
        try:
            loaded = self.parts[kind].load_again(self._store.slot(kind, held.slot), held.sha256)
        except TerminalError as error:
            return held.refused(UpdateFault.DAMAGED, error=error)
        except OSError as error:
            return held.refused(UpdateFault.DAMAGED, error=slot_failed(error))
        return loaded if loaded.sha256 == held.sha256 else held.refused(UpdateFault.DAMAGED)
