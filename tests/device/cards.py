"""Cards for trying the reader: simpler than a resident's, and worse behaved."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from cardproto.errors import ExchangeTimeout

ATR = bytes.fromhex("3B8180018080")


@dataclass
class EchoCard:
    """Answers its own mark, the command, and 9000; remembers power and commands."""

    mark: bytes = b""
    atr: bytes = ATR
    log: list[str] = field(default_factory=list)

    def power_on(self) -> None:
        self.log.append("on")

    def power_off(self) -> None:
        self.log.append("off")

    def transmit(self, command: bytes) -> bytes:
        self.log.append(command.hex())
        return self.mark + command + b"\x90\x00"


class SilentCard(EchoCard):
    """Gets the command and never answers; it stays on the reader."""

    def transmit(self, command: bytes) -> bytes:
        raise ExchangeTimeout("this card never answers")


class FixedCard(EchoCard):
    """Always the same answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    def transmit(self, command: bytes) -> bytes:
        return self.answer


class SlowCard(EchoCard):
    """Says that it was asked, and answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def transmit(self, command: bytes) -> bytes:
        self.asked.set()
        self.may_answer.wait()
        return super().transmit(command)
