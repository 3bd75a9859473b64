"""Signed bundles and a running terminal: `terminal run --config` started, a repository written to, rows read back."""

from __future__ import annotations

import re
from pathlib import Path

from terminal.codes import SetKind
from terminal.journal.records import Intent
from tests.terminal.updates.bundle.repository import Publisher
from tests.terminal.updates.published import region
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live import MANY, activated


def libraries(process: int) -> set[str]:
    """The names of the compiled modules that a process has mapped."""
    maps = Path(f"/proc/{process}/maps").read_text("utf-8")
    return set(re.findall(r"\S+\.so\S*$", maps, re.MULTILINE))


def test_a_signed_tariff_comes_into_force_in_a_running_terminal(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2, fare_minor=3100)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    with serving(tmp_path, MANY, bundles={"folder": publisher.folder, "every_min": 0.01}) as served:
        served.said("in_force", kind="region", edition="demo:2")
        served.tap(lambda tap: tap["charge_minor"] == 3100)
        publisher.put("tariff", "city", {"region.toml": region(3, fare_minor=3200)})
        publisher.publish()
        served.said("in_force", kind="region", edition="demo:3")
        served.tap(lambda tap: tap["charge_minor"] == 3200)
        assert activated(served, SetKind.REGION)[-2:] == [2, 3]
        assert {row.charge_minor for row in served.rows() if isinstance(row, Intent)} >= {3100, 3200}
