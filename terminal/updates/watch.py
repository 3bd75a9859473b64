"""Files whose change is an offer to the active set: those of a folder, and those that terminal.toml names.

One thread looks every second, by size, times and inode; only a file that has changed is read, and only when it lay
there unchanged at the look before: half a document can be a sound one, and its other half would be refused under the
same version. Who writes more slowly than that publishes by renaming. What signed bundles bring is whole whenever it is
seen, and is looked for at once when it came: a second for a tariff is nothing, for a card that is to be stopped it is.

A large file that was read and holds what is held is noted by its mark: a terminal that starts again with lists of a
million entries does not read them just to find that they are the same.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import Enum, auto
from functools import partial
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, NamedTuple

from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, RegionDocumentError, TerminalError
from terminal.updates.active import ActiveSet
from terminal.updates.edition import MOST_BESIDE_BYTES, Published, SetPart, SetRefusal, unreadable
from terminal.updates.held import HeldEdition, Offered

EVERY_S: Final = 1.0
PATIENCE_S: Final = 5.0
LARGE_BYTES: Final = 1 << 20
"""From this size on a file is known by its mark."""
RESTED_NS: Final = 3_000_000_000
"""So long ago was it last written: a file system's clock may go by two seconds, and what is written within one of its
ticks leaves the same mark.
"""
AGAIN: Final = frozenset({UpdateFault.NO_ROOM})
"""Refusals that may pass without a change of the file."""
UNTIL_ANOTHER: Final = frozenset({UpdateFault.UNKNOWABLE, UpdateFault.UNSOUND})
"""Refusals that may pass when another file is taken: a tariff that needs the routes published with it."""
AGAIN_AFTER: Final = 60
"""Looks between two tries of such a file."""


class SourceFile(NamedTuple):
    """Where editions of a kind are published; `opened` makes of a file's content what is offered, and may raise
    `TerminalError`. `whole`: it is put there by one change of names, and never seen half.
    """

    kind: SetKind
    path: Path
    opened: Callable[[Path, bytes], bytes] | None = None
    whole: bool = False


class FileMark(NamedTuple):
    """By what a changed file is known."""

    changed_ns: int
    size: int
    inode: int
    noted_ns: int
    """Of its rights and its name, too, and whatever time it was given."""

    @property
    def content(self) -> tuple[int, int, int]:
        """As long as this is the same, nothing was written."""
        return self[:3]

    @property
    def can_be_trusted(self) -> bool:
        """Whether a large file that has this mark is the same later on, too."""
        return self.size >= LARGE_BYTES and time.time_ns() - max(self[0], self.noted_ns) > RESTED_NS


def read_source(
    path: Path,
    part: SetPart[object],
    held: Callable[[bytes], HeldEdition | None],
    opened: Callable[[Path, bytes], bytes] | None = None,
) -> Published | HeldEdition | UpdateFault:
    """The file at `path` with those beside it, or what is `held` with this hash: the others are not looked for then.
    Raises OSError, or `TerminalError` for one that cannot be read.
    """
    content = _bounded(path, part.most_bytes)
    if content is None:
        return UpdateFault.TOO_LARGE
    if opened is not None:
        content = opened(path, content)
    known = held(sha256(content).digest())
    if known is not None:
        return known
    beside = {}
    for name in part.beside(content):
        further = _bounded(path.with_name(name), MOST_BESIDE_BYTES)
        if further is None:
            return UpdateFault.TOO_LARGE
        beside[name] = further
    return Published(str(path), content, beside)


def offer_source(
    active: ActiveSet, source: SourceFile, now: datetime | None, *, afresh: bool = False
) -> SetRefusal | None:
    """Offer the file at `source` as it is; why it is not taken, which staff have not heard yet. `afresh`: read it
    whatever is known of it.

    A defect of the terminal's own over one file is a refusal, too: what is in force goes on, and the other files.
    """
    try:
        return _offered(active, source, now, afresh=afresh)
    except Exception as error:  # noqa: BLE001 as it says
        what = f"reading {source.path} failed by a mistake of the terminal's own ({type(error).__name__})"
        unread = ActiveSetError(what, "Report it, and publish another file.")
        return SetRefusal(source.kind, UpdateFault.UNREADABLE, error=unread)


def _offered(
    active: ActiveSet, source: SourceFile, now: datetime | None, *, afresh: bool
) -> SetRefusal | None:
    mark, name = mark_of(source.path), str(source.path)
    if not afresh and active.holds(source.kind, active.files.digest(name, repr(mark))) is not None:
        return None
    try:
        known = partial(active.holds, source.kind)
        # The folder may be a link that is switched while several files of one issue are read.
        whole = source.path.parent.resolve() / source.path.name
        published = read_source(whole, active.parts[source.kind], known, source.opened)
    except OSError as error:
        what = f"{source.path} cannot be read ({error.strerror})"
        unread = RegionDocumentError(what, "Check the path and its rights.")
        return SetRefusal(source.kind, UpdateFault.UNREADABLE, error=unread)
    except TerminalError as error:
        return unreadable(source.kind, error)
    if isinstance(published, UpdateFault):
        return SetRefusal(source.kind, published)
    if isinstance(published, HeldEdition):
        offered = Offered(published, known=True)
    else:
        offered = active.offer(source.kind, published, now)
    if offered.known and offered.held is not None and mark is not None and mark.can_be_trusted:
        with suppress(ActiveSetError):  # then it is read again after a restart
            active.files.note(name, offered.held.sha256, repr(mark))
    return offered.refused


def _bounded(path: Path, most_bytes: int) -> bytes | None:
    """All of a plain file, None where it is longer; no pipe or device is waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ActiveSetError(f"{path} is no plain file", "Publish a file.")
        content = file.read(most_bytes + 1)
    return None if len(content) > most_bytes else content


class _SourceLook(Enum):
    """What the thread is asked for."""

    SOON = auto()
    AFRESH = auto()
    STOP = auto()


class SourceWatch:
    """Looks at the sources on a thread of its own from `start` to `stop`."""

    def __init__(
        self,
        active: ActiveSet,
        sources: tuple[SourceFile, ...],
        now: Callable[[], datetime | None],
        every_s: float = EVERY_S,
    ) -> None:
        """`now` as `ActiveSet.offer` wants it."""
        self._active = active
        self._sources = sources
        self._now = now
        self._every_s = every_s
        self._at_start = {source: mark_of(source.path) for source in sources}
        self._seen: dict[SourceFile, FileMark | None] = dict(self._at_start)
        self._taken: dict[SourceFile, FileMark | None] = {}
        self._refused: dict[SourceFile, int] = {}
        """After how many looks to try again; others not before they change."""
        self._for_another: set[SourceFile] = set()
        self._standing: dict[SourceFile, SetRefusal] = {}
        self._looks: SimpleQueue[_SourceLook] = SimpleQueue()  # its put may be called from a signal handler
        self._thread = Thread(target=self._run, name="updates", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look_now(self) -> None:
        """Look at once, and try again what was refused. Any thread and any signal handler."""
        self._looks.put(_SourceLook.AFRESH)

    def came(self) -> None:
        """Something new may lie there: look at once. Any thread."""
        self._looks.put(_SourceLook.SOON)

    def stop(self) -> None:
        self._looks.put(_SourceLook.STOP)
        self._thread.join(PATIENCE_S)

    def look(self, *, afresh: bool = False, came: bool = False) -> None:
        """Offer what has changed and rests; `afresh`: everything as it is, also what was refused before; `came`: what
        is whole need not rest.
        """
        if afresh:
            self._refused.clear()
            self._taken.clear()
        for source in self._sources:
            mark = mark_of(source.path)
            rests, self._seen[source] = afresh or (came and source.whole) or self._seen[source] == mark, mark
            if mark is None:
                self._settle(source)
            if mark is None or not rests or not self._is_new(source, mark):
                continue
            self._taken[source] = mark
            if self._offer(source, mark, afresh=afresh):
                self._refused |= dict.fromkeys(self._for_another, 0)
                self._for_another.clear()

    def _settle(self, source: SourceFile) -> None:
        """What was refused of it is not published any more."""
        refused = self._standing.pop(source, None)
        if refused is not None:
            self._active.withdraw(refused)

    def _is_new(self, source: SourceFile, mark: FileMark) -> bool:
        waits = self._refused.get(source)
        if self._taken.get(source) != mark:
            self._refused.pop(source, None)
            return True
        if waits is None:
            return False
        self._refused[source] = waits - 1
        return waits == 0

    def _offer(self, source: SourceFile, mark: FileMark, *, afresh: bool) -> bool:
        """Whether it was taken."""
        refused = offer_source(self._active, source, self._now(), afresh=afresh)
        self._refused.pop(source, None)
        if refused is None:
            self._settle(source)
            return True
        start = self._at_start[source]
        if refused.fault is UpdateFault.OLDER and start is not None and mark.content == start.content:
            return False  # it was there before its successors
        self._standing[source] = refused
        self._active.refuse(refused, repr(mark).encode())
        if refused.fault in AGAIN:
            self._refused[source] = AGAIN_AFTER
        if refused.fault in UNTIL_ANOTHER:
            self._for_another.add(source)
        return False

    def _run(self) -> None:
        self._active.load_pending()
        self.look()
        while True:
            self._active.drop_ended(self._now())
            with suppress(ActiveSetError):  # the disk fails; what is left is swept another time
                self._active.sweep()
            try:
                asked = [self._looks.get(timeout=self._every_s)]
            except Empty:
                self.look()
                continue
            while not self._looks.empty():  # many that ask at once are answered by one look
                asked.append(self._looks.get())
            if _SourceLook.STOP in asked:
                return
            self.look(afresh=_SourceLook.AFRESH in asked, came=True)


def mark_of(path: Path) -> FileMark | None:
    """By what a change of the file is seen; None where there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileMark(found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
