"""What is said of a row that cannot be decided again, or names another document: never that it was recomputed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cardproto.desfire.commands import INS_READ_DATA_NATIVE
from terminal.clock import from_unix_ms
from terminal.decision.outcome import GRANTS
from terminal.decision.recompute import Deviation, RecomputeGap
from terminal.journal.records import CashSale
from terminal.recompute.rows import Verdict, VerdictKind, by_ev1, list_named, moment_of, verdict_of
from tests.terminal.decision.rider import DEMO
from tests.terminal.journal.samples import INTENT, intent, refused

CASH = CashSale(
    at_ms=INTENT.at_ms,
    shift=1,
    turn=1,
    route=7,
    direction=0,
    persons=1,
    sum_minor=3200,
    tariff="demo:1",
    reasons=(),
    trip={},
    currency="RUB",
)


@pytest.mark.parametrize("tariff", ["demo:2", "demo:10", "demo", "other:1", "", "demo:1 "])
@pytest.mark.parametrize("kind", ["tap", "refusal", "sale"])
def test_a_row_of_another_document_or_version_differs_in_that_alone(tariff: str, kind: str) -> None:
    row: Any = {
        "tap": intent(tariff=tariff),
        "refusal": refused(tariff=tariff),
        "sale": replace(CASH, tariff=tariff),
    }[kind]
    deviations = (Deviation("tariff", tariff, "demo:1"),)
    assert verdict_of(7, 1, row, DEMO) == Verdict(VerdictKind.DIFFERING, deviations=deviations)


def test_what_does_not_follow_is_differing_and_what_cannot_be_made_again_unproven() -> None:
    assert verdict_of(7, 1, CASH, DEMO).kind is VerdictKind.DIFFERING
    timeless = verdict_of(7, 1, replace(CASH, at_ms=10**17), DEMO)
    assert (timeless.kind, timeless.reason) == (VerdictKind.UNPROVEN, RecomputeGap.TIME)
    nothing = verdict_of(7, 1, refused(), DEMO)
    assert (nothing.kind, nothing.reason) == (VerdictKind.UNPROVEN, RecomputeGap.NOTHING_READ)
    assert (nothing.needs, bool(nothing.says)) == ("", True)


def test_a_row_names_the_list_it_goes_by_and_what_read_the_card() -> None:
    assert list_named(intent(lists={GRANTS: "5:0a1b"})) == "0a1b"
    assert list_named(refused(lists={GRANTS: "5:0a1b"})) == "0a1b"
    assert list_named(intent()) == list_named(CASH) == ""
    assert not by_ev1(intent())
    assert by_ev1(intent(proof=(*INTENT.proof, (INS_READ_DATA_NATIVE, b"", b""))))
    assert not by_ev1(intent(proof=()))
    assert moment_of(CASH) == from_unix_ms(INTENT.at_ms)
