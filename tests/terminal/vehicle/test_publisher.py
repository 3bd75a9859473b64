"""Which on-board computer is meant, and what is wrong with the name of one."""

from __future__ import annotations

import sys

import pytest

from terminal.vehicle.source import SourceBroken
from terminal.vehicle.vdv301 import Publisher, publisher_of, where_of


@pytest.mark.parametrize(
    ("text", "publisher"),
    [
        ("192.168.10.2:8081", Publisher("192.168.10.2", 8081)),
        ("[fd00::2]:8081", Publisher("fd00::2", 8081)),
    ],
)
def test_address_and_port(text: str, publisher: Publisher) -> None:
    assert publisher_of(text) == publisher
    assert where_of(text, "127.0.0.1").now == publisher


@pytest.mark.parametrize(
    "text",
    [
        "",
        "obu",
        "obu.local:80",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:\u0668",
        "10.0.0.1:99999999999",
        "obu:",
        ":80",
        "obu:0",
        "obu:65536",
        "obu:80x",
        "dns:obu",
    ],
)
def test_what_is_neither_is_named(text: str) -> None:
    with pytest.raises(SourceBroken, match=r"neither ADDRESS:PORT nor dns-sd:INSTANCE"):
        publisher_of(text)


def test_discovery_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.delitem(sys.modules, "terminal.vehicle.discovery", raising=False)
    with pytest.raises(
        SourceBroken, match=r"install resident-card-terminal\[vehicle\], or write ADDRESS:PORT"
    ):
        where_of("dns-sd:Tvs-9632", "127.0.0.1")
