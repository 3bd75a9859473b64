"""What is published in these tests: small documents in as many versions as needed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from terminal.codes import SetKind
from terminal.policy.load import DEMO_REGION
from terminal.updates.active import ActiveSet
from terminal.updates.edition import Published
from terminal.updates.parts import RegionPart, RoutesPart

REGION = 34


def routes(version: int, *, name: str = "city_routes", region: int = REGION, mode: str = "tram") -> bytes:
    """A routes document with one route."""
    return f"""
[header]
id = "{name}"
version = {version}
region = {region}
issued_at = 2026-09-01T00:00:00+03:00

[[routes]]
number = 15
name = "Вокзал — Университет"
mode = "{mode}"
""".encode()


def region(
    version: int,
    *,
    name: str = "demo",
    number: int = REGION,
    since: str = "",
    until: str = "",
    fare_minor: int = 2400,
    trial_days: int = 0,
) -> bytes:
    """The demo region under another version, with other days or another fare, or on trial."""
    text = DEMO_REGION.read_text("utf-8")
    changes = {
        'id = "demo"': f'id = "{name}"',
        "version = 1\n": f"version = {version}\n",
        "region = 34": f"region = {number}",
        "valid_from = 2025-01-01T00:00:00+03:00": f"valid_from = {since or '2025-01-01T00:00:00+03:00'}",
        "valid_to = 2036-01-01T00:00:00+03:00": f"valid_to = {until or '2036-01-01T00:00:00+03:00'}",
        "transport_card = 2400": f"transport_card = {fare_minor}",
    }
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return f"{text}\n[trial]\ndays = {trial_days}\n".encode() if trial_days else text.encode()


def opened(folder: Path) -> ActiveSet:
    """A set of region and routes documents."""
    return ActiveSet(folder, {SetKind.ROUTES: RoutesPart(), SetKind.REGION: RegionPart()})


def offered(active: ActiveSet, kind: SetKind, content: bytes, now: datetime | None) -> str:
    """The code of the refusal; empty where it was taken."""
    refused = active.offer(kind, Published(f"{kind}.toml", content), now).refused
    return "" if refused is None else refused.fault.value
