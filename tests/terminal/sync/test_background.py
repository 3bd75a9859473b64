"""Uploading beside the taps."""

from __future__ import annotations

import random
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from terminal.journal.journal import Journal
from terminal.journal.verify import verify
from terminal.sync.background import BackgroundSync, Backoff
from tests.terminal.journal.samples import committed, day, intent
from tests.terminal.sync.station import no_answer

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


def test_a_failing_journal_is_remembered_not_fatal(station):
    station.append(day(1))
    station.journal.close()
    sync, _, _ = make(station)
    sync.start()
    while sync.failure is None:
        time.sleep(0.001)
    assert "failed" in str(sync.failure)
    assert sync.stop()
