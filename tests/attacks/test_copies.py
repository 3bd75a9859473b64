"""Cards that are not what they say: rolled back, cloned, or with somebody else's UID; readers that lie who they are."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.desfire.application import KeySettings
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.files import FREE, AccessRights, TransactionMacSettings, ValueFileSettings
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import (
    DataCommand,
    decrypt_reader_id,
    session_tm_keys,
    tmi,
    transaction_mac_value,
)
from cardproto.errors import StatusError
from cardproto.resident.keyset import MasterKeys
from cardproto.resident.layout import AID, KeyNo
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.collector.store import AlarmKind
from terminal.journal.chain import Head, genesis
from terminal.journal.taps import End
from terminal.lab.world import purse_minor, rights_on
from terminal.sync.wire import batch_is_genuine, build_batch, row_hashes
from terminal.tap import take_tap
from tests.attacks.between import REGION, reconciled
from tests.flows.conftest import FRONT, REAR, OpenTown

TMAC_KEY = bytes(range(16))
READER_A, READER_B = b"reader A of bus1", b"reader B of bus2"


def adult(town) -> VirtualCard:
    card = town.cards["adult_purse"]
    assert isinstance(card, VirtualCard)
    return card


@pytest.mark.parametrize("where", [FRONT, REAR], ids=["same terminal", "another terminal"])
def test_a_rolled_back_card_is_noticed_by_the_collector(town_of: OpenTown, where) -> None:
    """Its memory before the ride put back: offline it pays again, with a counter the card has already used."""
    with town_of("adult_purse") as town:
        saved = adult(town).clone()
        taps = [take_tap(adult(town), town.terminals[FRONT.number])]
        town.clock.advance(3 * 3600)
        taps.append(take_tap(saved, town.terminals[where.number]))
        assert [tap.end for tap in taps] == [End.COMMITTED, End.COMMITTED], "no terminal alone can know"
        result = reconciled(town, taps, saved)
        assert [finding.kind for finding in result.findings] == [AlarmKind.TMC_TWICE]
        assert result.total.charged_in("RUB") == sum(tap.outcome.charge_minor for tap in taps)


def test_a_clone_with_all_keys_is_noticed_by_the_collector(town_of: OpenTown) -> None:
    with town_of("adult_purse") as town:
        clone = adult(town).clone()
        taps = []
        for _ in range(3):
            taps += [
                take_tap(adult(town), town.terminals[FRONT.number]),
                take_tap(clone, town.terminals[REAR.number]),
            ]
            town.clock.advance(3 * 3600)
            adult(town).power_on()
            clone.power_on()
        kinds = [finding.kind for finding in reconciled(town, taps, clone).findings]
        assert kinds == [AlarmKind.TMC_TWICE] * 3, "one for each pair of rides"


def test_a_restored_card_contradicts_the_terminal_that_knows_its_end(town_of: OpenTown) -> None:
    """The image is taken while a tap is unresolved: the terminal's own record and the card part ways."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        saved = adult(town).clone()
        first = take_tap(adult(town), town.terminals[FRONT.number])
        town.clock.advance(3600)
        adult(town).power_on()
        second = take_tap(adult(town), town.terminals[FRONT.number])
        assert first.end is second.end is End.COMMITTED
        town.clock.advance(3600)
        third = take_tap(saved, town.terminals[FRONT.number])
        findings = reconciled(town, [first, second, third], saved).findings
        assert AlarmKind.TMC_TWICE in {finding.kind for finding in findings}


def test_the_uid_of_a_resident_on_another_card_opens_nothing(town_of: OpenTown) -> None:
    """A card anybody can buy, with our application, the resident's UID and content, but not the region's keys."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        uid = adult(town).uid
        others = MasterKeys(*(bytes([n]) * 16 for n in range(9)))
        others = replace(others, spare=(others, others))
        bytes_of = random.Random(5).randbytes
        drawn = iter([uid[1:]])
        forged = issue(
            load_profile("adult_purse"),
            others,
            REGION,
            date(2026, 9, 1),
            lambda n: next(drawn, None) or bytes_of(n),
        )
        assert forged.uid == uid
        report = take_tap(forged, town.terminals[FRONT.number])
        assert (report.end, report.outcome.message) == (End.NOTHING_WRITTEN, "unknown_card")


def test_a_genuine_card_under_another_uid_opens_nothing(town_of: OpenTown) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        moved = VirtualCard(b"\x04moved!", random.Random(1).randbytes, memory=adult(town).memory)
        before = purse_minor(moved)
        report = take_tap(moved, town.terminals[FRONT.number])
        assert (report.outcome.accepted, purse_minor(moved)) == (False, before)


def test_the_validate_key_takes_money_and_makes_none(town_of: OpenTown) -> None:
    """A stolen terminal's key on the card: no credit, no rights, no credential, no reader id."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        card = adult(town)
        before = purse_minor(card), rights_on(card)
        key = AesKey(load_lab_keys().for_card(card.uid, REGION).validate)
        attempts = [
            lambda c: c.credit(3, 100, CommMode.MAC),
            lambda c: c.limited_credit(3, 100, CommMode.MAC),
            lambda c: c.write_data(1, 0, bytes(64), CommMode.MAC),
            lambda c: c.write_data(4, 0, bytes(64), CommMode.FULL),
            lambda c: c.commit_reader_id(READER_A),
            lambda c: c.change_key(KeyNo.RELOAD, bytes(16), 1, bytes(16)),
            lambda c: c.delete_file(3),
        ]
        for attempt in attempts:
            card.power_on()
            conversation = DesfireCard(DesfireChannel(card))
            conversation.select_application(AID)
            conversation.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(key, bytes(16)))
            with pytest.raises(StatusError):
                attempt(conversation)
        card.power_on()
        assert (purse_minor(card), rights_on(card)) == before


def test_a_terminal_cannot_speak_in_anothers_name() -> None:
    """The number in event and journal is only a claim; the key that signs the batch is the proof."""
    thief, rear = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    batch = build_batch(REAR.number, genesis(REAR.number), (b"a record",), Head(1, b"h" * 32), 0, thief)
    assert not batch_is_genuine(batch, row_hashes(batch)[-1], rear.public_key())
    assert batch_is_genuine(batch, row_hashes(batch)[-1], thief.public_key())


def proving_card() -> VirtualCard:
    """A purse whose transaction MAC takes reader ids: what our own card map leaves out."""
    card = VirtualCard(b"\x04proof!", random.Random(2).randbytes)
    conversation = DesfireCard(DesfireChannel(card))
    conversation.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), bytes(16)))
    conversation.create_application(AID, KeySettings(key_count=1, change_key=0, free_listing=True))
    conversation.select_application(AID)
    conversation.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), bytes(16)))
    everybody = AccessRights(0, 0, 0, 0)
    conversation.create_file(3, ValueFileSettings(CommMode.MAC, everybody, lower=0, upper=1000, value=500))
    settings = TransactionMacSettings(CommMode.MAC, AccessRights(FREE, 15, 0, 0), 1)
    conversation.create_transaction_mac_file(15, settings, TMAC_KEY, 1)
    return card


def test_a_wrong_reader_id_does_not_verify() -> None:
    """Where CommitReaderID is on, the card's proof covers it: a terminal cannot say later it was another."""
    card, commands, proofs = proving_card(), [], []
    for reader in (READER_A, READER_B):
        card.power_on()
        conversation = DesfireCard(DesfireChannel(card))
        conversation.select_application(AID)
        conversation.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), bytes(16)))
        conversation.debit(3, 10, CommMode.MAC)
        conversation.commit_reader_id(reader)
        commands.append(list(conversation.data_commands))
        proofs.append(conversation.commit_transaction(return_mac=True))
    proof, said = proofs[1], commands[1]
    assert proof is not None
    key = AesKey(TMAC_KEY)
    assert transaction_mac_value(key, card.uid, proof.counter, tmi(said)) == proof.value
    _, encryption = session_tm_keys(key, proof.counter, card.uid)
    assert decrypt_reader_id(encryption, said[-1].data) == READER_A, "the card remembers who came before"
    lie = [*said[:-1], DataCommand(said[-1].ins, READER_A, said[-1].data)]
    assert transaction_mac_value(key, card.uid, proof.counter, tmi(lie)) != proof.value
