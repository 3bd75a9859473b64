"""The phone of a page as a card in the field: a reader's commands go to the page, which answers with the key it holds.

The page asks by HTTP for what is wanted of it and brings the answer with its next question, so one request is one
exchange. Here is no key: without the page there is no answer, and a phone that does not answer has left.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Final

from cardproto.errors import CardGone
from sim.card.image import Json
from sim.emv.card import ATR_CONTACTLESS
from sim.phone import UID_HEAD

LEFT: Final = "left"
"""What a page hears when it lies in the field no longer: it may answer again in the next one."""
ASKS_S: Final = 2.0
"""How long a page's question waits; it asks again."""
AWAY_S: Final = 3.0
"""A page that does not ask again for so long is closed."""
ANSWERS_S: Final = 2.0
"""How long a reader waits for a page, far beyond what any terminal accepts."""
_LONGEST_ANSWER: Final = 258
_GET_UID: Final = bytes.fromhex("FFCA0000")


class NearbyPhone:
    """A card for a reader on one side, `turn` for a page on the other; each side in threads of its own."""

    uid: Final = b"\x04phone\x01"
    """For lists alone: what it shows is drawn anew each time."""
    atr: Final = ATR_CONTACTLESS

    def __init__(self) -> None:
        self._change = threading.Condition()
        self.removals = 0
        """How often its holder took it away: between two looks it may be held again."""
        self._number = self._turns = 0
        self._asked: str | None = None
        self._answer: bytes | None = None
        self._left = False
        self._held_until = 0.0
        self._shown_uid = bytes((UID_HEAD, 0, 0, 0))

    @property
    def held(self) -> bool:
        """Whether a page asks what is wanted of it, or did a moment ago."""
        return time.monotonic() < self._held_until

    def turn(self, answered: str) -> str | None:
        """A page's question: `answered` is *number answer* in hexadecimal, or nothing yet. *number command* is what a
        reader wants, `LEFT` that the field is gone, None that the page may ask again. Raises `ValueError`.
        """
        number, _, answer = answered.partition(" ")
        with self._change:
            if answered and int(number) == self._number and self._asked is not None:
                self._answer, self._asked = _bytes_of(answer), None
            mine = self._next_turn(ASKS_S + AWAY_S)
            self._change.wait_for(
                lambda: self._left or self._asked is not None or self._turns != mine, ASKS_S
            )
            if self._turns != mine:
                return None  # a page that is no longer there, or another one asked since
            self._held_until = time.monotonic() + AWAY_S
            left, self._left = self._left, False
            return LEFT if left else self._asked

    def take_away(self) -> None:
        """Its holder takes it away from the reader."""
        with self._change:
            self.removals += 1
            self._next_turn(0.0)
            self._asked = None

    def _given(self) -> bytes:
        self._asked, answer = None, self._answer
        if answer is None:
            raise CardGone("the page of the phone does not answer")
        return answer

    def _next_turn(self, held_s: float) -> int:
        self._turns += 1
        self._held_until = time.monotonic() + held_s
        self._change.notify_all()
        return self._turns

    def power_on(self) -> None:
        """Into the field, with a new UID."""
        self._shown_uid = bytes((UID_HEAD,)) + secrets.token_bytes(3)

    def power_off(self) -> None:
        """Out of it: the page hears so before the next command."""
        with self._change:
            self._left, self._asked = True, None
            self._change.notify_all()

    def transmit(self, command: bytes) -> bytes:
        """What the page answers. Raises `CardGone` where it does not."""
        if command[:4] == _GET_UID:
            return self._shown_uid + b"\x90\x00"
        with self._change:
            if not self.held:
                raise CardGone("no page holds the phone to the reader")
            self._number += 1
            self._asked, self._answer = f"{self._number} {command.hex()}", None
            self._change.notify_all()
            self._change.wait_for(lambda: self._answer is not None or self._asked is None, ANSWERS_S)
            return self._given()

    def image(self) -> dict[str, Json]:
        """Nothing of it is here."""
        return {"uid": self.uid.hex().upper()}

    def clone(self) -> NearbyPhone:
        """Itself: its key is the browser's, which gives it to no one."""
        return self


def _bytes_of(text: str) -> bytes:
    answer = bytes.fromhex(text)
    if not 2 <= len(answer) <= _LONGEST_ANSWER:
        raise ValueError("an answer has 2 to 258 bytes")
    return answer
