"""What a step of a decision did, in Russian: the engine speaks English, and a tariff author may not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EFFECTS: Final[Mapping[str, str]] = MappingProxyType({})
"""English to Russian; an effect without a word stays English."""
