"""The seam between the presence loop and whatever carries cards: PC/SC, a simulated reader, or another author's.

Only primitives and `cardproto` types cross it, so that a simulated reader needs no import from the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from cardproto.connection import CardConnection
from cardproto.errors import ReaderGone, ServiceGone, TransmissionError
from terminal.devices import said_of
from terminal.errors import ReaderError

Answer = TypeVar("Answer")


def lay_there(port: ReaderPort) -> bool:
    """What `ReaderPort` says of `lay_there`; False for a reader that cannot tell: its card is a new tap."""
    return getattr(port, "lay_there", False) is True


def shared(port: ReaderPort) -> bool:
    """Whether another program is known to share the reader; False for a reader that cannot tell."""
    return getattr(port, "shared", False) is True


class ReaderPort(Protocol):
    """One slot that holds at most one card. All calls come from one thread, the one that serves taps.

    Only the two waits may block, and only for `timeout_s` (a quarter of a second); the loop is watched, and a method
    that never returns is a terminal that hangs. Threads of its own must be daemons or end in `close`. What a tap sends
    is answered by the connection's `transmit`, which should give up after three seconds with `ExchangeTimeout`.

    A reader that can tell has one more member, the bool `lay_there`: whether the card handed out last was found lying
    there, at the first look after the start or after an outage, so that its arrival was not seen. A terminal that was
    restarted then repeats the card's last answer instead of charging it again; without it such a card is a new tap.
    """

    @property
    def name(self) -> str:
        """As the operator knows the reader."""
        ...

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        """Block until a card is presented that was not yet handed out; None when `timeout_s` passed first.

        A card already on the reader at the first call counts as presented. The connection is exclusive. A card
        that cannot be woken is presented, too, and says so at its first exchange: its holder must hear of it.
        Raises `ReaderGone` or `ServiceGone`; the caller waits and calls again, and the port re-establishes itself.
        """
        ...

    def wait_for_removal(self, timeout_s: float) -> bool:
        """Block until the card handed out last has left (also when it was swapped quickly); False on time-out.

        Raises `ReaderGone` or `ServiceGone` when it cannot be known; a card that still lies there when reader or
        service come back may then be presented again.
        """
        ...

    def release(self) -> None:
        """End the conversation and reset the card, so that it never stays authenticated. Harmless when it is gone."""
        ...

    def close(self) -> None:
        """Give everything back to the operating system."""
        ...


class GuardedReader:
    """Another author's reader as the presence loop may have it: what it raises besides `TransmissionError` counts as
    `ReaderGone`, so that the terminal is out of order until the reader works again, and does not end.
    """

    def __init__(self, port: ReaderPort) -> None:
        self._port = port
        self._failed: TransmissionError | None = None
        name: object = port.name
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise TypeError("a reader's name is text on one line")
        self.name = name

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        self._raise_what_failed()
        connection: object = _guarded(lambda: self._port.wait_for_card(timeout_s))
        if connection is None:
            return None
        if not callable(getattr(connection, "transmit", None)):
            raise ReaderGone(f"the reader handed out {type(connection).__name__}, not a connection")
        return GuardedExchange(cast(CardConnection, connection), self._remember)

    @property
    def lay_there(self) -> bool:
        return _guarded(lambda: lay_there(self._port))

    def wait_for_removal(self, timeout_s: float) -> bool:
        self._raise_what_failed()
        return bool(_guarded(lambda: self._port.wait_for_removal(timeout_s)))

    def release(self) -> None:
        """What goes wrong here is raised by the next wait: a tap that has ended must not fail."""
        try:
            _guarded(self._port.release)
        except TransmissionError as error:
            self._remember(error)

    def close(self) -> None:
        """Raises `ReaderError` when the reader cannot be given back."""
        try:
            _guarded(self._port.close)
        except TransmissionError as error:
            raise ReaderError(f"{self.name} was not closed ({error})", "Look at the reader.") from error

    def _remember(self, error: TransmissionError) -> None:
        self._failed = error

    def _raise_what_failed(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed


class GuardedExchange:
    """A connection of such a reader, guarded in the same way. `on_gone` hears of a reader that failed, because the tap
    takes it for a card that left: the next wait must say it again.
    """

    def __init__(
        self, connection: CardConnection, on_gone: Callable[[TransmissionError], None] = lambda _error: None
    ) -> None:
        self._connection = connection
        self._on_gone = on_gone

    def transmit(self, command: bytes) -> bytes:
        try:
            return _guarded(lambda: _as_bytes(self._connection.transmit(command)))
        except (ReaderGone, ServiceGone) as error:
            self._on_gone(error)
            raise


def _as_bytes(answer: object) -> bytes:
    if not isinstance(answer, bytes | bytearray | memoryview):
        raise ReaderGone(f"the reader answered {type(answer).__name__}, not bytes")
    return bytes(answer)


def _guarded(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except TransmissionError:
        raise
    except BaseException as error:
        raise ReaderGone(said_of(error)) from error
