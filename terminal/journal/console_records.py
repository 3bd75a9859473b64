"""What a terminal's rows say of its staff: who worked at it, and what was entered about the trip and the person.

An `operator_ref` is a staff number, never a name (D-02). Tags 50 to 59, and 62, belong to this module.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from terminal.journal.record_base import Record


class OperatorSeen(Record, frozen=True, array_like=True, tag=50):
    """A service card was presented. Nothing was written to it; that alone signs no one in."""

    operator_ref: str


class SignInWay(StrEnum):
    """What an operator showed besides the PIN."""

    CARD = "card"
    """The service card."""
    TYPED = "typed"
    """A typed staff number."""


class SignedIn(Record, frozen=True, array_like=True, tag=51):
    """An operator gave the right PIN."""

    operator_ref: str
    role: str
    how: SignInWay


class TurnStarted(Record, frozen=True, array_like=True, tag=52):
    """From here on taps belong to this turn (T-62); a turn is numbered within its shift. The first one is 1
    and begins with the shift, without a row of this kind."""

    shift: int
    turn: int
    route: int
    direction: int
    operator_ref: str
    action: str = ""


class PlaceSet(Record, frozen=True, array_like=True, tag=53):
    """The operator says where the vehicle is, because the vehicle does not (T-61); it holds until the next one or the
    next turn. Numbers as in a trip's place; `mark_m` None: not said. All of them unknown: the vehicle says it again.
    """

    shift: int
    stop: int
    zone: int
    mark_m: int | None
    operator_ref: str
    action: str = ""

    @property
    def known(self) -> bool:
        """Whether anything is said at all."""
        return bool(self.stop or self.zone) or self.mark_m is not None


class OrderDeclared(Record, frozen=True, array_like=True, tag=54):
    """An operator takes the terminal out of service, or back into it (T-64)."""

    in_order: bool
    operator_ref: str
    action: str = ""


class TicketCopied(Record, frozen=True, array_like=True, tag=55):
    """A copy of the ticket of the cash sale in row `sale` was asked for, to be printed as a copy (T-52)."""

    sale: int
    operator_ref: str
    action: str = ""


class SaleCancelled(Record, frozen=True, array_like=True, tag=56):
    """The cash sale in row `sale` is taken back and its money, `sum_minor` of `currency`, was given back (T-54)."""

    shift: int
    sale: int
    sum_minor: int
    currency: str
    operator_ref: str
    action: str = ""


class CrewChanged(Record, frozen=True, array_like=True, tag=57):
    """Within an open shift `operator_ref` takes the vehicle over from `before_ref`, with `sum_minor` of cash as it was
    counted; by the records it should be `due_minor` (T-67).
    """

    shift: int
    operator_ref: str
    before_ref: str
    due_minor: int
    sum_minor: int
    currency: str
    action: str = ""


class CashHandedOver(Record, frozen=True, array_like=True, tag=58):
    """`sum_minor` of the cash in the vehicle, `due_minor` by the records, went to the carrier (T-67)."""

    shift: int
    due_minor: int
    sum_minor: int
    currency: str
    operator_ref: str
    action: str = ""


class BreakDeclared(Record, frozen=True, array_like=True, tag=59):
    """The crew's break begins, or is over; while it lasts nothing is sold (T-68)."""

    shift: int
    begins: bool
    operator_ref: str
    action: str = ""


class NoticeRead(Record, frozen=True, array_like=True, tag=62):
    """An operator has read the office's notice of that id (T-69)."""

    shift: int
    notice: str
    operator_ref: str
    action: str = ""


ConsoleRecord: TypeAlias = (
    OperatorSeen
    | SignedIn
    | TurnStarted
    | PlaceSet
    | OrderDeclared
    | TicketCopied
    | SaleCancelled
    | CrewChanged
    | CashHandedOver
    | BreakDeclared
    | NoticeRead
)
