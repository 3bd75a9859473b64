from __future__ import annotations

from pathlib import Path

import pytest

from tests.terminal.cli.inside import runner
from tests.terminal.publish.office import Office


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Office:
    return Office(tmp_path, runner(tmp_path, monkeypatch, capfd))
