"""What a document in shadow would have done, against what was charged: counted tap by tap (O-13). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from terminal.codes import Admission
from terminal.decision.outcome import Outcome
from terminal.journal.operation_records import ShadowCompared

MOST_NAMED: Final = 40
"""Differing taps of one row, which stays below 4 kB with them."""


class ShadowVerdict(StrEnum):
    """How the answer in shadow stands to the one given; by the names of `ShadowCompared`."""

    SAME = "same"
    DEARER = "dearer"
    CHEAPER = "cheaper"
    REFUSED = "refused"
    LET_IN = "let_in"
    ANSWERED = "answered"
    FAILED = "failed"
    MISSED = "missed"


def compared(given: Outcome, shadow: Outcome) -> ShadowVerdict:
    """Which it is, of two decisions on one tap."""
    refused, would = (one.admission is Admission.REFUSED for one in (given, shadow))
    if would != refused:
        return ShadowVerdict.REFUSED if would else ShadowVerdict.LET_IN
    if shadow.charge_minor != given.charge_minor:
        return ShadowVerdict.DEARER if shadow.charge_minor > given.charge_minor else ShadowVerdict.CHEAPER
    same = (given.message, given.admission) == (shadow.message, shadow.admission)
    return ShadowVerdict.SAME if same else ShadowVerdict.ANSWERED


class ShadowTally:
    """Taps since the last row."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(ShadowVerdict, 0)
        self._sum_minor = 0
        self._named: list[tuple[int, str, int, str, int]] = []

    @property
    def taps(self) -> int:
        return sum(self._counts.values())

    @property
    def full(self) -> bool:
        """No more differing taps can be named in one row."""
        return len(self._named) >= MOST_NAMED

    @property
    def counts(self) -> Mapping[ShadowVerdict, int]:
        return self._counts

    def take(self, row: int, given: Outcome, shadow: Outcome) -> None:
        """The tap of row `row`."""
        verdict = compared(given, shadow)
        self._counts[verdict] += 1
        self._sum_minor += shadow.charge_minor - given.charge_minor
        if verdict is not ShadowVerdict.SAME and not self.full:
            charges = given.charge_minor, shadow.charge_minor
            self._named.append((row, str(given.message), charges[0], str(shadow.message), charges[1]))

    def count(self, verdict: ShadowVerdict) -> None:
        """A tap that was not decided in shadow."""
        self._counts[verdict] += 1

    def row(self, at_ms: int, id_: str, version: int, sha256: bytes, currency: str) -> ShadowCompared:
        counts = {verdict.value: number for verdict, number in self._counts.items()}
        return ShadowCompared(
            at_ms=at_ms,
            id=id_,
            version=version,
            sha256=sha256,
            currency=currency,
            taps=self.taps,
            sum_minor=self._sum_minor,
            differing=tuple(self._named),
            **counts,
        )
