"""Cards over TCP (a connection is one tap, a message its length in two bytes and itself), and an LED in a file."""

import socket
from dataclasses import dataclass
from pathlib import Path

from cardproto import CardConnection, CardGone
from terminal import ExtensionSetup, Outcome, ReaderPort, Signal, colour


class TcpReader:
    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self.name = f"tcp {address}"
        self._server = socket.create_server((host, int(port)))

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        self._server.settimeout(timeout_s)
        try:
            self._link, _ = self._server.accept()
        except TimeoutError:
            return None
        self._link.settimeout(3)
        self._answers = self._link.makefile("rb")
        return self

    def transmit(self, command: bytes) -> bytes:
        try:
            self._link.sendall(len(command).to_bytes(2, "big") + command)
            if answer := self._answers.read(int.from_bytes(self._answers.read(2), "big")):
                return answer
        except OSError as error:
            raise CardGone(str(error)) from error
        raise CardGone("the other side closed the connection")

    def wait_for_removal(self, timeout_s: float) -> bool:
        return True  # `release` has closed the connection, and the next one is another card

    def release(self) -> None:
        self._answers.close()
        self._link.close()

    def close(self) -> None:
        self._server.close()


@dataclass
class Led:
    file: str

    def show(self, outcome: Outcome) -> None:
        Path(self.file).write_text(colour(outcome.message))

    def close(self) -> None:
        Path(self.file).write_text("off")


def open_reader(setup: ExtensionSetup) -> ReaderPort:
    return TcpReader(setup.address)


def open_led(setup: ExtensionSetup) -> Signal:
    return setup.options_as(Led)
