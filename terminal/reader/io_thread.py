"""Calls that may never return, made on a thread of their own, so that the caller can give up waiting.

A PC/SC call has no time-out: when a card or a driver is silent, SCardTransmit stays where it is until the driver
answers or the service ends, and nothing can take the call back. So exactly one thread per reader makes such calls,
one after the other, and whoever waits for one has a deadline. A call that was given up keeps that one thread busy
until it returns; no other thread ever takes its place, so a thousand silent cards cost one thread.

The price is one hop to the thread and back: 12 microseconds, on exchanges of 40 through pcscd and of many thousand
on air.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """One piece of work on its way through the thread."""

    __slots__ = ("_error", "_finished", "_result", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._finished = (
            threading.Lock()
        )  # the cheapest thing to wait on with a time-out: held until finished
        self._finished.acquire()
        self._error: BaseException | None = None
        self._result: T

    def run(self) -> None:
        """Do the work; on the thread only."""
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 whoever waits for the result raises it
            self._error = error
        finally:
            self._finished.release()

    def wait(self, timeout_s: float) -> bool:
        """Whether the work is finished, at the latest after `timeout_s`."""
        if not self._finished.acquire(timeout=max(0.0, timeout_s)):
            return False
        self._finished.release()
        return True

    def result(self, timeout_s: float) -> T:
        """What the work returned or raised; `TimeoutError` when it is not finished in time."""
        if not self.wait(timeout_s):
            raise TimeoutError
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its trace-back holds this frame: together they would wait for the garbage collector
        return self._result


class IoThread:
    """The one thread. `submit` may be called from any other, work is done in that order."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call[object] | None] = SimpleQueue()
        # A daemon: a call that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Call[T]:
        """Queue `work`; the answer says when it is done."""
        call = Call(work)
        self._calls.put(call)  # type: ignore[arg-type]  # the queue only runs it, and never looks at the result
        return call

    def close(self, timeout_s: float) -> bool:
        """End the thread after what is queued; whether it ended in time. A stuck one ends when its call returns."""
        self._calls.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # an idle thread must not keep the last answer
