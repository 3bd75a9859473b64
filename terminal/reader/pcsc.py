"""A real reader, through the operating system's PC/SC service. The only module that knows pyscard, and only its
plain `scard` binding: the object layer above it costs 30 to 60 microseconds an exchange and brings its own threads.

A reader is watched with SCardGetStatusChange and our own `terminal.reader.presence`. All calls to the service run on
one `IoThread` per reader, because none of them is sure to return: a caller waits with a deadline, and a reader whose
call is overdue is out of order (`ReaderGone`) until that call comes back and its card is reset.

A PC/SC call has no time-out: when a card or a driver is silent, SCardTransmit stays where it is until the driver
answers or the service ends, and nothing can take the call back. So exactly one thread per reader makes such calls,
one after the other, and every waiting caller has a deadline. A call that was given up keeps that one thread busy
until it returns; no other thread ever takes its place, so a thousand silent cards cost one thread.

The price is one hop to the thread and back: 12 microseconds, on exchanges of 40 through pcscd and of many thousand
on air.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from cardproto.connection import CardConnection
from cardproto.errors import (
    CardGone,
    ExchangeTimeout,
    ReaderGone,
    ReaderTaken,
    ServiceGone,
    TransmissionError,
)
from terminal.errors import ReaderError
from terminal.reader.scard import UNPOWER_CARD, Scard, Sighting

T = TypeVar("T")

_NUMBERS: Final = re.compile(r"( [0-9A-F]{2}){1,2}$")
"""What the service adds to a reader's name: others where it is plugged in again."""

EXCHANGE_TIMEOUT_S: Final = 2.0
"""No command of ours keeps a card busy for a tenth of it, waiting time extensions included."""

SERVICE_TIMEOUT_S: Final = 3.0
"""For calls that do not talk to a card, or only wake it."""

FOUND_WITHIN_S: Final = 3.0
"""A service or reader that came back finds its card in this time; one first seen later was laid there."""

OVERDUE_PATIENCE_S: Final = 0.2
"""How long a caller waits for an overdue call before it hears that the reader is out of order."""


class PcscReader:
    """One reader of the system; a `ReaderPort`.

    `wanted` chooses it by its name or a part of it, and by the name without its numbers when it comes back with others.
    An empty one takes cards from whichever reader has them, contactless ones only: a module in a contact slot is no
    passenger.
    """

    def __init__(
        self,
        wanted: str,
        binding: Any,
        *,
        exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
        service_timeout_s: float = SERVICE_TIMEOUT_S,
    ) -> None:
        self._wanted = wanted
        self._scard = Scard(binding)
        self._thread = IoThread("pcsc")
        self._overdue: PcscCall[None] | None = None
        self._exchange_timeout_s = exchange_timeout_s
        self._service_timeout_s = service_timeout_s
        self._names: tuple[str, ...] = ()
        self._listed = False
        self._seen: dict[str, Sighting] = {}
        self._served: dict[str, tuple[int, int]] = {}
        self._looked_in: dict[str, int] = {}
        self._looks_until_s: dict[str, float] = {}
        self._found: dict[str, tuple[int, int]] = {}
        self._current: str | None = None
        self._turned_away: tuple[int, int] | None = None
        self._connection: PcscConnection | None = None

    @classmethod
    def open(
        cls, wanted: str = "", *, awaits: bool = False, exchange_timeout_s: float = EXCHANGE_TIMEOUT_S
    ) -> PcscReader:
        """Find the reader now. Raises `ReaderError`: no binding, no service, no such reader, or several. Where none is
        plugged in at all and it `awaits` one, that is a fault like any later: `wait_for_card` says so until one is."""
        reader = cls(wanted, load_binding(), exchange_timeout_s=exchange_timeout_s)
        try:
            if not awaits or reader._call_service(reader._scard.readers, SERVICE_TIMEOUT_S):
                reader._select(0.0)
        except TransmissionError as error:
            reader.close()
            raise _cannot_start(error) from error
        except ReaderError:
            reader.close()
            raise
        return reader

    @property
    def name(self) -> str:
        """As the service lists it, or as it was asked for while it is not there; of several all names."""
        return ", ".join(self._names) or self._wanted or "any PC/SC reader"

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        """See `ReaderPort`. A card that cannot be woken is handed out, too: its first exchange says why."""
        deadline = time.monotonic() + timeout_s
        while (name := self._fresh()) is None:
            if not self._watch(deadline):
                return None
        return self._connect(name, self._seen[name])

    def wait_for_removal(self, timeout_s: float) -> bool:
        """See `ReaderPort`. A card on another of our readers ends the wait, too. Raises `ReaderGone` and `ServiceGone`:
        then there is no telling."""
        deadline = time.monotonic() + timeout_s
        while self._still_there() and self._fresh() is None:
            if not self._watch(deadline):
                return False
        return True

    @property
    def shared(self) -> bool:
        """Whether another program keeps a handle on the reader of the card handed out last."""
        return self._scard.shared

    @property
    def lay_there(self) -> bool:
        """See `ReaderPort`."""
        name = self._current
        return name is not None and name in self._served and self._served[name] == self._found.get(name)

    def cut_power(self) -> None:
        """As `release`, but the card loses its power, and it is handed out again if it stays where it is."""
        connection, self._connection = self._connection, None
        if connection is not None and self._overdue is None:
            call = self._thread.submit(partial(self._scard.disconnect, UNPOWER_CARD))
            if not call.wait(self._service_timeout_s):
                self._overdue = call
        if self._current is not None:
            self._served.pop(self._current, None)

    def release(self) -> None:
        """See `ReaderPort`."""
        connection, self._connection = self._connection, None
        if connection is None or self._overdue is not None:
            return
        call = self._thread.submit(self._scard.disconnect)
        if not call.wait(self._service_timeout_s):
            self._overdue = call

    def close(self) -> None:
        """Disconnect, release the context, end the thread. One that is stuck ends with its call or the process."""
        self.release()
        self._thread.submit(self._scard.close)
        self._thread.close(0.0 if self._overdue is not None else self._service_timeout_s)

    def exchange(self, connection: PcscConnection, command: bytes) -> bytes:
        """One exchange for a connection this reader handed out."""
        if connection is not self._connection:
            raise CardGone(f"{self.name}: the connection was released")
        try:
            return self._call(partial(self._scard.transmit, command), self._exchange_timeout_s)
        except TimeoutError:
            connection.failure = ExchangeTimeout(
                f"{self.name}: no answer within {self._exchange_timeout_s} s"
            )
            raise connection.failure from None

    def _fresh(self) -> str | None:
        """The reader with a card that was not handed out: one that woke up before one that did not."""
        fresh = [name for name, seen in self._seen.items() if self._may_be_handed_out(name, seen)]
        return min(fresh, key=lambda name: self._seen[name].mute, default=None)

    def _may_be_handed_out(self, name: str, seen: Sighting) -> bool:
        if not seen.present or seen.presentation == self._served.get(name):
            return False
        if self._wanted or seen.contactless:
            return True
        return seen.mute and seen.presentation != self._found.get(
            name
        )  # one that came; not a module that lies there

    def _still_there(self) -> bool:
        """The card handed out last has not been seen to leave."""
        seen = self._seen.get(self._current or "")
        return (
            seen is not None and seen.present and seen.presentation == self._served.get(self._current or "")
        )

    def _connect(self, name: str, seen: Sighting) -> PcscConnection:
        failure: CardGone | None = None
        try:
            self._call_service(partial(self._scard.connect, name), self._service_timeout_s)
        except ReaderTaken as taken:
            del self._seen[name]  # to look again at the next attempt
            again, self._turned_away = seen.presentation == self._turned_away, seen.presentation
            taken.turned_away = not again
            raise
        except CardGone as error:
            failure = error
        self._current, self._served[name] = name, seen.presentation
        self._connection = PcscConnection(self, failure)
        return self._connection

    def _watch(self, deadline: float) -> bool:
        """Look at the readers until something changes there; False when the deadline passed without."""
        left_s = max(0.0, deadline - time.monotonic())
        before = self._seen
        try:
            names = self._names if self._listed else self._select(left_s)
            wait = partial(self._scard.wait, names, before, left_s)
            self._seen = self._call_service(wait, left_s + self._service_timeout_s)
        except ReaderError as error:
            raise ReaderGone(str(error)) from error
        except ReaderGone:
            if self._wanted or not self._others():
                raise
            return True
        if self._scard.plugged and not self._wanted:
            self._listed = False
        for name, seen in self._seen.items():
            self._note_what_lay_there(name, seen)
        return self._seen != before or time.monotonic() < deadline

    def _note_what_lay_there(self, name: str, seen: Sighting) -> None:
        """The first card of an epoch lay there before, unless it takes longer to be found than a service needs."""
        if self._looked_in.get(name) != seen.epoch:
            self._looked_in[name] = seen.epoch
            self._looks_until_s[name] = time.monotonic() + FOUND_WITHIN_S
            self._found.pop(name, None)
        if name not in self._found and seen.present and time.monotonic() <= self._looks_until_s[name]:
            self._found[name] = seen.presentation

    def _others(self) -> bool:
        """Whether readers are left when one of several has gone."""
        try:
            return bool(self._select(0.0))
        except ReaderError:
            return False

    def _select(self, timeout_s: float) -> tuple[str, ...]:
        """List the readers and choose, waiting that long for one to be plugged in when there is none."""
        before, names = self._names, self._call_service(self._scard.readers, self._service_timeout_s)
        if not names and timeout_s > 0:
            self._call_service(
                partial(self._scard.wait_for_plug, timeout_s), timeout_s + self._service_timeout_s
            )
            names = self._call_service(self._scard.readers, self._service_timeout_s)
        if not self._wanted and names:
            self._names = tuple(names)
        elif not (self._names and self._names[0] in names):
            self._names = (choose(self._wanted, names),)
        for name in before:
            if name not in names:
                self._scard.forget(name)
        self._seen = {name: seen for name, seen in self._seen.items() if name in self._names}
        self._listed = True
        return self._names

    def _call_service(self, work: Callable[[], T], timeout_s: float) -> T:
        """A call outside a conversation: when it fails, what we knew of the reader is old."""
        try:
            return self._call(work, timeout_s)
        except TimeoutError:
            self._forget()
            raise ReaderGone(f"{self.name}: the PC/SC service does not answer") from None
        except ReaderTaken:
            raise
        except (ReaderGone, ServiceGone):
            self._forget()
            raise

    def _forget(self) -> None:
        self._listed, self._seen = False, {}
        self._looked_in.clear()

    def _call(self, work: Callable[[], T], timeout_s: float) -> T:
        """Do `work` on the thread; `TimeoutError` when it is overdue. Then, once it returns, the card is reset."""
        if self._overdue is not None and not self._overdue.wait(min(timeout_s, OVERDUE_PATIENCE_S)):
            raise ReaderGone(f"{self.name} is out of order: an earlier call was never answered")
        self._overdue = None
        call = self._thread.submit(work)
        try:
            return call.result(timeout_s)
        except TimeoutError:
            self._overdue = self._thread.submit(self._scard.disconnect)
            raise


class PcscConnection:
    """The exclusive connection to a presented card. `failure` is why it cannot be talked to, if so."""

    def __init__(self, reader: PcscReader, failure: TransmissionError | None) -> None:
        self._reader = reader
        self.failure = failure

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`. Raises `ExchangeTimeout` for a card that stays silent, from then on every time."""
        if self.failure is not None:
            raise self.failure
        return self._reader.exchange(self, command)


def choose(wanted: str, names: Sequence[str]) -> str:
    """The one reader called `wanted`, or whose name contains it (in any case); raises `ReaderError`."""
    if not names:
        raise ReaderError(
            "no card reader is plugged in", "Plug one in; pcsc_scan shows what the system sees."
        )
    found = [name for name in names if name == wanted]
    found = found or [name for name in names if wanted.casefold() in name.casefold()]
    found = found or [name for name in names if _NUMBERS.sub("", name) == _NUMBERS.sub("", wanted)]
    if len(found) == 1:
        return found[0]
    problem = f"no reader is called {wanted!r}" if not found else f"{wanted!r} fits {len(found)} readers"
    raise ReaderError(problem, f"Available: {', '.join(repr(name) for name in found or names)}.")


def list_readers() -> list[str]:
    """The readers plugged in, as the service names them. Raises `ReaderError` without binding or service."""
    scard, thread = Scard(load_binding()), IoThread("pcsc list")
    try:
        return thread.submit(scard.readers).result(SERVICE_TIMEOUT_S)
    except TimeoutError as error:
        raise _cannot_start(ServiceGone("PC/SC: the service does not answer")) from error
    except TransmissionError as error:
        raise _cannot_start(error) from error
    finally:
        thread.submit(scard.close)
        thread.close(SERVICE_TIMEOUT_S)


def load_binding() -> Any:
    """pyscard's plain binding; raises `ReaderError` naming what to install."""
    try:
        from smartcard import scard  # noqa: PLC0415 readers are optional
    except ImportError as error:
        raise ReaderError(
            f"real card readers need pyscard ({error})",
            "Install libpcsclite-dev (Debian, Ubuntu) or pcsc-lite-devel (Fedora), then run "
            "pip install 'resident-card-terminal[pcsc]' or uv sync --extra pcsc.",
        ) from error
    return scard


def _cannot_start(error: TransmissionError) -> ReaderError:
    return ReaderError(
        str(error),
        "Install and start the PC/SC service: package pcscd, then systemctl start pcscd "
        "(without systemd: mkdir -p /run/pcscd; pcscd --foreground).",
    )


class PcscCall(Generic[T]):
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
        except BaseException as error:  # noqa: BLE001 raised again where the result is awaited
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
        self._calls: SimpleQueue[PcscCall[object] | None] = SimpleQueue()
        # A daemon: a call that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> PcscCall[T]:
        """Queue `work`; the answer says when it is done."""
        call = PcscCall(work)
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
