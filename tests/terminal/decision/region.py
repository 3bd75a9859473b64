"""A small region to hang one rule on: what a test does not state is as plain as can be."""

from __future__ import annotations

from terminal.policy.load import parse_region
from terminal.policy.policy import Policy

HEADER = """
[header]
id = "small"
version = 1
schema = 2
region = 34
valid_from = 2025-01-01T03:00:00+03:00
valid_to = 2030-01-01T03:00:00+03:00
currency = "RUB"
time_zone = "{zone}"

[messages]
languages = ["en"]

[profiles.bus]
media = ["transport_card", "bank_card", "cash"]
rights = ["pass", "pack", "transfer", "return", "concession", "plan", "purse"]
{bus}

[profiles.canteen]
media = ["transport_card"]
rights = ["concession"]
"""
FARES = """
[fares]
base_minor = 4000
{opens}

[fares.by_medium]
transport_card = 3500
bank_card = 3600
cash = 4000
"""
COUNTERS = """
[counters]
layout = 1
contracts = ["pack_a", "pack_b"]
{more}
slots = [
  {{ name = "pack_a", bits = {bits}, period = "contract" }},
  {{ name = "pack_b", bits = {bits}, period = "contract" }},
  {slots}
]
"""


def text_of(
    *parts: str,
    zone: str = "Europe/Volgograd",
    bus: str = "",
    fares: str | None = None,
    opens: str = "",
    slots: str = "",
    counters: str = "",
    bits: int = 8,
) -> str:
    """The region's TOML. Right, transfer and return tables need their right in the profile only when they are there."""
    rest = "\n".join(parts)
    head = HEADER.format(zone=zone, bus=bus)
    if "[[transfers]]" not in rest:
        head = head.replace('"transfer", ', "")
    if "[[returns]]" not in rest:
        head = head.replace('"return", ', "")
    prices = FARES.format(opens=opens) if fares is None else fares
    return head + prices + COUNTERS.format(slots=slots, more=counters, bits=bits) + rest


def small(*parts: str, **options: object) -> Policy:
    """The region ready for deciding."""
    return Policy.of(parse_region(text_of(*parts, **options), "small.toml"))
