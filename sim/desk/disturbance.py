"""What the desk's user does to the next tap: pull the card, let it be slow, silent or damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cardproto.connection import CardConnection
from cardproto.desfire.commands import INS_COMMIT_TRANSACTION
from cardproto.errors import CardGone
from sim.faults import NO_FAULTS, Delay, FaultPlan, corrupt, endless_frames, silence, tear_after, tear_before

MOST_EXCHANGES: Final = 64
SLOW_S: Final = 0.15
"""How much later than usual a slow card answers each time."""
DAMAGED_BIT: Final = 3


class Mishap(StrEnum):
    """Kinds of disturbance; those named in `AT_EXCHANGE` happen at one exchange, counted from 1."""

    NONE = "none"
    TEAR_BEFORE = "tear_before"
    TEAR_AFTER = "tear_after"
    COMMIT_BEFORE = "commit_before"
    COMMIT_AFTER = "commit_after"
    SLOW = "slow"
    SILENT = "silent"
    CORRUPT = "corrupt"
    ENDLESS = "endless"


AT_EXCHANGE: Final = frozenset(
    {Mishap.TEAR_BEFORE, Mishap.TEAR_AFTER, Mishap.SILENT, Mishap.CORRUPT, Mishap.ENDLESS}
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One mishap; `exchange` says where, for those that happen at one. Raises `ValueError` outside 1 to 64."""

    mishap: Mishap = Mishap.NONE
    exchange: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.exchange <= MOST_EXCHANGES:
            raise ValueError(f"a tap has exchanges 1 to {MOST_EXCHANGES}, not {self.exchange}")

    def plan(self) -> FaultPlan:
        """What the simulated field does; a pull at the commit is `around`'s business."""
        at = self.exchange
        plans = {
            Mishap.TEAR_BEFORE: tear_before(at),
            Mishap.TEAR_AFTER: tear_after(at),
            Mishap.SILENT: silence(at),
            Mishap.CORRUPT: corrupt(at, DAMAGED_BIT),
            Mishap.ENDLESS: endless_frames(at),
            Mishap.SLOW: FaultPlan(tuple(Delay(number, SLOW_S) for number in range(1, MOST_EXCHANGES + 1))),
        }
        return plans.get(self.mishap, NO_FAULTS)

    def around(self, connection: CardConnection, pull: Callable[[], None]) -> CardConnection:
        """`connection`, from which the card is pulled at its commit when that is the mishap."""
        if self.mishap not in (Mishap.COMMIT_BEFORE, Mishap.COMMIT_AFTER):
            return connection
        return _PulledAtCommit(connection, pull, executed=self.mishap is Mishap.COMMIT_AFTER)


class _PulledAtCommit:
    """Whichever exchange the commit turns out to be."""

    def __init__(self, connection: CardConnection, pull: Callable[[], None], *, executed: bool) -> None:
        self._connection = connection
        self._pull = pull
        self._executed = executed

    def transmit(self, command: bytes) -> bytes:
        if command[:2] != bytes((0x90, INS_COMMIT_TRANSACTION)):
            return self._connection.transmit(command)
        if self._executed:
            self._connection.transmit(command)
        self._pull()
        raise CardGone("pulled as the commit ran" if self._executed else "pulled before the commit")
