"""A reader whose goings-on the passenger display sees: card there, card gone, out of order, works again."""

from __future__ import annotations

from cardproto.connection import CardConnection
from cardproto.errors import TransmissionError
from terminal.reader.port import ReaderPort
from terminal.screen.display import Display


class WatchedReader:
    """`port`, told of to `display`. It changes nothing of what the presence loop gets to hear."""

    def __init__(self, port: ReaderPort, display: Display) -> None:
        self._port = port
        self._display = display
        self._failed = False

    @property
    def name(self) -> str:
        return self._port.name

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        self._display.beat()
        try:
            connection = self._port.wait_for_card(timeout_s)
        except TransmissionError:
            self._fails()
            raise
        self._works()
        if connection is not None:
            self._display.card()
        return connection

    def wait_for_removal(self, timeout_s: float) -> bool:
        self._display.beat()
        try:
            left = self._port.wait_for_removal(timeout_s)
        except TransmissionError:
            self._fails()
            raise
        if left:
            self._display.removed()
        return left

    def release(self) -> None:
        self._port.release()

    def close(self) -> None:
        self._port.close()

    def _fails(self) -> None:
        """An outage of many attempts is one fault."""
        if not self._failed:
            self._failed = True
            self._display.fault()

    def _works(self) -> None:
        if self._failed:
            self._failed = False
            self._display.works()
