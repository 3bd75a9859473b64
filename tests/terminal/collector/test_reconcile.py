"""What the records add up to: every tap once, money only where it is known, open ends settled from later reads."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.codes import Admission
from terminal.collector.evidence import OFFICE
from terminal.collector.proof import Proof, check_proof
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry, CardSecret, RegisteredCard, write_registry
from terminal.collector.store import AlarmKind, StoredRecord
from terminal.errors import KeyFileError
from terminal.journal.records import (
    Intent,
    NotCommitted,
    SettledBy,
    Started,
    Unresolved,
    UnresolvedCause,
    build_record,
)
from tests.terminal.journal.samples import CARD, INTENT, committed, fitting, intent, refused

NOBODY = CardRegistry()
ISSUED = (900, 12)


class Fleet:
    """Records of several terminals, in the order of each."""

    def __init__(self) -> None:
        self.rows: dict[int, list[bytes]] = defaultdict(list)

    def add(self, terminal: int, record) -> int:
        if isinstance(record, Intent):
            record = fitting(record, terminal, len(self.rows[terminal]) + 1)
        self.rows[terminal].append(build_record(record))
        return len(self.rows[terminal])

    def tap(self, terminal: int, seen=ISSUED, end: str | None = "committed", **changes) -> tuple[int, int]:
        """A tap that found event `seen`; returns the event it writes."""
        sequence = self.add(terminal, intent(prev_terminal=seen[0], prev_sequence=seen[1], **changes))
        if end == "committed":
            self.add(terminal, committed(sequence, tmc=None, tmv=b""))
        elif end is not None:
            self.add(terminal, Unresolved(at_ms=1, intent=sequence, cause=UnresolvedCause(end)))
        return terminal, sequence

    def refuse(self, terminal: int, seen=ISSUED, **changes) -> None:
        self.add(terminal, refused(prev_terminal=seen[0], prev_sequence=seen[1], **changes))

    def stored(self) -> list[StoredRecord]:
        return [
            StoredRecord(terminal, sequence, body)
            for terminal, bodies in sorted(self.rows.items())
            for sequence, body in enumerate(bodies, 1)
        ]

    def reconcile(self, registry=NOBODY):
        result = reconcile(self.stored(), registry)
        for totals in [*result.terminals.values(), result.total]:
            unwritten = totals.inside + sum(totals.refused.values())
            assert totals.taps == (
                totals.accepted + unwritten + totals.not_committed + totals.unresolved_open
            )
        return result


def settled(fleet: Fleet) -> tuple[int, int, int, int]:
    """(accepted, not committed, open, settled) over all terminals."""
    total = fleet.reconcile().total
    return total.accepted, total.not_committed, total.unresolved_open, total.unresolved_settled


def test_an_ordinary_morning():
    fleet = Fleet()
    fleet.add(1, Started(at_ms=1, software="test"))
    event = fleet.tap(1, charge_minor=3_400)
    event = fleet.tap(2, seen=event, charge_minor=1_700)
    fleet.refuse(2, seen=event, message="no_funds")
    fleet.refuse(2, seen=event, message="already_paid", admission=Admission.LET_IN)
    fleet.refuse(2, seen=event, message="already_paid", admission=Admission.INSIDE)
    fleet.refuse(1, card_ref=None, seen=(0, 0), message="unknown_card")
    result = fleet.reconcile()
    assert result.findings == []
    assert (result.terminals[1].records, result.terminals[2].records, result.total.records) == (4, 5, 9)
    assert (result.terminals[1].charged_in("RUB"), result.terminals[2].charged_in("RUB")) == (3_400, 1_700)
    total = result.total
    assert (total.taps, total.accepted, total.inside, total.charged_in("RUB")) == (6, 3, 1, 5_100)
    assert total.refused == {"no_funds": 1, "unknown_card": 1}
    assert total.proven(Proof.NO_REGISTRY) == 2


def test_a_tap_the_terminal_settled_itself():
    fleet = Fleet()
    for how, end in ((SettledBy.ANSWERED, NotCommitted), ("recovered", NotCommitted)):
        _, sequence = fleet.tap(1, end="card_gone", card_ref=how.encode())
        fleet.add(1, end(at_ms=2, intent=sequence, how=how))
    _, sequence = fleet.tap(1, end="card_gone")
    fleet.add(1, committed(sequence, tmc=None, tmv=b"", how=SettledBy.RECOVERED))
    assert settled(fleet) == (1, 2, 0, 2)
    assert fleet.reconcile().total.charged_in("RUB") == INTENT.charge_minor


@pytest.mark.parametrize("denied", [False, True])
def test_a_false_sum_whose_end_is_never_stated_is_found_when_the_card_shows_it(denied):
    """A thief who says nothing of the end, or denies it, leaves the card's proof out as well."""
    fleet = Fleet()
    false = replace(fitting(intent(), 1, 1), charge_minor=900_000)
    fleet.rows[1].append(build_record(false))
    if denied:
        fleet.add(1, NotCommitted(at_ms=2, intent=1, how=SettledBy.ANSWERED))
    open_yet = fleet.reconcile()
    assert (open_yet.total.charged_in("RUB"), open_yet.findings) == (0, [])
    fleet.refuse(2, seen=(1, 1))
    result = fleet.reconcile()
    assert result.total.charged_in("RUB") == INTENT.charge_minor
    assert result.total.proven(Proof.DIFFERING) == 1
    found = {(finding.kind, finding.sequence) for finding in result.findings}
    assert found == {("proof_differs", 1), *([("contradiction", 1)] if denied else [])}


@pytest.mark.parametrize("end", ["card_gone", None], ids=["unresolved", "killed before it could say"])
class TestOpenEnds:
    """A tap of terminal 1 whose end it never learned; what somebody reads from the card later decides."""

    def test_nothing_more_is_known(self, end):
        fleet = Fleet()
        fleet.tap(1, end=end)
        assert settled(fleet) == (0, 0, 1, 0)
        assert fleet.reconcile().total.charged_in("RUB") == 0

    @pytest.mark.parametrize("elsewhere", [1, 2, 3])
    def test_its_event_was_found_by_a_refusal(self, end, elsewhere):
        fleet = Fleet()
        event = fleet.tap(1, end=end)
        fleet.refuse(elsewhere, seen=event)
        assert settled(fleet) == (1, 0, 0, 1)
        assert fleet.reconcile().terminals[1].charged_in("RUB") == INTENT.charge_minor

    def test_its_event_was_found_by_another_tap(self, end):
        fleet = Fleet()
        event = fleet.tap(1, end=end)
        fleet.tap(2, seen=event)
        assert settled(fleet) == (2, 0, 0, 1)

    def test_its_event_was_found_under_the_pseudonym_of_another_purpose(self, end):
        fleet = Fleet()
        event = fleet.tap(1, end=end)
        fleet.refuse(2, seen=event, card_ref=b"school", profile="canteen")
        assert settled(fleet) == (1, 0, 0, 1)

    def test_the_card_went_another_way(self, end):
        fleet = Fleet()
        fleet.tap(1, end=end)
        fleet.tap(2)
        assert settled(fleet) == (1, 1, 0, 1)

    def test_another_card_went_its_own_way(self, end):
        fleet = Fleet()
        fleet.tap(1, end=end)
        fleet.tap(2, card_ref=b"somebody else")
        assert settled(fleet) == (1, 0, 1, 0)

    def test_the_same_terminal_still_found_the_older_event(self, end):
        fleet = Fleet()
        fleet.tap(1, end=end)
        fleet.refuse(1)
        assert settled(fleet) == (0, 1, 0, 1)

    def test_a_refusal_elsewhere_may_have_come_before(self, end):
        fleet = Fleet()
        fleet.refuse(2)
        fleet.tap(1, end=end)
        assert settled(fleet) == (0, 0, 1, 0)

    def test_an_earlier_refusal_at_the_same_terminal_proves_nothing(self, end):
        fleet = Fleet()
        fleet.refuse(1)
        fleet.tap(1, end=end)
        assert settled(fleet) == (0, 0, 1, 0)

    def test_two_open_ends_decide_each_other(self, end):
        fleet = Fleet()
        fleet.tap(1, end=end)
        event = fleet.tap(2, end=end)
        fleet.refuse(3, seen=event)
        assert settled(fleet) == (1, 1, 0, 2)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["paid", "answer lost", "torn", "refused"])), max_size=25
    )
)
def test_any_life_of_a_card_reconciles_with_the_card(story):
    """The card is the truth: never more charged than it lost, and nothing open once it has been read again."""
    fleet, card, spent = Fleet(), ISSUED, 0
    for number, (terminal, what) in enumerate([*story, (9, "paid")]):
        if what == "refused":
            fleet.refuse(terminal, seen=card)
            continue
        event = fleet.tap(
            terminal, seen=card, charge_minor=number + 1, end="committed" if what == "paid" else "card_gone"
        )
        if what != "torn":
            card, spent = event, spent + number + 1
    total = fleet.reconcile().total
    assert total.charged_in("RUB") == spent
    assert total.unresolved_open == 0


def test_a_terminal_that_says_not_committed_while_the_card_was_charged():
    fleet = Fleet()
    terminal, sequence = fleet.tap(1, end=None)
    fleet.add(1, NotCommitted(at_ms=2, intent=sequence, how=SettledBy.ANSWERED))
    fleet.refuse(2, seen=(terminal, sequence))
    result = fleet.reconcile()
    assert result.total.charged_in("RUB") == INTENT.charge_minor
    assert [(finding.kind, finding.sequence) for finding in result.findings] == [(AlarmKind.CONTRADICTION, 1)]


def test_records_of_newer_software_are_counted_not_guessed():
    result = reconcile([StoredRecord(1, 1, b"\x02\x91\x01")], NOBODY)
    assert (result.total.records, result.total.unreadable, result.total.taps) == (1, 1, 0)


# The card's own proof

UID = bytes.fromhex("04a1b2c3d4e5f6")
TMK = bytes(range(16))
REGISTRY = CardRegistry({CARD: CardSecret(UID, AesKey(TMK)), b"school": CardSecret(UID, AesKey(TMK))})


def proven(tmc: int, terminal: int = 1, sequence: int = 1, **changes) -> tuple:
    """An intent and the outcome a genuine card gives for it."""
    record = fitting(intent(**changes), terminal, sequence)
    value = transaction_mac_value(
        AesKey(TMK), UID, tmc, tmi(DataCommand(*command) for command in record.proof)
    )
    return record, lambda sequence: committed(sequence, tmc=tmc, tmv=value)


def test_a_genuine_proof_and_every_kind_of_false_one():
    fleet = Fleet()
    record, outcome = proven(5)
    fleet.add(1, record)
    fleet.add(1, outcome(1))
    assert fleet.reconcile(REGISTRY).total.proven(Proof.PROVEN) == 1
    assert fleet.reconcile().total.proven(Proof.NO_REGISTRY) == 1

    forged = intent(proof=((0xDC, bytes.fromhex("0301000000"), b""),), turn=1)
    for record, end in (
        (forged, outcome(3)),  # the terminal changed the amount
        (intent(turn=2), committed(5, tmc=6, tmv=outcome(5).tmv)),  # the counter
        (intent(turn=3), committed(7, tmc=7, tmv=bytes(8))),  # the value
    ):
        fleet.add(1, record)
        fleet.add(1, end)
    result = fleet.reconcile(REGISTRY)
    assert (result.total.proven(Proof.PROVEN), result.total.proven(Proof.FAILED), result.total.unproven) == (
        1,
        3,
        3,
    )
    mismatches = [finding.sequence for finding in result.findings if finding.kind is AlarmKind.TMV_MISMATCH]
    assert mismatches == [3, 5, 7]


@pytest.mark.parametrize("second", [CARD, b"school"], ids=["same pseudonym", "same card by registry"])
def test_one_card_counter_under_two_taps(second):
    fleet = Fleet()
    for terminal, card_ref in ((1, CARD), (2, second)):
        record, outcome = proven(5, terminal, card_ref=card_ref)
        fleet.add(terminal, record)
        fleet.add(terminal, outcome(1))
        fleet.add(terminal, outcome(1))  # said twice of one tap is no second tap
    assert [finding[:3] for finding in fleet.reconcile(REGISTRY).findings] == [(AlarmKind.TMC_TWICE, 2, 1)]


def test_a_commit_between_an_event_and_the_next_and_a_ride_taken_out_of_its_journal():
    fleet = Fleet()
    for terminal, tmc, found in ((1, 5, (0, 3)), (2, 6, (1, 1)), (3, 8, (2, 1))):
        record, outcome = proven(tmc, terminal, prev_terminal=found[0], prev_sequence=found[1])
        fleet.add(terminal, record)
        fleet.add(terminal, outcome(1))
    findings = fleet.reconcile(REGISTRY).findings
    assert [finding[:3] for finding in findings] == [(AlarmKind.COUNTER_GAP, 3, 1)]
    assert findings[0].detail == "counter_skipped counter=8 before=6 row=1 terminal=2"
    fleet.rows[1][0] = fleet.rows[1][1] = build_record(Started(at_ms=1, software="test"))
    findings = fleet.reconcile(REGISTRY).findings
    assert (AlarmKind.DROPPED_TAP, 1, 1) in [finding[:3] for finding in findings]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0xAD, 0xAB, 0xDC, 0x0C, 0x1C, 0x8B, 0x3B, 0xC8, -1, 300]),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\x03\x60\x09\0\0", b"\x02\0\0\0\x20\0\0", b"\x02\0\0\0\x01\0\0"]),
            ),
            st.binary(max_size=40),
        ),
        max_size=6,
    ),
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_no_commands_whatever_stop_the_check_or_are_taken_for_proven(commands, event, number):
    """Rows of a malicious terminal: any commands, any event, any link."""
    record = intent(proof=tuple(commands), event=event, prev_terminal=number, prev_sequence=number)
    for registry in (REGISTRY, NOBODY):
        checked = check_proof((1, 1), record, committed(1, tmc=number), registry)
        assert checked.proof is not Proof.PROVEN
        assert (checked.proof is Proof.DIFFERING) == bool(checked.differences)


def test_cards_come_from_the_office_with_events_that_no_journal_holds():
    assert OFFICE == 0, "what issuing and reload points write as their terminal"


def test_the_registry_file(tmp_path):
    path = tmp_path / "cards.json"
    write_registry(path, [RegisteredCard(CARD, UID, TMK)])
    registry = CardRegistry.load(path)
    assert registry.card(CARD).uid == UID
    assert registry.card(b"nobody") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert UID.hex() not in repr(registry.card(CARD))
    fleet = Fleet()
    record, outcome = proven(5)
    fleet.add(1, record)
    fleet.add(1, outcome(1))
    assert fleet.reconcile(registry).total.proven(Proof.PROVEN) == 1

    path.write_text(path.read_text().replace("laboratory", "production"))
    with pytest.raises(KeyFileError, match="production keys in the clear"):
        CardRegistry.load(path)
    with pytest.raises(KeyFileError, match="No such file"):
        CardRegistry.load(tmp_path / "nothing.json")
