"""Counts and money of one terminal, or of all."""

from __future__ import annotations

from dataclasses import dataclass, field

from terminal.codes import Admission
from terminal.collector.evidence import END, SETTLED, Evidence, Proof
from terminal.journal.records import Unwritten
from terminal.journal.taps import End


@dataclass(slots=True)
class Totals:
    """Counts and money of one terminal or of all. Money is in kopecks."""

    records: int = 0
    taps: int = 0
    accepted: int = 0
    """Let in."""
    inside: int = 0
    """Neither let in nor refused."""
    refused: dict[str, int] = field(default_factory=dict)
    charged_minor: int = 0
    not_committed: int = 0
    unresolved_open: int = 0
    unresolved_settled: int = 0
    tmv_verified: int = 0
    tmv_failed: int = 0
    tmv_unchecked: int = 0
    unreadable: int = 0

    def count_tap(self, evidence: Evidence, proof: Proof, charge_minor: int, times: int = 1) -> None:
        """Count an intent by what is known of it; `times` -1 takes back what was counted before."""
        end = END[evidence]
        self.unresolved_settled += times * SETTLED[evidence]
        self.unresolved_open += times * (end is End.UNRESOLVED)
        self.not_committed += times * (end is End.NOT_COMMITTED)
        if end is End.COMMITTED:
            self.accepted += times
            self.charged_minor += times * charge_minor
            self.tmv_verified += times * (proof is Proof.VERIFIED)
            self.tmv_failed += times * (proof is Proof.FAILED)
            self.tmv_unchecked += times * (proof is Proof.UNCHECKED)

    def count_unwritten(self, record: Unwritten) -> None:
        """Count a tap for which no card was to be written."""
        self.taps += 1
        match record.admission:
            case Admission.LET_IN:
                self.accepted += 1
            case Admission.INSIDE:
                self.inside += 1
            case Admission.REFUSED:
                self.refused[record.message] = self.refused.get(record.message, 0) + 1

    def add(self, other: Totals) -> None:
        for name in self.__slots__:
            if name != "refused":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for message, count in other.refused.items():
            self.refused[message] = self.refused.get(message, 0) + count
