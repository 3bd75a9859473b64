"""The shelf: one card of every profile, and some that mean harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from cardproto.resident.keyset import MasterKeys
from sim.card.other import EndlessChainCard, RandomBytesCard, SilentCard, WrongLengthCard
from sim.card.port import SimCard
from sim.desk.face import CardGroup, Face, face_of
from sim.emv.card import DualCard, VirtualBankCard
from sim.issuing import issue
from sim.profile import Description, load_profile, profile_names

NOISE_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Laid:
    """A card on the shelf and how it looks."""

    face: Face
    card: SimCard

    @property
    def chip(self) -> str:
        """What kind of card it is; of a phone with several bank cards, which of them it shows now. No digit of any."""
        if not isinstance(self.card, DualCard | VirtualBankCard) or len(self.card.chip_memory.wallets) == 1:
            return self.face.chip
        memory = self.card.chip_memory
        return f"{self.face.chip} {memory.wallets.index(memory.wallet) + 1}/{len(memory.wallets)}"


def _hostile() -> Iterator[Laid]:
    kinds: tuple[tuple[str, str, str, SimCard], ...] = (
        ("silent", "Never answers", "Молчит", SilentCard()),
        ("endless_frames", "Always has one more frame", "Без конца шлёт ещё кадр", EndlessChainCard()),
        ("wrong_lengths", "Answers of wrong lengths", "Ответы не той длины", WrongLengthCard()),
        ("random_bytes", "Answers any bytes", "Отвечает чем попало", RandomBytesCard(NOISE_SEED)),
    )
    for name, english, russian, card in kinds:
        yield Laid(Face(name, CardGroup.HOSTILE, Description(ru=russian, en=english), "?"), card)


def lay_out(masters: MasterKeys, region: int, today: date, rng: Callable[[int], bytes]) -> dict[str, Laid]:
    """Every card by name, grouped as on the shelf; personalised through APDUs, as `sim.issuing` does it."""
    laid = [
        Laid(face_of(p), issue(p, masters, region, today, rng)) for p in map(load_profile, profile_names())
    ]
    laid += _hostile()
    order = list(CardGroup)
    laid.sort(key=lambda one: (order.index(one.face.group), one.face.name))
    return {one.face.name: one for one in laid}
