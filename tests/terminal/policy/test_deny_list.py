"""The deny list file: who is on it, and which files are refused."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2s
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.errors import RegionDocumentError
from terminal.policy import keyed_file
from terminal.policy.deny_list import (
    EMPTY_DENY_LIST,
    AllDenied,
    DenyKind,
    DenyList,
    DenyListFile,
    build_deny_list,
    denied,
    load_deny_list,
    read_denied,
)
from terminal.policy.keyed_file import ListIssue, key_id
from tests.properties import examples

KEY = b"k" * 32
HEADER_BYTES = 28
ISSUED_AT = datetime(2026, 9, 15, 3, 0, tzinfo=UTC)
ISSUE = ListIssue(7, 34, ISSUED_AT)


def pseudonym(number: int) -> bytes:
    return number.to_bytes(8, "big")


def built(tmp_path: Path, *numbers: int) -> Path:
    path = tmp_path / "deny.bin"
    build_deny_list(path, KEY, ISSUE, [(DenyKind.PERSON, pseudonym(number)) for number in numbers])
    return path


def listed_in(deny: DenyList, number: int) -> bool:
    return deny.contains(DenyKind.PERSON, pseudonym(number))


@examples(30)
@given(listed=st.sets(st.integers(0, 2**64 - 1), max_size=50), others=st.sets(st.integers(0, 2**64 - 1)))
def test_exactly_the_listed_are_found(
    tmp_path_factory: pytest.TempPathFactory, listed: set[int], others: set[int]
) -> None:
    deny = DenyListFile(built(tmp_path_factory.mktemp("deny"), *listed), KEY)
    assert len(deny) == len(listed)
    assert all(listed_in(deny, number) for number in listed)
    assert not any(listed_in(deny, number) for number in others - listed)
    deny.close()


@pytest.mark.parametrize("uneven", [False, True])
def test_a_long_list_is_searched_from_end_to_end(
    tmp_path: Path, uneven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose hashes lie close together, which no key makes."""
    if uneven:
        monkeypatch.setattr(
            "terminal.policy.keyed_file.keyed_hash", lambda _key: lambda identity: identity[-8:]
        )
    numbers = [*range(0, 20_000, 2), 0x0A0A0A0A0A0A0A0A, (1 << 64) - 1]
    deny = DenyListFile(built(tmp_path, *numbers), KEY)
    assert len(deny) == len(numbers)
    assert all(listed_in(deny, number) for number in numbers)
    others = [*range(1, 20_000, 198), 0x0A0A0A0A0A0A0A0B, 0x0100_0000_0000_0000, 1 << 40, (1 << 64) - 2]
    assert not any(listed_in(deny, number) for number in others)
    deny.close()


def test_the_file_holds_keyed_hashes_in_the_documented_form(tmp_path: Path) -> None:
    """Built here by hand from the description: magic, format, order, key id, issue, count, entries ascending."""
    uid, resident, token = bytes.fromhex("04A1B2C3D4E5F6"), bytes(range(8)), bytes(range(16))
    entries = (b"card" + uid, b"person" + resident, b"bank" + token)
    hashes = sorted(blake2s(entry, key=KEY, digest_size=8).digest() for entry in entries)
    issue = struct.pack(">HIQ", 34, 7, int(ISSUED_AT.timestamp()))
    by_hand = b"RCDL" + b"\x04" + b">" + key_id(KEY) + issue + struct.pack(">I", 3) + b"".join(hashes)
    of_all = ((DenyKind.CARD, uid), (DenyKind.PERSON, resident), (DenyKind.BANK_CARD, token))
    assert build_deny_list(tmp_path / "deny.bin", KEY, ISSUE, of_all) == 3
    assert (tmp_path / "deny.bin").read_bytes() == by_hand


def test_entries_of_two_kinds_never_meet(tmp_path: Path) -> None:
    """The same bytes as a card, as a person and as a bank card are three entries."""
    for kind in DenyKind:
        build_deny_list(tmp_path / kind, KEY, ISSUE, [(kind, pseudonym(7))])
        deny = DenyListFile(tmp_path / kind, KEY)
        assert [other for other in DenyKind if deny.contains(other, pseudonym(7))] == [kind]
        deny.close()


def test_one_card_of_a_person_is_denied_or_all_are(tmp_path: Path) -> None:
    lost, replacement = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("04A1B2C3D4E5F7")
    build_deny_list(tmp_path / "card", KEY, ISSUE, [(DenyKind.CARD, lost)])
    deny = DenyListFile(tmp_path / "card", KEY)
    assert [denied(deny, pseudonym(1), uid) for uid in (lost, replacement)] == [DenyKind.CARD, None]
    build_deny_list(tmp_path / "both", KEY, ISSUE, [(DenyKind.CARD, lost), (DenyKind.PERSON, pseudonym(1))])
    deny = DenyListFile(tmp_path / "both", KEY)
    assert {denied(deny, pseudonym(1), uid) for uid in (lost, replacement)} == {DenyKind.PERSON}
    assert denied(deny, pseudonym(2), replacement) is None


def test_a_list_says_which_issue_it_is(tmp_path: Path) -> None:
    """Of two issues with one number the digest tells them apart in records."""
    one, other = load_deny_list(built(tmp_path, 1), KEY), load_deny_list(built(tmp_path, 2), KEY)
    assert (one.version, one.region, one.issued_at) == (7, 34, ISSUED_AT)
    assert (one.name[:2], one.name == other.name) == ("7:", False)
    assert (EMPTY_DENY_LIST.version, EMPTY_DENY_LIST.name, EMPTY_DENY_LIST.issued_at) == (0, "", None)


def test_a_resident_listed_twice_is_one_entry(tmp_path: Path) -> None:
    assert len(DenyListFile(built(tmp_path, 5, 5), KEY)) == 1


def test_an_empty_list_denies_nobody(tmp_path: Path) -> None:
    assert not listed_in(DenyListFile(built(tmp_path), KEY), 1)
    assert not any(EMPTY_DENY_LIST.contains(kind, pseudonym(1)) for kind in DenyKind)


def test_a_new_list_replaces_the_old_one_while_that_is_in_use(tmp_path: Path) -> None:
    old = DenyListFile(built(tmp_path, 1), KEY)
    new = DenyListFile(built(tmp_path, 2), KEY)
    assert (listed_in(old, 1), listed_in(old, 2)) == (True, False)
    assert (listed_in(new, 1), listed_in(new, 2)) == (False, True)
    assert [file.name for file in tmp_path.iterdir()] == ["deny.bin"], "nothing half-made stays behind"


def reversed_entries(data: bytes) -> bytes:
    entries = [data[at : at + 8] for at in range(HEADER_BYTES, len(data), 8)]
    return data[:HEADER_BYTES] + b"".join(reversed(entries))


def doubled_entry(data: bytes) -> bytes:
    return data[:HEADER_BYTES] + data[HEADER_BYTES : HEADER_BYTES + 8] * 3


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: data[:20], "cut off inside its header"),
        (lambda data: b"XXXX" + data[4:], "not a deny list"),
        (lambda data: data[:4] + b"\x02" + data[5:], "has format 2"),
        (lambda data: data[:10] + bytes(2) + data[12:], "states no version or no region"),
        (lambda data: data[:12] + bytes(4) + data[16:], "states no version or no region"),
        (lambda data: data[:16] + b"\xff" * 8 + data[24:], "no calendar has"),
        (lambda data: data[:5] + b"<" + data[6:], "byte order"),
        (lambda data: data[:6] + b"????" + data[10:], "another key"),
        (lambda data: data[:-1], "does not hold the 3 entries"),
        (lambda data: data + bytes(8), "does not hold the 3 entries"),
        (reversed_entries, "not sorted"),
        (doubled_entry, "not sorted"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused_by_name(
    tmp_path: Path, damage: Callable[[bytes], bytes], says: str
) -> None:
    path = built(tmp_path, 1, 2, 3)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RegionDocumentError, match=says) as caught:
        DenyListFile(path, KEY)
    assert str(path) in caught.value.what
    assert caught.value.advice


@pytest.mark.parametrize("count", [0, 1, 3, 20_000])
def test_a_list_whose_order_was_checked_before_is_searched_the_same_way(tmp_path: Path, count: int) -> None:
    path = built(tmp_path, *range(count))
    first = DenyListFile(path, KEY)
    again = DenyListFile(path, KEY, sorted_digest=first.digest)
    assert (again.name, len(again), again._buckets) == (first.name, len(first), first._buckets)
    first.close()
    again.close()


@pytest.mark.parametrize("count", [0, 1, 3, 700, 5_000, 20_000])
def test_each_bucket_begins_at_the_first_hash_that_is_in_it_or_behind(tmp_path: Path, count: int) -> None:
    path = built(tmp_path, *range(count))
    data = path.read_bytes()
    first_bits = [int.from_bytes(data[at : at + 2], "big") for at in range(HEADER_BYTES, len(data), 8)]
    begins = [HEADER_BYTES + 8 * bisect_left(first_bits, bucket) for bucket in range((1 << 16) + 1)]
    with closing(DenyListFile(path, KEY)) as listed:
        assert listed._buckets.tolist() == begins


def test_order_is_checked_where_the_file_is_another_one_than_was_checked(tmp_path: Path) -> None:
    path = built(tmp_path, *range(20_000))
    with closing(DenyListFile(path, KEY)) as checked:
        digest = checked.digest
    data = bytearray(path.read_bytes())
    data[-16:-8], data[-8:] = data[-8:], data[-16:-8]
    path.write_bytes(data)
    with pytest.raises(RegionDocumentError, match="not sorted"):
        DenyListFile(path, KEY, sorted_digest=digest)


def test_disorder_far_inside_a_long_list_is_found(tmp_path: Path) -> None:
    path = built(tmp_path, *range(20_000))
    data = bytearray(path.read_bytes())
    edge = HEADER_BYTES + 8 * 2048  # where one piece of the check ends and the next begins
    data[edge - 8 : edge], data[edge : edge + 8] = data[edge : edge + 8], data[edge - 8 : edge]
    path.write_bytes(data)
    with pytest.raises(RegionDocumentError, match="not sorted"):
        DenyListFile(path, KEY)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(RegionDocumentError, match=r"nothing\.bin cannot be read"):
        DenyListFile(tmp_path / "nothing.bin", KEY)
    with pytest.raises(RegionDocumentError, match="cannot be written"):
        build_deny_list(tmp_path / "no" / "folder.bin", KEY, ISSUE, [])


def test_every_entry_of_a_long_list_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """Also where the hashes are not as evenly spread as the search expects."""
    path = built(tmp_path, *range(3000))
    deny = DenyListFile(path, KEY)
    assert all(listed_in(deny, number) for number in range(3000))
    assert not any(listed_in(deny, number) for number in range(3000, 6000))
    data = path.read_bytes()
    low = sorted(data[at : at + 8] for at in range(HEADER_BYTES, len(data), 8))[:40]
    crowded = [*low, *(bytes.fromhex(f"ff{number:014x}") for number in range(2000))]
    head = data[: HEADER_BYTES - 4] + struct.pack(">I", len(crowded))
    path.write_bytes(head + b"".join(crowded))
    crowd = DenyListFile(path, KEY)
    assert sum(listed_in(crowd, number) for number in range(3000)) == 40


def test_an_operator_lists_uids_of_seven_bytes_and_pseudonyms_of_eight(tmp_path: Path) -> None:
    path = tmp_path / "denied.csv"
    path.write_text("kind,identity\ncard,04a1b2c3d4e5f6\nperson,0102030405060708\ncard,04A1B2C3D4E5F7\n")
    assert list(read_denied(path)) == [
        (DenyKind.CARD, bytes.fromhex("04a1b2c3d4e5f6")),
        (DenyKind.PERSON, bytes.fromhex("0102030405060708")),
        (DenyKind.CARD, bytes.fromhex("04a1b2c3d4e5f7")),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "card,04a1b2c3d4e5",
        "card,04a1b2c3d4e5f607",
        "person,01020304050607",
        "person,010203040506070809",
        "card,",
        "card,04a1b2c3d4e5fg",
        "card,0x04a1b2c3d4e5",
        "bank,0102030405060708",
        "CARD,04a1b2c3d4e5f6",
        ",04a1b2c3d4e5f6",
    ],
)
def test_what_is_no_identity_denies_nothing_and_names_its_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "denied.csv"
    path.write_text(f"kind,identity\nperson,0102030405060708\n{row}\n")
    with pytest.raises(RegionDocumentError, match=r"denied\.csv:3") as refused:
        list(read_denied(path))
    digits = {"card": "14", "person": "16"}.get(row.partition(",")[0], "")
    assert digits in str(refused.value)


def test_a_list_that_denies_all_denies_each_kind_and_the_empty_one_none() -> None:
    everything = AllDenied("all")
    assert (everything.version, everything.region, everything.issued_at) == (0, 0, None)
    for kind in DenyKind:
        assert everything.contains(kind, b"x")
        assert not EMPTY_DENY_LIST.contains(kind, b"x")
    assert AllDenied("one", frozenset({DenyKind.CARD})).contains(DenyKind.CARD, b"x")
    assert not AllDenied("one", frozenset({DenyKind.CARD})).contains(DenyKind.PERSON, b"x")


def test_a_list_that_does_not_fit_in_memory_is_the_same_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what comes twice."""
    whole = built(tmp_path, *range(2000), *range(500)).read_bytes()
    monkeypatch.setattr(keyed_file, "MOST_HELD_BYTES", 800)
    (tmp_path / "pieces").mkdir()
    assert built(tmp_path / "pieces", *range(2000), *range(500)).read_bytes() == whole
    assert [one.name for one in (tmp_path / "pieces").iterdir()] == ["deny.bin"]


def test_a_wrong_row_far_behind_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    path, entries = built(tmp_path, 1), tmp_path / "denied.csv"
    before = path.read_bytes()
    entries.write_text("kind,identity\n" + "person,0102030405060708\n" * 100_000 + "card,04\n")
    with pytest.raises(RegionDocumentError, match=r"denied\.csv:100002"):
        build_deny_list(path, KEY, ISSUE, read_denied(entries))
    assert path.read_bytes() == before
