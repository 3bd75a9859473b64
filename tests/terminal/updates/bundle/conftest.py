"""A terminal's folder, a repository, and looks of the side process, run here: what it does is the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from terminal.clock import unix_ms
from terminal.updates.bundle.kept import delivered_folder
from terminal.updates.bundle.looking import look_at
from terminal.updates.bundle.messages import BundleReport, BundleSettings, Look
from terminal.updates.bundle.roles import KINDS, BundleRole
from tests.terminal.updates.bundle.repository import ISSUED, Publisher

WANTED = (*(role.value for role in KINDS), BundleRole.ASSIGN.value, BundleRole.STAFF.value)


class Taker:
    """A terminal that looks at sources."""

    def __init__(self, state: Path, **settings: object) -> None:
        self.state = state
        self.settings = BundleSettings(
            **{"state": str(state), "number": 70001, "sources": (), "wanted": WANTED, **settings}  # type: ignore[arg-type]
        )
        self._looks = 0

    def look(
        self,
        source: Path | str,
        *,
        later: timedelta = timedelta(),
        now_ms: int | None = None,
        floor_ms: int = 0,
    ) -> BundleReport:
        """At `source`, `later` than everything was signed."""
        self._looks += 1
        at_ms = unix_ms(ISSUED + timedelta(minutes=1) + later) if now_ms is None else now_ms
        look = Look(number=self._looks, now_ms=at_ms, floor_ms=floor_ms)
        return look_at(self.settings, look, str(source), lambda: None)

    def faults(self, report: BundleReport) -> dict[str, str]:
        """What is refused, by role."""
        found = {str(report.inputs["role"]): report.fault.value} if report.fault else {}
        return found | {role.role: role.fault.value for role in report.roles if role.fault}

    def has(self, role: str, file: str) -> bytes | None:
        """What lies ready."""
        path = delivered_folder(self.state, role) / file
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """With a tariff of two files and a deny list, both in their first version."""
    made = Publisher(tmp_path / "repository")
    made.put("tariff", "city", {"region.toml": b"tariff 1", "tables.zip": b"tables 1"})
    made.put("deny", "all", {"deny-list": b"deny 1"})
    made.publish()
    return made


@pytest.fixture
def taker(tmp_path: Path, publisher: Publisher) -> Taker:
    """One that trusts the publisher's first root."""
    publisher.pin(tmp_path / "state")
    return Taker(tmp_path / "state")
