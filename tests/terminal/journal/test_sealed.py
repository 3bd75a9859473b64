"""What lies in the file tells nobody anything, and opens in its own place only."""

from __future__ import annotations

import shutil
import sqlite3
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from terminal.errors import JournalDamaged, JournalError, JournalSealed, KeyFileError
from terminal.journal.journal import Journal
from terminal.journal.key_file import copy_path, key_path, load_key, load_or_create_key, wipe_key
from terminal.journal.reader import JournalReader
from terminal.journal.sealed import SEALED_BYTES, Broken, Contents, JournalKey, SealedPlace
from terminal.journal.verify import verify
from terminal.keys.sealing import StorageKeys
from tests.properties import examples
from tests.terminal.journal.samples import CARD, INTENT, day, intent

KEY = JournalKey(bytes(range(32)))
SEALER = StorageKeys({"journal": bytes(32)})


def test_nothing_can_be_read_from_the_file(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, 7, key=KEY)
    for record in [*day(5), intent()]:
        journal.append(record)
    hashes = [row.hash for row in journal.rows()]
    wal = path.with_name("journal.db-wal").read_bytes()
    journal.close()
    content = path.read_bytes() + wal
    for secret in (CARD, b"demo:1", b"ok_paid", INTENT.event, *hashes):
        assert secret not in content


def test_every_content_is_bound_to_its_place():
    sealed = Contents(7, KEY).close(SealedPlace.ROW, 5, b"content")
    assert len(sealed) == len(b"content") + SEALED_BYTES
    assert Contents(7, KEY).open(SealedPlace.ROW, 5, sealed) == b"content"
    elsewhere = [
        (Contents(8, KEY), SealedPlace.ROW, 5),
        (Contents(7, KEY), SealedPlace.CHECKPOINT, 5),
        (Contents(7, KEY), SealedPlace.ROW, 6),
        (Contents(7, JournalKey.generate()), SealedPlace.ROW, 5),
        (Contents(7, None), SealedPlace.ROW, 5),
    ]
    for contents, place, sequence in elsewhere:
        with pytest.raises(Broken):
            contents.open(place, sequence, sealed)
    with pytest.raises(Broken):
        Contents(7, KEY).open(SealedPlace.ROW, 5, b"\x00content")


@given(st.integers(0, 1000), st.integers(1, 255))
def test_no_bit_can_be_changed(position, change):
    sealed = bytearray(Contents(7, KEY).close(SealedPlace.ROW, 5, b"content"))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(Broken):
        Contents(7, KEY).open(SealedPlace.ROW, 5, bytes(sealed))


@pytest.mark.parametrize("damaged", [None, 7, "text", b""])
def test_what_a_damaged_page_gives_is_broken_and_nothing_worse(damaged):
    for key in (KEY, None):
        with pytest.raises(Broken):
            Contents(7, key).open(SealedPlace.CHECKPOINT, 1, damaged)


def test_the_same_row_written_again_after_a_restore_is_sealed_differently():
    """A nonce made from the sequence would be used twice, which gives both contents and the key's MACs away."""
    assert Contents(7, KEY).close(SealedPlace.ROW, 5, b"one") != Contents(7, KEY).close(
        SealedPlace.ROW, 5, b"one"
    )


def test_a_key_is_shown_by_its_id_only():
    assert repr(KEY) == f"JournalKey({KEY.id.hex()})"
    assert bytes(range(32)).hex() not in repr(vars(KEY))


# The key file


def open_sealed(path):
    return Journal.open(path, 7, key=load_or_create_key(path, SEALER, 7))


def test_the_key_is_made_once_and_wrapped(tmp_path):
    path = tmp_path / "state" / "journal.db"
    first = load_or_create_key(path, SEALER)
    assert load_or_create_key(path, SEALER).id == first.id == load_key(path, SEALER).id
    assert key_path(path).stat().st_mode & 0o777 == 0o600
    assert load_or_create_key(tmp_path / "other" / "journal.db", SEALER).id != first.id


@pytest.mark.parametrize("of", [key_path, copy_path])
@pytest.mark.parametrize(
    "change", [lambda key: key[:-1], lambda _: b"", None], ids=["cut", "empty", "missing"]
)
def test_one_copy_of_the_key_heals_the_other(tmp_path, of, change):
    path = tmp_path / "journal.db"
    journal = open_sealed(path)
    journal.append(intent())
    journal.close()
    whole = of(path).read_bytes()
    of(path).write_bytes(change(whole)) if change else of(path).unlink()
    open_sealed(path).close()
    assert of(path).read_bytes() == whole


def test_a_key_of_another_journal_does_not_take_the_place_of_ours(tmp_path):
    path = tmp_path / "journal.db"
    journal = open_sealed(path)
    journal.append(intent())
    journal.close()
    ours = key_path(path).read_bytes()
    load_or_create_key(tmp_path / "other.db", SEALER)
    key_path(path).write_bytes(key_path(tmp_path / "other.db").read_bytes())
    load_key(path, SEALER)
    assert key_path(path).read_bytes() != ours, (
        "who does not know whose journal it is writes over no sound key"
    )
    open_sealed(path).close()
    assert key_path(path).read_bytes() == ours


@pytest.mark.parametrize("end", ["", "-wal"])
def test_another_terminals_database_never_costs_us_our_key(tmp_path, end):
    """Database and one copy of the key are another's: its database names its key, and the other copy is our last."""
    path, other = tmp_path / "journal.db", tmp_path / "other" / "journal.db"
    for place, number in ((path, 7), (other, 8)):
        journal = Journal.open(place, number, key=load_or_create_key(place, SEALER, number))
        journal.append(intent())
        journal.abandon()
    ours, database = key_path(path).read_bytes(), path.read_bytes()
    path.write_bytes(other.read_bytes())
    copy_path(path).write_bytes(copy_path(other).read_bytes())
    if end:
        path.with_name("journal.db-wal").unlink()
    with pytest.raises(JournalError):
        open_sealed(path)
    assert key_path(path).read_bytes() == ours
    path.write_bytes(database)
    copy_path(path).unlink()
    open_sealed(path).close()


def test_without_the_key_the_journal_says_so(tmp_path):
    path = tmp_path / "journal.db"
    journal = open_sealed(path)
    journal.append(intent())
    journal.close()
    for key in (None, KEY):
        for use in (
            lambda key=key: Journal.open(path, 7, key=key),
            lambda key=key: JournalReader(path, key),
            lambda key=key: verify(path, key),
        ):
            with pytest.raises(JournalSealed, match="sealed") as caught:
                use()
            assert (caught.value.exit_code, "Restore the journal's key file" in caught.value.advice) == (
                25,
                True,
            )


def test_a_wiped_key_ends_the_journal(tmp_path):
    path = tmp_path / "journal.db"
    journal = open_sealed(path)
    journal.append(intent())
    journal.close()
    key_file = key_path(path).read_bytes()
    assert wipe_key(path)
    assert not wipe_key(path)
    assert load_key(path, SEALER) is None
    with pytest.raises(JournalSealed):
        load_or_create_key(path, SEALER)
    assert not key_path(path).exists(), "no new key is made over rows it cannot open"
    key_path(path).write_bytes(key_file)
    assert verify(path, load_key(path, SEALER)).ok


@pytest.mark.parametrize(
    ("sealer", "change", "error"),
    [
        (StorageKeys({"journal": bytes(31) + b"1"}), lambda key: key, JournalSealed),
        (SEALER, lambda key: key[:-1], JournalSealed),
        (SEALER, lambda key: b"", JournalSealed),
        (SEALER, lambda key: b"text" * 20, JournalSealed),
        (StorageKeys({}), lambda key: key, KeyFileError),
    ],
    ids=["another provider", "cut", "empty", "text", "no such key"],
)
def test_a_key_file_that_does_not_open(tmp_path, sealer, change, error):
    path = tmp_path / "journal.db"
    load_or_create_key(path, SEALER)
    for copy in (key_path(path), copy_path(path)):
        copy.write_bytes(change(copy.read_bytes()))
    with pytest.raises(error) as caught:
        load_key(path, sealer)
    assert caught.value.advice


def test_a_plain_journal_is_not_taken_for_the_sealed_one(tmp_path):
    """Whoever puts a journal of their own making in the place of ours must not have it sealed by us."""
    path = tmp_path / "journal.db"
    Journal.open(path, 7).close()
    with pytest.raises(JournalDamaged, match="not sealed"):
        Journal.open(path, 7, key=KEY)


# Whatever is done to the file


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "journal.db"
    journal = Journal.open(path, 7, key=KEY)
    for record in [*day(20), intent(turn=1), intent(turn=2)]:
        journal.append(record)
    journal.acknowledge(10, journal.hash_at(10), at_ms=0)
    journal.purge(keep_ms=0, now_ms=0)
    journal.close()
    return path


def contents(path):
    """All that the file says, to those who may read it."""
    reader = JournalReader(path, KEY)
    try:
        return reader.state(), list(reader.all_rows())
    finally:
        reader.close()


def test_a_format_sqlite_does_not_know_is_damage(original, tmp_path):
    """Bytes 44 to 47 are the schema format: SQLite calls it an error, not corruption, and it is not the disk's."""
    content = bytearray(original.read_bytes())
    content[44:48] = b"\xff" * 4
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    assert "damaged" in verify(path, KEY).problem
    for opens in (lambda: JournalReader(path, KEY), lambda: Journal.open(path, 7, key=KEY)):
        with pytest.raises(JournalDamaged, match="unsupported file format"):
            opens()


@examples(150)
@given(data=st.data())
def test_any_changed_bytes_of_the_file_are_found_or_mean_nothing(original, tmp_path_factory, data):
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.sampled_from([1, 4, 512]))
        content[at : at + length] = data.draw(st.sampled_from([b"\xff", b"\x00", b"\x5a"])) * length
    path = tmp_path_factory.mktemp("changed") / "journal.db"
    path.write_bytes(content[: len(original.read_bytes())])
    try:
        found = verify(path, KEY)
    except JournalSealed:
        return  # the id of the key was changed: that is said, too
    if found.ok:
        assert contents(path) == contents(original)


@pytest.mark.parametrize("at", [30_484, 27_587])
def test_a_length_that_no_memory_holds_is_damage(original, tmp_path, at):
    """SQLite asks for gigabytes here (MemoryError), or a row's number lies there: as the pages fall."""
    content = bytearray(original.read_bytes())
    content[at : at + 64] = b"\xff" * 64
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    assert verify(path, KEY).problem is not None
    with pytest.raises(JournalDamaged):
        contents(path)


@examples(150)
@given(data=st.data())
def test_any_changed_row_is_named(original, tmp_path_factory, data):
    """Rows deleted, copied over one another, moved, cut off: the first that is wrong is named, and none before it."""
    path = tmp_path_factory.mktemp("changed") / "journal.db"
    shutil.copy(original, path)
    first, last = 11, 42
    row = data.draw(st.integers(first, last))
    other = data.draw(st.integers(first, last).filter(lambda n: n != row))
    action = data.draw(st.sampled_from(["delete", "copy", "swap", "cut", "flip"]))
    bad = {"swap": min(row, other), "cut": row}.get(action, row)
    connection = sqlite3.connect(path)
    if action == "delete":
        connection.execute("DELETE FROM row WHERE sequence = ?", (row,))
    elif action == "copy":
        connection.execute(
            "UPDATE row SET body = (SELECT body FROM row WHERE sequence = ?) WHERE sequence = ?", (other, row)
        )
    elif action == "swap":
        for new, old in ((-1, row), (row, other), (other, -1)):
            connection.execute("UPDATE row SET sequence = ? WHERE sequence = ?", (new, old))
    elif action == "cut":
        connection.execute("DELETE FROM row WHERE sequence >= ?", (row,))
    else:
        (body,) = connection.execute("SELECT body FROM row WHERE sequence = ?", (row,)).fetchone()
        at = data.draw(st.integers(0, len(body) - 1))
        changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
        connection.execute("UPDATE row SET body = ? WHERE sequence = ?", (changed, row))
    connection.commit()
    connection.close()
    found = verify(path, KEY)
    assert found.rows == bad - first
    name = f"row {bad}" if action != "cut" else f"cut after row {bad - 1 if bad > first else 10}"
    assert name in found.problem


@pytest.mark.parametrize(
    ("place", "number"),
    [
        (SealedPlace.ROW, 1),
        (SealedPlace.STATE, 2),
        (SealedPlace.CHECKPOINT, 3),
        (SealedPlace.MARK, 4),
        (SealedPlace.RESERVATION, 5),
    ],
)
def test_a_content_is_what_the_document_says_to_the_byte(place, number):
    """By hand: 01, twelve bytes drawn, AES-256-GCM bound to terminal, place and number. Journals in service hold it."""
    bound = b"resident-journal-content" + (7).to_bytes(4, "big") + bytes([number]) + (5).to_bytes(8, "big")
    cipher, nonce = AESGCM(bytes(range(32))), bytes(range(100, 112))
    by_hand = b"\x01" + nonce + cipher.encrypt(nonce, b"content", bound)
    assert Contents(7, KEY).open(place, 5, by_hand) == b"content"
    sealed = Contents(7, KEY).close(place, 5, b"content")
    assert cipher.decrypt(sealed[1:13], sealed[13:], bound) == b"content"
    assert Contents(7, None).close(place, 5, b"content") == b"\x00content"


def test_a_keys_name_is_eight_bytes_of_its_hash():
    named = sha256(b"resident-journal-content-key-id" + bytes(range(32))).digest()
    assert KEY.id == named[:8]
    assert repr(KEY) == f"JournalKey({named[:8].hex()})"
    assert (Contents(7, KEY).key_id, Contents(7, None).key_id) == (KEY.id, b"")
