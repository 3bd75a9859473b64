"""One flipped bit anywhere between reader and card: nothing changes unnoticed. Every position of a purse tap."""

from __future__ import annotations

from collections import Counter

import pytest

from sim.card.virtual import VirtualCard
from terminal.collector.proof import Proof
from terminal.journal.taps import End
from terminal.lab.world import rights_on
from tests.attacks.between import Between, Bystander, flip_at, reconciled
from tests.flows.conftest import FRONT, OpenTown


@pytest.mark.parametrize("towards", ["command", "answer"])
def test_every_bit_of_a_purse_tap(town_of: OpenTown, towards: str) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        terminal = town.terminals[FRONT.number]
        fresh = town.cards["adult_purse"]
        assert isinstance(fresh, VirtualCard)
        undisturbed = Between(fresh.clone())
        bystander = Bystander(terminal)
        reports = [bystander.attacked_tap(undisturbed.card, undisturbed)]  # type: ignore[arg-type]
        lengths = [len(pair[towards == "answer"]) for pair in undisturbed.said]
        assert (len(lengths), reports[0].end) == (9, End.COMMITTED)
        for exchange, length in enumerate(lengths):
            for bit in range(8 * length):
                card = fresh.clone()
                between = Between(card, **{towards: flip_at(exchange, bit)})
                reports.append(bystander.attacked_tap(card, between))
                assert rights_on(card) == rights_on(fresh)
        ends = Counter(report.outcome.accepted for report in reports)
        assert sum(ends.values()) == 1 + 8 * sum(lengths)
        assert sum(map(len, (message for pair in undisturbed.said for message in pair))) * 8 == 3280, (
            "docs/security.md states it"
        )
        totals = reconciled(town, reports, fresh).total
        assert totals.charged_in("RUB") == 2400 * ends[True]
        assert (totals.proven(Proof.FAILED), totals.unresolved_open) == (0, 0)
