"""The list of grants: what the file says of whom, which files are refused, and which lines of an operator's CSV."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import blake2s
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.resident.records.rights import Concession, day_of
from terminal.errors import RegionDocumentError
from terminal.policy.grants import (
    COLUMNS,
    NO_SLOTS,
    LocalGrants,
    build_grants,
    load_grants,
    read_grants,
)
from terminal.policy.keyed_file import HEADER, ListIssue, key_id
from terminal.policy.mistakes import RowMistake
from tests.properties import examples

KEY = b"g" * 32
ISSUED_AT = datetime(2026, 9, 15, 3, 0, tzinfo=UTC)
ISSUE = ListIssue(4, 34, ISSUED_AT)
FREE = Concession(1, 0, date(2026, 9, 1), date(2027, 8, 31))
ANNA, BORIS, VERA = (bytes([number]) * 8 for number in (1, 2, 3))
DAYS = st.integers(0, 0xFFFF).map(day_of)
CONCESSIONS = st.builds(Concession, st.integers(1, 255), st.integers(0, 255), DAYS, DAYS)
GRANTS = st.builds(LocalGrants, DAYS, st.tuples(*[CONCESSIONS | st.none()] * 3))


def built(folder: Path, entries: dict[bytes, LocalGrants]) -> Path:
    assert build_grants(folder / "grants", KEY, ISSUE, entries.items()) == len(entries)
    return folder / "grants"


@examples(30)
@given(
    entries=st.dictionaries(st.binary(min_size=8, max_size=8), GRANTS, max_size=40),
    others=st.sets(st.binary(min_size=8, max_size=8)),
)
def test_every_holder_is_found_with_what_was_put_there(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[bytes, LocalGrants], others: set[bytes]
) -> None:
    with_all = load_grants(built(tmp_path_factory.mktemp("grants"), entries), KEY)
    assert len(with_all) == len(entries)
    assert {who: with_all.of(who) for who in entries} == entries
    assert not any(with_all.of(who) for who in others - entries.keys())
    assert (with_all.version, with_all.region, with_all.issued_at) == (4, 34, ISSUED_AT)
    with_all.close()


def test_the_file_holds_the_documented_form_and_names_nobody(tmp_path: Path) -> None:
    path = built(tmp_path, {ANNA: LocalGrants(date(2026, 9, 10), (FREE, None, None))})
    head = b"RCGL\x02>" + key_id(KEY) + struct.pack(">HIQI", 34, 4, int(ISSUED_AT.timestamp()), 1)
    first, last, issued = (
        (day - date(2000, 1, 1)).days for day in (FREE.valid_from, FREE.valid_to, date(2026, 9, 10))
    )
    content = struct.pack(">HBBHH", issued, 1, 0, first, last) + bytes(12)
    assert path.read_bytes() == head + blake2s(ANNA, key=KEY, digest_size=8).digest() + content
    assert ANNA not in path.read_bytes()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"RCDL" + data[4:], "is not a list of grants"),
        (lambda data: data[:4] + b"\x09" + data[5:], "has format 9"),
        (lambda data: data[:6] + b"????" + data[10:], "another key"),
        (lambda data: data[:-1], "does not hold the 3 entries"),
        (lambda data: data[: HEADER.size] + data[-28:] + data[HEADER.size + 28 :], "is not sorted"),
        (lambda data: data[:12] + bytes(4) + data[16:], "no version"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused_by_name(
    tmp_path: Path, damage: Callable[[bytes], bytes], says: str
) -> None:
    path = built(tmp_path, dict.fromkeys((ANNA, BORIS, VERA), LocalGrants(date(2026, 9, 10), NO_SLOTS)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RegionDocumentError, match=says) as caught:
        load_grants(path, KEY)
    assert str(path) in caught.value.what
    assert caught.value.advice


def csv_of(folder: Path, *lines: str) -> Path:
    path = folder / "grants.csv"
    path.write_text("\n".join((",".join(COLUMNS), *lines)) + "\n", "utf-8")
    return path


def test_lines_of_one_holder_are_slots_of_one_record(tmp_path: Path) -> None:
    anna, boris = ANNA.hex(), BORIS.hex().upper()
    path = csv_of(
        tmp_path,
        f"{anna},2026-09-10,1,,2026-09-01,2027-08-31",
        f"{anna},2026-09-10,2,7,2026-09-01,2027-06-30",
        f"{boris},2026-09-11,,,,",
    )
    second = Concession(2, 7, date(2026, 9, 1), date(2027, 6, 30))
    assert dict(read_grants(path)) == {
        ANNA: LocalGrants(date(2026, 9, 10), (FREE, second, None)),
        BORIS: LocalGrants(date(2026, 9, 11), NO_SLOTS),
    }


RIGHT = f"{VERA.hex()},2026-09-10,1,0,2026-09-01,2027-08-31"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((RIGHT, "5E1F0C0D,2026-09-10,1,0,2026-09-01,2027-08-31"), ":3: a pseudonym is 16"),
        ((RIGHT.replace("2026-09-10", "10.09.2026"),), ":2: issued_on is a date from 2000-01-01 on"),
        ((RIGHT.replace("2026-09-01", "1999-12-31"),), ":2: valid_from is a date"),
        ((RIGHT.replace("2027-08-31", "2200-01-01"),), ":2: valid_to is a date"),
        ((RIGHT.replace("2027-08-31", "2026-08-31"),), ":2: valid_to is before valid_from"),
        ((RIGHT.replace(",1,0,", ",0,0,"),), ":2: code is a number from 1 to 255"),
        ((RIGHT.replace(",1,0,", ",1,256,"),), ":2: parameter is a number from 0 to 255"),
        ((RIGHT.replace(",1,0,", ",,0,"),), ":2: code is a number"),
        ((RIGHT, RIGHT.replace("2026-09-10", "2026-09-11")), ":3: an earlier line says otherwise"),
        ((f"{VERA.hex()},2026-09-10,,,,", RIGHT), ":3: an earlier line says otherwise"),
        ((RIGHT, RIGHT.replace("03", "04"), RIGHT), ":4: an earlier line says otherwise"),
        ((RIGHT,) * 4, ":5: more than 3 concessions"),
        ((f"{VERA.hex()},2026-09-10,1",), ":2: has not 6 columns"),
        ((f"{RIGHT},more",), ":2: has not 6 columns"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_not_repeated(
    tmp_path: Path, lines: tuple[str, ...], says: str
) -> None:
    with pytest.raises(RegionDocumentError, match=says) as caught:
        list(read_grants(csv_of(tmp_path, *lines)))
    assert VERA.hex() not in caught.value.what


def test_every_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    wrong = (RIGHT.replace(",1,0,", ",0,0,"), RIGHT, "x,2026-09-10,,,,", f"{RIGHT},more")
    with pytest.raises(RegionDocumentError) as caught:
        list(read_grants(csv_of(tmp_path, *wrong)))
    assert [(one.line, one.code) for one in caught.value.mistakes] == [
        (2, RowMistake.NUMBER),
        (4, RowMistake.PSEUDONYM),
        (5, RowMistake.COLUMNS),
    ]


def test_a_file_that_is_no_csv_of_grants_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("kind,identity\n", "utf-8")
    with pytest.raises(RegionDocumentError, match=r"does not begin with the line pseudonym,"):
        list(read_grants(other))
    other.write_bytes("псевдоним".encode("cp1251"))
    with pytest.raises(RegionDocumentError, match="UTF-8"):
        list(read_grants(other))
