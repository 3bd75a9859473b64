"""What a row is worth beside its card's word: each thing it may say otherwise, alone, under a genuine proof."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from cardproto.resident.limits import LARGEST_MINOR
from terminal.collector import evidence
from terminal.collector.alarms import Alarm, AlarmKind
from terminal.collector.proof import (
    Checked,
    EvidenceLimits,
    Proof,
    check_proof,
    day_findings,
    finding_of,
    not_stated,
    statement_of,
)
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.journal.records import Committed, Intent, SettledBy
from terminal.journal.taps import End
from tests.terminal.journal.samples import CARD, READ_RIGHTS, committed, fitting, intent

ROW = (7, 41)
UID = bytes.fromhex("04a1b2c3d4e5f6")
KEY = AesKey(bytes(range(16)))
OLD = b"ev1"
REGISTRY = CardRegistry({CARD: CardSecret(UID, KEY), OLD: CardSecret(UID, KEY, proves=False)})
RIDE = fitting(intent(), *ROW)
READ, FIND, DEBIT, WRITE = RIDE.proof
ELSEWHERE = fitting(intent(), 8, 41)
CREDIT = (0x0C, b"\x03" + (500).to_bytes(4, "little"), b"")


def proven(record: Intent, tmc: int = 5) -> Committed:
    """The end of a tap as its card answered it."""
    covered = tmi(DataCommand(*command) for command in record.proof)
    return committed(ROW[1], tmc=tmc, tmv=transaction_mac_value(KEY, UID, tmc, covered))


def checked(record: Intent, end: Committed | None = None) -> Checked:
    return check_proof(ROW, record, end or proven(record), REGISTRY)


def test_a_row_that_says_what_its_card_says_is_proven_to_the_minor_unit() -> None:
    assert checked(RIDE) == Checked(Proof.PROVEN, 3_400, 3_400)
    free = fitting(intent(charge_minor=0), *ROW)
    assert checked(free) == Checked(Proof.PROVEN, 0, 0)
    all_of_it = fitting(intent(charge_minor=10_000), *ROW)
    assert (checked(all_of_it).proof, all_of_it.balance_after_minor) == (Proof.PROVEN, 0)
    fullest = fitting(intent(balance_before_minor=LARGEST_MINOR), *ROW)
    assert checked(fullest).proof is Proof.PROVEN
    assert finding_of(ROW, proven(RIDE), checked(RIDE)) is None


@pytest.mark.parametrize(
    ("record", "counted_minor", "first", "happened"),
    [
        (replace(RIDE, charge_minor=2_400), 3_400, "debit_differs card=3400 stated=2400", True),
        (replace(RIDE, charge_minor=4_400), 3_400, "debit_differs card=3400 stated=4400", True),
        (replace(RIDE, proof=(READ, FIND, WRITE)), 0, "debit_differs card=0 stated=3400", True),
        (replace(RIDE, proof=(READ, FIND, DEBIT, DEBIT, WRITE)), 6_800, "debit_differs card=6800", True),
        (replace(RIDE, proof=(READ, FIND, DEBIT, CREDIT, WRITE)), 2_900, "credited card=500", True),
        (replace(RIDE, proof=(*RIDE.proof, (0xC8, bytes(16), b""))), 3_400, "foreign_command code=200", True),
        (replace(RIDE, proof=(*RIDE.proof, (0xFF, b"", b""))), 3_400, "foreign_command code=255", True),
        (replace(RIDE, proof=(*RIDE.proof, (0, b"", b""))), 3_400, "foreign_command code=0", True),
        (replace(RIDE, event=bytes(32)), 3_400, "event_differs", True),
        (replace(RIDE, proof=ELSEWHERE.proof, event=ELSEWHERE.event), 0, "row_differs row=41 terminal=8", False),
        (replace(RIDE, proof=(READ, FIND, DEBIT)), 0, "no_event", False),
        (replace(RIDE, proof=(READ, DEBIT, WRITE)), 3_400, "nothing_found", False),
        (replace(RIDE, prev_sequence=13), 3_400, "found_differs row=12 terminal=900", False),
        (replace(RIDE, prev_terminal=901), 3_400, "found_differs row=12 terminal=900", False),
        (replace(RIDE, balance_after_minor=6_601), 3_400, "balance_differs card=6600 stated=6601", True),
        (replace(RIDE, balance_before_minor=10_001), 3_400, "before_differs card=10000 stated=10001", True),
    ],
)  # fmt: skip
def test_one_thing_that_a_row_says_otherwise_counts_as_the_card_says(
    record: Intent, counted_minor: int, first: str, happened: bool
) -> None:
    found = checked(record)
    assert (found.proof, found.counted_minor, found.stated_minor) == (
        Proof.DIFFERING,
        counted_minor,
        record.charge_minor,
    )
    assert found.overstated_minor == max(0, record.charge_minor - counted_minor)
    assert found.understated_minor == max(0, counted_minor - record.charge_minor)
    assert found.happened is happened
    alarm = finding_of(ROW, proven(record), found)
    assert alarm is not None
    assert (alarm.kind, alarm.terminal, alarm.sequence) == (AlarmKind.PROOF_DIFFERS, *ROW)
    assert str(alarm.detail).startswith(first.partition(" ")[0])
    assert all(part in str(alarm.detail) for part in first.split())
    assert f"more={len(found.differences) - 1}" in str(alarm.detail) or len(found.differences) == 1


def test_all_that_differs_is_found_in_the_order_of_what_it_means() -> None:
    wrong = replace(
        RIDE, charge_minor=1, balance_after_minor=2, balance_before_minor=9, prev_sequence=4, event=b""
    )
    assert [one.cause.value for one in checked(wrong).differences] == [
        *("debit_differs", "event_differs", "amount_differs", "balance_differs", "found_differs"),
        *("before_differs", "balance_differs"),
    ]


@pytest.mark.parametrize(
    ("proof", "first"),
    [
        ((READ, FIND, CREDIT, *ELSEWHERE.proof[2:]), "row_differs"),
        ((READ, FIND, DEBIT, CREDIT), "no_event"),
        ((READ, FIND, DEBIT, CREDIT, WRITE), "credited"),
    ],
)
def test_that_commands_are_of_another_row_is_said_before_anything_else(proof: Any, first: str) -> None:
    found = checked(replace(RIDE, proof=proof, charge_minor=1))
    assert len(found.differences) > 1
    assert found.differences[0].cause == first


STATED, DENIED, FOUND, AGAIN, ON = (
    evidence.STATED_COMMITTED,
    evidence.STATED_NOT_COMMITTED,
    evidence.SEEN,
    evidence.SEEN_AGAIN,
    evidence.WENT_ON,
)


@pytest.mark.parametrize(
    ("known", "end", "settled", "happened"),
    [
        (evidence.NOTHING_KNOWN, End.UNRESOLVED, False, False),
        (STATED, End.COMMITTED, False, True),
        (STATED | evidence.RECOVERED, End.COMMITTED, True, True),
        (STATED | evidence.DOUBTED, End.COMMITTED, False, False),
        (STATED | evidence.DOUBTED | FOUND, End.COMMITTED, False, True),
        (STATED | AGAIN | ON, End.COMMITTED, False, True),
        (DENIED, End.NOT_COMMITTED, False, False),
        (DENIED | evidence.RECOVERED, End.NOT_COMMITTED, True, False),
        (DENIED | FOUND, End.COMMITTED, True, True),
        (FOUND | AGAIN | ON, End.COMMITTED, True, True),
        (AGAIN, End.NOT_COMMITTED, True, False),
        (ON, End.NOT_COMMITTED, True, False),
        (127, End.COMMITTED, True, True),
    ],
)
def test_what_a_card_showed_counts_for_more_than_what_its_terminal_denies(
    known: int, end: End, settled: bool, happened: bool
) -> None:
    assert evidence.END[known] is end
    assert evidence.SETTLED[known] is settled
    assert evidence.HAPPENED[known] is happened
    assert evidence.contradicts(known) is bool(known & DENIED and known & FOUND)


def test_findings_of_counters_and_links_name_both_rows() -> None:
    assert evidence.counter_twice((1, 2), (3, 4), 5) == (
        *(AlarmKind.TMC_TWICE, 1, 2),
        "counter_twice counter=5 row=4 terminal=3",
    )
    assert evidence.counter_skipped((1, 2), 5, (3, 4), 6) == (
        *(AlarmKind.COUNTER_GAP, 1, 2),
        "counter_skipped counter=5 before=6 row=4 terminal=3",
    )
    assert evidence.dropped((1, 2), (3, 4)) == (
        *(AlarmKind.DROPPED_TAP, 1, 2),
        "not_in_journal row=4 terminal=3",
    )
    assert evidence.contradiction((1, 2)) == (AlarmKind.CONTRADICTION, 1, 2, "found_later")


@pytest.mark.parametrize("counter", [0, 1, 6])
def test_a_false_proof_is_said_with_its_counter(counter: int) -> None:
    end = replace(proven(RIDE), tmc=counter, tmv=bytes(8))
    alarm = finding_of(ROW, end, checked(RIDE, end))
    assert alarm is not None
    assert f"counter={counter}" in str(alarm.detail)


@pytest.mark.parametrize(
    ("record", "end", "proof"),
    [
        (RIDE, replace(proven(RIDE), tmc=6), Proof.FAILED),
        (RIDE, replace(proven(RIDE), tmv=bytes(8)), Proof.FAILED),
        (RIDE, replace(proven(RIDE), tmv=b""), Proof.FAILED),
        (replace(RIDE, proof=(*RIDE.proof, (256, b"", b""))), proven(RIDE), Proof.FAILED),
        (replace(RIDE, proof=(*RIDE.proof, (-1, b"", b""))), proven(RIDE), Proof.FAILED),
        (RIDE, committed(41, tmc=None, tmv=b""), Proof.NO_PROOF),
        (RIDE, committed(41, tmc=None, tmv=b"", how=SettledBy.RECOVERED), Proof.REPLACED),
        (replace(RIDE, card_ref=OLD), committed(41, tmc=None, tmv=b""), Proof.CANNOT_PROVE),
        (replace(RIDE, card_ref=b"other"), proven(RIDE), Proof.UNKNOWN_CARD),
        (replace(RIDE, proof=()), proven(RIDE), Proof.NO_PROOF),
        (replace(RIDE, proof=(), card_ref=OLD), committed(41, tmc=None, tmv=b""), Proof.NO_PROOF),
    ],
)
def test_a_row_without_the_cards_word_counts_as_it_states_and_says_why(
    record: Intent, end: Committed, proof: Proof
) -> None:
    found = check_proof(ROW, record, end, REGISTRY)
    disbelieved = proof in (Proof.FAILED, Proof.NO_PROOF)
    assert found == Checked(proof, 3_400, 3_400, happened=not disbelieved)
    alarm = finding_of(ROW, end, found)
    kinds = {Proof.FAILED: AlarmKind.TMV_MISMATCH, Proof.NO_PROOF: AlarmKind.NO_PROOF}
    assert (alarm.kind if alarm else None) == kinds.get(proof)


def test_without_a_registry_rows_are_held_to_their_commands_and_proven_by_nothing() -> None:
    nothing = CardRegistry()
    assert check_proof(ROW, RIDE, proven(RIDE), nothing) == Checked(Proof.NO_REGISTRY, 3_400, 3_400)
    understated = replace(RIDE, charge_minor=1)
    assert check_proof(ROW, understated, proven(understated), nothing).counted_minor == 3_400


def test_a_tap_that_only_the_card_shows_is_held_to_its_commands() -> None:
    assert not_stated(ROW, RIDE) == Checked(Proof.NOT_STATED, 3_400, 3_400)
    bare = replace(RIDE, proof=())
    assert not_stated(ROW, bare) == Checked(Proof.NOT_STATED, 3_400, 3_400)
    false = not_stated(ROW, replace(RIDE, charge_minor=900_000))
    assert (false.proof, false.counted_minor, false.overstated_minor) == (Proof.DIFFERING, 3_400, 896_600)
    assert not_stated(ROW, ELSEWHERE).counted_minor == 0


def test_a_card_that_cannot_prove_is_still_held_to_its_commands() -> None:
    understated = replace(RIDE, card_ref=OLD, charge_minor=1)
    found = check_proof(ROW, understated, committed(41, tmc=None, tmv=b""), REGISTRY)
    assert (found.proof, found.counted_minor, found.understated_minor) == (Proof.DIFFERING, 3_400, 3_399)


def two_events() -> tuple[int, bytes, bytes]:
    code, header, newest = FIND
    return code, header, bytes(32) + newest


@pytest.mark.parametrize(
    ("commands", "foreign"),
    [
        ((READ, two_events(), DEBIT, WRITE), None),
        ((READ_RIGHTS, FIND, (0xAB, b"\x02", bytes(32)), DEBIT, WRITE), None),
        ((READ, (0xAB, b"\x01", bytes(32)), FIND, DEBIT, WRITE), None),
        ((READ, FIND, DEBIT, WRITE, (0x8B, b"\x02", bytes(32))), 0x8B),
        ((READ, FIND, DEBIT, WRITE, WRITE), 0x8B),
        ((READ, FIND, DEBIT, (0xDC, b"\x04" + bytes(4), b""), WRITE), 0xDC),
        ((READ, FIND, DEBIT, (0xDC, b"\x03" + bytes(5), b""), WRITE), 0xDC),
        ((READ, FIND, DEBIT, WRITE, (0xC8, b"", b""), (0x3D, b"", b"")), 0xC8),
        ((READ, FIND, DEBIT, WRITE, (0x6C, b"\x03", bytes(4))), None),
    ],
)
def test_what_commands_say_of_money_and_events(commands: Any, foreign: int | None) -> None:
    said = statement_of(commands)
    assert (said.debit_minor, said.credit_minor, said.foreign) == (3_400, 0, foreign)
    assert (said.found, said.written) == (FIND[2], WRITE[2])


def test_a_debit_of_less_than_nothing_is_no_fortune() -> None:
    less = (0xDC, b"\x03" + (-5).to_bytes(4, "little", signed=True), b"")
    said = statement_of((READ, FIND, less, CREDIT, WRITE))
    assert (said.debit_minor, said.credit_minor) == (-5, 500)


def test_a_share_of_nothing_allows_none_and_raises_nothing_where_there_is_none() -> None:
    none = EvidenceLimits(ev1_share=0, replaced_share=0, least_taps=1)
    assert day_findings(7, "2026-09-15", {Proof.PROVEN: 1}, none) == []
    assert len(day_findings(7, "2026-09-15", {Proof.CANNOT_PROVE: 1, Proof.REPLACED: 1}, none)) == 2


@pytest.mark.parametrize(
    ("taps", "kinds"),
    [
        ({Proof.PROVEN: 100}, []),
        ({Proof.UNKNOWN_CARD: 2, Proof.PROVEN: 100}, []),
        ({Proof.UNKNOWN_CARD: 3}, ["cards_not_registered"]),
        ({Proof.CANNOT_PROVE: 50, Proof.PROVEN: 50}, []),
        ({Proof.CANNOT_PROVE: 51, Proof.PROVEN: 49}, ["ev1_share"]),
        ({Proof.CANNOT_PROVE: 49}, []),
        ({Proof.CANNOT_PROVE: 50}, ["ev1_share"]),
        ({Proof.REPLACED: 10, Proof.PROVEN: 90}, []),
        ({Proof.REPLACED: 11, Proof.PROVEN: 89}, ["replaced_share"]),
        (
            {Proof.UNKNOWN_CARD: 9, Proof.CANNOT_PROVE: 70, Proof.REPLACED: 21},
            ["cards_not_registered", "ev1_share", "replaced_share"],
        ),
    ],
)
def test_a_day_whose_proofs_are_missing_is_said(taps: dict[Proof, int], kinds: list[str]) -> None:
    found = day_findings(7, "2026-09-15", taps, EvidenceLimits(unknown_cards=2))
    assert [str(alarm.detail).split()[0] for alarm in found] == kinds
    for alarm in found:
        assert isinstance(alarm, Alarm)
        unknown = "cards_not_registered" in str(alarm.detail)
        kind = AlarmKind.UNKNOWN_CARD if unknown else AlarmKind.UNPROVEN_SHARE
        assert alarm[:3] == (kind, 7, 0)
        assert "2026-09-15" in str(alarm.detail)
    assert day_findings(7, "2026-09-15", {Proof.UNKNOWN_CARD: 1, Proof.PROVEN: 49}, EvidenceLimits()) != []
