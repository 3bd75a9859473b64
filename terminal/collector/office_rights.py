"""Who may what at the office: by which role an act is asked for and confirmed, and what each role reads.

Each reads what the work needs and no more; one that several roles need is read by any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from terminal.collector.alarms import AlarmKind
from terminal.collector.approvals import Act
from terminal.collector.users import OfficeRole, Who

TECHNICAL: Final = frozenset(
    (
        *(AlarmKind.GAP, AlarmKind.CLOCK, AlarmKind.READER, AlarmKind.SILENT, AlarmKind.NO_START),
        *(AlarmKind.DISK, AlarmKind.HOUSING, AlarmKind.BUNDLES),
    )
)
"""Alarms that one person acknowledges; every other one is about what was charged, or may have been."""
ROLE_OF: Final = {
    Act.ACKNOWLEDGE: OfficeRole.MONEY,
    Act.ROLL_OUT: OfficeRole.PUBLISH,
    Act.REFUND: OfficeRole.MONEY,
    Act.CLOSE_MONTH: OfficeRole.MONEY,
    Act.REPLACE_CARD: OfficeRole.MONEY,
    Act.REPAY_RIDE: OfficeRole.MONEY,
    Act.SETTLE_LATER: OfficeRole.MONEY,
    Act.FORGIVE_LATER: OfficeRole.MONEY,
    Act.MOVE_ORDER: OfficeRole.MONEY,
    Act.DROP_ORDER: OfficeRole.MONEY,
    Act.ERASE_PERSON: OfficeRole.MONEY,
}


class OfficeReading(StrEnum):
    """What can be read."""

    STATUS = "status"
    TERMINALS = "terminals"
    ALARMS = "alarms"
    STRANGERS = "strangers"
    RIDES = "rides"
    REQUESTS = "requests"
    STAGED = "staged"
    """What is not served yet, and tariffs in shadow: what they would have charged."""
    TRIALS = "trials"
    """Tariffs on trial: at how many terminals they are, went back, and were refused more often than before."""
    OPERATIONS = "operations"
    SUMS = "sums"
    """Days and reports: what was charged."""


_ACTS: Final = frozenset({OfficeRole.OPERATE, OfficeRole.PUBLISH, OfficeRole.MONEY})
READERS: Final[Mapping[OfficeReading, frozenset[OfficeRole]]] = MappingProxyType(
    {
        OfficeReading.STATUS: frozenset({OfficeRole.LOOK}),
        OfficeReading.TERMINALS: frozenset({OfficeRole.LOOK}),
        OfficeReading.ALARMS: frozenset({OfficeRole.OPERATE, OfficeRole.MONEY}),
        OfficeReading.STRANGERS: frozenset({OfficeRole.OPERATE}),
        OfficeReading.RIDES: frozenset({OfficeRole.OPERATE, OfficeRole.MONEY}),
        OfficeReading.REQUESTS: frozenset(ROLE_OF.values()),
        OfficeReading.STAGED: frozenset({OfficeRole.PUBLISH}),
        # `publish` goes on or takes back by them; `operate` has to know why a terminal charges by another tariff.
        OfficeReading.TRIALS: frozenset({OfficeRole.OPERATE, OfficeRole.PUBLISH}),
        OfficeReading.OPERATIONS: _ACTS,
        OfficeReading.SUMS: frozenset({OfficeRole.MONEY}),
    }
)
"""By which roles each is read; one of them is enough. Of alarms and requests a user sees those of the own roles."""


def readings_of(who: Who) -> frozenset[OfficeReading]:
    """What `who` may read."""
    return frozenset(one for one, readers in READERS.items() if readers & who.roles)


def alarms_of(who: Who) -> frozenset[AlarmKind] | None:
    """The kinds of alarms that `who` sees and acknowledges: what is technical, and money every kind (None)."""
    return None if OfficeRole.MONEY in who.roles else TECHNICAL
