"""The thread for calls that may never return."""

from __future__ import annotations

import threading

import pytest

from cardproto.errors import CardGone
from terminal.reader.pcsc import IoThread

LONG_S = 60.0


def test_results_and_errors_come_back_to_the_caller() -> None:
    thread = IoThread("test")

    def fail() -> None:
        raise CardGone("pulled")

    assert thread.submit(lambda: 7).result(LONG_S) == 7
    with pytest.raises(CardGone, match="pulled"):
        thread.submit(fail).result(LONG_S)
    assert thread.submit(lambda: 8).result(LONG_S) == 8
    assert thread.close(LONG_S)


def test_work_is_done_on_one_other_thread_in_order() -> None:
    thread = IoThread("test")
    order: list[int] = []
    calls = [thread.submit(lambda n=n: (order.append(n), threading.get_ident())[1]) for n in range(50)]
    workers = {call.result(LONG_S) for call in calls}
    assert order == list(range(50))
    assert len(workers) == 1
    assert threading.get_ident() not in workers
    thread.close(LONG_S)


def test_a_caller_gives_up_and_the_call_ends_later() -> None:
    thread, answered = IoThread("test"), threading.Event()
    call = thread.submit(answered.wait)
    with pytest.raises(TimeoutError):
        call.result(0.01)
    assert not thread.close(0.01)
    answered.set()
    assert call.result(LONG_S) is True
    assert thread.close(LONG_S)


def test_a_thousand_given_up_calls_cost_one_thread() -> None:
    before = threading.active_count()
    thread, answered = IoThread("test"), threading.Event()
    calls = [thread.submit(answered.wait) for _ in range(1000)]
    assert not any(call.wait(0.0) for call in calls)
    assert threading.active_count() == before + 1
    answered.set()
    assert all(call.wait(LONG_S) for call in calls)
    assert thread.close(LONG_S)
    assert threading.active_count() == before
