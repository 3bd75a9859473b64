"""The fold of intents and their outcomes over every order of rows that a journal can hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.codes import Admission, ReaderFault, TicketKind
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Fault,
    Intent,
    NotCommitted,
    SettledBy,
    Unresolved,
    UnresolvedCause,
    Unwritten,
)
from terminal.journal.taps import End, Intents, JournalTap, taps
from tests.terminal.journal.samples import INTENT, REFUSED

TERMINAL = 7
SALE = CashSale(INTENT.at_ms, 2, 1, 7, 0, 3, 9600, "demo:1")
ENDS = {Committed: End.COMMITTED, NotCommitted: End.NOT_COMMITTED}
Rows = list[tuple[int, AnyRecord]]


def word(kind: str, about: int, at_ms: int) -> AnyRecord:
    match kind:
        case "committed":
            return Committed(at_ms, about, None, b"", SettledBy.RECOVERED)
        case "not committed":
            return NotCommitted(at_ms, about, SettledBy.ANSWERED)
        case _:
            return Unresolved(at_ms, about, UnresolvedCause.TIMEOUT)


@st.composite
def journals(draw: st.DrawFn) -> Rows:
    """Rows as terminals write them and as damaged hands might: any kind in any order, words on earlier rows only, some
    on rows that are no intent, some a second time; then the beginning purged and the end cut.
    """
    rows: Rows = []
    kinds = [
        "intent",
        "intent",
        "committed",
        "committed",
        "not committed",
        "unresolved",
        "refused",
        "sale",
        "fault",
    ]
    for sequence, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=40)), start=1):
        at_ms = INTENT.at_ms + draw(st.integers(-5, 5))  # clocks go back
        match kind:
            case "intent":
                charge_minor = draw(st.integers(0, 5000))
                rows.append(
                    (sequence, msgspec.structs.replace(INTENT, at_ms=at_ms, charge_minor=charge_minor))
                )
            case "refused":
                admission = draw(st.sampled_from(Admission))
                rows.append((sequence, msgspec.structs.replace(REFUSED, admission=admission)))
            case "sale":
                rows.append((sequence, SALE))
            case "fault":
                rows.append((sequence, Fault(at_ms, ReaderFault.GONE)))
            case _:
                rows.append((sequence, word(kind, draw(st.integers(0, sequence - 1)), at_ms)))
    first = draw(st.integers(0, len(rows)))
    return rows[first : draw(st.integers(first, len(rows)))]


def ends_looked_up(rows: Rows) -> dict[int, End]:
    """The end of every tap and sale, found the slow way: by looking for the first word on it."""
    found = {}
    for sequence, record in rows:
        if isinstance(record, Intent):
            words = (
                ENDS[type(later)]
                for number, later in rows
                if number > sequence
                and isinstance(later, Committed | NotCommitted)
                and later.intent == sequence
            )
            found[sequence] = next(words, End.UNRESOLVED)
        elif isinstance(record, Unwritten):
            found[sequence] = End.NOTHING_WRITTEN
        elif isinstance(record, CashSale):
            found[sequence] = End.SOLD
    return found


def folded(rows: Rows) -> tuple[Intents, list[tuple[int, int, End]]]:
    intents, settled = Intents(), []
    for sequence, record in rows:
        if (known := intents.take(sequence, record)) is not None:
            settled.append((known.sequence, known.by, known.end))
    return intents, settled


@given(journals())
def test_every_tap_is_told_once_with_its_end(rows: Rows) -> None:
    found = list(taps(TERMINAL, rows))
    assert len({tap.sequence for tap in found}) == len(found)
    assert {tap.sequence: tap.end for tap in found} == ends_looked_up(rows)
    by_row = dict(rows)
    assert all(tap.record is by_row[tap.sequence] and tap.terminal == TERMINAL for tap in found)


@given(journals())
def test_money_is_that_of_committed_intents_and_sales(rows: Rows) -> None:
    ends = ends_looked_up(rows)
    charged = sum(
        one.charge_minor for row, one in rows if isinstance(one, Intent) and ends[row] is End.COMMITTED
    )
    sold = sum(one.sum_minor for _, one in rows if isinstance(one, CashSale))
    assert sum(tap.charge_minor for tap in taps(TERMINAL, rows)) == charged + sold


@given(journals())
def test_taps_come_when_their_end_is_known_and_open_ones_last(rows: Rows) -> None:
    told_at: dict[int, int] = {}
    for length in range(len(rows) + 1):
        for tap in taps(TERMINAL, rows[:length]):
            if tap.end is not End.UNRESOLVED:
                told_at.setdefault(tap.sequence, length)
    found = list(taps(TERMINAL, rows))
    closed = [tap.sequence for tap in found if tap.end is not End.UNRESOLVED]
    assert closed == sorted(closed, key=told_at.__getitem__)
    still_open = [tap.sequence for tap in found if tap.end is End.UNRESOLVED]
    assert [tap.sequence for tap in found] == closed + sorted(still_open)


@given(journals())
def test_what_is_settled_and_what_is_open_are_all_intents(rows: Rows) -> None:
    intents, settled = folded(rows)
    by_row = dict(rows)
    assert sorted([row for row, _, _ in settled] + [row for row, _ in intents.open()]) == [
        row for row, record in rows if isinstance(record, Intent)
    ]
    assert len(intents) == len(intents.open())
    assert all(intents[row] is record is by_row[row] for row, record in intents.open())
    for row, by, end in settled:
        said = by_row[by]
        assert isinstance(said, Committed | NotCommitted)
        assert (said.intent, ENDS[type(said)]) == (row, end)


@given(journals(), st.data())
def test_it_goes_on_from_where_it_stopped(rows: Rows, data: st.DataObject) -> None:
    """A restart begins with the open intents alone and comes to the same."""
    cut = data.draw(st.integers(0, len(rows)))
    before, settled = folded(rows[:cut])
    after, later = folded([*before.open(), *rows[cut:]])
    whole, all_settled = folded(rows)
    assert settled + later == all_settled
    assert after.open() == whole.open()


@given(journals(), st.sampled_from([End.COMMITTED, End.NOT_COMMITTED, End.UNRESOLVED]))
def test_ends_known_elsewhere_are_for_open_intents_only(rows: Rows, elsewhere: End) -> None:
    known = {row: elsewhere for row, _ in rows}
    ends = {row: elsewhere if end is End.UNRESOLVED else end for row, end in ends_looked_up(rows).items()}
    assert {tap.sequence: tap.end for tap in taps(TERMINAL, rows, known)} == ends


@pytest.mark.parametrize("gone", [0, 3, 99])
def test_a_word_on_an_intent_that_is_not_there_is_passed_over(gone: int) -> None:
    rows: Rows = [(1, INTENT), (2, word("committed", gone, 0)), (4, word("not committed", gone, 0))]
    assert list(taps(TERMINAL, rows)) == [JournalTap(TERMINAL, 1, INTENT, End.UNRESOLVED)]


def test_the_first_word_counts_and_unresolved_is_none() -> None:
    words = [word("unresolved", 1, 0), word("not committed", 1, 5), word("committed", 1, 9)]
    rows: Rows = [(1, INTENT), *enumerate(words, start=2)]
    assert [tap.end for tap in taps(TERMINAL, rows)] == [End.NOT_COMMITTED]
    intents = Intents()
    told = [intents.take(sequence, record) for sequence, record in rows]
    assert [one is not None for one in told] == [False, False, True, False]
    assert told[2] is not None
    assert (told[2].sequence, told[2].by, told[2].word.at_ms, told[2].word.how) == (
        1,
        3,
        5,
        SettledBy.ANSWERED,
    )


def test_who_rode_on_a_ticket_is_none_once_it_was_taken_back_and_no_luggage() -> None:
    sale = CashSale(0, 1, 1, 7, 0, 4, 12_800, "demo:1")
    luggage = msgspec.structs.replace(sale, ticket=TicketKind.LUGGAGE)
    ends = ((sale, End.SOLD), (sale, End.CANCELLED), (luggage, End.SOLD))
    found = [JournalTap(7, 1, record, end) for record, end in ends]
    assert [(tap.riders, tap.charge_minor) for tap in found] == [(4, 12_800), (0, 0), (0, 12_800)]
