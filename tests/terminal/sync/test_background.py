"""Uploading beside the taps."""

from __future__ import annotations

import queue
import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.codes import SyncFault
from terminal.errors import CollectorContradicts
from terminal.journal.journal import Journal
from terminal.journal.records import Fault
from terminal.journal.verify import verify
from terminal.sync.background import RETENTION_MS, BackgroundSync, Backoff
from terminal.sync.exchange import Answer, LateLink
from terminal.sync.link import HttpLink
from tests.terminal.journal.filling import fill
from tests.terminal.journal.samples import committed, day, intent
from tests.terminal.sync.servers import request_in, server
from tests.terminal.sync.station import Station, no_answer

LONG_S = 30.0


def make(station, **options):
    reports = []
    arrived = threading.Event()

    def on_report(report) -> None:
        reports.append(report)
        if report.problem is None and report.unsent == 0:
            arrived.set()

    backoff = Backoff(random.Random(1), first_s=0.001, cap_s=0.01)
    sync = BackgroundSync(station.client, station.collector.clock, backoff, on_report=on_report, **options)
    return sync, reports, arrived


@given(st.integers(), st.floats(0.01, 10), st.floats(0.01, 1_000))
def test_pauses_grow_up_to_the_cap(seed, first_s, cap_s):
    backoff = Backoff(random.Random(seed), first_s, cap_s)
    longest = [min(cap_s, first_s * 2**attempt) for attempt in range(40)]
    assert all(limit / 2 <= backoff.next_s() <= limit for limit in longest)
    backoff.reset()
    assert backoff.next_s() <= min(first_s, cap_s)


def test_a_fleet_does_not_come_back_at_once():
    assert len({Backoff(random.Random(seed)).next_s() for seed in range(100)}) == 100


def test_rows_leave_by_themselves_and_new_ones_when_woken(station):
    sync, _, arrived = make(station, gather_s=0.0, idle_s=LONG_S)
    station.append(day(3))
    sync.start()
    assert arrived.wait(LONG_S)
    arrived.clear()
    station.append(day(2))
    sync.wake()
    assert arrived.wait(LONG_S)
    assert station.journal.unsent == 0
    assert sync.stop()


def test_it_goes_on_trying_until_the_link_is_back(station):
    sync, reports, arrived = make(station, gather_s=0.0, idle_s=LONG_S)
    failures = iter(range(5))

    def flaky(answer):
        return answer if next(failures, None) is None else no_answer(answer)

    station.wire.alter = flaky
    station.append(day(3))
    sync.start()
    assert arrived.wait(LONG_S)
    assert [bool(report.problem) for report in reports] == [True] * 5 + [False]
    assert sync.stop()


def test_taps_go_on_while_the_network_hangs_and_stopping_waits_for_nothing_else(station):
    hanging, release = threading.Event(), threading.Event()

    def hang(answer):
        hanging.set()
        assert release.wait(LONG_S)
        return answer

    station.wire.alter = hang
    station.append(day(1))
    sync, _, _ = make(station, idle_s=LONG_S)
    sync.start()
    assert hanging.wait(LONG_S)
    for turn in range(50):
        assert station.journal.append(intent(turn=turn)) == 3 + turn
    assert not sync.stop(timeout_s=0.01)
    release.set()
    assert sync.stop()
    assert station.journal.acknowledged_through == 2  # the exchange in progress was finished, no other begun


def test_taps_uploads_and_purges_at_the_same_time(station):
    """What is open is noted, rows are purged and taps go on, all at once; then everything must fit."""
    ended = threading.Event()

    def upload_and_purge() -> None:
        while not ended.is_set():
            assert station.client.sync_once().problem is None
            station.journal.purge(keep_ms=0, now_ms=10**15)

    thread = threading.Thread(target=upload_and_purge)
    thread.start()
    still_open = []
    for turn in range(300):
        number = station.journal.begin(intent(turn=turn)).wait()
        if turn % 7:
            station.journal.append(committed(number))
        else:
            still_open.append(number)
    ended.set()
    thread.join()
    station.client.sync_once()
    assert verify(station.journal.path).ok
    stored = [sequence for sequence, _ in station.collector.stored(7)]
    assert stored == list(range(1, station.journal.head.sequence + 1))
    station.journal.close()
    station.journal = Journal.open(station.journal.path, 7)
    assert [number for number, _ in station.journal.open_intents()] == still_open


def test_stopping_while_it_waits_for_the_next_attempt_is_immediate(station):
    station.wire.alter = no_answer
    failed = threading.Event()
    slow = Backoff(random.Random(1), first_s=10_000, cap_s=10_000)
    sync = BackgroundSync(station.client, station.collector.clock, slow, on_report=lambda _: failed.set())
    sync.start()
    assert failed.wait(LONG_S)
    assert sync.stop()


def test_who_must_hear_at_once_is_not_left_to_the_pause_between_attempts(station):
    """A housing was opened while there was no network: the pause of minutes ends, and the next ones are short."""
    station.wire.alter = no_answer
    attempts = queue.SimpleQueue()
    slow = Backoff(random.Random(1), first_s=10_000, cap_s=10_000)
    sync = BackgroundSync(station.client, station.collector.clock, slow, on_report=attempts.put)
    station.append(day(1))
    sync.start()
    assert attempts.get(timeout=LONG_S).problem is not None
    sync.hurry()
    assert attempts.get(timeout=LONG_S).problem is not None
    station.wire.alter = lambda answer: answer
    assert attempts.get(timeout=LONG_S).problem is None
    assert station.journal.unsent == 0
    assert sync.stop()


def test_a_failing_journal_is_remembered_not_fatal(station):
    station.append(day(1))
    station.journal.close()
    sync, _, _ = make(station)
    sync.start()
    while sync.failure is None:
        time.sleep(0.001)
    assert "failed" in str(sync.failure)
    assert sync.stop()


# Stopping, and being asked to wait


def test_stopping_gives_up_an_exchange_that_hangs(station):
    waiting = threading.Event()

    def hang(connection) -> None:
        request_in(connection)
        waiting.set()
        connection.recv(1)

    station.append(day(1))
    with server(hang) as url:
        station.client._link = HttpLink(url)
        sync, _, _ = make(station, idle_s=LONG_S)
        sync.start()
        assert waiting.wait(LONG_S)
        assert sync.stop(timeout_s=LONG_S, grace_s=0.01)
        station.client._link.close()
    assert station.journal.unsent == 2


@pytest.mark.parametrize("state", ["idle", "backing off", "asked to wait", "gathering"])
def test_stopping_is_prompt_in_any_pause(station, state):
    reached = threading.Event()

    def alter(answer):
        reached.set()
        if state == "backing off":
            return no_answer(answer)
        return answer._replace(retry_after_s=LONG_S * 100) if state == "asked to wait" else answer

    station.wire.alter = alter
    station.append(day(1))
    backoff = Backoff(random.Random(1), first_s=LONG_S * 100, cap_s=LONG_S * 100)
    sync = BackgroundSync(
        station.client, station.collector.clock, backoff, gather_s=LONG_S * 100, idle_s=LONG_S * 100
    )
    sync.start()
    assert reached.wait(LONG_S)
    if state == "gathering":
        sync.wake()
    assert sync.stop(timeout_s=LONG_S)


class Pauses(BackgroundSync):
    """Notes how long it would have waited."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.waited: list[float] = []

    def _pause(self, pause_s):
        self.waited.append(pause_s)
        if len(self.waited) == 3:
            self._stop.set()


@pytest.mark.parametrize(("asked_s", "waits"), [(None, [0.5, 1.0, 2.0]), (90.0, [90.0, 90.0, 90.0])])
def test_a_busy_collector_is_left_alone_as_long_as_it_asks(station, asked_s, waits):
    body = b'{"error": "busy", "advice": "Come back later."}'
    station.wire.alter = lambda _: Answer(429, body, asked_s)
    station.append(day(1))
    backoff = Backoff(random.Random(1), first_s=1.0, cap_s=300.0)
    sync = Pauses(station.client, station.collector.clock, backoff, idle_s=LONG_S)
    sync.start()
    sync._thread.join(LONG_S)
    assert len(sync.waited) == 3
    assert all(
        least <= waited <= max(2 * least, 1.0) for waited, least in zip(sync.waited, waits, strict=True)
    )


# Rows leave on time


def test_d_06_retention_ends_without_network_and_without_new_rows(station):
    station.append(day(2))
    assert station.client.sync_once().problem is None
    assert station.journal.base.sequence == 0
    station.wire.alter = no_answer
    station.collector.clock.ahead(RETENTION_MS + 1_000)
    station.append(day(1))
    sync, reports, _ = make(station, idle_s=0.001, tidy_s=0.0)
    sync.start()
    while station.journal.base.sequence < 4:
        time.sleep(0.001)
    assert sync.stop()
    assert all(report.problem for report in reports)
    assert station.journal.unsent == 2
    assert verify(station.journal.path).ok


def test_looking_for_rows_that_may_leave_is_rare(station, monkeypatch):
    looks: list[int] = []
    monkeypatch.setattr(station.journal, "purge", lambda keep_ms, now_ms: looks.append(keep_ms) or 0)
    sync, reports, _ = make(station, gather_s=0.0, idle_s=0.001, tidy_s=LONG_S)
    sync.start()
    while len(reports) < 20:
        sync.wake()
        time.sleep(0.001)
    assert sync.stop()
    assert looks == [RETENTION_MS]


# When the two sides disagree


def test_a_contradiction_is_on_record_once_and_told(station):
    body = b'{"error": "other_hash", "advice": "keep both"}'
    station.append(day(1))
    station.wire.alter = lambda _: Answer(409, body)
    sync, reports, _ = make(station, gather_s=0.0, idle_s=0.001)
    sync.start()
    while len(reports) < 5:
        time.sleep(0.001)
    assert sync.stop()
    assert all(isinstance(report.problem, CollectorContradicts) for report in reports)
    faults = [row.record.code for row in station.journal.rows() if isinstance(row.record, Fault)]
    assert faults == [SyncFault.CONTRADICTED]


def test_thousands_of_rows_are_caught_up_while_taps_go_on(tmp_path, collector):
    fill(tmp_path / "8.db", 8, None, day(2_500))
    station = Station(tmp_path, collector, terminal=8)
    sync, reports, _ = make(station, gather_s=0.0, idle_s=0.001)
    sync.start()
    taps = 0
    while station.journal.acknowledged_through < 5_000:
        assert station.journal.append(intent(turn=taps)) == 5_001 + taps
        taps += 1
        sync.wake()
        time.sleep(0.001)
    while station.journal.unsent:
        time.sleep(0.001)
    assert sync.stop()
    assert collector.stored(8) == station.rows()
    assert len(collector.stored(8)) == 5_000 + taps
    assert taps > 0
    assert sum(report.uploaded for report in reports) == 5_000 + taps, "each row once"
    assert len(station.wire.batches) <= 5_000 / 200 + taps + 1
    station.journal.close()


def test_a_link_is_made_by_the_thread_that_uploads_and_an_end_meanwhile_is_kept() -> None:
    """No start waits for HTTP; a terminal that ends while it is loaded sends nothing any more."""
    made: list[HeldLink] = []

    class HeldLink:
        aborted = closed = False

        def upload(self, batch: bytes) -> Answer:
            return Answer(410 if self.aborted else 200, batch)

        def abort(self) -> None:
            self.aborted = True

        def close(self) -> None:
            self.closed = True

    def make() -> HeldLink:
        made.append(HeldLink())
        return made[-1]

    late, ended = LateLink(make), LateLink(make)
    late.close()
    assert made == []
    assert [late.upload(b"1"), late.upload(b"2")] == [Answer(200, b"1"), Answer(200, b"2")]
    ended.abort()
    assert ended.upload(b"3").status == 410
    late.abort()
    assert [one.aborted for one in made] == [True, True]
    late.close()
    assert [one.closed for one in made] == [True, False]


def test_what_never_began_is_stopped_at_once(station: Station) -> None:
    """A terminal whose start fails after this one."""
    assert BackgroundSync(station.client, station.collector.clock, Backoff(random.Random(1))).stop()
