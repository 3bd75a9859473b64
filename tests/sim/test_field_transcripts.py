"""What another project's terminal once said to this card, and verified: the card must still answer the same.

The commands were made, and the answers' MACs and checksums verified, by code that shares nothing with ours: the
test suite libfreefare keeps for real cards. UID, chip and the card's random numbers are fixed for the recording.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cardproto.desfire.key_types import KeyType
from sim.card.virtual import VirtualCard

TRANSCRIPTS = sorted((Path(__file__).parents[1] / "transcripts").glob("libfreefare_*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_card_answers_as_it_did(path: Path) -> None:
    uid, numbers = bytes.fromhex("04A1B2C3D4E5F6"), random.Random(7)
    card = VirtualCard(uid, numbers.randbytes, generation="EV1", key_type=KeyType.DES)
    exchanges = 0
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line:
            card.power_on()
            continue
        command, answer = line.split()
        assert card.transmit(bytes.fromhex(command)).hex().upper() == answer, f"line {number}: {command}"
        exchanges += 1
    assert exchanges > 10


def test_every_recording_is_there() -> None:
    assert len(TRANSCRIPTS) == 6
