"""Lets the bus drive by itself: while it drives, the desk's clock runs faster than that of the people who watch."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from terminal.lab.desk.session import DeskSession

BEAT_S: Final = 0.5
STEP: Final = timedelta(seconds=10)
"""What passes at the desk with each beat."""


class Driver:
    """Beats between `start` and `stop`; a bus that stands costs a look at it."""

    def __init__(self, session: DeskSession) -> None:
        self._session = session
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="desk driver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            self._session.drive_on(STEP)
