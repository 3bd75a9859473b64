"""Whatever comes in, an answer goes out, and nobody gets in without a key."""

from __future__ import annotations

import random
from datetime import date
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from sim.card.commands import COMMANDS
from sim.card.other import NotDesfire
from sim.card.port import SimCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile, profile_names
from tests.properties import examples
from tests.sim.bench import FULL, MASTER, READ_WRITE, UID, Bench, debit, example, write_record

INSTRUCTIONS = sorted({*COMMANDS, 0x71, 0x77, 0xAF, 0xAA, 0xF0, 0x00, 0xFF})

wrapped = st.builds(
    lambda ins, data: bytes((0x90, ins, 0, 0)) + (bytes((len(data),)) + data if data else b"") + b"\0",
    st.sampled_from(INSTRUCTIONS),
    st.binary(max_size=60),
)
aimed = st.builds(
    lambda ins, file, rest: bytes((0x90, ins, 0, 0, 1 + len(rest), file)) + rest + b"\0",
    st.sampled_from(INSTRUCTIONS),
    st.integers(0, 16),
    st.one_of(st.binary(max_size=30), st.builds(bytes, st.integers(0, 30))),
)
iso = st.builds(lambda rest: b"\0" + rest, st.binary(max_size=40))
messages = st.one_of(st.binary(max_size=300), wrapped, aimed, iso, st.just(bytes(70_000)))


def well_formed(command: bytes, answer: bytes) -> bool:
    """A status word for APDUs; one status byte and data for native commands."""
    if not command or command[0] in (0x90, 0x00, 0xFF):
        return len(answer) >= (1 if len(command) == 1 else 2) and len(answer) <= 258
    return 1 <= len(answer) <= 257


def locked(*, proving: bool = False) -> Bench:
    """The example card whose files only the master key creates and deletes."""
    bench = example(proving=proving)
    bench.begin(MASTER)
    bench.ok(0x54, b"", b"\x0b", FULL)
    return bench


@examples(150)
@given(st.lists(messages, min_size=1, max_size=12))
def test_any_sequence_is_answered_and_changes_nothing_behind_a_key(commands: list[bytes]) -> None:
    bench = locked(proving=True)
    protected = [bench.card.image()["applications"]["A10001"]["files"][n] for n in ("01", "02", "03", "0F")]
    bench.select()
    for command in commands:
        assert well_formed(command, bench.card.transmit(command))
    files = bench.card.image()["applications"]["A10001"]["files"]
    assert [files[n] for n in ("01", "02", "03", "0F")] == protected


@examples(150)
@given(st.lists(messages, min_size=1, max_size=6))
def test_any_sequence_inside_a_session_commits_nothing(commands: list[bytes]) -> None:
    bench = locked()
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    assert write_record(bench, b"pending record..") == 0
    for command in commands:
        assert well_formed(command, bench.card.transmit(command))
    files = bench.card.image()["applications"]["A10001"]["files"]
    assert (files["03"]["value"], files["02"]["records"]) == (1000, [])


@examples(100)
@given(st.lists(st.tuples(st.sampled_from(INSTRUCTIONS), st.binary(max_size=40), st.sampled_from([0, 1, 3]))))
def test_well_protected_nonsense_is_answered(commands: list[tuple[int, bytes, int]]) -> None:
    """Random parameters under a valid MAC reach the commands themselves."""
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    for ins, data, mode in commands:
        session = bench.session
        body = data
        if session is not None and mode:
            body += session.command_mac(ins, b"", data)
        length = bytes((len(body),)) if body else b""
        answer = bench.card.transmit(bytes((0x90, ins, 0, 0)) + length + body + b"\0")
        assert 2 <= len(answer) <= 258
        if answer[-1] == 0 and session is not None:
            session.counter += 1
        elif answer[-1] != 0xAF:
            bench.begin(READ_WRITE)


@given(messages)
def test_a_card_that_is_no_desfire_answers_everything(command: bytes) -> None:
    answer = NotDesfire(UID).transmit(command)
    assert len(answer) >= 2


HEADS = st.sampled_from(
    [bytes.fromhex(head) for head in ("00A404", "80A800", "80AE50", "00B2", "0088", "80CA", "00C0", "")]
)
BANK = [name for name in profile_names() if load_profile(name).bank is not None]


@examples(150)
@given(st.sampled_from(BANK), st.lists(st.tuples(HEADS, st.binary(max_size=60)), max_size=12))
def test_bank_cards_answer_everything(name: str, rest: list[tuple[bytes, bytes]]) -> None:
    """After a selection, so that what has the form of a command reaches it."""
    card = bank_card(name).clone()
    card.transmit(bytes.fromhex("00A4040005A00000065800"))
    for head, tail in rest:
        assert 1 <= len(card.transmit(head + tail)) <= 258


@cache
def bank_card(name: str) -> SimCard:
    return issue(load_profile(name), load_lab_keys(), 34, date(2026, 9, 15), random.Random(1).randbytes)
