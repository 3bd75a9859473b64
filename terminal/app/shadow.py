"""A region document in shadow at a running terminal: each tap is decided once more by it after it has ended (O-13).

What is charged, written and shown is by the document in force alone. The second decision is made when the presence loop
comes round again, with nothing held that a tap waits for; what it would have done goes into a row now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.app.active import FILE_NAMES, active_of
from terminal.clock import unix_ms
from terminal.codes import BundleFault, SetKind, Trouble
from terminal.decision.outcome import Outcome
from terminal.errors import JournalError, RegionDocumentError, TerminalError
from terminal.journal.taps import End
from terminal.operations.status import ShadowStatus
from terminal.policy.policy import Policy
from terminal.tap_report import EndedTap
from terminal.trip.ages import freshness_of
from terminal.updates.bundle.kept import delivered_folder
from terminal.updates.bundle.roles import SHADOW
from terminal.updates.edition import LoadedEdition
from terminal.updates.shadow import ShadowTally, ShadowVerdict
from terminal.updates.watch import FileMark, mark_of

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

EVERY_S: Final = 1.0
"""Between two looks at the file."""
KEEP_EVERY_S: Final = 60.0
"""Between two rows, while taps come; what a power cut takes is not compared."""
MOST_WAITING: Final = 64
"""Taps that wait to be decided once more; there is time after each, so there are more only where deciding hangs."""
AT_ONCE: Final = 4
"""Decided at one look: the next tap waits for no more."""
ENDED: Final = frozenset({End.COMMITTED, End.NOTHING_WRITTEN})
"""A tap that did not come off is presented again, and compared then."""


class _Loaded(Struct, frozen=True):
    """What became of the file that had this mark."""

    mark: FileMark
    found: LoadedEdition[Policy] | TerminalError


class ShadowWatch:
    """One per terminal. `take` within a tap, `look` whenever the presence loop comes round."""

    def __init__(
        self,
        terminal: Terminal,
        lock: AbstractContextManager[object],
        files: Sequence[Path],
        vitals: Vitals,
    ) -> None:
        """`lock` as taps hold it; of `files` the first that is there is the document."""
        self._terminal = terminal
        self._active = active_of(terminal)
        self._lock = lock
        self._files = files
        self._vitals = vitals
        self._seen: FileMark | None = None
        self._taken: FileMark | None = None
        self._heard: SimpleQueue[_Loaded] = SimpleQueue()
        self._document: LoadedEdition[Policy] | None = None
        self._waiting: deque[EndedTap] = deque()
        self._tally = ShadowTally()
        self._failing = False
        self._due_s = self._keep_due_s = 0.0
        self._state: ShadowStatus | None = None
        vitals.shadow = lambda: self._state

    def take(self, tap: EndedTap) -> None:
        """A tap has ended. Returns at once."""
        if self._document is None or tap.report.end not in ENDED or tap.trip.inspection is not None:
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(tap)
        else:
            self._tally.count(ShadowVerdict.MISSED)

    def look(self) -> None:
        """Next to nothing where no document is in shadow."""
        now_s = self._terminal.clock.monotonic()
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self._compare(self._waiting.popleft())
        while not self._heard.empty():
            self._hear(self._heard.get())
        if self._tally.full or (self._tally.taps and now_s >= self._keep_due_s):
            self._keep_due_s = now_s + KEEP_EVERY_S
            self.keep()
        if now_s >= self._due_s:
            self._due_s = now_s + EVERY_S
            self._look_at_file()

    def end(self) -> None:
        """The terminal takes no more taps."""
        while self._waiting:
            self._compare(self._waiting.popleft())
        self.keep()

    def keep(self) -> None:
        """Write down what was compared since the last row. A journal that takes none now is asked again later."""
        document = self._document
        if document is None or not self._tally.taps:
            return
        edition, at_ms = document.edition, unix_ms(self._terminal.clock.now())
        currency = document.value.currency
        row = self._tally.row(at_ms, edition.id, edition.version, document.sha256, currency)
        with suppress(JournalError), self._lock:
            self._terminal.journal.append(row)
            self._tally = ShadowTally()

    # The document

    def _look_at_file(self) -> None:
        """A file that has changed is read once it rests, on a thread of its own."""
        path = next((one for one in self._files if one.exists()), None)
        mark = None if path is None else mark_of(path)
        rests, self._seen = mark == self._seen, mark
        if path is None or mark is None:
            self._leave()
        elif rests and mark != self._taken:
            self._taken = mark
            Thread(target=self._load, args=(path, mark), name="shadow", daemon=True).start()

    def _load(self, path: Path, mark: FileMark) -> None:
        try:
            found: LoadedEdition[Policy] | TerminalError = self._read(path)
        except TerminalError as error:
            found = error
        except Exception as error:  # noqa: BLE001 whatever a document does to the software, taps go on
            what = f"reading {path} failed by a mistake of the terminal's own ({type(error).__name__})"
            found = RegionDocumentError(what, "Report it, and publish another document.")
        self._heard.put(_Loaded(mark, found))

    def _read(self, path: Path) -> LoadedEdition[Policy]:
        """The document, if it could be in force here. Raises `TerminalError`."""
        part = self._active.parts[SetKind.REGION]
        # The folder may be a link that is switched while the tables beside the document are read.
        loaded: LoadedEdition[Policy] = part.load(path.parent.resolve(), str(path))
        region = self._terminal.policy.document.header.region
        if loaded.edition.region != region:
            what = f"{path} is of region {loaded.edition.region}, this terminal is of region {region}"
            raise RegionDocumentError(what, "Publish a document of this region.")
        objection = part.against(loaded.value, self._active.newest)
        if objection is not None:
            raise objection.error
        return loaded

    def _hear(self, loaded: _Loaded) -> None:
        if loaded.mark != self._taken:
            return
        self._leave()
        self._taken, found = loaded.mark, loaded.found
        if isinstance(found, TerminalError):
            trouble = Trouble(BundleFault.UNREADABLE, {"role": SHADOW, "version": 0})
            self._state = ShadowStatus(fault=trouble.code)
            self._vitals.bundle_is(trouble, SHADOW, str(found), record=True)
        else:
            self._document = found
            self._state = ShadowStatus(edition=f"{found.edition.id}:{found.edition.version}")
        self._vitals.shadow_is(self._state)

    def _leave(self) -> None:
        """Nothing is in shadow any more, or something else soon."""
        self._taken = None
        if self._state is None:
            return
        self.keep()
        self._waiting.clear()
        self._tally, self._document, self._state, self._failing = ShadowTally(), None, None, False
        self._vitals.shadow_is(None)

    # A tap once more

    def _compare(self, tap: EndedTap) -> None:
        document, state = self._document, self._state
        if document is None or state is None or document.sha256 == self._active.digest(SetKind.REGION):
            return  # what is in force is compared with nothing
        before = self._tally.counts[ShadowVerdict.FAILED]
        try:
            shadow = self._decided(tap, document.value)
        except Exception as error:  # noqa: BLE001 whatever it does, the tap is over and the next one goes on
            self._tally.count(ShadowVerdict.FAILED)
            if not self._failing:
                self._failing = True
                self._vitals.shadow_failed(state.edition, error)
                self._keep_due_s = 0.0
        else:
            self._tally.take(tap.trip.sequence, tap.decision.outcome, shadow)
        failed = self._tally.counts[ShadowVerdict.FAILED] > before
        self._state = replace(state, taps=state.taps + 1, failed=state.failed + failed)

    def _decided(self, tap: EndedTap, document: Policy) -> Outcome:
        lists, at = self._terminal.policy, tap.report.at
        policy = replace(
            document, deny_list=lists.deny_list, grants=lists.grants, bank_deny_list=lists.bank_deny_list
        )
        trip = replace(
            tap.trip, freshness=freshness_of(policy, at, tap.trip.clock, self._terminal.bundles_at)
        )
        return tap.decide(tap.report.snapshot, policy, trip, at).outcome


def shadow_files(state: Path, folder: Path | None) -> tuple[Path, ...]:
    """Where a document in shadow may lie: brought by signed bundles, or in the folder that is published to."""
    (name,) = FILE_NAMES[SetKind.REGION]
    signed = delivered_folder(state, SHADOW) / name
    return (signed,) if folder is None else (signed, folder / SHADOW / name)


@contextmanager
def shadow_watch(
    terminal: Terminal, lock: AbstractContextManager[object], files: Sequence[Path], vitals: Vitals
) -> Iterator[ShadowWatch]:
    """The watch of a terminal that is about to serve; what it has compared is written down at the end."""
    watch = ShadowWatch(terminal, lock, files, vitals)
    terminal.decided = watch.take
    try:
        yield watch
    finally:
        watch.end()
