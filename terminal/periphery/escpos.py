"""ESC/POS as receipt printers speak it: the few commands a ticket takes, and the answers about paper.

Source: Epson, ESC/POS command reference (ESC @, ESC t, LF, GS V, DLE EOT, GS r); tests compare with what python-escpos
writes. Fiscal printers speak other protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

RESET: Final = b"\x1b@"
CODE_PAGE_866: Final = b"\x1bt\x11"
"""Table 17."""
FEED: Final = b"\n" * 6
"""From the print head to the knife."""
CUT: Final = b"\x1dV\x00"
ASK_PAPER: Final = b"\x10\x04\x04"
"""Answered at once, before what waits to be printed."""
ASK_PRINTED: Final = b"\x1dr\x01"
"""Answered in its turn: when everything before it is on paper."""
PAPER_END: Final = 0x60
"""The bits of an answer to `ASK_PAPER` that say so."""
ROLL_END: Final = 0x0C
"""The same of an answer to `ASK_PRINTED`."""
MOST_LINES: Final = 64
_SPELLED: Final = str.maketrans(
    {"₽": "руб.", "\u00a0": " ", "\u202f": " ", "–": "-", "—": "-", "«": '"', "»": '"', "“": '"', "”": '"'}
)
"""What CP866 lacks and tickets have."""


def ticket_bytes(lines: Sequence[str], columns: int) -> bytes:
    """The lines, cut to `columns`, as the printer takes them; a sign that CP866 lacks is a question mark.

    Control characters never reach the printer: what comes from outside, such as a route's name, commands nothing.
    """
    spelled = (line[: 4 * columns].translate(_SPELLED) for line in lines[:MOST_LINES])
    shown = ("".join(sign for sign in line if sign.isprintable())[:columns] for line in spelled)
    text = b"\n".join(line.encode("cp866", "replace") for line in shown)
    return RESET + CODE_PAGE_866 + text + b"\n" + FEED + CUT


def has_paper(answer: int) -> bool | None:
    """What the answer to `ASK_PAPER` says; None for a byte that is no such answer."""
    return None if answer & 0x93 != 0x12 else not answer & PAPER_END


def still_has_paper(answer: int) -> bool | None:
    """What the answer to `ASK_PRINTED` says; None for a byte that is no such answer."""
    return None if answer & 0x90 else not answer & ROLL_END
