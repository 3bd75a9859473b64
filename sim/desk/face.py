"""How a card looks on the shelf: its group, its colours, and a pattern that no other profile has."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sim.profile import CardProfile, Description

WIDTH: Final = 342
HEIGHT: Final = 216
"""An ID-1 card, 85.6 by 54 mm, at four units a millimetre."""
CURVES: Final = 14
POINTS: Final = 57
STAFF: Final = ("driver", "service", "conductor", "inspector", "cashier")
"""How profiles of service cards are named."""


class CardGroup(StrEnum):
    """Where a card lies on the shelf, and what colour it has."""

    PURSE = "purse"
    RIGHTS = "rights"
    PUPILS = "pupils"
    STAFF = "staff"
    TROUBLE = "trouble"
    BANK = "bank"
    STRANGE = "strange"
    HOSTILE = "hostile"


COLOURS: Final = {
    CardGroup.PURSE: ("#155e75", "#0e7490", "#a5f3fc"),
    CardGroup.RIGHTS: ("#3730a3", "#5b5bd6", "#c7d2fe"),
    CardGroup.PUPILS: ("#7d4a0f", "#a5651a", "#fef3c7"),
    CardGroup.STAFF: ("#1f4d3a", "#2f7355", "#bbf7d0"),
    CardGroup.TROUBLE: ("#7f3148", "#a64d68", "#fbcfe0"),
    CardGroup.BANK: ("#3f3f46", "#5f5f68", "#fde68a"),
    CardGroup.STRANGE: ("#475569", "#64748b", "#e2e8f0"),
    CardGroup.HOSTILE: ("#1c1b22", "#3a3844", "#f0abfc"),
}
"""Dark and light end of the ground, and the lines on it; white text keeps 4.5:1 on both ends."""


METHODS: Final = {"static": "SDA"}
"""What EMV calls a method that a profile names otherwise."""


@dataclass(frozen=True, slots=True)
class Face:
    """`title` is the profile's description; `chip` what kind of card it is, as one says it."""

    name: str
    group: CardGroup
    title: Description
    chip: str


def face_of(profile: CardProfile) -> Face:
    """The face of a profile's card."""
    kinds = {"foreign_desfire": "DESFire", "not_desfire": "ISO 7816-4", "phone": "NFC"}
    chip = kinds.get(profile.card.kind, f"DESFire {profile.card.generation}")
    if profile.bank is not None:
        bank = f"EMV {METHODS.get(profile.bank.method, profile.bank.method)}"
        chip = bank if profile.card.kind == "bank" else f"{chip}, {bank}"
    return Face(profile.name, _group(profile), profile.description, chip)


def _group(profile: CardProfile) -> CardGroup:
    card = profile.card
    if profile.bank is not None:
        return CardGroup.BANK
    if card.kind not in ("resident", "phone"):
        return CardGroup.STRANGE
    expired = not card.valid_to.startswith("+")
    if profile.name.startswith(STAFF):
        return CardGroup.STAFF
    if card.blocked or card.inactive or card.stop_after or card.pseudonym or expired:
        return CardGroup.TROUBLE
    if profile.name.startswith("pupil"):
        return CardGroup.PUPILS
    return CardGroup.RIGHTS if profile.concessions or profile.contracts else CardGroup.PURSE


def art(face: Face) -> str:
    """The card's ground as an SVG document: gradient, guilloche, chip antenna. Nothing of it is text from outside."""
    dark, light, line = COLOURS[face.group]
    seed = hashlib.sha256(face.name.encode()).digest()
    curves = "".join(f'<path d="{_curve(seed, number)}"/>' for number in range(CURVES))
    waves = "".join(
        f'<path d="M{298 + 7 * n} {44 - 6 * n}a{15 + 8 * n} {15 + 8 * n} 0 0 1 0 {12 + 12 * n}"/>'
        for n in range(3)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="{light}"/>'
        f'<stop offset="1" stop-color="{dark}"/></linearGradient>'
        f'<clipPath id="c"><rect width="{WIDTH}" height="{HEIGHT}" rx="14"/></clipPath></defs>'
        f'<g clip-path="url(#c)"><rect width="{WIDTH}" height="{HEIGHT}" fill="{dark}"/>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#g)" fill-opacity=".55"/>'
        f'<g fill="none" stroke="{line}" stroke-opacity=".2" stroke-width=".9">{curves}</g>'
        f'<g fill="none" stroke="{line}" stroke-opacity=".75" stroke-width="3" stroke-linecap="round">{waves}</g>'
        "</g></svg>"
    )


def _curve(seed: bytes, number: int) -> str:
    """One line of the pattern: two waves laid over each other, each line a little further along."""
    slow, fast = 1 + seed[0] % 3, 2 + seed[1] % 5
    tall, lift = 18 + seed[2] % 34, 40 + seed[3] % 120
    shift = number * (0.09 + seed[4] / 2550)
    points = []
    for step in range(POINTS):
        x = step * WIDTH / (POINTS - 1)
        turn = step / (POINTS - 1) * 2 * math.pi
        y = lift + tall * math.sin(slow * turn + shift) * math.cos(fast * turn / 2 - shift) + number * 3.2
        points.append(f"{x:.0f} {y:.1f}")
    return f"M{points[0]}L" + " ".join(points[1:])
