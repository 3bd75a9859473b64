"""Whatever arrives, in whatever order and however often: each record is held once and tampering leaves a trace."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from terminal.collector import books
from terminal.collector.alarms import AlarmCause
from terminal.collector.store import Alarm, AlarmKind, CollectorStore, StoredRecord
from terminal.errors import CollectorError
from terminal.journal.chain import Head, genesis, link
from terminal.sync import wire
from tests.properties import examples
from tests.terminal.cli.inside import runner
from tests.terminal.sync.station import Collector

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


class Chain:
    """A terminal reduced to its rows: batches of any stretch of them, sent at any moment."""

    def __init__(self, bodies: list[bytes], terminal: int = 7) -> None:
        self.terminal = terminal
        self.bodies = bodies
        self.heads = [genesis(terminal)]
        for body in bodies:
            self.heads.append(Head(self.heads[-1].sequence + 1, link(self.heads[-1].hash, body)))

    def batch(
        self, first: int, last: int, sent_at_ms: int = 1, head: int | None = None, key=KEY, confirmed: int = 0
    ) -> bytes:
        claimed = self.heads[last if head is None else head]
        bodies = tuple(self.bodies[first - 1 : last])
        return wire.encode(
            wire.build_batch(
                self.terminal,
                self.heads[first - 1],
                bodies,
                claimed,
                sent_at_ms,
                key,
                confirmed_through=confirmed,
            )
        )


CHAIN = Chain([b"\x01row %d" % number for number in range(1, 13)])
OTHER = Chain([*CHAIN.bodies[:5], b"\x01forged", *CHAIN.bodies[6:]])


@pytest.fixture
def enrolled(collector):
    collector.enrolment.enrol(7, KEY.public_key())
    return collector


def send(collector: Collector, batch: bytes) -> tuple[int, object]:
    """Status, and the acknowledged row or the refusal."""
    reply = collector.intake.take(batch)
    if reply.status == 200:
        ack = wire.parse_ack(reply.body)
        assert wire.ack_is_genuine(ack, collector.key.public_key())
        assert ack.head_hash == CHAIN.heads[ack.through].hash
        return 200, ack.through
    return reply.status, wire.msgspec.json.decode(reply.body, type=wire.Refusal)


def held(collector: Collector) -> list[bytes]:
    return [body for _, body in collector.stored(7)]


def test_o_07_rows_are_stored_once_however_often_they_come(enrolled):
    for first, last in ((1, 4), (1, 4), (3, 8), (2, 3), (1, 12), (12, 12)):
        assert send(enrolled, CHAIN.batch(first, last, head=12))[0] == 200
    assert held(enrolled) == CHAIN.bodies
    assert enrolled.alarms() == []


def test_the_acknowledgement_names_the_newest_row_held(enrolled):
    assert send(enrolled, CHAIN.batch(1, 6)) == (200, 6)
    assert send(enrolled, CHAIN.batch(2, 3)) == (200, 6)
    assert send(enrolled, CHAIN.batch(7, 6)) == (200, 6)


@given(deliveries=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), max_size=12))
@examples(60)
def test_duplicates_delays_and_any_order_end_in_a_prefix(deliveries):
    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(Path(folder))
        collector.enrolment.enrol(7, KEY.public_key())
        newest = 0
        for first, length in deliveries:
            last = min(12, first + length - 1)
            status, answer = send(collector, CHAIN.batch(first, last, sent_at_ms=first))
            if first > newest + 1:
                assert (status, answer.error, answer.wants) == (409, "gap", newest + 1)
            else:
                newest = max(newest, last)
                assert (status, answer) == (200, newest)
            assert held(collector) == CHAIN.bodies[:newest]
        assert {kind for kind, _, _ in collector.alarms()} <= {"gap", "cut_tail"}
        collector.store.close()


def test_a_gap_is_refused_named_and_closed_later(enrolled):
    assert send(enrolled, CHAIN.batch(1, 3)) == (200, 3)
    status, refusal = send(enrolled, CHAIN.batch(6, 9))
    assert (status, refusal.error, refusal.wants) == (409, "gap", 4)
    assert "rows 4 to 5 are missing" in refusal.advice
    assert enrolled.alarms() == [("gap", 7, 4)]
    assert send(enrolled, CHAIN.batch(4, 9)) == (200, 9)
    assert held(enrolled) == CHAIN.bodies[:9]


@pytest.mark.parametrize(("first", "last"), [(1, 12), (6, 6), (7, 12), (9, 12)])
def test_another_content_for_a_held_row_is_never_taken(enrolled, first, last):
    send(enrolled, CHAIN.batch(1, 8))
    status, refusal = send(enrolled, OTHER.batch(first, last))
    assert (status, refusal.error, refusal.wants) == (409, "other_hash", None)
    assert "call the auditor" in refusal.advice
    changed = max(6, first - 1)
    assert enrolled.alarms() == [("other_hash", 7, changed)]
    assert held(enrolled) == CHAIN.bodies[:8]


def test_a_stated_head_that_does_not_fit_is_noticed_without_its_row(enrolled):
    send(enrolled, CHAIN.batch(1, 8))
    status, refusal = send(enrolled, OTHER.batch(1, 5, head=7))
    assert (status, refusal.error) == (409, "other_hash")
    assert enrolled.alarms() == [("other_hash", 7, 7)]


def test_a_cut_tail_is_an_alarm_but_a_late_copy_is_not(enrolled):
    """Whatever the terminal's clock said when either was sent."""
    send(enrolled, CHAIN.batch(1, 8, sent_at_ms=100))
    for sent_at_ms in (50, 100, 101):
        assert send(enrolled, CHAIN.batch(1, 4, sent_at_ms, confirmed=4)) == (200, 8)
        assert send(enrolled, CHAIN.batch(5, 4, sent_at_ms)) == (200, 8)
    assert enrolled.alarms() == []
    assert send(enrolled, CHAIN.batch(5, 4, sent_at_ms=101, confirmed=8)) == (200, 8)
    assert enrolled.alarms() == [("cut_tail", 7, 4)]


def test_a_wrong_signature_is_refused_with_an_alarm(enrolled):
    stranger = Ed25519PrivateKey.generate()
    for first in (1, 3):
        status, refusal = send(enrolled, CHAIN.batch(first, 4, key=stranger))
        assert (status, refusal.error) == (403, "bad_signature")
    assert enrolled.alarms() == []
    assert enrolled.strangers() == [("bad_signature", 7, AlarmCause.BATCH_REFUSED, 2)]
    assert held(enrolled) == []


def test_a_body_changed_on_the_way_is_a_wrong_signature(enrolled):
    batch = CHAIN.batch(1, 4).replace(b"row 3", b"row X")
    assert send(enrolled, batch)[0] == 403


def test_enrolment_follows_its_folder(collector):
    assert send(collector, CHAIN.batch(1, 4))[1].error == "unknown_terminal"
    collector.enrolment.enrol(7, Ed25519PrivateKey.generate().public_key())
    assert send(collector, CHAIN.batch(1, 4))[1].error == "bad_signature"
    collector.enrolment.enrol(7, KEY.public_key())
    assert send(collector, CHAIN.batch(1, 4)) == (200, 4)
    (collector.enrolment.directory / "7.json").write_text("no key")
    assert send(collector, CHAIN.batch(5, 6))[1].error == "unknown_terminal"
    (collector.enrolment.directory / "7.json").unlink()
    assert send(collector, CHAIN.batch(5, 6))[1].error == "unknown_terminal"
    details = {
        (detail, times) for kind, _, detail, times in collector.strangers() if kind == "unknown_terminal"
    }
    assert details == {(AlarmCause.NOT_ENROLLED, 2), (AlarmCause.KEY_UNUSABLE, 1)}


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"GET / HTTP/1.1", bytes(5_000), b"\x99" + b"\xdd\xff\xff\xff\xff"]
)
def test_bytes_that_are_no_batch(enrolled, data):
    status, refusal = send(enrolled, data)
    assert (status, refusal.error) == (400, "malformed")


def test_too_many_records(enrolled):
    many = Chain([b"\x01"] * (wire.MAX_BATCH_RECORDS + 1))
    status, refusal = send(enrolled, many.batch(1, wire.MAX_BATCH_RECORDS + 1))
    assert (status, refusal.error) == (413, "too_large")


def test_terminals_do_not_mix(enrolled):
    enrolled.enrolment.enrol(8, KEY.public_key())
    eight = Chain(CHAIN.bodies, terminal=8)
    assert send(enrolled, CHAIN.batch(1, 2)) == (200, 2)
    assert enrolled.intake.take(eight.batch(1, 3)).status == 200
    assert [state[:3] for state in enrolled.store.terminals()] == [(7, 2, 2), (8, 3, 3)]
    assert list(enrolled.store.records())[2] == StoredRecord(8, 1, CHAIN.bodies[0])


def test_a_failing_disk_is_unavailable_and_takes_nothing(enrolled):
    send(enrolled, CHAIN.batch(1, 2))
    (pages,) = enrolled.store._connection.execute("PRAGMA page_count").fetchone()
    enrolled.store._connection.execute(f"PRAGMA max_page_count={pages}")
    big = Chain([*CHAIN.bodies[:2], *[bytes(4_000)] * 20])
    status, refusal = send(enrolled, big.batch(3, 22))
    assert (status, refusal.error) == (503, "unavailable")
    assert held(enrolled) == CHAIN.bodies[:2]


def test_another_file_is_not_a_collector_database(tmp_path):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE something (else_ TEXT)")
    connection.close()
    with pytest.raises(CollectorError, match="no collector database"):
        CollectorStore(other)
    (tmp_path / "text").write_text("text" * 1000)
    with pytest.raises(CollectorError, match="not a database"):
        CollectorStore(tmp_path / "text")


@pytest.mark.parametrize(("at", "value"), [(44, b"\xff" * 4), (0, b"\xff"), (18, b"\xff\xff"), (18, b"\xff")])
def test_a_database_that_only_its_content_makes_unusable_is_damaged(
    tmp_path, monkeypatch, capfd, collector, at, value
):
    told = runner(tmp_path, monkeypatch, capfd)
    source, folder = collector.store.path, tmp_path / "damaged"
    folder.mkdir()
    with (
        closing(sqlite3.connect(source)) as reader,
        closing(sqlite3.connect(folder / "collector.db")) as copy,
    ):
        reader.backup(copy)
    books.open_books(folder / "books.db", {}).close()
    assert told("collector", "alarms", "--folder", folder).returncode == 0
    content = (folder / "collector.db").read_bytes()
    (folder / "collector.db").write_bytes(content[:at] + value + content[at + len(value) :])
    commands = [("alarms",), *([] if value == b"\xff" and at else [("backup", tmp_path / "copy")])]
    for command in commands:  # a copy only reads, and that a changed write version does not keep it from
        finished = told("collector", *command, "--folder", folder)
        assert (finished.returncode, "put a backup in its place" in finished.stderr) == (42, True), finished


def test_a_locked_database_is_not_called_damaged(enrolled):
    with closing(sqlite3.connect(enrolled.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        enrolled.store._connection.execute("PRAGMA busy_timeout=0")
        with pytest.raises(CollectorError, match="locked") as caught:
            enrolled.store.keep_alarm(Alarm(AlarmKind.BAD_SIGNATURE, 7, 1, ""), at_ms=1)
    assert type(caught.value) is CollectorError


def test_books_are_begun_anew_over_damage_and_never_over_a_query_that_failed(tmp_path, monkeypatch):
    path, made_for = tmp_path / "books.db", {"zone": "UTC"}
    with closing(books.open_books(path, made_for)) as file:
        file.execute("INSERT INTO mark VALUES (7, 1, 1, '')")

    def interrupted(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.set_trace_callback(
            lambda text: connection.set_progress_handler(lambda: 1, 1) if "made_for" in text else None
        )
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(books, "connect", interrupted)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            books.open_books(path, made_for)
    with closing(books.open_books(path, made_for)) as file:
        assert file.execute("SELECT count(*) FROM mark").fetchone() == (1,)
        file.execute("DROP TABLE made_for")
    with closing(books.open_books(path, made_for)) as anew:
        assert anew.execute("SELECT count(*) FROM mark").fetchone() == (0,)
