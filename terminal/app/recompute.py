"""A running terminal decides its own rows again: once a day, and when it is asked to, in a process beside the taps.

The process reads the journal as `terminal journal recompute` does, at the lowest priority, and prints what it found;
the terminal puts that on record between two taps. What decided lies in the terminal's folder `documents`, by hash.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from terminal.app.config.settings import StationConfig
from terminal.clock import unix_ms
from terminal.codes import SetKind
from terminal.errors import JournalError
from terminal.files import link_file
from terminal.journal.operation_records import SelfRecomputed
from terminal.policy.policy import Policy
from terminal.recompute import DOCUMENTS_FOLDER
from terminal.updates.edition import CONTENT
from terminal.updates.parts import REGION_FILE

if TYPE_CHECKING:
    from terminal.tap import Terminal
    from terminal.updates.active import ActiveSet

REQUEST_FILE: Final = "recompute.request"
"""Its presence asks a running terminal to decide its rows again; the terminal removes it."""
FIRST_S: Final = 600.0
"""After the start, so that a vehicle that is switched on serves first."""
LONGEST_S: Final = 3_600.0
"""A process that takes so long is ended; the next one is started at the next time."""
LOWEST_PRIORITY: Final = 19
MOST_KEPT: Final = 32
"""Documents in the folder: the newest."""
HOUR_S: Final = 3_600.0
MOST_BYTES: Final = 1 << 20


class OwnRecompute:
    """`look` is called whenever the presence loop comes round, on the thread that serves cards."""

    def __init__(
        self,
        config: StationConfig,
        terminal: Terminal,
        lock: AbstractContextManager[object],
        say: Callable[[str], None],
    ) -> None:
        """`lock` as taps and actions of staff hold it; `say` is for staff."""
        self._request = config.terminal.state / REQUEST_FILE
        self._every_s = config.recompute.every_h * HOUR_S
        self._command = command(config)
        self._terminal = terminal
        self._lock = lock
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._began_s = 0.0
        now_s = terminal.clock.monotonic()
        self._due_s = now_s + min(FIRST_S, self._every_s) if self._every_s else None

    def look(self) -> None:
        """Start, hear or end the process; next to nothing most of the time."""
        if self._process is not None:
            self._hear(self._process)
        elif self._asked():
            self._start()

    def _asked(self) -> bool:
        if self._request.exists():
            with suppress(OSError):
                self._request.unlink()
            return True
        return self._due_s is not None and self._terminal.clock.monotonic() >= self._due_s

    def _start(self) -> None:
        now_s = self._terminal.clock.monotonic()
        self._began_s = now_s
        if self._due_s is not None:
            self._due_s = now_s + self._every_s
        try:
            self._process = subprocess.Popen(  # noqa: S603 our own program
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self._say(f"recompute: the process cannot be started ({error.strerror})")

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        # One line, shorter than a pipe holds: the process ends without being read from.
        if process.poll() is None:
            if self._terminal.clock.monotonic() - self._began_s > LONGEST_S:
                self._end(process)
                self._say("recompute: took too long and was ended")
            return
        self._process = None
        assert process.stdout is not None
        with process.stdout as pipe:
            said = pipe.read(MOST_BYTES)
        try:
            found = msgspec.json.decode(said, type=OwnStatement).record
        except msgspec.DecodeError:
            self._say(f"recompute: the process ended with code {process.returncode} and said nothing")
            return
        self._note(found)

    def _note(self, found: SelfRecomputed) -> None:
        at_ms = unix_ms(self._terminal.clock.now())
        try:
            with self._lock:
                self._terminal.journal.append(msgspec.structs.replace(found, at_ms=at_ms))
        except JournalError as error:
            self._say(f"recompute: {error.what}")
            return
        if found.differing:
            first = found.rows[0] if found.rows else 0
            self._say(
                f"recompute: {found.differing} rows do not follow from their inputs, the first is {first}"
            )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
        self._process = None

    def close(self) -> None:
        """End the process in progress: its rows are decided again next time."""
        if self._process is not None:
            self._end(self._process)


class OwnStatement(msgspec.Struct, frozen=True):
    """What the process prints. Hashes in it are base64, as JSON has bytes."""

    record: SelfRecomputed


def command(config: StationConfig) -> list[str]:
    """The process: the terminal's own command, with the files of this configuration and no other."""
    keys = "laboratory" if config.keys.file is None else str(config.keys.file)
    options = ["--state", str(config.terminal.state), "--keys", keys, "--statement"]
    if config.terminal.profile is not None:
        options += ["--profile", config.terminal.profile]
    return [sys.executable, "-m", "terminal.cli.app", "journal", "recompute", *options]


def be_last() -> None:
    """The lowest priority there is: a tap never waits for this process longer than a switch takes."""
    os.nice(LOWEST_PRIORITY)


def keep_documents(active: ActiveSet, state: Path) -> None:
    """Let what is in force be found by its hash later, too, when another has replaced it. A folder that cannot be
    written costs no tap: then rows under a replaced document are counted as not recomputed.
    """
    folder = state / DOCUMENTS_FOLDER
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        for path, digest in _files(active):
            link_file(path, folder / digest)
        kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime_ns, reverse=True)
        for path in kept[MOST_KEPT:]:
            path.unlink(missing_ok=True)


def _files(active: ActiveSet) -> list[tuple[Path, str]]:
    """The files that decide, each with its hash."""
    found: list[tuple[Path, str]] = []
    region, grants = active.folder(SetKind.REGION), active.folder(SetKind.GRANTS)
    if region is not None:
        policy: Policy | None = active.value(SetKind.REGION, None)
        found.append((region / REGION_FILE, active.digest(SetKind.REGION).hex()))
        gtfs = None if policy is None else policy.document.gtfs
        if gtfs is not None and gtfs.file is not None and gtfs.sha256 is not None:
            found.append((region / gtfs.file, gtfs.sha256))
    if grants is not None:
        found.append((grants / CONTENT, active.digest(SetKind.GRANTS).hex()))
    return found
