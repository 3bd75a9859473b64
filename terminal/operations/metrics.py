"""A running terminal in numbers, for Prometheus. No label names a person, a card, a row or anything without bound.

`/metrics` on loopback: one thread, one request at a time, nothing but GET. Importing it costs no HTTP library.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EADDRINUSE
from typing import Final

from terminal.codes import SetKind
from terminal.errors import MetricsError
from terminal.operations.status import TerminalStatus
from terminal.operations.text_format import CONTENT_TYPE, Family, Sample, counter, gauge, info
from terminal.operations.vitals import Vitals

PREFIX: Final = "resident_terminal_"


def terminal_metrics(vitals: Vitals) -> list[Family]:
    """Everything that is known now."""
    status = vitals.status()
    return [
        *_identity(status),
        *_taps(vitals, status),
        *_journal(status, vitals),
        *_sync(status, vitals),
        *_active(status),
        *_trust(status, vitals),
        *_vehicle(status),
        *_link(status),
        *_periphery(status),
        *_bundles(status),
    ]


def _bundles(status: TerminalStatus) -> list[Family]:
    """Nothing where no signed bundles are taken. Labels are names of roles, at most twenty."""
    bundles = status.bundles
    if bundles is None:
        return []
    versions = (Sample(float(role.version), {"role": role.role}) for role in bundles.roles)
    refused = (Sample(float(bool(role.fault)), {"role": role.role}) for role in bundles.roles)
    heard = [source.heard_at_ms or 0 for source in bundles.sources]
    return [
        gauge(
            f"{PREFIX}bundles_issued_timestamp_seconds",
            "When the newest accepted set was signed, Unix time; 0 before the first.",
            bundles.issued_at_ms / 1000,
        ),
        gauge(
            f"{PREFIX}bundles_heard_timestamp_seconds",
            "When a source was last looked at with success, Unix time; 0 before the first.",
            max(heard, default=0) / 1000,
        ),
        counter(f"{PREFIX}bundles_looks_total", "Looks that ended since the start.", bundles.looks),
        counter(
            f"{PREFIX}bundles_process_starts_total", "How often its process was started.", bundles.starts
        ),
        Family(
            f"{PREFIX}bundle_version", "gauge", "Version of the metadata in use, by role.", tuple(versions)
        ),
        Family(
            f"{PREFIX}bundle_refused",
            "gauge",
            "Whether something newer of a role is refused.",
            tuple(refused),
        ),
    ]


def _vehicle(status: TerminalStatus) -> list[Family]:
    """Nothing where no source of ours is configured."""
    vehicle = status.vehicle
    if vehicle is None:
        return []
    heard = 0 if vehicle.heard_at_ms is None else vehicle.heard_at_ms
    return [
        gauge(f"{PREFIX}vehicle_up", "Whether the vehicle is heard and fits the shift.", not vehicle.fault),
        gauge(
            f"{PREFIX}vehicle_heard_timestamp_seconds",
            "When its newest place was heard, Unix time; 0 before the first.",
            heard / 1000,
        ),
        counter(
            f"{PREFIX}vehicle_process_starts_total", "How often its process was started.", vehicle.starts
        ),
        gauge(f"{PREFIX}razzia", "Whether the vehicle says that an inspection is under way.", vehicle.razzia),
    ]


def _link(status: TerminalStatus) -> list[Family]:
    """Nothing where no other terminal is configured."""
    link = status.link
    if link is None:
        return []
    heard = (Sample((one.heard_at_ms or 0) / 1000, {"peer": str(one.terminal)}) for one in link.peers)
    waiting = (Sample(float(one.waiting), {"peer": str(one.terminal)}) for one in link.peers)
    return [
        Family(
            f"{PREFIX}peer_heard_timestamp_seconds",
            "gauge",
            "When another terminal of the place was heard, Unix time; 0 before the first.",
            tuple(heard),
        ),
        Family(f"{PREFIX}peer_waiting_marks", "gauge", "Marks it does not have yet.", tuple(waiting)),
        gauge(f"{PREFIX}link_marks", "Marks held of other terminals.", link.marks),
        counter(f"{PREFIX}link_refused_total", "What was not taken, by reason.", link.refused, "reason"),
    ]


def _periphery(status: TerminalStatus) -> list[Family]:
    """Nothing where no device is configured. Labels are names of ours."""
    found = status.periphery
    if found is None:
        return []
    failing = status.devices_failing
    up = (Sample(float(f"periphery:{one}" not in failing), {"device": one}) for one in found.devices)
    return [
        Family(f"{PREFIX}device_up", "gauge", "Whether a device around the reader works.", tuple(up)),
        counter(f"{PREFIX}device_events_total", "What devices have done and met.", found.counts, "event"),
        gauge(f"{PREFIX}waiting_tickets", "Tickets that are to be printed yet.", found.waiting_tickets),
        gauge(f"{PREFIX}power_failing", "Whether the supply fails now.", found.power_failing),
        gauge(f"{PREFIX}tampered", "Whether the housing was opened since the start.", found.tampered),
    ]


def _identity(status: TerminalStatus) -> list[Family]:
    return [
        info(
            f"{PREFIX}info",
            "What runs here.",
            software=status.software,
            profile=status.profile,
        ),
        gauge(
            f"{PREFIX}start_time_seconds",
            "When this process started, Unix time.",
            status.started_at_ms / 1000,
        ),
    ]


def _taps(vitals: Vitals, status: TerminalStatus) -> list[Family]:
    tally = vitals.tally
    return [
        counter(
            f"{PREFIX}taps_total", "Taps by message shown to the passenger.", dict(tally.outcomes), "outcome"
        ),
        counter(
            f"{PREFIX}tap_ends_total", "Taps by how they ended for the journal.", dict(tally.ends), "end"
        ),
        tally.duration.family(f"{PREFIX}tap_duration_seconds", "From the card's presentation to the report."),
        counter(f"{PREFIX}card_exchanges_total", "Commands sent to cards.", tally.exchanges),
        gauge(
            f"{PREFIX}last_tap_timestamp_seconds",
            "When the last tap ended, Unix time; 0 before the first.",
            (status.last_tap_at_ms or 0) / 1000,
        ),
        gauge(f"{PREFIX}reader_up", "Whether the reader works.", vitals.reader_up),
        counter(f"{PREFIX}reader_outages_total", "How often it went out of order.", tally.outages),
        gauge(f"{PREFIX}shift_open", "Whether a shift is open.", status.shift_open),
        gauge(f"{PREFIX}unresolved_taps", "Taps with unknown end.", status.unresolved),
    ]


def _journal(status: TerminalStatus, vitals: Vitals) -> list[Family]:
    return [
        gauge(f"{PREFIX}journal_rows", "Rows held by the journal.", status.rows),
        gauge(f"{PREFIX}journal_capacity_rows", "Rows it takes before it stops.", status.capacity_rows),
        gauge(
            f"{PREFIX}disk_free_bytes",
            "Room on the journal's disk.",
            shutil.disk_usage(vitals.identity.folder).free,
        ),
    ]


def _sync(status: TerminalStatus, vitals: Vitals) -> list[Family]:
    tally, waits_ms = vitals.tally, 0
    if status.oldest_unsent_at_ms is not None:
        waits_ms = max(0, status.at_ms - status.oldest_unsent_at_ms)
    return [
        gauge(f"{PREFIX}unsent_rows", "Rows the collector has not confirmed.", status.unsent),
        gauge(
            f"{PREFIX}oldest_unsent_row_age_seconds",
            "How long the oldest of them waits; 0 when there is none.",
            waits_ms / 1000,
        ),
        counter(f"{PREFIX}uploaded_rows_total", "Rows the collector has taken.", tally.uploaded),
        counter(f"{PREFIX}sync_failures_total", "Uploads that failed.", tally.sync_failures),
        gauge(
            f"{PREFIX}collector_heard_timestamp_seconds",
            "When the collector last confirmed, Unix time; 0 for never.",
            (status.collector_heard_at_ms or 0) / 1000,
        ),
    ]


def _active(status: TerminalStatus) -> list[Family]:
    """Labels are bounded: a kind has one version in force, one that waits, and one code."""
    return [
        Family(
            f"{PREFIX}in_force_since_timestamp_seconds",
            "gauge",
            "Since when this version decides, Unix time.",
            tuple(
                Sample(one.since_ms / 1000, {"kind": one.kind.value, "version": one.version})
                for one in status.active
                if one.edition
            ),
        ),
        Family(
            f"{PREFIX}pending_from_timestamp_seconds",
            "gauge",
            "From when this version will decide, Unix time; 0 for at once.",
            tuple(
                Sample(
                    one.pending_from_ms / 1000,
                    {"kind": one.kind.value, "version": one.pending.rpartition(":")[2]},
                )
                for one in status.active
                if one.pending
            ),
        ),
        Family(
            f"{PREFIX}update_refused",
            "gauge",
            "Why what was published is not taken.",
            tuple(
                Sample(1, {"kind": one.kind.value, "code": one.refused})
                for one in status.active
                if one.refused
            ),
        ),
    ]


def _trust(status: TerminalStatus, vitals: Vitals) -> list[Family]:
    tariff = status.of_kind(SetKind.REGION)
    families = [
        gauge(
            f"{PREFIX}tariff_end_timestamp_seconds",
            "When the region document ends, Unix time; 0 while there is none.",
            (tariff.until_ms or 0) / 1000,
        ),
        gauge(
            f"{PREFIX}tariff_goes_on_seconds",
            "For how long it decides after its end.",
            status.tariff_goes_on_ms / 1000,
        ),
        gauge(f"{PREFIX}clock_suspect", "Whether the clock cannot be believed.", bool(status.clock_fault)),
        counter(
            f"{PREFIX}clock_jumps_total",
            "Jumps of the clock by more than five minutes.",
            vitals.clock_watch.jumps,
        ),
    ]
    for kind, name, what in LISTS:
        known = status.of_kind(kind)
        if known.edition:
            families.append(gauge(f"{PREFIX}{name}", what, known.age_ms(status.at_ms) / 1000))
    return families


LISTS: Final = (
    (SetKind.DENY, "deny_list_age_seconds", "Age of the deny list in force."),
    (SetKind.GRANTS, "grants_list_age_seconds", "Age of the list of grants in force."),
)


LOOPBACK: Final = "127.0.0.1"
PATIENCE_S: Final = 2.0
MAX_REQUEST_BYTES: Final = 8192
WAITING: Final = 4
"""Scrapers that may queue; more are turned away by the kernel."""


@contextmanager
def metrics_page(port: int, page: Callable[[], bytes]) -> Iterator[int]:
    """Answer `GET /metrics` with `page()` while the block runs; yields the port (0 takes any free one).

    Raises `MetricsError` when the port cannot be had.
    """
    try:
        listening = socket.create_server((LOOPBACK, port), backlog=WAITING)
    except OSError as error:
        reason = "is in use" if error.errno == EADDRINUSE else f"cannot be had ({error.strerror})"
        raise MetricsError(
            f"port {port} for metrics {reason}",
            "Choose another port under [metrics] in terminal.toml; 0 takes any free one.",
        ) from error
    thread = threading.Thread(target=_serve, args=(listening, page), name="metrics", daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):  # wakes the accept; already closed is as good
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S * 2)
        listening.close()


def _serve(listening: socket.socket, page: Callable[[], bytes]) -> None:
    while True:
        try:
            caller, _ = listening.accept()
        except OSError:
            return  # shut down
        with caller, suppress(OSError):  # who leaves in the middle gets no answer
            caller.settimeout(PATIENCE_S)
            caller.sendall(_answer(_request_line(caller), page))


def _request_line(caller: socket.socket) -> str:
    request = b""
    while b"\r\n\r\n" not in request and len(request) < MAX_REQUEST_BYTES:
        piece = caller.recv(MAX_REQUEST_BYTES)
        if not piece:
            break
        request += piece
    return request.partition(b"\r\n")[0].decode("latin-1")


def _answer(request_line: str, page: Callable[[], bytes]) -> bytes:
    method, _, rest = request_line.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method != "GET" or path != "/metrics":
        return _response("404 Not Found", b"GET /metrics\n", "text/plain")
    return _response("200 OK", page(), CONTENT_TYPE)


def _response(status: str, body: bytes, content_type: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
