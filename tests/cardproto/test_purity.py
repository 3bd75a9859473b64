"""cardproto has no I/O, no clock and no chance of its own: importing all of it must not bring them in."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import cardproto

FORBIDDEN = (
    "socket",
    "sqlite3",
    "smartcard",
    "asyncio",
    "ssl",
    "msgspec",
    "httpx",
    "typer",
    "terminal",
    "sim",
)


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(cardproto.__path__, "cardproto.")]


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_everything_imports_no_io() -> None:
    assert len(modules()) > 20
    loaded = loaded_by("".join(f"import {name}\n" for name in modules()))
    assert loaded >= set(modules())
    assert not loaded & set(FORBIDDEN)
