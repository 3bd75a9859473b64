"""What kinds of alarms are called for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from terminal.collector.alarms import AlarmKind
from terminal.texts import N_

KIND_NAMES: Final[Mapping[AlarmKind, str]] = MappingProxyType(
    {
        AlarmKind.OTHER_HASH: N_("A row was changed"),
        AlarmKind.GAP: N_("Rows are missing"),
        AlarmKind.ROWS_LOST: N_("Rows lost at the terminal"),
        AlarmKind.CUT_TAIL: N_("Journal ends early"),
        AlarmKind.BAD_SIGNATURE: N_("Signature is wrong"),
        AlarmKind.UNKNOWN_TERMINAL: N_("Unknown terminal"),
        AlarmKind.WRONG_CERTIFICATE: N_("Another terminal's certificate"),
        AlarmKind.ENROLMENT_REFUSED: N_("Enrolment refused"),
        AlarmKind.TMV_MISMATCH: N_("Proof is wrong"),
        AlarmKind.PROOF_DIFFERS: N_("Row and card differ"),
        AlarmKind.NO_PROOF: N_("Proof is missing"),
        AlarmKind.UNKNOWN_CARD: N_("Cards not registered"),
        AlarmKind.UNPROVEN_SHARE: N_("Too many unproven taps"),
        AlarmKind.COUNTER_GAP: N_("Card counter skipped"),
        AlarmKind.DROPPED_TAP: N_("Tap is missing"),
        AlarmKind.TMC_TWICE: N_("Card counter twice"),
        AlarmKind.SHOWN_TWICE: N_("Code shown twice"),
        AlarmKind.TWO_PHONES: N_("Two phones of one person"),
        AlarmKind.LIMIT_PASSED: N_("More rides than the limit"),
        AlarmKind.RECOMPUTED: N_("Decided otherwise"),
        AlarmKind.CONTRADICTION: N_("Terminal and card contradict"),
        AlarmKind.DUPLICATE_ENTITLEMENT: N_("Meal given twice"),
        AlarmKind.CLOCK: N_("Clock in doubt"),
        AlarmKind.READER: N_("Reader out of order"),
        AlarmKind.HOUSING: N_("Housing opened"),
        AlarmKind.BUNDLES: N_("Bundles not taken"),
        AlarmKind.UNRESOLVED_OLD: N_("Card has not come back"),
        AlarmKind.NO_START: N_("Terminal does not start"),
        AlarmKind.TAKEN_BACK: N_("Tariff taken back"),
        AlarmKind.WITHDRAWN: N_("Tariff withdrawn"),
        AlarmKind.SILENT: N_("Terminal is silent"),
        AlarmKind.DISK: N_("Disk nearly full"),
    }
)
"""Translated where they are shown; docs/collector.md says what to do about each."""
