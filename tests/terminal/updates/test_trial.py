"""When a document on trial is taken back, and what is left of that after a power cut (O-12)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal.codes import Admission, ReturnCause, SetKind
from terminal.decision.outcome import Message
from terminal.decision.refusals import CAUSED, OTHER_CAUSES, UNDECIDED
from terminal.journal.journal import Journal
from terminal.journal.operation_records import SetActivated, SetReturned
from terminal.journal.records import Unwritten, parse_record
from terminal.trail import TrailEntry
from terminal.updates.active import ActiveSet
from terminal.updates.held import Trial
from terminal.updates.store import KeptCounts
from terminal.updates.trial import DAY_MS, MOST_CARDS, TapCount, TapCounts, refuses_too_many
from tests.terminal.updates.published import offered, opened, region

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACCEPTED = {
    one for one in Message if one.value.startswith(("ok_", "discount", "permit_ok", "staff", "meal_ok"))
}
ANSWERS = {Message.ALREADY_PAID, Message.CLOCK_CONFIRMED}
"""Of a second tap, and of a service card."""


@pytest.mark.parametrize(
    ("new", "before", "back"),
    [
        ((199, 199), (1000, 0), False),
        ((200, 10), (1000, 0), True),
        ((200, 9), (1000, 0), False),
        ((200, 30), (1000, 50), True),
        ((200, 29), (1000, 50), False),
        ((200, 30), (0, 0), True),
        ((200, 29), (0, 0), False),
        ((200, 10), (199, 0), False),
        ((200, 30), (199, 9), True),
        ((200, 30), (199, 10), False),
        ((10_000, 500), (10_000, 167), False),
    ],
)
def test_the_rule(new: tuple[int, int], before: tuple[int, int], *, back: bool) -> None:
    assert refuses_too_many(TapCount(*new), TapCount(*before)) is back


def test_every_message_is_a_refusal_that_a_tariff_can_cause_or_is_none() -> None:
    groups = (set(CAUSED), set(OTHER_CAUSES), set(UNDECIDED), ACCEPTED, ANSWERS)
    assert set().union(*groups) == set(Message)
    assert sum(map(len, groups)) == len(Message), "in one of them"


def refusal(card: int | None, day: int = 0, edition: str = "demo:2") -> Unwritten:
    reference = None if card is None else card.to_bytes(8)
    said = (
        reference,
        "bus",
        1,
        Message.NO_FUNDS,
        Admission.REFUSED,
        edition,
        (TrailEntry("t-34:no_funds"),),
        0,
        0,
    )
    return Unwritten(day * DAY_MS, *said)


def test_a_card_counts_once_a_day_and_three_times_against_a_document_on_trial() -> None:
    counts = TapCounts(KeptCounts({}, {}, 0))
    for row, day in enumerate(day for day in range(20) for _ in range(300)):
        counts.take(row, refusal(77, day))
    assert counts.of("demo:2") == TapCount(20, 20)
    counts.keep(["demo:2"], "demo:2")
    assert (counts.of("demo:2"), counts.on_trial("demo:2")) == (TapCount(14, 14), TapCount(3, 3))
    again = TapCounts(counts.kept)
    assert again.on_trial("demo:2") == TapCount(3, 3), "also after a restart"
    assert not again.take(6000, refusal(77, 19))
    assert again.take(6001, refusal(78, 19))
    assert again.take(6002, refusal(None, 19))
    assert not again.take(6003, refusal(None, 19)), "all without a reference are one"
    again.keep(["demo:2"])
    assert all(card.day == 19 for card in again.kept.cards.values()), (
        "a trial is over: its cards are forgotten"
    )
    assert again.take(6004, refusal(77, 19, "demo:3")), "of each document apart"


def test_refused_cards_are_remembered_in_bounded_room() -> None:
    counts = TapCounts(KeptCounts({}, {}, 0))
    for number in range(3 * MOST_CARDS):
        assert counts.take(number, refusal(number))
    assert len(counts.kept.cards) == MOST_CARDS
    assert not counts.take(0, refusal(3 * MOST_CARDS - 1))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.open(tmp_path / "journal.db", 7)
    yield made
    made.close()


def on_trial(folder: Path, journal: Journal, *versions: int) -> ActiveSet:
    """Version 1 for good, then these on trial."""
    active = opened(folder)
    for version in (1, *versions):
        content = region(version, trial_days=7 if version > 1 else 0)
        assert offered(active, SetKind.REGION, content, NOW) == ""
        active.activate(active.due(NOW), NOW, journal)
    return active


def row_of(trial: Trial) -> SetReturned:
    held, before = trial.held, trial.before
    back = before.version, before.sha256
    return SetReturned(0, held.id, held.version, held.sha256, ReturnCause.FAILED, *back, 0, 0, 0, 0)


def in_force(active: ActiveSet) -> int:
    held = active.status_of(SetKind.REGION).in_force
    return 0 if held is None else held.version


def test_what_is_before_the_trial_stays_through_a_second_one(tmp_path: Path, journal: Journal) -> None:
    """Two versions on trial, one after the other: back to the one that is for good, also after a restart."""
    on_trial(tmp_path / "state", journal, 2, 3).close()
    active = opened(tmp_path / "state")
    active.sweep()
    trial = active.trial(SetKind.REGION)
    assert trial is not None
    assert (trial.held.version, trial.before.version) == (3, 1)
    active.take_back(trial, NOW, journal, lambda _at_ms: row_of(trial))
    assert in_force(active) == 1
    assert offered(active, SetKind.REGION, region(3, trial_days=7), NOW) == "update:taken_back"
    assert offered(active, SetKind.REGION, region(2, trial_days=7), NOW) == "update:older"
    assert offered(active, SetKind.REGION, region(4), NOW) == ""
    active.close()


def test_a_power_cut_between_journal_and_rows_is_finished_at_the_next_start(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = on_trial(tmp_path / "state", journal, 2)
    trial = active.trial(SetKind.REGION)
    assert trial is not None
    with monkeypatch.context() as cut:
        cut.setattr(active, "_put_back", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            active.take_back(trial, NOW, journal, lambda _at_ms: row_of(trial))
    active.close()
    active = opened(tmp_path / "state")
    assert in_force(active) == 2
    assert active.resume(journal, NOW + timedelta(minutes=1), trusted=True) == (SetKind.REGION,)
    assert in_force(active) == 1
    assert active.trial(SetKind.REGION) is None
    records = [parse_record(row.body) for row in journal.rows()]
    assert [one.version for one in records if isinstance(one, SetActivated)] == [1, 2, 1]
    active.close()


def test_a_version_taken_back_stays_out_when_the_rows_are_lost(tmp_path: Path, journal: Journal) -> None:
    """Its floor has no hash: a lost slot of it may not be published again."""
    active = on_trial(tmp_path / "state", journal, 2)
    trial = active.trial(SetKind.REGION)
    assert trial is not None
    active.take_back(trial, NOW, journal, lambda _at_ms: row_of(trial))
    active.close()
    (tmp_path / "state/active.db").unlink()
    active = opened(tmp_path / "state")
    assert offered(active, SetKind.REGION, region(2, trial_days=7), NOW) == "update:changed"
    assert offered(active, SetKind.REGION, region(3), NOW) == ""
    active.close()


def test_what_is_confirmed_is_on_trial_no_longer(tmp_path: Path, journal: Journal) -> None:
    active = on_trial(tmp_path / "state", journal, 2)
    active.confirm(SetKind.REGION)
    active.close()
    active = opened(tmp_path / "state")
    assert (in_force(active), active.trial(SetKind.REGION)) == (2, None)
    active.close()
