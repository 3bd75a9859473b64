"""`terminal card look` on the real service: a process of its own, a card in the virtual reader."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sim.transcript import load_transcript
from tests.cardproto.emv.vectors import FDDA, TranscriptCard, own_transcripts
from tests.device.conftest import PutIn, reader_name
from tests.device.test_virtual_card import new_card
from tests.terminal.cli.conftest import ENVIRONMENT, command


class BankCardInReader(TranscriptCard):
    """A bank card as the bridge takes it; it answers what was recorded and is no DESFire."""

    atr = bytes.fromhex("3B8001" + "81")

    def __init__(self) -> None:
        super().__init__(own_transcripts()[FDDA]["apdus"], otherwise="6D00")
        self.by_header = True

    def power_on(self) -> None:
        self.sent.clear()

    def power_off(self) -> None:
        """Nothing is kept."""


def look(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    words = ("card", "look", "--reader", f"pcsc:{reader_name(0)}", *options)
    return subprocess.run(
        command(words), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_bank_card_on_the_real_service(bridge: PutIn, tmp_path: Path) -> None:
    bridge(BankCardInReader())
    done = look(tmp_path, "--json", "--record", "look.jsonl")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kind"] == "bank"
    assert found["bank"]["read"]["number"] == "220000******0004"
    recorded = (tmp_path / "look.jsonl").read_text(encoding="utf-8")
    assert load_transcript(tmp_path / "look.jsonl").taps
    for secret in ("2200000000000004", "544553542F5245534944454E54"):
        assert secret not in done.stdout + recorded


def test_a_resident_card_on_the_real_service(bridge: PutIn, tmp_path: Path) -> None:
    card = new_card()
    bridge(card)
    done = look(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "resident card"
    assert card.uid.hex().upper() not in done.stdout
    assert card.uid.hex().upper()[-4:] in done.stdout
