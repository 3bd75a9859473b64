"""Each alarm, from what a terminal sends (or does not send) to what an operator reads and deals with."""

from __future__ import annotations

from pathlib import Path
from string import Formatter

import pytest

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.codes import ReaderFault
from terminal.collector.alarm_words import KIND_NAMES
from terminal.collector.alarms import (
    CAUSES,
    MOST_OPEN,
    Alarm,
    AlarmCause,
    AlarmKind,
    acknowledge,
    detail_of,
    detail_words,
)
from terminal.collector.days import By
from terminal.collector.proof import Proof
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.collector.watch import watch
from terminal.journal.canteen_records import MealLine, MealServed, ServedBy
from terminal.journal.records import (
    Committed,
    Fault,
    Intent,
    NotCommitted,
    SettledBy,
    Started,
    Unresolved,
    UnresolvedCause,
)
from tests.journal_rows import CODE
from tests.terminal.collector.office import Terminal, Town
from tests.terminal.journal.samples import CARD, INTENT, committed, fitting, intent, refused

HOUR_MS = 3_600_000
UID, TMK = bytes.fromhex("04a1b2c3d4e5f6"), bytes(range(16))


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    yield made
    made.close()


def ride(terminal: Terminal, **changes) -> int:
    """A ride of unknown end; return its row."""
    about = len(terminal.bodies) + 1
    unknown = Unresolved(INTENT.at_ms, about, UnresolvedCause.CARD_GONE)
    return terminal.write(intent(**changes), unknown) - 1


def test_same_row_with_another_hash_gap_and_stranger(town):
    seven, forger, stranger = town.terminal(7), Terminal(7, town.clock), Terminal(9, town.clock)
    seven.write(*[Started(INTENT.at_ms, f"{n}") for n in range(4)])
    forger.key = seven.key
    forger.write(*[Started(INTENT.at_ms, f"forged {n}") for n in range(4)])
    stranger.write(Started(INTENT.at_ms, "x"))
    take = town.collector.intake.take
    assert take(seven.batch(1, 2)).status == 200
    assert take(forger.batch(1, 2)).status == 409
    assert take(seven.batch(4, 4)).status == 409
    assert take(stranger.batch(1, 1)).status == 403
    forger.key = stranger.key
    assert take(forger.batch(1, 2)).status == 403
    assert sorted(kind for kind, _, _ in town.alarms()) == ["gap", "other_hash"]
    assert sorted(kind for kind, *_ in town.strangers()) == ["bad_signature", "unknown_terminal"]


def test_each_doubt_of_a_terminals_clock_is_an_alarm_and_its_end_is_none(town):
    seven = town.terminal(7)
    doubts = [("jumped", "jump_s", 7200), ("behind", "behind_s", 900), ("ahead", "ahead_days", 31)]
    seven.write(*[Fault(INTENT.at_ms, f"clock:{code}", {name: value}) for code, name, value in doubts])
    hostile = {"off_s": 90_000, "fault": "x y", "cause": 1, "row": "9 9"}
    seven.write(Fault(INTENT.at_ms, "clock:disagrees", hostile), Fault(INTENT.at_ms, "clock:works"))
    town.send(seven)
    details = {"clock_fault fault=clock:disagrees off_s=90000"}
    details |= {f"clock_fault fault=clock:{code} {name}={value}" for code, name, value in doubts}
    assert set(town.details()) == details
    assert {alarm[0] for alarm in town.alarms()} == {"clock"}
    (jumped,) = [detail for detail in details if "jumped" in detail]
    assert detail_words(jumped) == "Clock jumped by 7200 s"


def test_a_revoked_terminal_is_said_to_be_revoked(town):
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "x"))
    assert town.collector.enrolment.revoke(7, town.clock.now_ms)
    assert town.send(seven) == 403
    assert town.strangers() == [("unknown_terminal", "", 7, AlarmCause.REVOKED, 1)]


@pytest.mark.parametrize(
    ("records", "sent_ms", "doubt"),
    [
        ([Started(INTENT.at_ms + HOUR_MS, "x")], 0, AlarmCause.DATED_AHEAD),
        ([Started(INTENT.at_ms - 40 * 24 * HOUR_MS, "x")], 0, AlarmCause.DATED_LONG_AGO),
        ([Started(INTENT.at_ms, "x"), Started(INTENT.at_ms - HOUR_MS // 2, "x")], 0, AlarmCause.WENT_BACK),
        ([Started(INTENT.at_ms, "x")], HOUR_MS, AlarmCause.CLOCK_AHEAD),
        ([Started(INTENT.at_ms, "x")], -HOUR_MS, AlarmCause.CLOCK_BEHIND),
        ([refused(flags=("clock_suspect",))], 0, AlarmCause.DOUBTED),
    ],
)
def test_o_05_a_suspicious_clock_once_a_day(town, records, sent_ms, doubt):
    seven = town.terminal(7)
    for _ in range(2):
        seven.write(*records)
        assert town.send(seven, town.clock.now_ms + sent_ms) == 200
    assert {kind for kind, _, _ in town.alarms()} == {"clock"}
    assert len([detail for detail in town.details() if detail.startswith(doubt)]) == 1


def test_o_05_a_class_list_of_a_clock_in_doubt_is_an_alarm_as_a_tap_is(town):
    meal = MealLine("12", "5a", "lunch", "2026-02-02", {"regional": 9_000}, "region", ("clock_suspect",))
    seven = town.terminal(7)
    seven.write(MealServed(INTENT.at_ms, CARD, 1, ServedBy.CLASS_LIST, "17", meal, "demo:1"))
    assert town.send(seven, town.clock.now_ms) == 200
    assert [detail.split()[0] for detail in town.details()] == [AlarmCause.DOUBTED]


def test_o_05_a_clock_within_limits_and_a_journal_that_comes_late_are_no_alarm(town):
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "x"), Started(INTENT.at_ms - 4 * 60_000, "x"))
    town.clock.move(days=5)
    assert town.send(seven, town.clock.now_ms - 4 * 60_000) == 200
    assert town.alarms() == []


def met(terminal: int, sequence: int, flag: str = "period_ahead") -> Intent:
    """The row of a tap that met a card whose newest event is `sequence` of `terminal`, and ahead."""
    return intent(prev_terminal=terminal, prev_sequence=sequence, flags=(flag,))


def test_o_05_cards_that_were_put_ahead_are_followed_back_to_the_terminal_that_did_it(town):
    wrong, seven, eight = town.terminal(5), town.terminal(7), town.terminal(8)
    wrong.write(intent())
    seven.write(met(5, 1))
    eight.write(met(7, 1), met(8, 1, "period_lowered"), met(7, 1))
    for terminal in (wrong, seven, eight):
        assert town.send(terminal) == 200
    assert town.alarms() == [("clock", 5, 0)], "once, however many cards and terminals"
    (detail,) = town.details()
    assert detail.startswith(AlarmCause.CARDS_AHEAD)


def test_o_05_rows_that_have_not_come_end_the_chain_and_made_up_numbers_make_no_alarm_of_their_own(town):
    wrong, seven = town.terminal(5), town.terminal(7)
    wrong.write(intent())
    assert town.send(wrong) == 200
    seven.write(met(5, 99), *(met(number, 1) for number in range(1000, 1040)), met(7, 300))
    assert town.send(seven) == 200
    assert sorted(town.alarms()) == [("clock", 0, 0), ("clock", 5, 0), ("clock", 7, 0)]


def proven(tmc: int, terminal: int = 7, **changes) -> tuple[Intent, bytes]:
    record = fitting(intent(**changes), terminal, 1)
    commands = (DataCommand(*command) for command in record.proof)
    return record, transaction_mac_value(AesKey(TMK), UID, tmc, tmi(commands))


def test_the_cards_own_proof_and_its_counter(tmp_path):
    registry = tmp_path / "cards.json"
    write_registry(registry, [RegisteredCard(ref, UID, TMK) for ref in (CARD, b"school")])
    town = Town(tmp_path / "collector", registry=registry)
    seven, eight = town.terminal(7), town.terminal(8)
    record, value = proven(5)
    seven.write(record, committed(1, tmc=5, tmv=value), intent(turn=2), committed(3, tmc=6, tmv=bytes(8)))
    town.send(seven)
    assert town.alarms() == [("tmv_mismatch", 7, 3)]
    record, value = proven(5, 8, card_ref=b"school", prev_terminal=7, prev_sequence=3)
    eight.write(record)
    town.send(eight)
    eight.write(Committed(INTENT.at_ms, 1, 5, value, SettledBy.ANSWERED))
    town.send(eight)
    assert town.alarms()[1:] == [("tmc_twice", 8, 1)]
    assert "counter_twice counter=5 row=1 terminal=7" in town.details()
    assert town.collector.books.totals()[7].proven(Proof.PROVEN) == 1
    town.close()


def test_a_terminal_that_denies_what_the_card_shows(town):
    seven, eight = town.terminal(7), town.terminal(8)
    seven.write(intent(), NotCommitted(INTENT.at_ms, 1, SettledBy.ANSWERED))
    eight.write(refused(prev_terminal=7, prev_sequence=1))
    assert (town.send(eight), town.send(seven)) == (200, 200)
    assert town.alarms() == [("contradiction", 7, 1)]


def served(at_ms: int, pupil: bytes = CARD) -> MealServed:
    meal = MealLine("12", "5a", "lunch", "2026-02-02", {"regional": 9_000, "parents": 1_500}, "region")
    return MealServed(at_ms, pupil, 1, ServedBy.CLASS_LIST, "17", meal, "demo:1")


@pytest.mark.parametrize("first_sent", [7, 8])
def test_o_08_the_later_of_two_meals_is_marked_and_charged_to_nobody(town, first_sent):
    early, late = town.terminal(7), town.terminal(8)
    early.write(served(INTENT.at_ms))
    late.write(served(INTENT.at_ms + 1), served(INTENT.at_ms + 2, b"another pupil"))
    for terminal in sorted([early, late], key=lambda each: each.number != first_sent):
        town.send(terminal)
    assert town.alarms() == [("duplicate_entitlement", 8, 1)]
    assert len(list(town.collector.store.records())) == 3, "both records are kept"
    sums = {line.name: line for line in town.collector.books.day("2026-02-02", By.FUNDER)}
    assert (sums["parents"].counted_minor, sums["parents"].duplicate_minor) == (3_000, 1_500)
    assert (sums["regional"].counted_minor, sums["regional"].duplicate_minor) == (18_000, 9_000)
    by_terminal = {line.name: line for line in town.collector.books.day("2026-02-02", By.TERMINAL)}
    assert (by_terminal["8"].meals, by_terminal["8"].duplicates) == (1, 1)


def test_o_08_two_cards_of_one_pupil_are_one_portion_and_two_cards_of_two_are_two(town):
    """By taps: each card wrote its own meal, and only the second of one person is a duplicate."""
    meal = served(0).meal
    early, late = town.terminal(7), town.terminal(8)
    for terminal, card, person, at_ms in (
        (early, b"the card", b"a pupil", 0),
        (late, b"the replacement", b"a pupil", 1),
        (late, b"another card", b"a friend", 2),
    ):
        tap = intent(at_ms=INTENT.at_ms + at_ms, card_ref=card, person_ref=person, meal=meal, proof=())
        terminal.write(committed(terminal.write(tap), tmc=None, tmv=b""))
        town.send(terminal)
    assert town.alarms() == [("duplicate_entitlement", 8, 1)]
    sums = {line.name: line for line in town.collector.books.day("2026-02-02", By.FUNDER)}
    assert (sums["parents"].counted_minor, sums["parents"].duplicate_minor) == (3_000, 1_500)


def look(town: Town) -> None:
    collector = town.collector
    watch(collector.store, collector.books, town.settings.watch, town.clock.now_ms)


def test_a_tap_that_stays_unresolved_for_too_long(town):
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "x"))
    row = ride(seven)
    town.send(seven)
    town.clock.move(days=6)
    seven.write(Started(town.clock.now_ms, "x"))
    town.send(seven)
    look(town)
    assert town.alarms() == []
    town.clock.move(days=1.5)
    for _ in range(3):
        look(town)
    assert [alarm for alarm in town.alarms() if alarm[0] != "silent"] == [("unresolved_old", 7, row)]
    assert all(alarm.times == 1 for alarm in town.collector.store.alarms())


def test_t_65_a_terminal_silent_for_more_than_a_day(town):
    seven, eight = town.terminal(7), town.terminal(8)
    for terminal in (seven, eight):
        terminal.write(Started(INTENT.at_ms, "x"))
        town.send(terminal)
    town.clock.move(hours=23)
    eight.write(Started(town.clock.now_ms, "x"))
    town.send(eight)
    look(town)
    assert town.alarms() == []
    town.clock.move(hours=2)
    look(town)
    look(town)
    assert town.alarms() == [("silent", 7, 0)]
    seven.write(Started(town.clock.now_ms, "x"))
    town.send(seven)
    town.clock.move(hours=25)
    look(town)
    assert [alarm[:2] for alarm in town.alarms()].count(("silent", 7)) == 2, (
        "another silence is another alarm"
    )


def test_t_64_a_reader_out_of_order_is_seen_until_it_works_again(town):
    seven = town.terminal(7)
    seven.write(Fault(INTENT.at_ms, ReaderFault.GONE))
    town.send(seven)
    assert town.alarms() == [("reader", 7, 1)]
    assert town.collector.books.marks()[7].reader == ReaderFault.GONE
    seven.write(Fault(INTENT.at_ms, ReaderFault.WORKS))
    town.send(seven)
    assert town.collector.books.marks()[7].reader == ""
    assert town.alarms() == [("reader", 7, 1)], "it stays in the history"


def test_an_alarm_is_acknowledged_stays_and_opens_again(town):
    seven, store = town.terminal(7), town.collector.store
    seven.write(*[Started(INTENT.at_ms, "x") for _ in range(3)])
    for _ in range(3):
        town.collector.intake.take(seven.batch(3, 3))
    (alarm,) = store.alarms()
    assert (alarm.times, alarm.open, store.open_alarms()) == (3, True, 1)
    town.clock.move(minutes=1)
    assert acknowledge(store._connection, alarm.id, "17", "a test set", town.clock.now_ms)
    assert not acknowledge(store._connection, 999, "17", "", town.clock.now_ms)
    (known,) = store.alarms()
    assert (known.open, known.acknowledged_by, known.comment) == (False, "17", "a test set")
    assert (known.acknowledged_at_ms, store.open_alarms(), store.alarms(only_open=True)) == (
        town.clock.now_ms,
        0,
        [],
    )
    town.clock.move(minutes=1)
    town.collector.intake.take(seven.batch(3, 3))
    assert [(each.times, each.open) for each in store.alarms()] == [(4, True)]


@pytest.mark.parametrize(("certified", "status"), [(None, 200), (7, 200), (8, 403), (0, 403)])
def test_rows_are_taken_with_their_terminals_own_certificate_alone(town, certified, status):
    """None: the collector asks for none. 0: it asks, and none was shown; the right signature does not help."""
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "x"))
    reply = town.collector.intake.take(seven.batch(1, 1), certified, "10.0.0.9")
    assert reply.status == status
    town.book()
    assert len(list(town.collector.store.records())) == (status == 200)


def test_a_stolen_key_pushes_no_alarm_of_another_terminal_out(town):
    store = town.collector.store
    store.keep_alarm(Alarm(AlarmKind.GAP, 8, 4, "rows_missing first=4 last=5"), 1)
    for n in range(1, MOST_OPEN + 51):
        store.keep_alarm(Alarm(AlarmKind.OTHER_HASH, 7, n, "hash_differs"), n)
    store.keep_findings([Alarm(AlarmKind.OTHER_HASH, 7, n, "given_up") for n in range(9_000, 9_025)], 999)
    seven = [alarm for alarm in store.alarms(5_000) if alarm.terminal == 7]
    assert len(seven) == MOST_OPEN + 1
    assert seven[-1][2:6] == (7, 0, AlarmCause.MANY_MORE, 75)
    store.keep_alarm(
        Alarm(AlarmKind.OTHER_HASH, 7, 3, "hash_differs"), 1_000
    )  # a known one is counted by itself
    assert store.alarms()[-1][2:6] == (7, 3, "hash_differs", 2)
    # What is acknowledged makes room.
    assert acknowledge(store._connection, store.alarms()[-1].id, "17", "", 1_001)
    store.keep_findings([Alarm(AlarmKind.OTHER_HASH, 7, 9_030, "given_up")], 1_002)
    assert store.alarms()[-1][2:4] == (7, 9_030)
    assert [alarm.kind for alarm in store.alarms(5_000) if alarm.terminal == 8] == [AlarmKind.GAP]


def test_every_kind_is_in_the_manual():
    manual = (Path(__file__).parents[3] / "docs/collector.md").read_text()
    assert [kind for kind in AlarmKind if f"`{kind}`" not in manual] == []


def test_every_cause_is_a_code_with_words_in_each_language():
    for cause, words in CAUSES.items():
        names = [name for _, name, _, _ in Formatter().parse(words) if name]
        detail = detail_of(cause, **dict.fromkeys(names, ReaderFault.GONE))
        assert all(CODE.fullmatch(part.partition("=")[2]) for part in detail.split(" "))
        english, russian = (detail_words(detail, language) for language in ("en", "ru"))
        assert detail not in (english, russian)
        assert english != russian, cause
    assert set(CAUSES) == set(AlarmCause)


def test_every_kind_of_alarm_has_its_words():
    """The office's page names each; one without words would end it."""
    assert set(KIND_NAMES) == set(AlarmKind)
