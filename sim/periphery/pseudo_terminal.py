"""A device at the far end of a pseudo-terminal, which programs open like any serial line."""

from __future__ import annotations

import os
import pty
import select
import tty
from pathlib import Path


class PseudoTerminal:
    """Our end of the line. `link` is made to lead to the other end, as udev does for `/dev/validator/…`."""

    def __init__(self, link: Path | None = None) -> None:
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.device = Path(os.ttyname(self._theirs))
        self._link = link
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.device)

    def read(self, timeout_s: float) -> bytes:
        """What was sent to us, waiting so long for it."""
        ready, _, _ = select.select([self._ours], [], [], timeout_s)
        return os.read(self._ours, 4096) if ready else b""

    def write(self, data: bytes) -> None:
        """Send `data`."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._ours, left) :]

    def close(self) -> None:
        """Unplugged: who has the other end open reads an error."""
        for end in (self._ours, self._theirs):
            os.close(end)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
