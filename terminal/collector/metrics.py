"""The collector in numbers, for Prometheus. No label names a terminal: a fleet has a hundred thousand of them."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Final

from terminal.collector.alarms import AlarmKind
from terminal.collector.views import SHOWN_ALARMS, Office
from terminal.operations.text_format import Family, gauge

PREFIX: Final = "resident_collector_"


def collector_metrics(office: Office, now_ms: int) -> list[Family]:
    """Everything that is known now. Raises `CollectorError`."""
    status, states = office.status(now_ms), office.store.terminals()
    silent_ms = max((now_ms - state.received_at_ms for state in states), default=0)
    said_unsent = sum(max(0, state.stated_head - state.sequence) for state in states)
    open_alarms = Counter({kind.value: 0 for kind in AlarmKind})
    open_alarms.update(alarm.kind for alarm in office.store.alarms(SHOWN_ALARMS, only_open=True))
    return [
        gauge(f"{PREFIX}terminals", "Terminals that ever sent anything.", status.terminals),
        gauge(f"{PREFIX}silent_terminals", "Of them, silent for longer than allowed.", status.silent),
        gauge(
            f"{PREFIX}longest_silence_seconds", "Since the most silent one sent.", max(0, silent_ms) / 1000
        ),
        gauge(f"{PREFIX}newest_rows", "Sum of the newest row held of each terminal.", status.records),
        gauge(f"{PREFIX}stated_unsent_rows", "Rows terminals said they still had.", said_unsent),
        gauge(f"{PREFIX}unbooked_rows", "Rows held and not yet counted in the books.", status.behind),
        gauge(f"{PREFIX}unresolved_taps", "Taps whose end nobody knows yet.", status.unresolved),
        gauge(f"{PREFIX}open_alarms", "Alarms nobody has dealt with.", dict(open_alarms), "kind"),
        gauge(
            f"{PREFIX}disk_free_bytes",
            "Room on the database's disk.",
            shutil.disk_usage(office.store.path.parent).free,
        ),
    ]
