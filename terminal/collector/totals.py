"""Counts and money of one terminal, or of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Final

from terminal.codes import Admission
from terminal.collector.evidence import END, SETTLED, Evidence
from terminal.collector.proof import UNPROVEN, Checked, Proof
from terminal.journal.records import Unwritten
from terminal.journal.taps import End


@dataclass(slots=True)
class ProofSum:
    """Committed taps that are proven, or not, for one reason, in one currency; money in minor units.

    `charged_minor` is what counts; what rows state beyond it (`overstated_minor`) or short of it
    (`understated_minor`) is in no other sum.
    """

    taps: int = 0
    charged_minor: int = 0
    overstated_minor: int = 0
    understated_minor: int = 0

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """As a row of a table."""
        return self.taps, self.charged_minor, self.overstated_minor, self.understated_minor

    def take(self, checked: Checked, times: int) -> None:
        """Count a tap; -1 takes it back."""
        self.taps += times
        self.charged_minor += times * checked.counted_minor
        if checked.differences:
            self.overstated_minor += times * checked.overstated_minor
            self.understated_minor += times * checked.understated_minor

    def add(self, other: ProofSum) -> None:
        """Add up."""
        self.taps += other.taps
        self.charged_minor += other.charged_minor
        self.overstated_minor += other.overstated_minor
        self.understated_minor += other.understated_minor


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
    """By currency: sums of two are never added up. Of each it is the sum of `proofs`."""
    proofs: dict[str, dict[str, ProofSum]] = field(default_factory=dict)
    """The committed taps by what proves them (`Proof`) and by currency."""
    not_committed: int = 0
    unresolved_open: int = 0
    unresolved_settled: int = 0
    unreadable: int = 0

    def charged_in(self, currency: str) -> int:
        """The sum charged in one currency."""
        return self.charged_minor.get(currency, 0)

    def proven(self, *proofs: Proof) -> int:
        """How many committed taps are proven, or not, for these reasons."""
        return sum(one.taps for proof in proofs for one in self.proofs.get(proof, {}).values())

    @property
    def unproven(self) -> int:
        """How many committed taps their cards do not prove, for whatever reason."""
        return self.proven(*UNPROVEN)

    def count_tap(self, evidence: Evidence, checked: Checked, currency: str, times: int = 1) -> None:
        """Count an intent by what is known of it, but for `proofs`; `times` -1 takes back what was counted before."""
        end = END[evidence]
        self.unresolved_settled += times * SETTLED[evidence]
        self.unresolved_open += times * (end is End.UNRESOLVED)
        self.not_committed += times * (end is End.NOT_COMMITTED)
        if end is End.COMMITTED:
            self.accepted += times
            _add(self.charged_minor, currency, times * checked.counted_minor)

    def count_rides(self, rides: int, settled: int, currency: str, charged_minor: int) -> None:
        """Count taps that came true, but for `proofs`; `settled` of them otherwise than by the tap itself."""
        self.taps += rides
        self.accepted += rides
        self.unresolved_settled += settled
        _add(self.charged_minor, currency, charged_minor)

    def proof_sum(self, proof: str, currency: str) -> ProofSum:
        """The sum of what is proven so, in one currency, to be added to."""
        return self.proofs.setdefault(proof, {}).setdefault(currency, ProofSum())

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
        for proof, sums in other.proofs.items():
            for currency, one in sums.items():
                self.proof_sum(proof, currency).add(one)


def total_of(totals: Iterable[Totals]) -> Totals:
    """All of them together."""
    total = Totals()
    for one in totals:
        total.add(one)
    return total


COUNTS: Final = tuple(
    one.name for one in fields(Totals) if one.name not in ("refused", "charged_minor", "proofs")
)
"""The plain counts among them."""


def _add(sums: dict[str, int], name: str, more: int) -> None:
    """Nothing stands under a name that comes to nothing."""
    total = sums.get(name, 0) + more
    if total:
        sums[name] = total
    else:
        sums.pop(name, None)
