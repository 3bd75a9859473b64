"""EV1 cards have no proof to give: the terminal serves them all the same, charges once and says that it had none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cardproto.resident.layout import AID, FILE_PURSE
from cardproto.resident.snapshot import CardSnapshot
from sim.card.files import ValueFile
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, corrupt, silence, tear_after, tear_before
from sim.faults import replace as answer_instead
from terminal.app.station import journal_key
from terminal.journal.records import Committed, Intent, SettledBy, parse_record
from terminal.journal.taps import End
from terminal.lab.town import Town
from tests.flows.conftest import FRONT, REAR, OpenTown
from tests.flows.test_torn_taps import Ledger, Writer, tears

WRITERS = (
    Writer("adult_purse_ev1", FRONT, REAR, 11, 2400),
    Writer("month_pass_ev1", FRONT, REAR, 10, 0),
)
TEARS = (tear_before, tear_after)
CASES = [
    pytest.param(writer, plan, moved, id=f"{writer.resident}-{plan.faults[0]}-{'moved' if moved else 'same'}")
    for writer in WRITERS
    for plan in tears(writer)
    for moved in ((False, True) if writer.charge_minor else (False,))
]


def records(town: Town, number: int) -> list[object]:
    return [parse_record(row.body) for row in town.terminals[number].journal.rows(0, 10_000)]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.resident)
def test_a_tap_commits_without_proof_and_says_so(town_of: OpenTown, writer: Writer) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        before_minor = town.purses_minor()
        report = town.tap(writer.first.number, writer.resident).report
        assert report.end is End.COMMITTED
        assert report.outcome.accepted
        assert report.exchanges == writer.exchanges
        assert before_minor - town.purses_minor() == writer.charge_minor
        kept = records(town, writer.first.number)
        (committed,) = [record for record in kept if isinstance(record, Committed)]
        assert (committed.tmc, committed.tmv, committed.how) == (None, b"", SettledBy.ANSWERED)
        (intent,) = [record for record in kept if isinstance(record, Intent)]
        assert 0x3B in [ins for ins, _, _ in intent.proof], "what was done, by the codes it was done with"
        town.clock.advance(3 * 3600)
        assert town.tap(writer.other.number, writer.resident).report.end is End.COMMITTED


@pytest.mark.parametrize(("writer", "plan", "moved"), CASES)
def test_torn_tap_is_charged_once_and_recorded(
    town_of: OpenTown, writer: Writer, plan: FaultPlan, moved: bool
) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        before_minor = town.purses_minor()
        torn = town.tap(writer.first.number, writer.resident, plan).report
        assert torn.end in (End.NOTHING_WRITTEN, End.NOT_COMMITTED, End.UNRESOLVED)
        assert not torn.outcome.accepted
        town.clock.advance(5)
        again = town.tap((writer.other if moved else writer.first).number, writer.resident).report
        assert again.outcome.accepted
        spent_minor = before_minor - town.purses_minor()
        ledger = Ledger.of(town)
        assert spent_minor == writer.charge_minor, "charged exactly once"
        assert sum(ledger.intents[tap].charge_minor for tap in ledger.written) == spent_minor
        assert len(ledger.written) == 1, "exactly one ride stands on record"


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.resident)
def test_unresolved_tap_survives_a_restart(town_of: OpenTown, writer: Writer) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        town.tap(writer.first.number, writer.resident, tear_after(writer.exchanges))
        journal = town.terminals[writer.first.number].journal
        (open_sequence, _), *more = journal.open_intents()
        assert not more
        journal.close()
        reopened = type(journal).open(journal.path, journal.terminal, key=journal_key(journal.path))
        town.terminals[writer.first.number].journal = reopened
        town.clock.advance(5)
        again = town.tap(writer.first.number, writer.resident).report
        assert (again.end, again.sequence) == (End.RECOVERED, open_sequence)
        assert again.outcome.accepted
        assert not reopened.open_intents()
        reopened.close()


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.resident)
def test_corrupted_commit_answer_is_settled_while_the_card_is_there(
    town_of: OpenTown, writer: Writer
) -> None:
    """The commit ran but its answer does not verify: the card is asked at once what it did."""
    with town_of(writer.resident, stops=writer.stops) as town:
        report = town.tap(writer.first.number, writer.resident, corrupt(writer.exchanges, 3)).report
        assert report.end is End.COMMITTED
        assert report.outcome.accepted
        assert len(Ledger.of(town).committed) == 1


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("exchange", [2, 5, 9, 10, 11])
def test_silence_at_any_exchange(town_of: OpenTown, exchange: int, executed: bool) -> None:
    with town_of("adult_purse_ev1") as town:
        before_minor = town.purses_minor()
        plan = silence(exchange, lasts_s=1.5, executed=executed)
        assert not town.tap(FRONT.number, "adult_purse_ev1", plan).report.outcome.accepted
        town.clock.advance(5)
        assert town.tap(FRONT.number, "adult_purse_ev1").report.outcome.accepted
        assert before_minor - town.purses_minor() == 2400


@pytest.mark.parametrize("exchange", range(1, 12))
def test_no_flipped_bit_is_a_ride_nobody_gave(town_of: OpenTown, exchange: int) -> None:
    with town_of("adult_purse_ev1") as town:
        before_minor = town.purses_minor()
        first = town.tap(FRONT.number, "adult_purse_ev1", corrupt(exchange, 7 * exchange)).report
        town.clock.advance(5)
        assert town.tap(FRONT.number, "adult_purse_ev1").report.outcome.accepted
        rides = 2 if first.outcome.accepted else 1
        assert before_minor - town.purses_minor() == 2400 * rides


def test_a_purse_that_contradicts_the_event_leaves_the_tap_open(town_of: OpenTown) -> None:
    """Two witnesses where there is no proof: when they disagree, nobody decides for them."""
    with town_of("adult_purse_ev1") as town:
        town.tap(FRONT.number, "adult_purse_ev1", tear_after(11))
        card = town.cards["adult_purse_ev1"]
        assert isinstance(card, VirtualCard)
        application = card.memory.applications[AID[::-1]]
        purse = application.files[FILE_PURSE]
        assert isinstance(purse, ValueFile)
        changed = application.with_file(replace(purse, value=purse.value + 100))
        card._state.memory = card.memory.with_application(changed)
        town.clock.advance(5)
        town.tap(FRONT.number, "adult_purse_ev1")
        assert len(town.terminals[FRONT.number].journal.open_intents()) >= 1


def test_nobody_talks_an_ev2_card_down_to_the_older_conversation(town_of: OpenTown) -> None:
    """Somebody in between answers "unknown command" to the EV2 authentication: nothing is written."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        before = town.cards["adult_purse"].image()
        report = town.tap(FRONT.number, "adult_purse", answer_instead(2, b"\x91\x1c")).report
        assert report.end is End.NOTHING_WRITTEN
        assert not report.outcome.accepted
        assert town.cards["adult_purse"].image() == before
        town.clock.advance(5)
        assert town.tap(FRONT.number, "adult_purse").report.outcome.accepted


@pytest.mark.parametrize(
    "plan", [tear_before(3), tear_after(4), tear_before(6), *(t(n) for n in (9, 10, 11) for t in TEARS)]
)
def test_random_uid_is_torn_like_any_other(town_of: OpenTown, plan: FaultPlan) -> None:
    with town_of("adult_purse_random_uid") as town:
        before_minor = town.purses_minor()
        town.tap(FRONT.number, "adult_purse_random_uid", plan)
        town.clock.advance(5)
        assert town.tap(REAR.number, "adult_purse_random_uid").report.outcome.accepted
        assert before_minor - town.purses_minor() == 2400


def test_a_random_uid_costs_three_exchanges_and_tells_nobody_who_taps(town_of: OpenTown) -> None:
    with town_of("adult_purse_random_uid", "adult_purse", stops=(FRONT,)) as town:
        plain = town.tap(FRONT.number, "adult_purse").report
        report = town.tap(FRONT.number, "adult_purse_random_uid").report
        assert report.end is End.COMMITTED
        assert isinstance(report.snapshot, CardSnapshot)
        assert report.snapshot.uid == town.cards["adult_purse_random_uid"].uid
        assert report.exchanges == plain.exchanges + 3
        card = town.cards["adult_purse_random_uid"]
        seen = set()
        for _ in range(4):
            card.power_on()
            seen.add(card.transmit(bytes.fromhex("FFCA000000")))
        assert len(seen) == 4
        (committed, *_) = [r for r in records(town, FRONT.number)[::-1] if isinstance(r, Committed)]
        assert committed.tmc is not None
