"""Puts a software card into the system's PC/SC service, through Debian's virtual reader driver vpcd.

The driver listens on one TCP port per slot. To connect is to lay the card on the reader, to close is to take it
away. Each message is two bytes of length, most significant first, and the bytes themselves; the driver asks, the
card answers. One byte 00, 01, 02 or 04 is the reader itself speaking (power off, power on, reset, "your ATR?");
anything else is a command for the card, a single byte too.

How this reader differs from one under a real card: the service looks at it every 0.4 s only, so a card is found and
missed that late, and a swap in between may go unnoticed; an exchange takes no air time; a card pulled during one is
reported as an empty answer; and a silent card blocks every program on its slot until it is taken out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Final, Protocol

from cardproto.errors import CardGone, ExchangeTimeout

HOST: Final = "127.0.0.1"
PORTS: Final = (35963, 35964)

POWER_OFF: Final = b"\x00"
POWER_ON: Final = b"\x01"
RESET: Final = b"\x02"
GET_ATR: Final = b"\x04"

ATR_BYTES: Final = range(2, 34)
MAX_MESSAGE_BYTES: Final = 0xFFFF
INSTEAD_OF_NOTHING: Final = b"\x00"
"""The driver waits for ever for an empty answer; one byte is just as short of a status word."""

CONNECT_TIMEOUT_S: Final = 2.0
TAKEN_TIMEOUT_S: Final = 3.0
POLL_S: Final = 0.4
"""How often pcscd asks the driver whether a card is there."""

SETTLE_S: Final = POLL_S + 0.05
DRAIN_TIMEOUT_S: Final = 1.0
RECONNECT_PAUSE_S: Final = 0.5


class VpcdFault(Exception):
    """The card cannot be put in: `what` is in the way and `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class BridgedCard(Protocol):
    """What the bridge needs of a card. `transmit` may raise `CardGone` (it is pulled: no answer, and the connection
    ends) and `ExchangeTimeout` (it stays and is silent)."""

    @property
    def atr(self) -> bytes: ...

    def power_on(self) -> None: ...

    def power_off(self) -> None: ...

    def transmit(self, command: bytes) -> bytes: ...


class VpcdBridge:
    """One software card and the slot it is put into. The card is only touched by the bridge's own thread.

    `keep` puts the card in again when the service restarts. `quickack` False leaves out TCP_QUICKACK, as a plain
    socket client would: every exchange then waits 40 ms for the driver's second packet.
    """

    def __init__(
        self,
        card: BridgedCard,
        slot: int = 0,
        *,
        keep: bool = False,
        quickack: bool = True,
        settle_s: float = SETTLE_S,
        taken_timeout_s: float = TAKEN_TIMEOUT_S,
        port: int | None = None,
    ) -> None:
        if len(card.atr) not in ATR_BYTES:
            raise ValueError(f"an ATR of {len(card.atr)} bytes would block the driver")
        self._card = card
        self._slot = slot
        self._port = PORTS[slot] if port is None else port
        self._keep = keep
        self._quickack = quickack
        self._settle_s = settle_s
        self._taken_timeout_s = taken_timeout_s
        self._wire: Wire | None = None
        self._thread: threading.Thread | None = None
        self._leaving = threading.Event()
        self._taken = threading.Event()
        self._change = threading.Condition()
        self._commands_since_reset = 0
        self._was_reset = False
        self.commands = 0
        self.conversations = 0

    @property
    def presented(self) -> bool:
        """The card is in, as far as the driver has not said otherwise."""
        return self._thread is not None and self._thread.is_alive()

    def present(self) -> None:
        """Put the card in; returns when the driver has taken it. Raises `VpcdFault`."""
        if self.presented:
            return
        self._leaving.clear()
        self._taken.clear()
        self._wire = self._connect()
        self._thread = threading.Thread(target=self._serve, name=f"vpcd slot {self._slot}", daemon=True)
        self._thread.start()
        if not self._taken.wait(self._taken_timeout_s):
            self._withdraw()
            raise VpcdFault(
                f"the virtual reader's slot {self._slot} does not take the card",
                "Another program holds it; close that one, or use the other slot.",
            )

    def remove(self) -> None:
        """Take the card out; returns when the service has had the time to notice. Harmless without a card."""
        if self._thread is not None:
            self._withdraw()
            time.sleep(self._settle_s)

    def wait_for_conversation(self, after: int, timeout_s: float) -> bool:
        """Whether more than `after` conversations have ended: exchanges, and then a power off, a removal, or a reset
        with its answer. pcscd up to 2.3 takes a reader for empty whose card leaves inside a reset, and then overlooks
        the next card if that one lies there when it looks again."""
        with self._change:
            return self._change.wait_for(
                lambda: self.conversations > after or not self.presented, timeout_s
            ) and (self.conversations > after)

    def __enter__(self) -> VpcdBridge:
        self.present()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _withdraw(self) -> None:
        """Shut the connection down and let the driver close it, so that it sees an orderly end."""
        thread, self._thread = self._thread, None
        assert thread is not None
        self._leaving.set()
        self._hang_up(socket.SHUT_WR)
        thread.join(DRAIN_TIMEOUT_S)
        self._hang_up(socket.SHUT_RDWR)
        thread.join()

    def _hang_up(self, how: int) -> None:
        if self._wire is not None:
            self._wire.shut_down(how)

    def _connect(self) -> Wire:
        try:
            return Wire(socket.create_connection((HOST, self._port), CONNECT_TIMEOUT_S), self._quickack)
        except TimeoutError as error:
            raise VpcdFault(
                f"slot {self._slot} of the virtual reader does not answer",
                "Another program holds that slot and a third one waits for it; close them.",
            ) from error
        except OSError as error:
            raise VpcdFault(
                f"no virtual reader on {HOST}:{self._port} ({error.strerror or error})",
                "Install pcscd and vsmartcard-vpcd (Debian, Ubuntu) and start the service: systemctl start pcscd "
                "(without systemd: mkdir -p /run/pcscd; pcscd --foreground).",
            ) from error

    def _serve(self) -> None:
        """The thread: one connection after the other while the card is kept in, else just one."""
        wire = self._wire
        while wire is not None:
            self._converse(wire)
            wire.close()
            self._end_conversation()
            wire = self._wire = self._reconnect()
        with self._change:
            self._change.notify_all()

    def _reconnect(self) -> Wire | None:
        while self._keep and not self._leaving.wait(RECONNECT_PAUSE_S):
            with contextlib.suppress(VpcdFault):  # still not there: that is what the next attempt is for
                return self._connect()
        return None

    def _converse(self, wire: Wire) -> None:
        try:
            while (message := wire.receive()) is not None:
                self._taken.set()
                answer = None if self._leaving.is_set() else self._answer(message)
                if answer is not None and not self._leaving.is_set():
                    wire.send(answer)
                if message == GET_ATR and self._was_reset:
                    self._end_conversation()
        except CardGone:
            return
        finally:
            self._card.power_off()

    def _answer(self, message: bytes) -> bytes | None:
        """What the driver gets; None where it expects nothing, or where the card is silent."""
        match message:
            case b"\x00":
                self._card.power_off()
                self._end_conversation()
            case b"\x01":
                self._card.power_on()
            case b"\x02":
                self._card.power_off()
                self._card.power_on()
                self._was_reset = True
            case b"\x04":
                return self._card.atr
            case command:
                return self._ask_card(command)
        return None

    def _ask_card(self, command: bytes) -> bytes | None:
        self.commands += 1
        self._commands_since_reset += 1
        try:
            answer = self._card.transmit(command)
        except ExchangeTimeout:
            return None
        return answer[:MAX_MESSAGE_BYTES] or INSTEAD_OF_NOTHING

    def _end_conversation(self) -> None:
        self._was_reset = False
        if self._commands_since_reset:
            self._commands_since_reset = 0
            with self._change:
                self.conversations += 1
                self._change.notify_all()


class Wire:
    """One connection to the driver, in whole messages."""

    def __init__(self, connection: socket.socket, quickack: bool) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._quickack = quickack
        self._buffer = b""

    def receive(self) -> bytes | None:
        """The next message, however it was cut on its way; None when the driver has hung up."""
        head = self._take(2)
        return None if head is None else self._take(int.from_bytes(head, "big"))

    def send(self, message: bytes) -> None:
        """At most 65535 bytes. A driver that has hung up is noticed by the next `receive`."""
        with contextlib.suppress(OSError):
            self._socket.sendall(len(message).to_bytes(2, "big") + message)

    def shut_down(self, how: int) -> None:
        """End one or both directions; harmless when it has ended."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(how)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            if self._quickack:  # not sticky: the kernel may go back to delayed acknowledgement at any time
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            try:
                more = self._socket.recv(MAX_MESSAGE_BYTES + 2)
            except OSError:
                return None
            if not more:
                return None
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
