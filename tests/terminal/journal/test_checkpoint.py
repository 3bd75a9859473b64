"""What a checkpoint's signature covers, by hand, and what no checkpoint may state."""

from __future__ import annotations

import struct
from hashlib import sha256
from types import SimpleNamespace

import msgspec
import pytest

from terminal.journal.chain import Head
from terminal.journal.checkpoint import (
    Checkpoint,
    Notary,
    build_checkpoint,
    sign_checkpoint,
    signed_digest,
)

LARGEST_ROW = (1 << 28) - 1
LARGEST_MS = (1 << 63) - 1
SIGNED = Checkpoint(
    terminal=7,
    first=3,
    last=5,
    at_ms=1_700_000_000_000,
    head_sequence=6,
    previous_hash=b"p" * 32,
    last_hash=b"l" * 32,
    head_hash=b"h" * 32,
    tariff="",
    deny_list="",
    signature=b"s" * 64,
)
HEADER = (
    bytes.fromhex("00000007 00000003 00000005 0000018bcfe56800 00000006") + b"p" * 32 + b"l" * 32 + b"h" * 32
)


@pytest.mark.parametrize(
    ("stated", "later"),
    [
        ({}, ""),
        ({"confirmed_through": 4}, "00000004"),
        ({"tariff": "demo:1"}, "00000000 92 a6 64656d6f3a31 a0"),
        ({"deny_list": "3"}, "00000000 92 a0 a1 33"),
        ({"confirmed_through": 4, "tariff": "t", "deny_list": "3"}, "00000004 92 a1 74 a1 33"),
    ],
)
def test_the_signature_covers_every_field(stated: dict[str, object], later: str) -> None:
    """Written out: big-endian numbers, three hashes, then what is stated of what came later; msgpack for the names."""
    covered = b"resident-batch-1" + HEADER + bytes.fromhex(later)
    assert signed_digest(msgspec.structs.replace(SIGNED, **stated)) == sha256(covered).digest()


def test_one_that_was_not_sent_confirms_nothing_and_says_what_it_claims() -> None:
    assert SIGNED.confirmed_through == 0
    assert SIGNED.head == Head(6, b"h" * 32)
    assert SIGNED.claims == {2: b"p" * 32, 5: b"l" * 32, 6: b"h" * 32}
    assert struct.calcsize(">IIIQI32s32s32s") == len(HEADER)


def taken(**stated: object) -> Checkpoint:
    return msgspec.msgpack.decode(
        build_checkpoint(msgspec.structs.replace(SIGNED, **stated)), type=Checkpoint
    )


@pytest.mark.parametrize(
    "stated",
    [
        {"terminal": 0},
        {"first": 1, "last": 0},
        {"first": LARGEST_ROW + 1, "last": LARGEST_ROW, "head_sequence": LARGEST_ROW},
        {"at_ms": 0},
        {"at_ms": LARGEST_MS},
        {"head_sequence": 0},
        {"confirmed_through": 0},
        {"tariff": "t" * 64, "deny_list": "d" * 64},
    ],
)
def test_what_lies_at_a_limit_is_taken(stated: dict[str, object]) -> None:
    assert taken(**stated) == msgspec.structs.replace(SIGNED, **stated)


@pytest.mark.parametrize(
    "stated",
    [
        {"terminal": -1},
        {"terminal": 1 << 20},
        {"first": 0},
        {"first": LARGEST_ROW + 2},
        {"last": -1},
        {"last": LARGEST_ROW + 1},
        {"at_ms": -1},
        {"at_ms": LARGEST_MS + 1},
        {"head_sequence": -1},
        {"confirmed_through": LARGEST_ROW + 1},
        {"previous_hash": b"p" * 31},
        {"last_hash": b"l" * 33},
        {"tariff": "t" * 65},
        {"deny_list": "d" * 65},
        {"signature": b"s" * 63},
        {"signature": b"s" * 65},
    ],
)
def test_what_lies_beyond_is_not(stated: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        taken(**stated)


def test_longer_names_of_versions_are_cut() -> None:
    signer = SimpleNamespace(sign=lambda digest: digest * 2)
    notary = Notary(signer, SimpleNamespace(), "t" * 70, "d" * 70)  # type: ignore[arg-type]
    signed = sign_checkpoint(notary, 7, Head(2, b"p" * 32), Head(5, b"l" * 32), Head(6, b"h" * 32), at_ms=0)
    assert (signed.tariff, signed.deny_list, signed.at_ms) == ("t" * 64, "d" * 64, 0)
    assert signed.signature == signed_digest(signed) * 2
