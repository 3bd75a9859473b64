"""Counts and money of one terminal, or of all."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

from terminal.codes import Admission
from terminal.collector.evidence import END, SETTLED, Evidence, Proof
from terminal.journal.records import Unwritten
from terminal.journal.taps import End


class Amount(NamedTuple):
    """A sum as a row states it, in minor units of its currency."""

    minor: int
    currency: str


@dataclass(slots=True)
class Totals:
    """Counts and money of one terminal or of all."""

    records: int = 0
    taps: int = 0
    accepted: int = 0
    """Let in."""
    inside: int = 0
    """Neither let in nor refused."""
    refused: dict[str, int] = field(default_factory=dict)
    charged_minor: dict[str, int] = field(default_factory=dict)
    """By currency: sums of two are never added up."""
    not_committed: int = 0
    unresolved_open: int = 0
    unresolved_settled: int = 0
    tmv_verified: int = 0
    tmv_failed: int = 0
    tmv_unchecked: int = 0
    unreadable: int = 0

    def charged_in(self, currency: str) -> int:
        """The sum charged in one currency."""
        return self.charged_minor.get(currency, 0)

    def count_tap(self, evidence: Evidence, proof: Proof, charge: Amount, times: int = 1) -> None:
        """Count an intent by what is known of it; `times` -1 takes back what was counted before."""
        end = END[evidence]
        self.unresolved_settled += times * SETTLED[evidence]
        self.unresolved_open += times * (end is End.UNRESOLVED)
        self.not_committed += times * (end is End.NOT_COMMITTED)
        if end is End.COMMITTED:
            self.accepted += times
            _add(self.charged_minor, charge.currency, times * charge.minor)
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
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for message, count in other.refused.items():
            _add(self.refused, message, count)
        for currency, sum_minor in other.charged_minor.items():
            _add(self.charged_minor, currency, sum_minor)


COUNTS: Final = tuple(one.name for one in fields(Totals) if one.name not in ("refused", "charged_minor"))
"""The plain counts among them."""


def _add(sums: dict[str, int], name: str, more: int) -> None:
    """Nothing stands under a name that comes to nothing."""
    total = sums.get(name, 0) + more
    if total:
        sums[name] = total
    else:
        sums.pop(name, None)
