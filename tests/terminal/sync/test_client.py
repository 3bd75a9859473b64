"""The terminal's side: everything arrives once, and only a trustworthy acknowledgement lets rows leave."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.emv.authentication import OfflineMethod
from terminal.codes import SkipCause, SyncFault
from terminal.decision.bank_row import BankRow
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Notary
from terminal.journal.journal import Journal
from terminal.journal.numbers import RESERVE
from terminal.journal.operation_records import NumbersSkipped
from terminal.journal.records import Committed, SettledBy
from terminal.journal.verify import verify
from terminal.media.held import HeldEvents
from terminal.sync import wire
from terminal.sync.exchange import Answer
from tests.terminal.journal.samples import INTENT, day, intent
from tests.terminal.sync.station import Collector, Station, no_answer


def test_everything_arrives_in_batches(station, collector):
    station.append(day(12))
    seen = []
    report = station.client.sync_once(progress=lambda through, head: seen.append((through, head)))
    assert (report.uploaded, report.batches, report.unsent, report.problem) == (24, 3, 0, None)
    assert report.acknowledged_through == station.journal.acknowledged_through == 24
    assert seen == [(10, 24), (20, 24), (24, 24)]
    assert collector.stored(7) == station.rows()
    assert collector.alarms() == []


def test_the_first_run_greets_even_when_there_is_nothing_to_send(station):
    assert station.client.sync_once().batches == 1
    assert station.client.sync_once().batches == 0
    station.append(day(1))
    assert station.client.sync_once().uploaded == 2


def test_a_lost_answer_costs_a_resend_and_nothing_else(station, collector):
    station.append(day(3))
    station.wire.alter = no_answer
    report = station.client.sync_once()
    assert "the answer was lost" in report.problem.what
    assert (report.acknowledged_through, report.unsent) == (0, 6)
    station.wire.alter = lambda answer: answer
    station.append(day(1))
    report = station.client.sync_once()
    assert (report.acknowledged_through, report.problem) == (8, None)
    assert collector.stored(7) == station.rows()
    assert collector.alarms() == []


def test_stopping_between_batches_loses_nothing(station):
    station.append(day(25))
    report = station.client.sync_once(stop=lambda: len(station.wire.batches) >= 2)
    assert (report.acknowledged_through, report.unsent, report.problem) == (20, 30, None)
    assert station.new_client().sync_once().unsent == 0


# What rows sealed


def sealed_day(station, held: HeldEvents, rides: int) -> dict[int, bytes]:
    """Rides of bank cards, each with what it sealed."""
    sealed = {}
    for n in range(rides):
        content = bytes([n + 1]) * 700
        row = BankRow(date(2031, 1, 31), 1, OfflineMethod.CDA, None, 1, sha256(content).digest())
        number = station.journal.head.sequence + 1
        held.seal(number, content)
        sealed[number] = content
        station.append(
            [intent(proof=row.commands), Committed(INTENT.at_ms, number, None, b"", SettledBy.ANSWERED)]
        )
    return sealed


@pytest.fixture
def held(tmp_path):
    with closing(HeldEvents(tmp_path)) as made:
        yield made


def test_what_was_taken_out_on_the_way_stays_and_is_sent_until_the_collector_signs_for_it(
    station, collector, held
):
    station.append(day(1))
    sealed = sealed_day(station, held, 3)
    client = station.new_client(sealed=held)
    station.wire.strips = True
    for _ in range(2):
        report = client.sync_once()
        assert (report.problem.fault, report.acknowledged_through) == (SyncFault.INCOMPLETE, 2)
        assert station.journal.purge(keep_ms=0, now_ms=10**15) <= 2, "the rows stay, too"
        assert dict(held.sealed_between(1, 100)) == sealed
    assert len(collector.stored(7)) == 8, "the rows are safe there"
    station.wire.strips = False
    assert client.sync_once().problem is None
    assert {row: collector.store.sealed(7, row) for row in sealed} == sealed
    assert held.sealed_between(1, 100) == ()
    assert collector.alarms() == []


def test_an_answer_to_more_than_this_batch_names_nothing_of_the_rest(station, collector, held):
    """The whole batch was taken without its sealed parts, its answer lost; the next one is smaller."""
    sealed = sealed_day(station, held, 4)
    station.wire.strips, station.wire.alter = True, no_answer
    station.new_client(sealed=held).sync_once()
    station.wire.strips, station.wire.alter = False, lambda answer: answer
    report = station.new_client(batch_records=2, sealed=held).sync_once()
    assert (report.problem, report.unsent, report.batches) == (None, 0, 4)
    assert {row: collector.store.sealed(7, row) for row in sealed} == sealed


# What time the collector signed


def stated(station) -> list[int]:
    return [wire.parse_ack(answer.body).at_ms for answer in station.wire.answers]


def test_acknowledgements_of_rows_never_sent_before_state_the_time(station):
    station.client.sync_once()
    assert station.heard == [], "a greeting carries no row"
    station.append(day(8))
    station.client.sync_once()
    assert station.heard == stated(station)[1:]
    assert len(station.heard) == 2


def test_an_acknowledgement_held_back_does_not_state_the_time(station):
    """Who kept an answer and lets the rows be sent again has an old one that fits."""
    station.append(day(2))
    station.wire.alter = no_answer
    station.client.sync_once()
    kept = station.wire.answers[-1]
    station.wire.alter = lambda _: kept
    assert station.client.sync_once().problem is None
    assert (station.heard, station.journal.acknowledged_through) == ([], 4)
    station.append(day(1))
    station.wire.alter = lambda answer: answer
    station.client.sync_once()
    assert station.heard == stated(station)[-1:]


def test_one_that_names_less_than_was_sent_does_not_state_the_time(station):
    station.append(day(1))
    station.wire.alter = no_answer
    station.client.sync_once()
    kept = station.wire.answers[-1]
    station.append(day(1))
    station.wire.alter = lambda _: kept
    station.client.sync_once()
    assert station.heard == []


def test_an_acknowledgement_that_took_long_does_not_state_the_time(station, collector):

    def late(answer: Answer) -> Answer:
        collector.clock.ahead(61_000)
        return answer

    station.append(day(1))
    station.wire.alter = late
    assert station.client.sync_once().problem is None
    assert station.heard == []


def test_rows_of_an_earlier_process_may_have_been_sent_by_it(station):
    station.append(day(2))
    station.journal.close()
    station.journal = Journal.open(station.journal.path, 7)
    station.new_client().sync_once()
    assert (station.heard, station.journal.acknowledged_through) == ([], 4)


def test_a_forged_acknowledgement_states_nothing(station, collector):
    station.append(day(1))
    station.wire.alter = lambda answer: Answer(
        200, wire.encode(forged(wire.parse_ack(answer.body), Ed25519PrivateKey.generate()))
    )
    station.client.sync_once()
    assert station.heard == []


def test_what_the_collector_takes_back_is_heard_where_it_signs_so(station):
    heard = []
    station.client._on_withdrawn = heard.append
    station.append(day(1))
    station.wire.intake._withdrawn = lambda: ("demo:2",)
    station.wire.alter = lambda answer: Answer(
        200, wire.encode(msgspec.structs.replace(wire.parse_ack(answer.body), withdrawn=("demo:3",)))
    )
    station.client.sync_once()
    assert heard == []
    station.wire.alter = lambda answer: answer
    station.client.sync_once()
    assert heard == [("demo:2",)]
    station.wire.intake._withdrawn = tuple
    station.append(day(1))
    station.client.sync_once()
    assert heard == [("demo:2",)]


# What an answer may not do


def forged(ack: wire.Ack, key: Ed25519PrivateKey, **changes) -> wire.Ack:
    changed = msgspec.structs.replace(ack, **changes)
    return wire.build_ack(changed.terminal, Head(changed.through, changed.head_hash), changed.at_ms, key)


HOSTILE = {
    "a changed field": (
        lambda ack, key: msgspec.structs.replace(ack, through=5),
        "not signed by the collector",
    ),
    "another key": (
        lambda ack, key: forged(ack, Ed25519PrivateKey.generate()),
        "not signed by the collector",
    ),
    "another terminal": (lambda ack, key: forged(ack, key, terminal=8), "for terminal 8"),
    "the future": (lambda ack, key: forged(ack, key, through=99), "holds row 99, this journal ends at row 6"),
    "another hash": (lambda ack, key: forged(ack, key, head_hash=bytes(32)), "holds another row 6"),
    "too little": (
        lambda ack, key: forged(ack, key, through=0, head_hash=bytes(32)),
        "holds another row 0",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_acknowledgement_that_cannot_be_trusted_changes_nothing(station, collector, name):
    alter, reason = HOSTILE[name]
    station.append(day(3))
    station.wire.alter = lambda answer: Answer(
        200, wire.encode(alter(wire.parse_ack(answer.body), collector.key))
    )
    report = station.client.sync_once()
    assert reason in report.problem.what
    assert report.problem.advice
    assert station.journal.acknowledged_through == 0
    assert station.journal.purge(keep_ms=0, now_ms=10**15) == 0
    station.wire.alter = lambda answer: answer
    assert station.client.sync_once().unsent == 0


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b""),
        Answer(200, b"<html>captive portal</html>"),
        Answer(302, b""),
        Answer(500, b"\x00"),
        Answer(403, b'{"error": "no\\u001b[2Jway", "advice": "x"}'),
        Answer(409, b'{"error": "gap", "advice": "", "wants": 4000000000}'),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:12]!r}",
)
def test_a_stranger_that_answers_changes_nothing(station, answer):
    station.append(day(3))
    station.wire.alter = lambda _: answer
    report = station.client.sync_once()
    assert report.problem.what.isprintable()
    assert station.journal.acknowledged_through == 0
    station.wire.alter = lambda answer: answer
    assert station.client.sync_once().unsent == 0


def test_an_old_acknowledgement_replayed_is_reported_and_harmless(station):
    station.append(day(2))
    station.client.sync_once()
    old = station.wire.answers[-1]
    station.append(day(2))
    station.wire.alter = lambda _: old
    report = station.client.sync_once()
    assert "confirmed row 4 of 8 sent" in report.problem.what
    assert station.journal.acknowledged_through == 4


# When the two sides remember differently


def test_a_collector_restored_from_a_backup_gets_what_it_lost(tmp_path, station, collector):
    station.append(day(20))
    station.client.sync_once()
    (tmp_path / "restored").mkdir()
    restored = Collector(tmp_path / "restored")
    restored.key = collector.key
    restored.intake._signer = collector.key
    restored.enrolment.enrol(7, station.key.public_key())
    station.wire.intake = restored.intake
    station.append(day(1))

    report = station.client.sync_once()
    assert (report.problem, report.unsent) == (None, 0)
    assert restored.stored(7) == station.rows()
    assert restored.alarms() == [("gap", 7, 1)]
    restored.store.close()


def test_what_was_purged_cannot_be_sent_again_and_is_said(tmp_path, station, collector):
    station.append(day(5))
    station.client.sync_once()
    station.journal.purge(keep_ms=0, now_ms=10**15)
    collector.store._connection.execute("DELETE FROM record")
    collector.store._connection.execute("DELETE FROM terminal")
    station.append(day(1))
    for _ in range(2):
        assert "lacks rows 1 to 10" in station.client.sync_once().problem.what
    assert station.journal.unsent == 2


def _files_of(journal, copy):
    """The journal with what lies beside it, each with its name as of `copy`."""
    for end in ("", ".numbers", ".mark"):
        yield journal.with_name(journal.name + end), copy.with_name(copy.name + end)


def test_a_cut_journal_is_noticed_by_both_sides(tmp_path, station, collector):
    station.append(day(2))
    station.client.sync_once()
    station.journal.checkpoint()
    copy = tmp_path / "old copy.db"
    station.journal.close()
    for old, new in _files_of(station.journal.path, copy):
        new.write_bytes(old.read_bytes())
    station.journal = Journal.open(station.journal.path, 7)
    station.append(day(2))
    station.new_client().sync_once()
    station.journal.close()

    station.journal = Journal.open(copy, 7)
    report = station.new_client().sync_once()
    assert "the collector holds row 8, this journal ends at row 4" in report.problem.what
    assert "stop taking taps" in report.problem.advice
    assert collector.alarms() == [("cut_tail", 7, 4)]
    station.append([intent(turn=99)])
    report = station.new_client().sync_once()
    assert "other_hash" in report.problem.what
    assert ("other_hash", 7, 5) in collector.alarms()
    assert len(collector.stored(7)) == 8


def test_another_line_of_rows_is_shown_to_the_collector_though_what_was_sent_is_the_same(
    tmp_path, station, collector
):
    """Found by a stress run: the copy stopped by what the collector had confirmed to the other, which heard nothing."""
    station.append(day(2))
    copy = tmp_path / "copy.db"
    station.journal.close()
    for old, new in _files_of(station.journal.path, copy):
        new.write_bytes(old.read_bytes())
    station.journal = Journal.open(station.journal.path, 7)
    station.append(day(1))
    station.new_client().sync_once()
    station.journal.close()

    station.journal = Journal.open(copy, 7)
    station.append([intent(turn=97), intent(turn=98), intent(turn=99)])
    report = station.new_client(batch_records=4).sync_once()
    assert "the collector holds another row 6" in report.problem.what
    assert collector.alarms() == [("other_hash", 7, 6)]
    assert len(collector.stored(7)) == 6


def test_an_old_copy_without_its_marks_goes_on_behind_what_was_used_and_says_so(tmp_path, station, collector):
    station.append(day(2))
    station.client.sync_once()
    station.journal.close()
    copy = tmp_path / "old copy.db"
    copy.write_bytes(station.journal.path.read_bytes())
    station.journal = Journal.open(station.journal.path, 7)
    station.append(day(2))
    station.new_client().sync_once()
    station.journal.close()

    station.journal = Journal.open(copy, 7)
    station.append([intent(turn=99)])
    assert station.new_client().sync_once().problem is None
    assert collector.alarms() == [("rows_lost", 7, 5)]
    skip, after = station.journal.rows(after=4)
    assert skip.record == NumbersSkipped(
        intent().at_ms, first=5, last=4 + RESERVE, stored=4, cause=SkipCause.MARKS_LOST
    )
    assert [number for number, _ in collector.stored(7)] == [*range(1, 9), skip.sequence, after.sequence]
    assert verify(copy).ok


def test_a_collector_that_takes_less_is_given_less(station):
    station.append(day(4))
    refusal = msgspec.json.encode(wire.Refusal("too_large", "Send less."))
    station.wire.alter = lambda answer: Answer(413, refusal)
    for _ in range(3):
        station.client.sync_once()
    station.wire.alter = lambda answer: answer
    station.client.sync_once()
    sizes = [len(wire.parse_batch(batch).bodies) for batch in station.wire.batches]
    assert sizes[:4] == [8, 4, 2, 1]
    assert station.journal.unsent == 0


def test_a_terminal_that_is_not_enrolled_is_told_what_to_do(tmp_path, collector):
    stranger = Station(tmp_path, collector, terminal=9)
    (collector.enrolment.directory / "9.json").unlink()
    stranger.append(day(1))
    problem = stranger.client.sync_once().problem
    assert "unknown_terminal" in problem.what
    assert "enrol terminal 9" in problem.advice
    stranger.journal.close()


# Signed checkpoints


def test_each_batch_is_a_checkpoint_kept_with_its_acknowledgement(station, collector):
    station.journal.notary = Notary(station.key, collector.clock, "demo:1", "c0ffee")
    station.append(day(12))
    assert station.client.sync_once().problem is None
    station.journal.close()
    found = verify(station.journal.path, identities=[station.key.public_key()])
    assert (found.problem, found.checkpoints, found.signatures) == (None, 4, 4)
    sent = [wire.parse_batch(batch) for batch in station.wire.batches]
    assert {(batch.tariff, batch.deny_list) for batch in sent} == {("demo:1", "c0ffee")}


def test_the_last_words_before_a_shutdown_are_the_first_after_it(station, collector):
    station.journal.notary = Notary(station.key, collector.clock, "demo:1")
    station.append(day(2))
    station.journal.close()
    station.journal = Journal.open(station.journal.path, 7)
    signed = station.journal.last_signed
    station.append(day(1))
    report = station.new_client().sync_once()
    assert (report.problem, report.batches, report.unsent) == (None, 2, 0)
    first, second = (wire.parse_batch(batch) for batch in station.wire.batches)
    assert (first.bodies, first.signature, first.head) == ((), signed.signature, signed.head)
    assert len(second.bodies) == 6
    assert collector.alarms() == []


def test_last_words_are_said_once_and_not_after_more_was_sent(station, collector):
    station.journal.notary = Notary(station.key, collector.clock, "demo:1")
    station.append(day(2))
    station.journal.close()
    station.journal = Journal.open(station.journal.path, 7)
    for _ in range(3):
        station.append(day(1))
        assert station.new_client().sync_once().problem is None
    assert [len(wire.parse_batch(batch).bodies) for batch in station.wire.batches] == [0, 6, 2, 2]


def test_last_words_of_an_earlier_identity_are_not_repeated(station, collector):
    other = Ed25519PrivateKey.generate()
    station.journal.notary = Notary(other, collector.clock)
    station.append(day(1))
    station.journal.close()
    station.journal = Journal.open(station.journal.path, 7)
    assert station.new_client().sync_once().problem is None
    assert [len(wire.parse_batch(batch).bodies) for batch in station.wire.batches] == [2]
    assert collector.alarms() == []


def test_a_greeting_that_is_refused_is_called_one(station):
    station.wire.alter = lambda _: Answer(503, b'{"error": "unavailable", "advice": "Wait."}', 3.0)
    report = station.client.sync_once()
    assert "the collector refused this terminal's greeting: unavailable" in report.problem.what
    assert report.retry_after_s == 3.0
