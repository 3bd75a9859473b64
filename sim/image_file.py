"""Card image files: a whole software card in one readable JSON file, to keep, to compare and to hand on.

    {"format": "resident-card-image", "version": 1, "environment": "laboratory",
     "card": {"uid": …, "generation": …, "memory": {…}}, "check": SHA-256 over "card"}

The file holds the card's keys, because a card that cannot authenticate is no card; so it is for laboratory cards
only, and says so. `check` finds damage, not forgery: whoever changes a card on purpose uses `sim card set`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sim.card.memory import Memory
from sim.card.virtual import VirtualCard
from sim.plain import from_plain, to_plain

FORMAT: Final = "resident-card-image"
VERSION: Final = 1
LABORATORY: Final = "laboratory"
NEW_ONE: Final = "Make a new one with `sim card new`."


class ImageFault(ValueError):
    """A card image file that cannot be used: `what` is wrong and `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


def is_image(name: str) -> bool:
    """Whether a profile's name is rather that of a card image file."""
    return name.endswith(".json")


def save_card(card: VirtualCard, path: Path) -> None:
    """Write `card` to `path`, whole or not at all, readable by its owner only. Raises `ImageFault`."""
    content = {"uid": card.uid.hex().upper(), "generation": card.generation, "memory": to_plain(card.memory)}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "environment": LABORATORY,
        "card": content,
        "check": _check(content),
    }
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ImageFault(
            f"{path} cannot be written ({error.strerror})", "Check the folder and its rights."
        ) from error


def load_card(path: Path, rng: Callable[[int], bytes]) -> VirtualCard:
    """The card in `path`; `rng` is its source of random numbers from now on. Raises `ImageFault`."""
    content = _content(path)
    try:
        memory = from_plain(content["memory"], Memory, "memory")
        return VirtualCard(
            bytes.fromhex(content["uid"]), rng, generation=content["generation"], memory=memory
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ImageFault(f"{path} describes no card: {error}", NEW_ONE) from error


def _content(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ImageFault(f"there is no file {path}", NEW_ONE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ImageFault(f"{path} cannot be read ({error})", "Check the file and its rights.") from error
    except json.JSONDecodeError as error:
        raise ImageFault(f"{path} is damaged: {error}", NEW_ONE) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ImageFault(f"{path} is no card image", NEW_ONE)
    if document.get("version") != VERSION:
        raise ImageFault(
            f"{path} has version {document.get('version')!r}, this software reads {VERSION}",
            "Use the software that wrote it.",
        )
    if document.get("environment") != LABORATORY:
        raise ImageFault(
            f"{path} is not marked as a laboratory card", "Only laboratory cards are kept in files."
        )
    content = document.get("card")
    if not isinstance(content, dict) or document.get("check") != _check(content):
        raise ImageFault(f"{path} is damaged: its content does not match its check", NEW_ONE)
    return content


def _check(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
