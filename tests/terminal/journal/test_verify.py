"""The auditor's check: whatever was done to a journal, the first bad row is named."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.errors import JournalDamaged, JournalError, OtherSoftware
from terminal.journal.chain import Head, genesis, link
from terminal.journal.checkpoint import Notary, sign_checkpoint
from terminal.journal.journal import Journal
from terminal.journal.sealed import Contents, JournalKey, SealedPlace
from terminal.journal.stored import (
    Row,
    build_checkpoint,
    insert_row,
    parse_checkpoint,
    read_row,
    read_state,
    write_state,
)
from terminal.journal.verify import Verification, verify
from tests.terminal.journal.samples import day, intent
from tests.terminal.sync.station import StepClock

ROWS = 200
KEY = JournalKey(bytes(range(32)))
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOTARY = Notary(SIGNER, StepClock(), "demo:1", "c0ffee")
IDENTITIES = (SIGNER.public_key(),)


def make(path, key):
    """Rows 51 to 200, acknowledged up to 120; two signed checkpoints of batches and one of the end."""
    journal = Journal.open(path, 7, key=key)
    journal.notary = NOTARY
    for pending in [
        journal.begin(record) for record in [*day(ROWS // 2 - 1), intent(turn=98), intent(turn=99)]
    ]:
        pending.wait()
    previous = genesis(7)
    for through, at_ms in ((50, 0), (120, 5)):
        last = Head(through, journal.hash_at(through))
        signed = sign_checkpoint(NOTARY, 7, previous, last, journal.head)
        journal.acknowledge(*last, at_ms, signed)
        journal.purge(keep_ms=0, now_ms=0)
        previous = last
    journal.close()
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    return {key: make(folder / name, key) for key, name in ((KEY, "sealed.db"), (None, "plain.db"))}


@pytest.fixture
def original(originals):
    return originals[None]


class Edit:
    """A copy of the journal, changed and verified. With the key the thief is an insider: contents open to them."""

    def __init__(self, source, path, key):
        self.path = shutil.copy(source, path)
        self.key = key
        self.contents = Contents(7, key)
        self.connection = sqlite3.connect(self.path)

    def __call__(self, *statements):
        for statement in statements:
            self.connection.execute(statement)
        self.connection.commit()
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the file itself was changed, not its log
        return verify(self.path, self.key, IDENTITIES)

    def state(self, **changes):
        """As somebody with the key would."""
        state = read_state(self.connection, self.contents)
        write_state(self.connection, self.contents, state._replace(**changes))
        return self()

    def checkpoint(self, number, change):
        query = "SELECT content FROM checkpoint WHERE number = ?"
        (content,) = self.connection.execute(query, (number,)).fetchone()
        changed = change(parse_checkpoint(self.contents.open(SealedPlace.CHECKPOINT, number, content)))
        content = self.contents.close(SealedPlace.CHECKPOINT, number, build_checkpoint(changed))
        self.connection.execute("UPDATE checkpoint SET content = ? WHERE number = ?", (content, number))
        return self()


@pytest.fixture(params=["sealed", "plain"])
def edit(request, originals, tmp_path):
    key = KEY if request.param == "sealed" else None
    made = Edit(originals[key], tmp_path / "journal.db", key)
    yield made
    made.connection.close()


def test_an_untouched_journal(edit):
    assert edit() == Verification(rows=150, first=51, last=200, problem=None, checkpoints=3, signatures=3)
    assert verify(edit.path, edit.key).signatures == 0


def renumber(first: int, by: int) -> list[str]:
    return [
        f"UPDATE row SET sequence = -(sequence + {by}) WHERE sequence >= {first}",
        "UPDATE row SET sequence = -sequence WHERE sequence < 0",
    ]


SWAP = [
    "UPDATE row SET sequence = -1 WHERE sequence = 80",
    "UPDATE row SET sequence = 80 WHERE sequence = 90",
    "UPDATE row SET sequence = 90 WHERE sequence = -1",
]
SWAP_CONTENT = [
    "UPDATE row SET body = (SELECT body FROM row WHERE sequence = 90),"
    " hash = (SELECT hash FROM row WHERE sequence = 90) WHERE sequence = 80"
]


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE row SET body = x'0193090178' WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET body = zeroblob(80) WHERE sequence = 51"], "row 51 was changed"),
        (["UPDATE row SET body = zeroblob(80) WHERE sequence = 200"], "row 200 was changed"),
        (["DELETE FROM row WHERE sequence = 60"], "row 60 is missing"),
        (["DELETE FROM row WHERE sequence BETWEEN 60 AND 69"], "rows 60 to 69 are missing"),
        (["DELETE FROM row WHERE sequence = 51"], "row 51 is missing"),
        (
            ["DELETE FROM row WHERE sequence = 60", *renumber(61, -1)],
            "row 60 was changed, or rows before it were",
        ),
        (SWAP, "row 80 was reordered: what belongs here stands in row 90"),
        (SWAP_CONTENT, "row 80 was changed"),
        (["DELETE FROM row WHERE sequence > 150"], "the journal was cut after row 150: it once held row 200"),
        (["DELETE FROM row"], "the journal was cut after row 50: it once held row 200"),
        (["DELETE FROM checkpoint WHERE number = 2"], "signed checkpoint 2 was taken out"),
        (["DELETE FROM checkpoint WHERE number = 3"], "signed checkpoint 3 was taken out"),
        (["DELETE FROM checkpoint"], "signed checkpoint 1 was taken out"),
        (["UPDATE checkpoint SET content = x'00' WHERE number = 2"], "signed checkpoint 2 was changed"),
        (["INSERT INTO checkpoint VALUES (4, x'00')"], "taken out or put in"),
        (["INSERT INTO acknowledgement VALUES (180, 0)"], "an acknowledgement of row 180 was put in"),
        (["UPDATE state SET content = zeroblob(60)"], "the line of state was changed"),
        (["DELETE FROM state"], "the line of state"),
        (["DROP TABLE state"], "lost its state table"),
        (["DROP TABLE row"], "lost its row table"),
        (["UPDATE state SET terminal = 'many'"], "the line of state"),
        (["UPDATE state SET content = 7"], "the line of state"),
        (["UPDATE row SET body = 'text' WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET body = CAST(x'ff' AS TEXT) WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET body = 5 WHERE sequence = 77"], "row 77 was changed"),
        (["INSERT INTO row VALUES (-4, x'00', x'00')"], "row -4 does not belong here"),
        (["INSERT INTO row VALUES (50, x'00', x'00')"], "begin after row 50"),
    ],
)
def test_what_was_done_is_named(edit, statements, problem):
    found = edit(*statements)
    assert not found.ok
    assert problem in found.problem


def test_a_journal_of_another_softwares_form_is_said_to_be_that(edit):
    with pytest.raises(OtherSoftware, match="journal schema 3") as other:
        edit("PRAGMA user_version = 3")
    assert "Start the software version that wrote it." in other.value.advice


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM state",
        "UPDATE state SET content = 'many'",
        "UPDATE checkpoint SET content = x'00' WHERE number = 3",
        "UPDATE row SET body = 'text' WHERE sequence = 200",
        "UPDATE row SET body = 5 WHERE sequence = 200",
    ],
)
def test_values_of_another_kind_keep_the_terminal_from_starting(edit, statement):
    edit(statement)
    with pytest.raises(
        JournalDamaged, match=r"line of state|row 200 .* was changed|newest signed checkpoint"
    ):
        Journal.open(edit.path, 7, key=edit.key)


def test_plain_rows_are_bound_by_their_hashes_alone(originals, tmp_path):
    for sequence, value in ((77, "5"), (78, "zeroblob(32)")):
        edit = Edit(originals[None], tmp_path / f"{sequence}.db", None)
        found = edit(f"UPDATE row SET hash = {value} WHERE sequence = {sequence}")
        assert f"row {sequence} was changed" in found.problem


# What somebody with the key, but without the terminal's identity, could do


def test_where_the_rows_begin_cannot_be_moved(edit):
    assert "row 50 is missing" in edit.state(base=Head(49, bytes(32))).problem


def test_the_hash_they_begin_with_cannot_be_changed(edit):
    assert "row 50 was changed" in edit.state(base=Head(50, bytes(32))).problem


def test_a_changed_note_of_the_head_is_found_and_keeps_the_terminal_from_starting(edit):
    found = edit.state(noted=Head(200, bytes(32)))
    assert "state different hashes of row 200" in found.problem
    with pytest.raises(JournalDamaged, match=r"row 200 .* was changed: a checkpoint knew another hash"):
        Journal.open(edit.path, 7, key=edit.key)


def test_a_cut_below_the_last_signed_checkpoint_is_found_although_the_note_was_moved_back(edit):
    query = "SELECT sequence, body, hash FROM row WHERE sequence IN (149, 150) ORDER BY sequence"
    rows = [read_row(edit.contents, *columns) for columns in edit.connection.execute(query).fetchall()]
    edit("DELETE FROM row WHERE sequence > 150")
    last_intent = tuple((row.sequence, row.body) for row in rows)  # with its end, as rows up to here leave it
    found = edit.state(noted=Head(150, rows[-1].hash), notes=last_intent)
    assert "cut after row 150: it once held row 200 (signed checkpoint 1 of 2026-02-01" in found.problem
    with pytest.raises(JournalDamaged, match="row 200 was signed for"):
        Journal.open(edit.path, 7, key=edit.key)


@pytest.mark.parametrize(
    ("notes", "problem"),
    [
        (lambda notes: notes[1:], "row 199 is still open was taken out"),
        (lambda notes: (*notes, (75, notes[0][1])), "row 75 is still open was put in"),
        (lambda notes: (notes[0], (200, notes[0][1])), "row 200 is still open was changed"),
        (lambda notes: (notes[0], (200, b"\x00")), "row 200 is still open was changed"),
        (lambda notes: (*notes, (300, notes[0][1])), "row 300 is still open was changed"),
    ],
)
def test_notes_of_open_records_must_be_what_the_rows_leave_open(edit, notes, problem):
    was = read_state(edit.connection, edit.contents).notes
    assert [number for number, _ in was] == [199, 200]
    assert problem in edit.state(notes=notes(was)).problem


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "changes",
    [{"at_ms": 5}, {"tariff": "other:1"}, {"deny_list": ""}, {"last_hash": bytes(32)}, {"terminal": 8}],
)
def test_a_changed_checkpoint_is_named(edit, number, changes):
    found = edit.checkpoint(number, lambda signed: msgspec.structs.replace(signed, **changes))
    assert f"signed checkpoint {number} is " in found.problem


def test_a_checkpoint_of_other_rows_does_not_fit(edit):
    wrong = Head(120, bytes(32))
    made = sign_checkpoint(NOTARY, 7, Head(50, bytes(32)), wrong, wrong)
    assert "state different hashes of row" in edit.checkpoint(2, lambda _: made).problem
    assert verify(edit.path, edit.key).problem


def test_the_key_that_signed_before_may_be_named(edit):
    other = Ed25519PrivateKey.generate().public_key()
    assert "checkpoint 1 is not signed by this terminal" in verify(edit.path, edit.key, [other]).problem
    assert verify(edit.path, edit.key, [other, *IDENTITIES]).ok


def test_rows_before_the_bad_one_are_counted(edit):
    found = edit("UPDATE row SET body = x'00' WHERE sequence = 77")
    assert (found.rows, found.first, found.last) == (26, 51, 76)


def test_a_chain_made_anew_from_a_changed_row_does_not_fit_the_checkpoint(edit):
    connection, contents = edit.connection, edit.contents
    rows = [
        read_row(contents, *columns)
        for columns in connection.execute("SELECT sequence, body, hash FROM row WHERE sequence > 149")
    ]
    previous = rows[0].hash
    connection.execute("DELETE FROM row WHERE sequence > 150")
    for row in rows[1:]:
        body = row.body if row.sequence != 151 else row.body[:-1] + b"\x07"
        previous = link(previous, body)
        insert_row(connection, contents, Row(row.sequence, body, previous))
    assert "row 200 was changed" in edit().problem


def test_the_start_belongs_to_the_terminal(tmp_path):
    path = tmp_path / "journal.db"
    Journal.open(path, 7).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state SET terminal = 8")
    connection.close()
    assert "the line of state was changed: it is of terminal 7" in verify(path).problem


def test_the_start_cannot_be_made_anew(edit, tmp_path):
    Journal.open(tmp_path / "new.db", 7, key=edit.key).close()
    edit.path, edit.connection = tmp_path / "new.db", sqlite3.connect(tmp_path / "new.db")
    assert "not the start of a journal of terminal 7" in edit.state(base=Head(0, bytes(32))).problem


def test_a_damaged_page_is_a_problem_not_a_crash(original, tmp_path):
    path = shutil.copy(original, tmp_path / "journal.db")
    content = bytearray(path.read_bytes())
    page = content.rindex(b"demo:1") // 4096 * 4096  # one that holds rows
    content[page : page + 4096] = bytes(4096)
    path.write_bytes(content)
    found = verify(path)
    assert not found.ok
    assert "row" in found.problem


def test_a_file_that_is_no_journal(tmp_path):
    path = tmp_path / "journal.db"
    with pytest.raises(JournalError, match="no journal at"):
        verify(path)
    path.write_bytes(b"text" * 1000)
    assert "damaged" in verify(path).problem


def test_a_live_journal_can_be_verified_while_it_grows(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", 7)
    for taps in range(20):
        pending = journal.begin(intent(turn=taps))
        found = verify(journal.path)
        assert found.ok, found.problem
        assert found.last in (taps, taps + 1)
        pending.wait()
    journal.close()


def test_the_chain_begins_with_the_terminals_number_and_goes_on_with_every_byte():
    """By hand: who checks a journal elsewhere computes the same."""
    begun = genesis(70_001)
    assert begun == Head(0, hashlib.sha256(b"resident-journal-1" + bytes.fromhex("00011171")).digest())
    assert link(begun.hash, b"row") == hashlib.sha256(begun.hash + b"row").digest()
