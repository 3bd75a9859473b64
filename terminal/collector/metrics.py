"""What Prometheus asks of a collector. No label names a terminal: a fleet has a hundred thousand of them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Final

from terminal.collector.alarms import AlarmKind
from terminal.collector.callers import Callers, DropCause, Standing
from terminal.collector.proof import Proof
from terminal.collector.store import TerminalState
from terminal.collector.strangers import STRANGE_KINDS
from terminal.collector.totals import ProofSum, total_of
from terminal.collector.views import SHOWN_ALARMS, CollectorStatus, OperatorViews
from terminal.operations.text_format import Family, Sample, gauge

METRIC_PREFIX: Final = "resident_collector_"


def collector_metrics(views: OperatorViews, callers: Callers, now_ms: int) -> list[Family]:
    """Everything that is known now. Raises `CollectorError`."""
    status = views.status(now_ms)
    families = (
        *_of_terminals(status, views.store.terminals(), now_ms),
        *_of_decisions(status),
        *_of_proofs(total_of(views.books.totals().values()).proofs),
        *_of_what_is_wrong(views),
        *_of_connections(callers),
        gauge(
            "disk_free_bytes",
            "Room on the database's disk.",
            shutil.disk_usage(views.store.path.parent).free,
        ),
    )
    return [family._replace(name=f"{METRIC_PREFIX}{family.name}") for family in families]


def _of_terminals(status: CollectorStatus, states: list[TerminalState], now_ms: int) -> tuple[Family, ...]:
    silent_ms = max((now_ms - state.received_at_ms for state in states), default=0)
    unsent = sum(state.unsent for state in states)
    return (
        gauge("terminals", "Terminals that ever sent anything.", status.terminals),
        gauge("silent_terminals", "Of them, silent for longer than allowed.", status.silent),
        gauge("longest_silence_seconds", "Since the most silent one sent.", max(0, silent_ms) / 1000),
        gauge("rows", "Rows held of all terminals.", status.records),
        gauge("stated_unsent_rows", "Rows terminals said they still had.", unsent),
        gauge("unbooked_rows", "Rows held and not yet counted in the books.", status.behind),
    )


def _of_decisions(status: CollectorStatus) -> tuple[Family, ...]:
    found = {
        "recomputed": status.recomputed,
        "differing": status.decided_otherwise,
        "unproven": status.undecided,
    }
    return (
        gauge("decisions", "Decisions made again, by what was found.", found, "verdict"),
        gauge("not_recomputed_rows", "Rows held and not yet recomputed.", status.not_recomputed),
        gauge("not_recomputed_seconds", "Since the oldest of them arrived.", status.not_recomputed_s),
        gauge("unresolved_taps", "Taps with unknown end.", status.unresolved),
    )


def _of_proofs(proofs: Mapping[str, Mapping[str, ProofSum]]) -> tuple[Family, ...]:
    taps = {proof.value: sum(one.taps for one in proofs.get(proof, {}).values()) for proof in Proof}
    return (
        gauge("committed_taps", "Committed taps by what proves them.", taps, "proof"),
        _money(proofs, "charged_minor", "What counts of them, in minor units of the currency."),
        _money(
            proofs,
            "overstated_minor",
            "What rows state beyond what their cards say, in minor units of the currency; counted nowhere.",
        ),
        _money(
            proofs,
            "understated_minor",
            "What cards say beyond their rows, in minor units of the currency; counted in charged_minor.",
        ),
    )


def _of_what_is_wrong(views: OperatorViews) -> tuple[Family, ...]:
    attempts = Counter({kind.value: 0 for kind in STRANGE_KINDS})
    for count in views.strangers():
        attempts[count.kind] += count.times
    alarms = Counter({kind.value: 0 for kind in AlarmKind})
    alarms.update(alarm.kind for alarm in views.store.alarms(SHOWN_ALARMS, only_open=True))
    return (
        gauge("open_alarms", "Open alarms.", alarms, "kind"),
        gauge("strange_attempts", "Refused without a good signature.", attempts, "kind"),
    )


def _of_connections(callers: Callers) -> tuple[Family, ...]:
    known = {standing.name.lower(): callers.count(standing) for standing in Standing}
    dropped = {cause.value: callers.dropped.get(cause, 0) for cause in DropCause}
    return (
        gauge("connections", "Connections by what is known of the other side.", known, "standing"),
        gauge("dropped_connections", "Connections given up or refused since the start.", dropped, "cause"),
    )


def _money(proofs: Mapping[str, Mapping[str, ProofSum]], name: str, help: str) -> Family:
    samples = tuple(
        Sample(getattr(one, name), {"proof": proof, "currency": currency})
        for proof, sums in sorted(proofs.items())
        for currency, one in sorted(sums.items())
    )
    return Family(name, "gauge", help, samples)
