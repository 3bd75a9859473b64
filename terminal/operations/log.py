"""The terminal's log: one line per event to stderr, from where journald or a console takes it.

    {"at": "2026-09-15T07:40:00.123Z", "level": "info", "event": "tap", "terminal": 7, "message": "ok_paid", …}

`event` is one word, names of fields carry units. No name, card number, key or pseudonym is a field of any
event, and no event carries what was said to a card: those who may read the journal find a tap there by `sequence`.
Nothing is rotated here: journald does it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from cardcli.characters import visible_json, visible_line
from terminal.clock import Clock


class Level(IntEnum):
    """Syslog's numbers, which journald understands."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class LevelName(StrEnum):
    """How an operator names the least important events to be logged."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"

    @property
    def level(self) -> Level:
        return Level[self.name]


class Form(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class Log:
    """Writes events of at least the given importance; any thread may call it. `write` takes whole lines; without it
    they go to standard error.
    """

    def __init__(
        self,
        terminal: int,
        clock: Clock,
        form: Form = Form.TEXT,
        least: Level = Level.NOTICE,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self._terminal = terminal
        self._clock = clock
        self._form = form
        self._least = least
        self._write_line = write or _to_stderr
        # journald reads the level from such a prefix (sd-daemon(3)); on a console it would only disturb.
        self._prefixed = "JOURNAL_STREAM" in os.environ
        self._lock = threading.Lock()

    def error(self, event: str, says: str = "", **fields: Any) -> None:
        """Passengers are not served, or a record could not be kept."""
        self._write(Level.ERROR, event, says, fields)

    def warning(self, event: str, says: str = "", **fields: Any) -> None:
        """Attention is needed soon; taps go on."""
        self._write(Level.WARNING, event, says, fields)

    def notice(self, event: str, says: str = "", **fields: Any) -> None:
        """Worth knowing in any case: it started, it works again, it stops."""
        self._write(Level.NOTICE, event, says, fields)

    def info(self, event: str, says: str = "", **fields: Any) -> None:
        """What is done all day: taps, uploads."""
        self._write(Level.INFO, event, says, fields)

    def debug(self, event: str, says: str = "", **fields: Any) -> None:
        self._write(Level.DEBUG, event, says, fields)

    def _write(self, level: Level, event: str, says: str, fields: dict[str, Any]) -> None:
        if level > self._least:
            return
        line = (
            self._as_text(event, says, fields)
            if self._form is Form.TEXT
            else self._as_json(level, event, says, fields)
        )
        prefix = f"<{level.value}>" if self._prefixed else ""
        with self._lock:
            self._write_line(f"{prefix}{line}\n")

    def _as_text(self, event: str, says: str, fields: dict[str, Any]) -> str:
        parts = [says] if says else []
        parts += [f"{name}={value}" for name, value in fields.items() if value not in ("", None)]
        line = f"terminal {self._terminal}: {event}: {' '.join(parts)}"
        return visible_line(line.replace("\n", " "))

    def _as_json(self, level: Level, event: str, says: str, fields: dict[str, Any]) -> str:
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": at, "level": level.name.lower(), "event": event, "terminal": self._terminal}
        if says:
            line["says"] = says
        return visible_json(msgspec.json.encode(line | fields)).decode()


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
