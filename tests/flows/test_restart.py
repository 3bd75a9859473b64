"""A card that lies on the reader while the terminal restarts is no new tap: it gets its answer again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import pytest
from msgspec import structs

from sim.faults import tear_after, tear_before
from terminal.app.station import journal_key
from terminal.decision.outcome import Outcome
from terminal.export.reports import shift_report
from terminal.journal.operation_records import AnswerRepeated
from terminal.journal.records import Intent, parse_record
from terminal.journal.taps import End
from terminal.lab.town import TerminalSite, Town
from terminal.tap import take_tap
from terminal.tap_report import TapReport
from tests.flows.conftest import FRONT, REAR, OpenTown
from tests.flows.test_torn_taps import WRITERS, Writer

Row = TypeVar("Row")
GUARDS_OVER_S = 400
"""Later than every guard of the demonstration's document against repeated taps, within the ten minutes."""


@dataclass
class Post:
    """One terminal of a town and what its passengers were shown."""

    town: Town
    site: TerminalSite
    shown: list[Outcome]

    @classmethod
    def of(cls, town: Town, site: TerminalSite) -> Post:
        post = cls(town, site, [])
        town.terminals[site.number].signal = post.shown.append
        return post

    def restart(self) -> None:
        """Close the journal and open it again, as a new process would; the reader is new to it, too."""
        terminal = self.town.terminals[self.site.number]
        journal = terminal.journal
        journal.close()
        terminal.journal = type(journal).open(journal.path, journal.terminal, key=journal_key(journal.path))

    def tap_of_what_lies_there(self, resident: str) -> TapReport:
        """The tap of a card found at the reader's first look."""
        reader, terminal = self.town.readers[self.site.number], self.town.terminals[self.site.number]
        reader.unplug()
        reader.present(self.town.cards[resident])
        reader.plug_in()
        connection = reader.wait_for_card(0)
        assert connection is not None
        assert reader.lay_there
        report = take_tap(connection, terminal, lay_there=reader.lay_there)
        reader.release()
        reader.remove()
        return report

    def rows(self, kind: type[Row]) -> list[Row]:
        rows = self.town.terminals[self.site.number].journal.rows(0, 10_000)
        return [record for row in rows if isinstance(record := parse_record(row.body), kind)]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.resident)
def test_the_answer_is_repeated_and_nothing_is_charged(town_of: OpenTown, writer: Writer) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        post = Post.of(town, writer.first)
        first = town.tap(writer.first.number, writer.resident).report
        card = town.cards[writer.resident].image()
        for _ in range(2):
            post.restart()
            town.clock.advance(GUARDS_OVER_S / 2)
            again = post.tap_of_what_lies_there(writer.resident)
            assert (again.end, again.sequence) == (End.REPEATED, first.sequence)
            assert again.outcome == structs.replace(first.outcome, charge_minor=0)
        assert post.shown == [first.outcome, again.outcome, again.outcome]
        assert town.cards[writer.resident].image() == card
        assert len(post.rows(Intent)) == 1
        assert [row.intent for row in post.rows(AnswerRepeated)] == [first.sequence] * 2


def test_reports_count_no_second_tap(town_of: OpenTown) -> None:
    with town_of("adult_purse") as town:
        post = Post.of(town, FRONT)
        town.tap(FRONT.number, "adult_purse")
        post.restart()
        post.tap_of_what_lies_there("adult_purse")
        journal = town.terminals[FRONT.number].journal
        rows = [(row.sequence, parse_record(row.body)) for row in journal.rows(0, 100)]
        (shift,) = shift_report(FRONT.number, rows)
        assert (shift.taps, shift.accepted, shift.amount_minor) == (1, 1, 2400)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.resident)
def test_a_commit_whose_end_was_not_recorded_is_settled(town_of: OpenTown, writer: Writer) -> None:
    """Torn after the card had it: as if the process was killed between commit and record."""
    with town_of(writer.resident, stops=writer.stops) as town:
        post = Post.of(town, writer.first)
        before_minor = town.purses_minor()
        torn = town.tap(writer.first.number, writer.resident, tear_after(writer.exchanges)).report
        assert torn.end is End.UNRESOLVED
        for end in (End.RECOVERED, End.REPEATED):
            post.restart()
            town.clock.advance(GUARDS_OVER_S / 2)
            again = post.tap_of_what_lies_there(writer.resident)
            assert (again.end, again.sequence, again.outcome.accepted) == (end, torn.sequence, True)
        assert before_minor - town.purses_minor() == writer.charge_minor


def test_a_card_that_was_not_written_is_a_new_tap(town_of: OpenTown) -> None:
    (writer,) = [writer for writer in WRITERS if writer.resident == "adult_purse"]
    with town_of(writer.resident) as town:
        post = Post.of(town, FRONT)
        town.tap(FRONT.number, writer.resident, tear_before(writer.exchanges))
        post.restart()
        again = post.tap_of_what_lies_there(writer.resident)
        assert (again.end, again.outcome.charge_minor) == (End.COMMITTED, 2400)


@pytest.mark.parametrize(
    "between",
    ["it left and came back", "another card rode", "it rode elsewhere", "ten minutes passed"],
)
def test_anything_else_is_a_new_tap(town_of: OpenTown, between: str) -> None:
    with town_of("adult_purse", "student_half_price") as town:
        post = Post.of(town, FRONT)
        town.tap(FRONT.number, "adult_purse")
        town.clock.advance(GUARDS_OVER_S)
        if between == "another card rode":
            town.tap(FRONT.number, "student_half_price")
        if between == "it rode elsewhere":
            assert town.tap(REAR.number, "adult_purse").report.end is End.COMMITTED
            town.clock.advance(100)
        if between == "ten minutes passed":
            town.clock.advance(601 - GUARDS_OVER_S)
        post.restart()
        if between == "it left and came back":
            report = town.tap(FRONT.number, "adult_purse").report
        else:
            report = post.tap_of_what_lies_there("adult_purse")
        assert (report.end, report.outcome.charge_minor) == (End.COMMITTED, 2400)
        assert not post.rows(AnswerRepeated)


def test_the_last_card_is_known_after_all_rows_have_left(town_of: OpenTown) -> None:
    with town_of("adult_purse") as town:
        post = Post.of(town, FRONT)
        assert town.tap(FRONT.number, "adult_purse").report.end is End.COMMITTED
        journal = town.terminals[FRONT.number].journal
        journal.acknowledge(*journal.head, at_ms=0)
        assert journal.purge(keep_ms=0, now_ms=10**15)
        post.restart()
        assert post.tap_of_what_lies_there("adult_purse").end is End.REPEATED


def test_a_passage_is_owed_to_its_own_card_and_no_longer_than_a_retap(town_of: OpenTown) -> None:
    """ADR 48: later its holder is on another ride."""
    with town_of("adult_purse", "student_half_price", stops=(FRONT,)) as town:
        terminal = town.terminals[FRONT.number]
        town.tap(FRONT.number, "adult_purse")
        terminal.owed = terminal.journal.last_intent
        assert town.tap(FRONT.number, "student_half_price").report.end is End.COMMITTED
        retap_s, ends = terminal.policy.document.guards.retap_s, []
        for seconds in (retap_s, 1):
            town.clock.advance(seconds)
            ends.append(town.tap(FRONT.number, "adult_purse").report.end is End.REPEATED)
        assert ends == [True, False]
