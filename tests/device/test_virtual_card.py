"""A resident's software card in the real service: the same bytes as without it, and a command that behaves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from cardproto.connection import CardConnection
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardGone, ProtocolError, ServiceGone
from cardproto.resident.layout import AID, KeyNo
from sim.card.port import SimCard
from sim.faults import tear_after, tear_before
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.vpcd import VpcdBridge, VpcdFault
from tests.device.cards import EchoCard
from tests.device.conftest import OpenReader, PutIn
from tests.device.daemon import Daemon
from tests.device.test_real_reader import COMMAND, LONG_S, take_card
from tests.sim.disturbed import DisturbedCard

ROOT = Path(__file__).resolve().parents[2]
REGION, DAY, SEED = 34, date(2025, 9, 1), 5
EVENTS, PURSE, FARE_MINOR = 2, 3, 3400
EXCHANGES = 8


def new_card() -> SimCard:
    """Always the same card, which also draws the same random numbers afterwards."""
    return issue(load_profile("adult_purse"), load_lab_keys(), REGION, DAY, random.Random(SEED).randbytes)


class Transcript:
    """What went over a connection."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection
        self.exchanges: list[tuple[bytes, bytes]] = []

    def transmit(self, command: bytes) -> bytes:
        answer = self._connection.transmit(command)
        self.exchanges.append((command, answer))
        return answer


def pay(connection: CardConnection, uid: bytes) -> list[tuple[bytes, bytes]]:
    """A debit and an event, with fixed randomness on our side: UID, select, two to authenticate, read, debit,
    append, commit."""
    transcript = Transcript(connection)
    channel = DesfireChannel(transcript)
    assert channel.read_uid() == uid
    card = DesfireCard(channel)
    card.select_application(AID)
    key = load_lab_keys().for_card(uid, REGION).application_key(KeyNo.VALIDATE)
    card.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(AesKey(key), bytes(range(16))))
    event = card.read_records(EVENTS, 0, 1, CommMode.MAC, 32)
    card.debit(PURSE, FARE_MINOR, CommMode.MAC)
    card.write_record(EVENTS, 0, event, CommMode.MAC)
    card.commit_transaction(return_mac=True)
    return transcript.exchanges


def test_commands_and_answers_are_the_same_bytes_with_and_without_the_service(
    bridge: PutIn, reader: OpenReader
) -> None:
    here, there = new_card(), new_card()
    assert here.uid == there.uid
    without_service = pay(here, here.uid)
    inserted, contactless = bridge(there), reader()
    with_service = pay(take_card(contactless), there.uid)
    contactless.release()
    inserted.remove()
    assert with_service == without_service
    assert there.image() == here.image()
    assert len(with_service) == EXCHANGES


@pytest.mark.parametrize("plan", [tear_before, tear_after], ids=["before", "after"])
@pytest.mark.parametrize("exchange", range(1, EXCHANGES))
def test_a_card_pulled_at_each_exchange_is_all_or_nothing(
    bridge: PutIn,
    reader: OpenReader,
    plan: object,
    exchange: int,
) -> None:
    card, untouched, paid = new_card(), new_card(), new_card()
    pay(paid, paid.uid)
    contactless = reader()
    torn = bridge(DisturbedCard(card, plan(exchange)))  # type: ignore[operator]
    with pytest.raises((CardGone, ProtocolError)):
        pay(take_card(contactless), card.uid)
    contactless.release()
    torn.remove()
    assert contactless.wait_for_removal(LONG_S)
    committed = plan is tear_after and exchange == EXCHANGES - 1
    assert card.image() == (paid if committed else untouched).image()
    bridge(card)
    assert take_card(contactless).transmit(bytes.fromhex("FFCA000000")) == card.uid + b"\x90\x00"


def test_the_card_is_gone_with_the_service(our_pcscd: Daemon, bridge: PutIn, reader: OpenReader) -> None:
    card = bridge(EchoCard())
    connection = take_card(reader())
    our_pcscd.stop()
    with pytest.raises(ServiceGone):
        connection.transmit(COMMAND)
    assert not card.wait_for_conversation(after=0, timeout_s=LONG_S)
    assert not card.presented


def test_a_slot_can_be_taken_once(bridge: PutIn) -> None:
    bridge(EchoCard())
    second = VpcdBridge(EchoCard(), settle_s=0.0, taken_timeout_s=0.5)
    with pytest.raises(VpcdFault, match="slot 0 does not take the card"):
        second.present()


# the command


SimVpcd = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def sim_vpcd() -> Iterator[SimVpcd]:
    """`sim vpcd` with these options, as a process that does not outlive its test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sim.cli.app", "vpcd", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_takes_the_card_out_when_asked_to_end(
    pcscd: Daemon, reader: OpenReader, sim_vpcd: SimVpcd, tmp_path: Path, number: signal.Signals
) -> None:
    image = tmp_path / "card.json"
    process = sim_vpcd(
        *("--profile", "adult_purse", "--seed", str(SEED), "--issued-on", DAY.isoformat()),
        *("--image-out", str(image)),
    )
    contactless = reader()
    pay(take_card(contactless), new_card().uid)
    contactless.release()
    process.send_signal(number)
    said, complaint = process.communicate(timeout=LONG_S)
    assert contactless.wait_for_removal(LONG_S)
    assert (process.returncode, complaint) == (0, "")
    assert (
        said
        == f"adult_purse (UID {new_card().uid.hex().upper()}) is in virtual reader 0; Ctrl-C takes it out\n"
    )
    paid = new_card()
    pay(paid, paid.uid)
    assert json.loads(image.read_text()) == paid.image()


def test_the_command_taps_so_often_and_ends(pcscd: Daemon, reader: OpenReader, sim_vpcd: SimVpcd) -> None:
    process = sim_vpcd("--profile", "month_pass", "--slot", "1", "--taps", "2", "--hold", "0")
    contactless = reader(1)
    for _ in range(2):
        take_card(contactless).transmit(COMMAND)
        contactless.release()
        assert contactless.wait_for_removal(LONG_S)
    said, complaint = process.communicate(timeout=LONG_S)
    assert (process.returncode, complaint) == (0, "")
    assert said == "tap 1 of 2: card in\ntap 2 of 2: card in\n"


def test_the_command_says_in_one_line_what_is_missing(our_pcscd: Daemon, sim_vpcd: SimVpcd) -> None:
    our_pcscd.stop()
    process = sim_vpcd("--profile", "adult_purse")
    said, complaint = process.communicate(timeout=LONG_S)
    assert (process.returncode, said) == (30, "")
    assert "Install pcscd and vsmartcard-vpcd" in complaint
    assert complaint.count("\n") == 1


def test_the_command_ends_with_the_service(our_pcscd: Daemon, sim_vpcd: SimVpcd) -> None:
    process = sim_vpcd("--profile", "adult_purse")
    assert process.stdout is not None
    assert "Ctrl-C" in process.stdout.readline()
    our_pcscd.stop()
    _, complaint = process.communicate(timeout=LONG_S)
    assert (process.returncode, complaint.count("\n")) == (31, 1)
    assert "--keep" in complaint
