from __future__ import annotations

from pathlib import Path

import pytest

from terminal.publish import key_files
from tests.terminal.cli.inside import runner
from tests.terminal.publish.office import Office


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Office:
    monkeypatch.setattr(
        key_files, "LOG_N", 14
    )  # the least that is read: most of the time goes into passphrases
    return Office(tmp_path, runner(tmp_path, monkeypatch, capfd))
