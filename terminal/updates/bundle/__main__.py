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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from terminal.side_process import BrokenFrame, frame
from terminal.updates.bundle.kept import FOLDER
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


class TerminalPipe:
    """The process's end of the two pipes; whatever breaks them is the terminal's end."""

    def __init__(self, down_fd: int, up_fd: int) -> None:
        self._down_fd = down_fd
        self._up_fd = up_fd
        self._frames = down_frames()
        self._said_s = monotonic()

    def messages(self) -> Iterator[DownMessage]:
        """Until the terminal is gone."""
        while True:
            ready, _, _ = select.select([self._down_fd], [], [], BEAT_S)
            if not ready:
                self.say(Working())
                continue
            content = os.read(self._down_fd, READ_BYTES)
            if not content:
                return
            yield from self._frames.feed(content)

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
    settings: BundleSettings | None = None
    for message in pipe.messages():
        if isinstance(message, BundleSettings):
            settings = message
        elif settings is not None:
            _look(pipe, settings, message)


def _look(pipe: TerminalPipe, settings: BundleSettings, look: BundleLook) -> None:
    from terminal.updates.bundle.looking import look_at  # noqa: PLC0415 a terminal without a root loads no library

    _use_disk_of(Path(settings.state) / FOLDER)
    sources = (settings.stick,) if look.stick else settings.sources
    for source in filter(None, sources):
        pipe.say(look_at(settings, look, source, pipe.alive))


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
