"""The storm as the desk sees it: started and stopped from a page, running in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from terminal.decoding import decode_json
from terminal.lab.desk.refusals import DeskFault, DeskRefused

HISTORY: Final = 240
SPEED_OVER_S: Final = 0.2
STOP_S: Final = 10.0
IDLE: Final[dict[str, Any]] = {"state": "idle", "history": []}


class StormWatch:
    """One storm at a time. `changed` is called from another thread whenever there is news, and must not block."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._state: dict[str, Any] = dict(IDLE)
        self._stopped = False

    @property
    def running(self) -> bool:
        return bool(self._state["state"] == "running")

    def as_json(self) -> dict[str, Any]:
        """The newest state: counts so far, `state` and the speed of each moment."""
        with self._lock:
            return dict(self._state)

    def start(self, seed: int, taps: int) -> None:
        """Begin; raises `DeskRefused` while another stress run is active."""
        with self._lock:
            if self.running:
                raise DeskRefused(DeskFault.STORM_ACTIVE)
            command = [sys.executable, "-m", "terminal.lab.desk.storm_run", str(seed), str(taps)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 our own program
            self._state = {"state": "running", "seed": seed, "wanted": taps, "taps": 0, "history": []}
            self._stopped = False
            self._thread = threading.Thread(
                target=self._follow, args=(self._process,), name="desk storm", daemon=True
            )
            self._thread.start()
        self.changed()

    def stop(self) -> None:
        """End the stress run, if one is active, and wait for it; what was counted stays."""
        with self._lock:
            process, thread = self._process, self._thread
            self._stopped = True
        if process is not None and process.poll() is None:
            process.terminate()
        if thread is not None:
            thread.join(STOP_S)

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        before_taps, before_s = 0, 0.0
        with process.stdout as lines:
            for line in lines:
                counts = decode_json(line, dict[str, Any])
                passed, more = counts["wall_s"] - before_s, counts["taps"] - before_taps
                with self._lock:
                    history = self._state["history"]
                    if more and passed >= SPEED_OVER_S:
                        history = [*history, round(more / passed)][-HISTORY:]
                        before_taps, before_s = counts["taps"], counts["wall_s"]
                    self._state = {**counts, "state": "running", "history": history}
                self.changed()
        process.wait()
        with self._lock:
            ended = bool(self._state.get("ended"))
            state = "finished" if ended else "stopped" if self._stopped else "failed"
            self._state = {**self._state, "state": state}
        self.changed()
