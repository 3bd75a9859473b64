"""A region document on trial at a running terminal: what is counted of it, and when it is taken back (O-12).

Everything but `take_back` is on the thread that serves cards, between two taps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminal.app.active import active_of, put_in_place
from terminal.clock import unix_ms
from terminal.codes import BundleFault, ReturnCause, SetKind, Trouble
from terminal.decoding import read_within
from terminal.errors import ActiveSetError, JournalError
from terminal.journal.operation_records import SetReturned
from terminal.updates.bundle.assignment import MOST_BYTES, AssignmentError, Verdicts, read_assignment
from terminal.updates.bundle.kept import delivered_folder
from terminal.updates.bundle.roles import ASSIGN_FILE, BundleRole
from terminal.updates.held import HeldEdition, Trial
from terminal.updates.trial import TapCounts, refuses_too_many
from terminal.updates.watch import FileMark, mark_of

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

EVERY_S: Final = 1.0
KEEP_EVERY_S: Final = 60.0
"""Between two times that counts are written down; what a power cut takes is counted again from the journal."""
AGAIN_S: Final = 60.0
"""Between two tries to take back what could not be."""
MOST_ROWS: Final = 500
"""Counted at one look: an old journal is read bit by bit beside the taps."""


class CollectorsWord:
    """What the collector takes back from all that have it on trial, as its acknowledgements say."""

    def __init__(self) -> None:
        self.withdrawn: frozenset[str] = frozenset()

    def hear(self, editions: Iterable[str]) -> None:
        """Any thread; it counts from the next look."""
        self.withdrawn = frozenset(editions)


class TrialWatch:
    """One per terminal. `look` whenever the presence loop comes round."""

    def __init__(
        self,
        terminal: Terminal,
        lock: AbstractContextManager[object],
        words: Sequence[Path],
        changed: Callable[[HeldEdition], None],
        vitals: Vitals,
        collector: CollectorsWord,
    ) -> None:
        """`lock` as taps hold it; `words` are the files in which the publisher confirms and withdraws; `changed` hears
        what has come into force. What the publisher has confirmed no `collector` takes back.
        """
        self._collector = collector
        self._terminal = terminal
        self._active = active_of(terminal)
        self._lock = lock
        self._words = {path: _VerdictFile(path) for path in words}
        self._changed = changed
        self._vitals = vitals
        kept = self._active.counted()
        self._counts = TapCounts(kept, terminal.journal.base.sequence)
        self._kept_to = kept.to
        self._due_s = self._keep_due_s = self._not_before_s = 0.0

    def look(self) -> None:
        """Cheap where nothing is new."""
        now_s = self._terminal.clock.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        self._count()
        trial = self._active.trial(SetKind.REGION)
        if trial is not None and now_s >= self._not_before_s:
            self._judge(trial, now_s)
        if now_s >= self._keep_due_s:
            self._keep_due_s = now_s + KEEP_EVERY_S
            self.keep()

    def keep(self) -> None:
        """Write the counts down, if they have changed. A disk that fails is on show by itself."""
        if self._counts.to == self._kept_to:
            return
        status = self._active.status_of(SetKind.REGION)
        held = status.in_force, None if status.trial is None else status.trial.before
        on_trial = "" if status.trial is None else status.trial.held.edition
        self._counts.keep((one.edition for one in held if one is not None), on_trial)
        with suppress(ActiveSetError):
            self._active.put_counted(self._counts.kept)
            self._kept_to = self._counts.to

    def take_back(self, error: Exception) -> bool:
        """A decision ended in `error`, which is a mistake of the software: whether the document before the one on trial
        decides now. Within a tap, which holds the lock.
        """
        trial = self._active.trial(SetKind.REGION)
        if trial is None:
            return False
        self._vitals.decision_failed(trial.held.edition, error)
        try:
            self._count()
            back = self._put_back(trial, ReturnCause.FAILED)
        except ActiveSetError:
            return False
        self._changed(back)
        return True

    def _count(self) -> None:
        """The rows that are new, as long as the journal can be read; what cannot be is on show by itself."""
        journal = self._terminal.journal
        if journal.head.sequence <= self._counts.to:
            return
        with suppress(JournalError):
            for row in journal.rows(self._counts.to, MOST_ROWS):
                self._counts.take(row.sequence, row.record)

    def _judge(self, trial: Trial, now_s: float) -> None:
        try:
            cause = self._cause(trial)
            if cause is not None:
                with self._lock:
                    back = self._put_back(trial, cause)
                self._changed(back)
            elif self._said(trial.held.edition).confirmed:
                self._active.confirm(SetKind.REGION)
                self._vitals.confirmed(trial.held)
        except (JournalError, ActiveSetError) as error:
            self._not_before_s = now_s + AGAIN_S
            self._vitals.not_taken_back(trial.held.edition, error)

    def _cause(self, trial: Trial) -> ReturnCause | None:
        edition, before = trial.held.edition, trial.before.edition
        said = self._said(edition)
        if said.withdrawn:
            return ReturnCause.WITHDRAWN
        if refuses_too_many(self._counts.on_trial(edition), self._counts.of(before)):
            return ReturnCause.REFUSALS
        if edition in self._collector.withdrawn and not said.confirmed:
            return ReturnCause.GROUP
        in_doubt = self._terminal.clock_watch.state.suspect
        late = not in_doubt and unix_ms(self._terminal.clock.now()) >= trial.until_ms
        return ReturnCause.UNCONFIRMED if late and not said.confirmed else None

    def _said(self, edition: str) -> Verdicts:
        """Of this edition, by any of the files."""
        said = [word.verdicts(self._vitals) for word in self._words.values()]
        return Verdicts(
            frozenset(e for one in said for e in one.confirmed if e == edition),
            frozenset(e for one in said for e in one.withdrawn if e == edition),
        )

    def _put_back(self, trial: Trial, cause: ReturnCause) -> HeldEdition:
        held, before = trial.held, trial.before
        new, old = self._counts.on_trial(held.edition), self._counts.of(before.edition)

        def row(at_ms: int) -> SetReturned:
            back = before.version, before.sha256
            return SetReturned(at_ms, held.id, held.version, held.sha256, cause, *back, *new, *old)

        back = self._active.take_back(trial, self._terminal.clock.now(), self._terminal.journal, row)
        put_in_place(self._active, self._terminal, (SetKind.REGION,))
        return back


class _VerdictFile:
    """A file that may confirm or withdraw; read when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: FileMark | None = None
        self._read = Verdicts()

    def verdicts(self, vitals: Vitals) -> Verdicts:
        """As it stood when it could last be read."""
        mark = mark_of(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                if mark is not None:
                    self._read = read_assignment(read_within(self._path, MOST_BYTES)).verdicts
            except (OSError, ValueError, AssignmentError) as error:
                trouble = Trouble(BundleFault.UNREADABLE, {"role": BundleRole.ASSIGN.value, "version": 0})
                vitals.bundle_is(trouble, str(self._path), str(error))
        return self._read


def words_of(state: Path, folder: Path | None) -> tuple[Path, ...]:
    """Where a publisher's word on a document may come from: signed, or in the folder that is published to."""
    signed = delivered_folder(state, BundleRole.ASSIGN) / ASSIGN_FILE
    return (signed,) if folder is None else (signed, folder / ASSIGN_FILE)


@contextmanager
def trial_watch(
    terminal: Terminal,
    lock: AbstractContextManager[object],
    words: Sequence[Path],
    changed: Callable[[HeldEdition], None],
    vitals: Vitals,
    collector: CollectorsWord,
) -> Iterator[TrialWatch]:
    """The watch of a terminal that is about to serve; its counts are written down at the end."""
    watch = TrialWatch(terminal, lock, words, changed, vitals, collector)
    terminal.take_back = watch.take_back
    try:
        yield watch
    finally:
        watch.keep()
