"""A deny list's changes: what they mean is held to sets of hashes, and the merged file to one built from nothing."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.errors import RegionDocumentError
from terminal.policy.deny_changes import (
    NONE_BEFORE,
    ChangedDenyList,
    DenyBase,
    DenyChanges,
    are_of,
    changes_bytes,
    followed,
    merge_changes,
    next_increment,
    read_changes,
    unchanged,
)
from terminal.policy.deny_list import DenyKind, DenyListFile, build_deny_list
from terminal.policy.keyed_file import ListIssue, keyed_hash
from tests.properties import examples

KEY = b"k" * 32
AT = datetime(2026, 9, 15, 3, 0, tzinfo=UTC)
ISSUE, NEXT = ListIssue(7, 34, AT), ListIssue(8, 34, AT + timedelta(days=1))
HASH_OF = keyed_hash(KEY)
CARDS = st.frozensets(st.integers(0, 40), max_size=12)


def card(number: int) -> bytes:
    return number.to_bytes(7, "big")


def entry(number: int) -> bytes:
    return HASH_OF(b"card" + card(number))


def built(path: Path, numbers: frozenset[int] | set[int], issue: ListIssue = ISSUE) -> Path:
    build_deny_list(path, KEY, issue, [(DenyKind.CARD, card(number)) for number in numbers])
    return path


def opened(path: Path) -> DenyListFile:
    return DenyListFile(path, KEY)


def increments(base: DenyBase, steps: list[tuple[frozenset[int], frozenset[int]]]) -> list[bytes]:
    """The files of increments, each of what is denied and what no longer is."""
    whole, before, files = unchanged(base, AT), NONE_BEFORE, []
    for number, (more, less) in enumerate(steps, 1):
        at = AT + timedelta(minutes=number)
        one = next_increment(whole, before, at, map(entry, more), map(entry, less))
        files.append(changes_bytes(one))
        whole, before = followed(whole, one), sha256(files[-1]).digest()
    return files


def all_of(base: DenyBase, files: list[bytes]) -> DenyChanges:
    whole = unchanged(base, AT)
    for content in files:
        whole = followed(whole, read_changes(content, "increment"))
    return whole


@examples(60)
@given(listed=CARDS, steps=st.lists(st.tuples(CARDS, CARDS), max_size=5))
def test_what_is_denied_is_what_sets_say_and_the_next_base_is_the_one_built_from_them(
    tmp_path_factory: pytest.TempPathFactory,
    listed: frozenset[int],
    steps: list[tuple[frozenset[int], frozenset[int]]],
) -> None:
    folder = tmp_path_factory.mktemp("deny")
    base = opened(built(folder / "base", listed))
    expected = set(listed)
    for more, less in steps:
        expected = (expected - less) | more
    whole = all_of(DenyBase.of(base), increments(DenyBase.of(base), steps))
    now = ChangedDenyList(base, whole)
    assert {number for number in range(41) if now.contains(DenyKind.CARD, card(number))} == expected
    assert not any(now.contains(DenyKind.PERSON, card(number)) for number in range(41))
    digest = merge_changes(base, whole, NEXT, folder / "merged")
    rebuilt = built(folder / "rebuilt", expected, NEXT).read_bytes()
    assert (folder / "merged").read_bytes() == rebuilt
    assert digest == sha256(rebuilt).digest()
    base.close()


def test_who_fetched_all_changes_at_once_holds_what_who_followed_them_holds(tmp_path: Path) -> None:
    base = DenyBase.of(opened(built(tmp_path / "base", {1, 2, 3})))
    whole = all_of(base, increments(base, [(frozenset({4}), frozenset({1})), (frozenset({1}), frozenset())]))
    assert read_changes(changes_bytes(whole), "all") == whole
    assert (whole.last, whole.is_whole, whole.removed) == (2, True, frozenset())


def test_numbers_go_on_with_the_next_base(tmp_path: Path) -> None:
    """A base made overnight holds the increments up to its number; what comes after it chains on."""
    base = opened(built(tmp_path / "base", {1, 2}))
    files = increments(DenyBase.of(base), [(frozenset({3}), frozenset()), (frozenset(), frozenset({1}))])
    whole = all_of(DenyBase.of(base), files)
    merge_changes(base, whole, NEXT, tmp_path / "next")
    after = opened(tmp_path / "next")
    begun = unchanged(DenyBase.of(after, whole.last), AT)
    third = next_increment(begun, sha256(files[-1]).digest(), AT, [entry(9)], [])
    assert (third.first, third.is_whole) == (3, True)
    assert ChangedDenyList(after, followed(begun, third)).name.startswith("8.3:")


def test_an_increment_that_does_not_follow_is_refused(tmp_path: Path) -> None:
    base = DenyBase.of(opened(built(tmp_path / "base", {1})))
    other = DenyBase.of(opened(built(tmp_path / "other", {2})))
    steps = [(frozenset({number}), frozenset[int]()) for number in (5, 6, 7)]
    first, second, third = (read_changes(one, "it") for one in increments(base, steps))
    whole = followed(unchanged(base, AT), first)
    for wrong in (first, third):
        with pytest.raises(RegionDocumentError, match="does not follow 1"):
            followed(whole, wrong)
    with pytest.raises(RegionDocumentError, match="another base"):
        followed(unchanged(other, AT), first)
    with pytest.raises(RegionDocumentError, match="leads to another state"):
        followed(followed(unchanged(base, AT), read_changes(increments(base, [steps[1]])[0], "it")), second)


def test_changes_of_another_list_are_not_used(tmp_path: Path) -> None:
    base, other = opened(built(tmp_path / "base", {1})), opened(built(tmp_path / "other", {2}))
    whole = all_of(DenyBase.of(base), increments(DenyBase.of(base), [(frozenset({5}), frozenset())]))
    assert are_of(whole, base)
    assert not are_of(whole, other)
    with pytest.raises(RegionDocumentError, match="of another deny list"):
        ChangedDenyList(other, whole)


def test_every_cut_and_every_changed_byte_is_refused_or_seen(tmp_path: Path) -> None:
    base = DenyBase.of(opened(built(tmp_path / "base", {1, 2})))
    steps = [(frozenset({5, 6}), frozenset({1})), (frozenset({7}), frozenset({2}))]
    whole = all_of(base, increments(base, steps))
    content = changes_bytes(whole)
    for length in range(len(content)):
        with pytest.raises(RegionDocumentError):
            read_changes(content[:length], "cut")
    unseen = []
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 0x40
        try:
            read = read_changes(bytes(broken), "broken")
        except RegionDocumentError:
            continue
        if read == whole:
            unseen.append(place)
    assert unseen == []


@pytest.mark.parametrize(
    ("place", "form", "value", "says"),
    [
        (0, "4s", b"RCDL", "no such file"),
        (4, "B", 2, "have format 2"),
        (5, "c", b"<", "byte order"),
        (10, "H", 0, "no region"),
        (12, "I", 0, "no version"),
        (52, "I", 0, "no number"),
        (124, "Q", 2**63, "no calendar has"),
        (132, "I", 2_000_001, "do not hold"),
    ],
)
def test_what_a_header_may_not_say(tmp_path: Path, place: int, form: str, value: object, says: str) -> None:
    base = DenyBase.of(opened(built(tmp_path / "base", {1})))
    content = bytearray(changes_bytes(all_of(base, increments(base, [(frozenset({5}), frozenset())]))))
    struct.pack_into(f">{form}", content, place, value)
    with pytest.raises(RegionDocumentError, match=says):
        read_changes(bytes(content), "it")


def test_entries_out_of_order_twice_or_both_ways_are_refused(tmp_path: Path) -> None:
    base = DenyBase.of(opened(built(tmp_path / "base", {1})))
    whole = all_of(base, increments(base, [(frozenset({5, 6}), frozenset({7, 8}))]))
    content = changes_bytes(whole)
    head, entries = content[:140], [content[start : start + 8] for start in range(140, 172, 8)]
    for order in ((1, 0, 2, 3), (0, 0, 2, 3), (0, 1, 3, 2)):
        with pytest.raises(RegionDocumentError, match="not sorted"):
            read_changes(head + b"".join(entries[one] for one in order), "it")
    with pytest.raises(RegionDocumentError, match="add and remove"):
        read_changes(head + b"".join(entries[:2] * 2), "it")


def test_a_list_opened_without_its_key_answers_hashes_alone(tmp_path: Path) -> None:
    base = DenyListFile(built(tmp_path / "base", {1}), None)
    assert base.holds(entry(1))
    assert not base.holds(entry(2))
    with pytest.raises(ValueError, match="hashes alone"):
        base.contains(DenyKind.CARD, card(1))
