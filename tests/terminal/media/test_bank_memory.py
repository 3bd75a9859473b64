"""What the memory of a process holds of a bank card's number once its tap has ended. The card is in another process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from cardproto.channel import CardChannel
from sim.emv.card import VirtualBankCard
from terminal.app.simulated import (
    issue_residents,
    laboratory_bank_ca,
    laboratory_bank_office,
    laboratory_keys,
)
from terminal.decision.bus.bank import BankSnapshot
from terminal.keys.file import load_file_keys
from terminal.media.bank.medium import BankMedium, BankTerms, BankTrust
from terminal.media.held import HeldEvents
from terminal.media.port import MediumSetup
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from tests.terminal.media.test_bank_live import TODAY

ROOT = Path(__file__).resolve().parents[3]
NOW = "2026-09-15T05:00:00+00:00"
PROFILES = ("bank_cda", "bank_fdda", "bank_cda_19")


class _Piped:
    """The card at the other end of this process's standard input and output."""

    def transmit(self, command: bytes) -> bytes:
        print(command.hex(), flush=True)
        return bytes.fromhex(sys.stdin.readline())


def _terminal(folder: Path) -> None:
    """The process that is looked into: a tap for each line "tap", then the number of objects that still hold any of
    the digits that the line after "held" names.
    """
    trust, keys = (
        BankTrust(laboratory_bank_ca().trust, laboratory_bank_office()),
        load_file_keys(laboratory_keys()),
    )
    policy, held = Policy.of(load_region("volgograd")), HeldEvents(folder)
    setup = MediumSetup("bus", 34, keys, os.urandom, policy.zone)
    medium = BankMedium(setup, 7, BankTerms((bytes.fromhex("A000000658"),), 643, 643, 0), trust, held)
    trip, now, row = Trip("bus", 7, 1, 1, 1, 2), datetime.fromisoformat(NOW), 0
    for line in sys.stdin:
        if line.strip() == "tap":
            row += 1
            channel = CardChannel(_Piped())
            assert medium.select(channel)
            card = medium.open(channel, now)
            assert isinstance(card.snapshot, BankSnapshot)
            plan = medium.decide(card.snapshot, policy, trip, now).write_plan
            assert plan is not None
            assert card.writer is not None
            card.writer.planned(plan)
            held.unseal(row)
            del card, channel, plan
            print("done", flush=True)
        else:
            digits = sys.stdin.readline().strip()[::-1]  # what asks is not what is looked for
            gc.collect()
            print(_holding(digits), flush=True)


def _holding(digits: str) -> int:
    """How many strings of bytes or characters that are still in use hold them, but for the question itself."""
    packed, text, found = bytes.fromhex(digits), digits.encode(), set()
    for one in gc.get_objects():
        for part in gc.get_referents(one):
            if isinstance(part, bytes) and (packed in part or text in part) and part not in (packed, text):
                found.add(id(part))
            if isinstance(part, str) and digits in part and part != digits:
                found.add(id(part))
    return len(found)


def test_nothing_in_use_holds_a_number_once_its_tap_has_ended(tmp_path: Path) -> None:
    """Nothing keeps one: no cache, snapshot, writer or row. What is freed Python does not wipe (docs/security.md)."""
    chips = [one for one in issue_residents(PROFILES, 34, TODAY) if isinstance(one, VirtualBankCard)]
    program = f"from {__name__} import _terminal, Path; _terminal(Path({str(tmp_path)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        seen = [_tapped(process, chip) for chip in chips]
        left = [_held(process, number) for number in seen]
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
    assert left == [0] * len(PROFILES)


def _tapped(process: subprocess.Popen[str], chip: VirtualBankCard) -> str:
    """The card's number, after its tap."""
    assert process.stdin is not None
    assert process.stdout is not None
    chip.power_on()
    process.stdin.write("tap\n")
    process.stdin.flush()
    while (line := process.stdout.readline().strip()) != "done":
        process.stdin.write(chip.transmit(bytes.fromhex(line)).hex() + "\n")
        process.stdin.flush()
    return chip.chip_memory.wallet.applications[0].pan


def _held(process: subprocess.Popen[str], number: str) -> int:
    """Asked with an even number of its digits, backwards."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"held\n{number[: len(number) // 2 * 2][::-1]}\n")
    process.stdin.flush()
    return int(process.stdout.readline())
