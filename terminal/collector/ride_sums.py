"""Rides that say what their cards say and concern no other tap, counted before they go into the books' sums.

Nearly all records of a fleet are of such rides, and many of them go into the same sums: so they are added up here by
what they have in common, and each sum of the books is touched once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TypeAlias

from terminal.collector.days import PURSE, Cell, CountState, ProofCell, ServiceCalendar, What
from terminal.collector.proof import Proof
from terminal.collector.totals import ProofSum, Totals
from terminal.journal.records import Intent

Common: TypeAlias = tuple[int, str, int, str, Proof]
"""Terminal, service day, route, currency, and what proves them."""


class RideSums:
    """The rides of one booking."""

    def __init__(self, calendar: ServiceCalendar) -> None:
        self._calendar = calendar
        self._sums: dict[Common, list[int]] = {}
        """How many rides, how many of them were paid for, what was paid in minor units, and how many were settled."""

    def add(self, terminal: int, intent: Intent, proof: Proof, settled: bool) -> None:
        """Count a ride that came true; `settled`: its terminal did not learn that from the tap itself."""
        common = (terminal, self._calendar.day_of(intent.at_ms), intent.route, intent.currency, proof)
        sums = self._sums.get(common)
        if sums is None:
            sums = self._sums[common] = [0, 0, 0, 0]
        sums[0] += 1
        if intent.charge_minor:
            sums[1] += 1
            sums[2] += intent.charge_minor
        if settled:
            sums[3] += 1

    def into(
        self,
        totals: MutableMapping[int, Totals],
        fill: Callable[[Cell, int, int], None],
        proofs: MutableMapping[ProofCell, ProofSum],
    ) -> None:
        """Add them to the sums of terminals, days (`fill`) and proofs."""
        for (terminal, day, route, currency, proof), (rides, paid, sum_minor, settled) in self._sums.items():
            totals[terminal].count_rides(rides, settled, currency, sum_minor)
            place = (day, terminal, route, "", What.RIDE, currency, CountState.COUNTED)
            fill((*place, ""), rides, 0)
            if paid:
                fill((*place, PURSE), paid, sum_minor)
            cell = (day, terminal, What.RIDE, currency, proof)
            proofs.setdefault(cell, ProofSum()).add(ProofSum(rides, sum_minor))
