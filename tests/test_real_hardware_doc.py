"""docs/real-hardware.md: its way back to the factory state works, on a software card at least."""

from __future__ import annotations

import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cardproto.desfire.key_types import KeyType
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "real-hardware.md"
RANDOM = random.Random(1).randbytes


@pytest.mark.parametrize("profile", ["adult_purse", "adult_purse_ev1", "half_personalised"])
def test_factory_state_as_printed(profile: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    printed: dict[str, Any] = {}
    exec(code, printed)
    card = issue(load_profile(profile), load_lab_keys(), 34, date(2026, 9, 15), RANDOM)
    blank = VirtualCard(card.uid, RANDOM, key_type=KeyType.DES)
    card.power_on()
    printed["factory_state"](card)
    assert card.image() == blank.image()
