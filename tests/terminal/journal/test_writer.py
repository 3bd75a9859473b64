"""The writer thread by itself: order, failure, and quiet moments that come even when nobody is quiet."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from terminal.errors import JournalError
from terminal.journal.writer import MANY_JOBS, Writer

CLOSED = JournalError("closed", "Open it.")


def make(when_quiet=lambda connection: None) -> Writer:
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    return Writer(connection, lambda error: JournalError(str(error), "Look."), when_quiet)


def test_jobs_run_in_order_and_stop_finishes_them():
    done: list[int] = []
    writer = make(lambda _: done.append(-1))
    jobs = [writer.submit(lambda _, number=number: done.append(number), vital=True) for number in range(100)]
    writer.stop(lambda _: done.append(100), CLOSED)
    assert done == list(range(101))
    for job in jobs:
        job.wait()
    with pytest.raises(JournalError, match="closed"):
        writer.submit(lambda _: None, vital=True)


def test_a_failed_side_job_stops_nothing_but_a_vital_one_everything():
    writer = make()
    with pytest.raises(JournalError, match="no such table"):
        writer.submit(lambda connection: connection.execute("SELECT * FROM missing"), vital=False).wait()
    writer.submit(lambda connection: connection.execute("SELECT 1"), vital=True).wait()
    with pytest.raises(JournalError, match="no such table"):
        writer.submit(lambda connection: connection.execute("SELECT * FROM missing"), vital=True).wait()
    with pytest.raises(JournalError, match="no such table"):
        writer.submit(lambda _: None, vital=False)
    writer.stop(lambda _: pytest.fail("nothing may run after a failure"), CLOSED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_ever_when_the_thread_dies_of_a_defect():
    writer = make()
    hold = threading.Event()
    jobs = [writer.submit(lambda _: hold.wait(), vital=False)]
    jobs += [writer.submit(lambda _: 1 // 0, vital=False) for _ in range(3)]
    hold.set()
    jobs[0].wait()
    for job in jobs[1:]:
        with pytest.raises(JournalError, match="the journal writer stopped"):
            job.wait()
    writer.stop(lambda _: None, CLOSED)


def test_many_jobs_without_a_pause_bring_a_quiet_moment():
    quiet = threading.Event()
    writer = make(lambda _: quiet.set())
    job = None
    for _ in range(MANY_JOBS):
        job = writer.submit(lambda _: None, vital=True)
    job.wait()
    writer.submit(lambda _: None, vital=True).wait()
    assert quiet.wait(30)
    writer.stop(lambda _: None, CLOSED)
