"""What the city reckons with is what a look costs: a running terminal, a running collector, and a count in between."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sim.profile import LAB_KEYS
from terminal.lab.city.costs import CHANGED, ENTRY_BYTES, HELD_BYTES, HELD_S, QUIET
from tests.city.counting import Counted, counting
from tests.terminal.cli.conftest import Run
from tests.terminal.publish.office import DEMO, Office
from tests.terminal.publish.test_served import collecting
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live import MANY

CARDS = 10
VARIES = 0.1
"""Versions and times of more or fewer digits, and one role more in a snapshot."""


def deny(office: Office, version: int, cards: int) -> int:
    """Publish a deny list of so many cards; its size."""
    entries, made = office.folder / "entries.csv", office.folder / "deny-list"
    entries.write_text("kind,identity\n" + "".join(f"card,04{number:012X}\n" for number in range(cards)))
    words = ("--out", made, "--region", 34, "--version", version)
    assert office.run("policy", "deny-list", entries, *words).returncode == 0
    office.publish("add", "deny/fleet", made, "--keys", LAB_KEYS)
    office.release("deny-1")
    return made.stat().st_size


def test_a_look_costs_what_the_city_reckons_with(office: Office, run: Run, tmp_path: Path) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    small = deny(office, 1, CARDS)
    os.makedirs(tmp_path / "state/trust")
    root = (office.bundles / "metadata/1.root.json").read_bytes()
    (tmp_path / "state/trust/root.json").write_bytes(root)
    with collecting(tmp_path) as url, counting(url) as counted:
        bundles = {"url": f"{counted.url}/v1/bundles", "every_min": 600}
        with serving(tmp_path, MANY, terminal={"region": "demo"}, bundles=bundles) as served:

            def look() -> tuple[int, ...]:
                counted.restart()
                looked = run("updates", "now", "--state", served.state)
                assert looked.returncode == 0, looked.stdout + looked.stderr
                return totals(counted)

            served.said("in_force", kind="deny", edition="deny:1")
            assert look() == near(QUIET.requests, QUIET.up_bytes, QUIET.down_bytes)
            assert f"wait={HELD_S:.0f} ".encode() in counted.newest, "it waits for news"
            assert held_bytes(url, counted.newest) == pytest.approx(HELD_BYTES, rel=VARIES)
            counted.restart()
            large = deny(office, 2, CARDS + 1000)
            assert large - small == 1000 * ENTRY_BYTES
            served.said("in_force", kind="deny", edition="deny:2")
            assert totals(counted) == near(CHANGED.requests, CHANGED.up_bytes, CHANGED.down_bytes + large)


def held_bytes(url: str, question: bytes) -> int:
    """Of a held request that nothing comes of: as the terminal asked it, but for a second."""
    address = urlsplit(url)
    assert address.port is not None
    short = question.replace(f"wait={HELD_S:.0f} ".encode(), b"wait=1 ")
    with socket.create_connection(("127.0.0.1", address.port), 20) as asking:
        asking.sendall(short)
        answer = asking.recv(4096)
    assert answer.startswith(b"HTTP/1.1 204 ")
    return len(question) + len(answer)


def totals(counted: Counted) -> tuple[int, ...]:
    """Since the last restart."""
    return counted.requests, counted.up_bytes, counted.down_bytes


def near(requests: int, *size: int) -> object:
    """Requests to the number, bytes about: a failure shows what was counted."""
    return pytest.approx((requests, *size), rel=VARIES)
