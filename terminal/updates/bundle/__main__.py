"""The side process that fetches bundles: `python -m terminal.updates.bundle`, started by a running terminal (ADR 53).

It reads its settings from the pipe and has no environment and no key; of the terminal's folder it uses `trust` and
`bundles`. When the pipe closes, it ends.
"""

from __future__ import annotations

import os
import resource
import select
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket
from time import monotonic
from typing import Final

from msgspec.structs import replace

from terminal.codes import BundleFault
from terminal.side_process import BrokenFrame, frame
from terminal.updates.bundle.kept import FOLDER, KeptBundles
from terminal.updates.bundle.messages import (
    BEAT_S,
    BundleLook,
    BundleSettings,
    DownMessage,
    UpMessage,
    Working,
    down_frames,
)

MOST_DATA_BYTES: Final = 256 << 20
MOST_FILES: Final = 64
LOWER_PRIORITY: Final = 10
READ_BYTES: Final = 64 << 10
AGAIN_S: Final = 15.0
"""After which an address that could not be heard is asked again."""


class TerminalPipe:
    """The process's end of the two pipes; whatever breaks them is the terminal's end."""

    def __init__(self, down_fd: int, up_fd: int) -> None:
        self._down_fd = down_fd
        self._up_fd = up_fd
        self._frames = down_frames()
        self._said_s = monotonic()
        self.came: list[DownMessage] = []
        """Messages that have not been looked at."""

    def wait(self, held: Sequence[socket]) -> bool:
        """For a message, an answer on a `held` connection, or a moment; False when the terminal is gone."""
        waited: list[int | socket] = [self._down_fd, *held]
        ready, _, _ = select.select(waited, [], [], BEAT_S)
        if not ready:
            self.say(Working())
        if self._down_fd not in ready:
            return True
        content = os.read(self._down_fd, READ_BYTES)
        self.came.extend(self._frames.feed(content))
        return bool(content)

    def alive(self) -> None:
        """Called often during a look. Ends the process when the terminal is gone."""
        if monotonic() - self._said_s >= BEAT_S:
            self.say(Working())

    def say(self, message: UpMessage) -> None:
        """Raises BrokenPipeError when the terminal is gone."""
        view = memoryview(frame(message))
        while view:
            view = view[os.write(self._up_fd, view) :]
        self._said_s = monotonic()


def main() -> int:
    """Serve until the terminal ends."""
    _keep_small()
    up_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no message
    pipe = TerminalPipe(sys.stdin.fileno(), up_fd)
    try:
        _serve(pipe)
    except (BrokenPipeError, BrokenFrame):
        return 0  # the terminal is gone, or as good as gone; it starts another process
    return 0


def _serve(pipe: TerminalPipe) -> None:
    looks: Looks | None = None
    while pipe.wait(() if looks is None else looks.held()):
        for message in pipe.came:
            if isinstance(message, BundleSettings):
                looks = Looks(pipe, message)
            elif looks is not None:
                looks.look(message)
        pipe.came.clear()
        if looks is not None:
            looks.turn()


class Looks:
    """The looks at the sources of one terminal. Between them an address is asked for what becomes newer, so that a
    card is stopped at once and not at the next look.
    """

    def __init__(self, pipe: TerminalPipe, settings: BundleSettings) -> None:
        from terminal.updates.bundle.looking import Fetchers  # noqa: PLC0415 a terminal without a root loads no library

        self._pipe = pipe
        self._settings = settings
        self._fetchers = Fetchers(settings.tls_ca, pipe.alive)
        self._look: BundleLook | None = None
        self._looked_s = 0.0
        self._again_s: dict[str, float] = {}

    def look(self, look: BundleLook) -> None:
        """As the terminal asks."""
        self._look, self._looked_s = look, monotonic()
        for source in filter(None, (self._settings.stick,) if look.stick else self._settings.sources):
            self._look_at(look, source)

    def held(self) -> list[socket]:
        """Connections on which an answer is waited for."""
        return [one.held for one in self._fetchers.addresses().values() if one.held is not None]

    def turn(self) -> None:
        """Look again where something newer came, or where the connection was lost a while ago."""
        waiting = {
            one.held: source for source, one in self._fetchers.addresses().items() if one.held is not None
        }
        ready, _, _ = select.select(list(waiting), [], [], 0) if waiting else ((), (), ())
        for handle in ready:
            source = waiting[handle]
            came = self._fetchers.addresses()[source].heard()
            if came:
                self._look_at(self._now(), source)
            elif came is None:
                self._again_s[source] = monotonic() + AGAIN_S
            else:
                self._hold(source)
        for source, due_s in list(self._again_s.items()):
            if monotonic() >= due_s:
                self._look_at(self._now(), source)

    def _look_at(self, look: BundleLook, source: str) -> None:
        from terminal.updates.bundle.looking import look_at  # noqa: PLC0415 as above

        self._again_s.pop(source, None)
        _use_disk_of(Path(self._settings.state) / FOLDER)
        report = look_at(self._settings, look, source, self._pipe.alive, self._fetchers)
        self._pipe.say(report)
        if source not in self._fetchers.addresses():
            return
        if report.fault is BundleFault.UNREACHABLE:
            self._again_s[source] = monotonic() + AGAIN_S
        elif report.fault is None:
            self._hold(source)

    def _hold(self, source: str) -> None:
        self._fetchers.addresses()[source].hold(KeptBundles(Path(self._settings.state)).versions())

    def _now(self) -> BundleLook:
        """The newest look, by the time that it is now."""
        assert self._look is not None, "what is held was looked at"
        passed_ms = int(1_000 * (monotonic() - self._looked_s))
        return replace(self._look, now_ms=self._look.now_ms + passed_ms, stick=False)


def _use_disk_of(folder: Path) -> None:
    """Downloads lie on the disk of the terminal's folder until they are verified, and not in memory."""
    drafts = folder / "tmp"
    with suppress(OSError):  # what is to lie there says so, as a refusal
        drafts.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(drafts)


def _keep_small() -> None:
    """The system ends a process that grows. Taps come first."""
    os.nice(LOWER_PRIORITY)
    for what, most in (
        (resource.RLIMIT_DATA, MOST_DATA_BYTES),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
