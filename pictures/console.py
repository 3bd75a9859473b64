"""The console of the school in the pictures, served on loopback with its staff signed up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from pictures.counter import Counter
from terminal.app.simulated import laboratory_keys
from terminal.keys.file import load_file_keys
from terminal.screen.console.areas import areas
from terminal.screen.console.console import Console, Settings
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member
from terminal.screen.console.web import console_app
from terminal.screen.server import ScreenServer

PIN: Final = "7294"
CASHIER, TEACHER, OFFICER = "1207", "3115", "2048"
STAFF: Final = {CASHIER: Role.CASHIER, TEACHER: Role.TEACHER, OFFICER: Role.MEAL_OFFICER}


@cache
def hashed_pin() -> str:
    """Once: it takes its time by design."""
    return hash_pin(PIN, load_file_keys(laboratory_keys()))


@contextmanager
def canteen_console(counter: Counter, state: Path, language: str = "ru") -> Iterator[tuple[Console, str]]:
    """The console and its address. Everybody has the same PIN and may type his number."""
    console = Console(counter.terminal, state, Lock(), Settings(language=language, typed=True))
    for ref, role in STAFF.items():
        console.staff.put(Member(ref=ref, role=role, pin=hashed_pin()))
    with ScreenServer(console_app(console, areas(console.terminal.profile))) as server:
        yield console, server.url
