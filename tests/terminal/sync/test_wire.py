"""Messages: any altered byte is noticed, by the parser or by the signature."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from terminal.journal.chain import Head, genesis, link
from terminal.journal.checkpoint import build_checkpoint, checkpoint_is_genuine, parse_checkpoint
from terminal.sync import wire
from terminal.sync.wire import Malformed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BODIES = (b"\x01one", b"\x01two", b"\x01three")
START = genesis(7)
BATCH = wire.build_batch(7, START, BODIES, Head(9, bytes(32)), 1_000, KEY)
CONFESSION = wire.build_batch(7, START, BODIES, Head(9, bytes(32)), 1_000, KEY, confirmed_through=12)
ACK = wire.build_ack(7, Head(3, bytes(range(32))), 2_000, KEY)
SEALED_ACK = wire.build_ack(7, Head(3, bytes(range(32))), 2_000, KEY, ("demo:2",), (1, 3))


def is_genuine(batch: wire.Batch) -> bool:
    hashes = wire.row_hashes(batch)
    last = hashes[-1] if hashes else batch.previous_hash
    return wire.batch_is_genuine(batch, last, KEY.public_key())


def test_a_batch_arrives_as_it_was_sent():
    batch = wire.parse_batch(wire.encode(BATCH))
    assert batch == BATCH
    assert (batch.first, batch.last, batch.bodies) == (1, 3, BODIES)
    first = link(START.hash, BODIES[0])
    assert wire.row_hashes(batch) == [first, link(first, BODIES[1]), link(link(first, BODIES[1]), BODIES[2])]
    assert is_genuine(batch)


def test_a_greeting_is_a_batch_without_rows():
    greeting = wire.build_batch(7, Head(5, bytes(32)), (), Head(5, bytes(32)), 1_000, KEY)
    assert (greeting.first, greeting.last) == (6, 5)
    assert is_genuine(wire.parse_batch(wire.encode(greeting)))


def test_an_acknowledgement_arrives_as_it_was_sent():
    ack = wire.parse_ack(wire.encode(ACK))
    assert (ack.terminal, ack.through, ack.head_hash, ack.at_ms) == (7, 3, bytes(range(32)), 2_000)
    assert wire.ack_is_genuine(ack, KEY.public_key())


@given(st.integers(0, len(wire.encode(BATCH)) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_batch_is_noticed(position, change):
    data = bytearray(wire.encode(BATCH))
    data[position] ^= change
    try:
        batch = wire.parse_batch(bytes(data))
    except Malformed:
        return
    assert not is_genuine(batch)


@given(st.sampled_from((ACK, SEALED_ACK)), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_of_an_acknowledgement_is_noticed(signed, position, change):
    data = bytearray(wire.encode(signed))
    data[position % len(data)] ^= change
    try:
        ack = wire.parse_ack(bytes(data))
    except Malformed:
        return
    assert not wire.ack_is_genuine(ack, KEY.public_key())


@given(st.integers(0, len(wire.encode(CONFESSION)) - 1), st.integers(1, 255))
def test_what_the_terminal_says_it_was_told_is_signed(position, change):
    data = bytearray(wire.encode(CONFESSION))
    data[position] ^= change
    try:
        batch = wire.parse_batch(bytes(data))
    except Malformed:
        return
    assert not is_genuine(batch)


def test_a_batch_of_older_software_is_still_understood():
    older = wire.parse_batch(wire.msgspec.msgpack.encode(list(msgspec.structs.astuple(BATCH))[:9]))
    assert older == BATCH
    assert is_genuine(older)
    silenced = wire.msgspec.msgpack.encode(list(msgspec.structs.astuple(CONFESSION))[:9])
    assert not is_genuine(wire.parse_batch(silenced))


@given(st.binary(max_size=200))
def test_random_bytes_are_malformed(data):
    for parse in (wire.parse_batch, wire.parse_ack):
        with pytest.raises(Malformed):
            parse(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"first": 0},
        {"first": (1 << 28) + 1},
        {"terminal": 1 << 20},
        {"confirmed_through": 1 << 28},
        {"head_sequence": 2},
        {"bodies": (b"",)},
        {"bodies": (bytes(wire.MAX_BODY_BYTES + 1),)},
        {"previous_hash": bytes(31)},
        {"signature": bytes(63)},
    ],
    ids=str,
)
def test_a_batch_outside_the_limits_is_malformed(changes):
    with pytest.raises(Malformed):
        wire.parse_batch(wire.encode(msgspec.structs.replace(BATCH, **changes)))


@pytest.mark.parametrize("changes", [{"sealed": ()}, {"sealed": (1, 2, 3)}, {"withdrawn": ()}], ids=str)
def test_what_an_acknowledgement_says_is_held_sealed_is_signed(changes):
    assert wire.ack_is_genuine(SEALED_ACK, KEY.public_key())
    assert not wire.ack_is_genuine(msgspec.structs.replace(SEALED_ACK, **changes), KEY.public_key())


def test_the_two_signatures_cannot_stand_for_each_other():
    ack = msgspec.structs.replace(ACK, signature=BATCH.signature)
    assert not wire.ack_is_genuine(ack, KEY.public_key())
    assert not wire.ack_is_genuine(ACK, Ed25519PrivateKey.generate().public_key())


VERSIONED = wire.build_batch(
    7, genesis(7), BODIES, Head(9, bytes(32)), 5, KEY, tariff="demo:1", deny_list="00c0ffee"
)


@given(st.integers(0, len(wire.encode(VERSIONED)) - 1), st.integers(1, 255))
def test_the_versions_of_tariff_and_deny_list_are_signed(position, change):
    data = bytearray(wire.encode(VERSIONED))
    data[position] ^= change
    try:
        batch = wire.parse_batch(bytes(data))
    except Malformed:
        return
    assert not is_genuine(batch)


def test_a_batch_is_its_checkpoint():
    last_hash = wire.row_hashes(VERSIONED)[-1]
    checkpoint = VERSIONED.checkpoint(last_hash)
    assert checkpoint_is_genuine(checkpoint, KEY.public_key())
    assert parse_checkpoint(build_checkpoint(checkpoint)) == checkpoint
    assert (checkpoint.first, checkpoint.last, checkpoint.last_hash) == (1, len(BODIES), last_hash)
    assert (checkpoint.tariff, checkpoint.deny_list) == ("demo:1", "00c0ffee")
    for change in ({"tariff": "demo:2"}, {"deny_list": ""}, {"last_hash": bytes(32)}, {"last": 1}):
        assert not checkpoint_is_genuine(msgspec.structs.replace(checkpoint, **change), KEY.public_key())
