"""Connections for tests: a card that follows a script to the byte, one that babbles, one that is tampered with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cardproto.connection import CardConnection


class ScriptedConnection:
    """Answers the expected commands in order; any other command, or one too many, fails the test."""

    def __init__(self, exchanges: Iterable[tuple[bytes | str, bytes | str]]) -> None:
        self._exchanges = [(_raw(command), _raw(answer)) for command, answer in exchanges]
        self.sent: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        at = len(self.sent)
        self.sent.append(command)
        assert at < len(self._exchanges), f"one command too many: {command.hex().upper()}"
        expected, answer = self._exchanges[at]
        assert command.hex().upper() == expected.hex().upper(), f"exchange {at + 1}"
        return answer

    def finished(self) -> bool:
        """Whether the whole script was played."""
        return len(self.sent) == len(self._exchanges)


class AnsweringConnection:
    """Answers whatever is asked with the given answers in turn, the last one for ever."""

    def __init__(self, *answers: bytes | str) -> None:
        self._answers = [_raw(answer) for answer in answers]
        self.sent: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return self._answers[min(len(self.sent), len(self._answers)) - 1]


def _raw(value: bytes | str) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else value


class TamperingConnection:
    """A real card behind somebody who may change one of its answers."""

    def __init__(self, card: CardConnection, at: int, change: Callable[[bytes], bytes]) -> None:
        self._card = card
        self._at = at
        self._change = change
        self.count = 0

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.count += 1
        return self._change(answer) if self.count == self._at else answer
