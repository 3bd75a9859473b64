"""From key codes of a scanner that types to characters: the plain layout that scanners are delivered with.

Codes are those of linux/input-event-codes.h, of the keys in the positions of a US keyboard.
"""

from __future__ import annotations

from typing import Final

KEY_UP: Final = 0
SHIFTS: Final = frozenset({42, 54})
ENTERS: Final = frozenset({28, 96})
_ROWS: Final = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (71, "789", "789"),
    (75, "456", "456"),
    (79, "1230.", "1230."),
)
_PLAIN: Final = {first + place: sign for first, plain, _ in _ROWS for place, sign in enumerate(plain)}
_SHIFTED: Final = {first + place: sign for first, _, shifted in _ROWS for place, sign in enumerate(shifted)}


class TypedKeys:
    """Remembers which shift keys are down."""

    def __init__(self) -> None:
        self._down: set[int] = set()

    def typed(self, code: int, value: int) -> bytes:
        """What a key event means: a character when a key goes down or repeats, a line's end for Enter, or nothing."""
        if code in SHIFTS:
            (self._down.discard if value == KEY_UP else self._down.add)(code)
            return b""
        if value == KEY_UP:
            return b""
        if code in ENTERS:
            return b"\n"
        return (_SHIFTED if self._down else _PLAIN).get(code, "").encode()
