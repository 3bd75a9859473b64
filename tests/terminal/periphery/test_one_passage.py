"""ADR 48: a barrier opens for a tap that was written here and let in, and for nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from terminal.app.periphery import opens_barrier
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.journal.taps import End
from terminal.tap_report import TapReport


def report(end: End, admission: Admission, sequence: int | None) -> TapReport:
    at = datetime(2026, 9, 15, tzinfo=UTC)
    return TapReport(Outcome(Message.OK_PAID, admission), end, at, 7, 300, "RUB", sequence=sequence)


OPENING = {(End.COMMITTED, Admission.LET_IN), (End.RECOVERED, Admission.LET_IN)}


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("admission", Admission)
def test_only_what_was_written_here_and_let_in_opens(end: End, admission: Admission) -> None:
    assert opens_barrier(report(end, admission, 7)) is ((end, admission) in OPENING)


@pytest.mark.parametrize("end", End)
def test_an_answer_without_a_row_of_ours_opens_nothing(end: End) -> None:
    """A rider who paid at the other door is let in there, by the message alone."""
    assert not opens_barrier(report(end, Admission.LET_IN, None))
