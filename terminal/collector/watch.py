"""What shows only by its absence: terminals that fell silent (T-65), taps whose card does not come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from terminal.clock import from_unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.books_reader import BooksReader
from terminal.collector.store import CollectorStore

HOUR_MS: Final = 3_600_000
MOST_OLD_TAPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How long a terminal may be silent (transactions go out at least once a day), and a tap unresolved."""

    silent_ms: int = 24 * HOUR_MS
    unresolved_ms: int = 7 * 24 * HOUR_MS


def watch(store: CollectorStore, books: BooksReader, limits: WatchLimits, now_ms: int) -> None:
    """Raise the alarms that are due; each silence and each tap is one alarm. Raises `CollectorError`."""
    found = [
        Alarm(AlarmKind.SILENT, state.terminal, 0, _not_heard(state.received_at_ms))
        for state in store.terminals()
        if now_ms - state.received_at_ms > limits.silent_ms
    ]
    old = books.open_taps(received_before_ms=now_ms - limits.unresolved_ms, limit=MOST_OLD_TAPS)
    found += [
        Alarm(AlarmKind.UNRESOLVED_OLD, tap.terminal, tap.sequence, AlarmCause.NOT_COME_BACK) for tap in old
    ]
    store.keep_findings(found, now_ms)


def _not_heard(since_ms: int) -> str:
    return detail_of(AlarmCause.NOT_HEARD, since=f"{from_unix_ms(since_ms):%Y-%m-%dT%H:%M:%SZ}")


def as_time(at_ms: int) -> str:
    """A moment for people, to the second, UTC."""
    return f"{from_unix_ms(at_ms):%Y-%m-%d %H:%M:%S}Z"


def local_time(at_ms: int, language: str, zone: ZoneInfo) -> str:
    """A moment for people as clocks in `zone` show it, to the minute."""
    local = from_unix_ms(at_ms).astimezone(zone)
    return local.strftime("%d.%m.%Y %H:%M" if language == "ru" else "%Y-%m-%d %H:%M")
