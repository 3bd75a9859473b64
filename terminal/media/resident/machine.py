"""The life of one intended write, as a table: the code runs it, and `tests/formal` walks all of it.

    BEGUN ──intent durable──▶ INTENDED ──commit sent──▶ SENT ──proof──▶ COMMITTED
      │                          │                       │
      └─terminal lost─▶ NEVER    ├─card left─▶ NOT_COMMITTED
                                 └─terminal lost─▶ UNRESOLVED ◀─no proof / terminal lost─ (SENT)

    UNRESOLVED ──the card says──▶ COMMITTED | NOT_COMMITTED | UNRESOLVED

Money may move only on the way from SENT, and SENT is reached only through INTENDED: no write without a durable
intent. Whatever is not in the table cannot happen; code that tries it is stopped by `Course.take`, the one place
that rejects the illegal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from terminal.media.resident.settle import Settlement


class WriteState(Enum):
    """What is known of one intended write."""

    BEGUN = "numbered; its flush is on the way; the card executes what has no effect without a commit"
    INTENDED = "durably on record; the commit has not been sent"
    SENT = "the commit is on its way; no answer yet"
    UNRESOLVED = "the card may hold it or not; only the card can tell"
    COMMITTED = "the card holds it"
    NOT_COMMITTED = "the card does not and will not hold it"
    NEVER = "lost before it was on record: the card cannot hold it"


class WriteStep(Enum):
    """What can happen to it."""

    INTENT_DURABLE = "the journal has flushed the intent"
    CARD_LEFT = "the card failed or went before the commit was sent"
    COMMIT_SENT = "CommitTransaction goes out"
    PROVEN = "the card's answer to the commit verified"
    NO_PROOF = "no answer, or one that does not verify"
    TERMINAL_LOST = "crash, power cut, kill: everything not on disk is forgotten"
    CARD_SAYS_COMMITTED = "the card was read again and holds the event"
    CARD_SAYS_NOT_COMMITTED = "the card was read again and ends with the event before"
    CARD_CANNOT_TELL = "the card has moved on too far"


TRANSITIONS: Final[Mapping[tuple[WriteState, WriteStep], WriteState]] = MappingProxyType(
    {
        (WriteState.BEGUN, WriteStep.INTENT_DURABLE): WriteState.INTENDED,
        (WriteState.BEGUN, WriteStep.TERMINAL_LOST): WriteState.NEVER,
        (WriteState.INTENDED, WriteStep.CARD_LEFT): WriteState.NOT_COMMITTED,
        (WriteState.INTENDED, WriteStep.COMMIT_SENT): WriteState.SENT,
        (WriteState.INTENDED, WriteStep.TERMINAL_LOST): WriteState.UNRESOLVED,
        (WriteState.SENT, WriteStep.PROVEN): WriteState.COMMITTED,
        (WriteState.SENT, WriteStep.NO_PROOF): WriteState.UNRESOLVED,
        (WriteState.SENT, WriteStep.TERMINAL_LOST): WriteState.UNRESOLVED,
        (WriteState.UNRESOLVED, WriteStep.CARD_SAYS_COMMITTED): WriteState.COMMITTED,
        (WriteState.UNRESOLVED, WriteStep.CARD_SAYS_NOT_COMMITTED): WriteState.NOT_COMMITTED,
        (WriteState.UNRESOLVED, WriteStep.CARD_CANNOT_TELL): WriteState.UNRESOLVED,
        (WriteState.UNRESOLVED, WriteStep.TERMINAL_LOST): WriteState.UNRESOLVED,
    }
)

SAID: Final[Mapping[Settlement, WriteStep]] = MappingProxyType(
    {
        Settlement.COMMITTED: WriteStep.CARD_SAYS_COMMITTED,
        Settlement.NOT_COMMITTED: WriteStep.CARD_SAYS_NOT_COMMITTED,
        Settlement.STILL_OPEN: WriteStep.CARD_CANNOT_TELL,
    }
)
"""What a settlement means for an unresolved write."""

ENDS: Final = frozenset((WriteState.COMMITTED, WriteState.NOT_COMMITTED, WriteState.NEVER))
"""Nothing happens any more; an unresolved write is not among them."""


class IllegalStep(RuntimeError):
    """A defect of the terminal: the step does not exist in this state. The write stays what it was on record."""


class Course:
    """One write on its way through the table."""

    __slots__ = ("state",)

    def __init__(self, state: WriteState = WriteState.BEGUN) -> None:
        """BEGUN for a new write, UNRESOLVED for one found open in the journal."""
        self.state = state

    def take(self, step: WriteStep) -> WriteState:
        """Go where the table says; raises `IllegalStep`."""
        after = TRANSITIONS.get((self.state, step))
        if after is None:
            raise IllegalStep(f"{step.name} in {self.state.name}")
        self.state = after
        return after
