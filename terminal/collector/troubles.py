"""What people must look at in the faults that terminals record of themselves."""

from __future__ import annotations

import re
from typing import Final

from terminal.codes import BundleFault, PeripheryFault, ReaderFault
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.journal.clock_ledger import CLOCK_DOUBTS
from terminal.journal.records import Fault
from terminal.journal.taps import TapId

CLOCK_INPUTS: Final = ("jump_s", "behind_s", "ahead_days", "off_s")
READER_FAULTS: Final = frozenset(ReaderFault) - {ReaderFault.WORKS}
BUNDLE_FAULTS: Final = frozenset(BundleFault)
BUNDLE_INPUTS: Final = ("role", "version", "known", "days")
BUNDLE_ROLE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
"""A role's name, as a terminal may have it from metadata."""


def finding_of_fault(row: TapId, fault: Fault) -> Alarm | None:
    """The alarm for a fault in `row`, if it is one to look at."""
    code = fault.code
    if code in CLOCK_DOUBTS:
        found = {name: value for name in CLOCK_INPUTS if isinstance(value := fault.inputs.get(name), int)}
        return Alarm(AlarmKind.CLOCK, *row, detail_of(AlarmCause.CLOCK_FAULT, fault=code, **found))
    if code in READER_FAULTS:
        return Alarm(AlarmKind.READER, *row, detail_of(AlarmCause.READER_FAULT, fault=code))
    if code == PeripheryFault.TAMPERED:
        return Alarm(AlarmKind.HOUSING, *row, detail_of(AlarmCause.HOUSING_FAULT, fault=code))
    if code in BUNDLE_FAULTS:
        detail = detail_of(AlarmCause.BUNDLE_FAULT, fault=code, **_plain_inputs(fault))
        return Alarm(AlarmKind.BUNDLES, *row, detail)
    return None


def _plain_inputs(fault: Fault) -> dict[str, int | str]:
    """What a fault of bundles is about, where it is of the form that terminals write."""
    found: dict[str, int | str] = {name: fault.inputs[name] for name in BUNDLE_INPUTS if name in fault.inputs}
    plain = all(isinstance(value, int) or BUNDLE_ROLE.fullmatch(value) for value in found.values())
    return found if plain else {}
