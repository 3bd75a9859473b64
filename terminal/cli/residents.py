"""Simulated residents for the commands: profiles become software cards with laboratory keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.image_file import ImageFault, is_image, load_card, save_card
from sim.issue import issue
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault, load_profile
from terminal.errors import ProfileError
from terminal.keys.file import FileKeys
from terminal.policy.deny_list import build_deny_list
from terminal.policy.schema import RegionDocument

DENIED_PROFILE: Final = "deny_listed"


def issue_residents(
    names: Sequence[str],
    region: RegionDocument,
    today: date,
    keys: Path | None = None,
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> list[SimCard]:
    """One software card for each name: a profile's, issued `today`, or an image file's. Raises `ProfileError`."""
    try:
        masters = load_lab_keys(keys or LAB_KEYS)
        return [
            load_card(Path(name), rng)
            if is_image(name)
            else issue(load_profile(name), masters, region.header.region, today, rng)
            for name in names
        ]
    except (ProfileFault, ImageFault) as fault:
        raise ProfileError(fault.what, fault.advice) from fault


def keep_residents(names: Sequence[str], cards: Sequence[SimCard]) -> None:
    """Write cards that came from image files back into them; raises `ProfileError`."""
    try:
        for name, card in zip(names, cards, strict=True):
            if is_image(name) and isinstance(card, VirtualCard):
                save_card(card, Path(name))
    except ImageFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault


def laboratory_deny_list(path: Path, keys: FileKeys) -> Path:
    """Write the laboratory's deny list, on which one of the simulated residents stands."""
    pseudonym = load_profile(DENIED_PROFILE).card.pseudonym
    assert pseudonym is not None, "the denied resident has a fixed pseudonym"
    build_deny_list(path, keys.list_key("deny"), [bytes.fromhex(pseudonym)])
    return path
