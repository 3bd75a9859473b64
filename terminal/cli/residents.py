"""Simulated residents for the commands: profiles become software cards with laboratory keys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.profile import load_profile
from terminal.app.simulated import issue_residents, keep_residents
from terminal.keys.file import FileKeys
from terminal.policy.deny_list import build_deny_list

__all__ = ["issue_residents", "keep_residents", "laboratory_deny_list"]

DENIED_PROFILE: Final = "deny_listed"


def laboratory_deny_list(path: Path, keys: FileKeys) -> Path:
    """Write the laboratory's deny list, on which one of the simulated residents stands."""
    pseudonym = load_profile(DENIED_PROFILE).card.pseudonym
    assert pseudonym is not None, "the denied resident has a fixed pseudonym"
    build_deny_list(path, keys.list_key("deny"), [bytes.fromhex(pseudonym)])
    return path
