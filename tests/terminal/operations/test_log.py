"""Log lines: one word per event, one line each, and a tap without anything personal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from terminal.operations.log import Form, Level, Log
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT
from tests.terminal.operations.service import running


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 9, 15, 7, 40, 0, 123456, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def written(form: Form, least: Level) -> list[str]:
    stream = io.StringIO()
    events = Log(7, StoppedClock(), form, least, stream.write)
    events.error("reader", "gone:\nunplugged", attempts=2)
    events.warning("sync", "refused")
    events.notice("ready", reader="a reader", note="")
    events.info("tap", message="ok_paid", duration_ms=1.5)
    events.debug("turn")
    return stream.getvalue().splitlines()


def test_text_is_one_line_per_event() -> None:
    assert written(Form.TEXT, Level.INFO) == [
        "terminal 7: reader: gone: unplugged attempts=2",
        "terminal 7: sync: refused",
        "terminal 7: ready: reader=a reader",
        "terminal 7: tap: message=ok_paid duration_ms=1.5",
    ]


def test_json_is_one_object_per_event() -> None:
    lines = [json.loads(line) for line in written(Form.JSON, Level.DEBUG)]
    assert [line["level"] for line in lines] == ["error", "warning", "notice", "info", "debug"]
    assert lines[0] == {
        "at": "2026-09-15T07:40:00.123Z",
        "level": "error",
        "event": "reader",
        "terminal": 7,
        "says": "gone:\nunplugged",
        "attempts": 2,
    }


@pytest.mark.parametrize(("least", "count"), [(level, level - 2) for level in Level], ids=str)
def test_less_important_events_are_left_out(least: Level, count: int) -> None:
    assert len(written(Form.JSON, least)) == count


def test_a_terminal_logs_its_day(tmp_path: Path) -> None:
    file = config_file(
        tmp_path,
        terminal={"profile": "bus", "state": tmp_path / "s"},
        reader={"name": "sim:adult_purse"},
        shift={"operator": "17"},
        log={"format": "json"},
    )
    with running(["--config", file]) as process:
        _, told = process.communicate(timeout=60)
    lines = {line["event"]: line for line in map(json.loads, told.splitlines())}
    assert list(lines) == ["shift", "ready", "tap", "stopping"]
    tap = lines["tap"]
    assert (tap["message"], tap["end"], tap["charge_minor"], tap["sequence"]) == (
        "ok_paid",
        "committed",
        2400,
        4,
    )
    assert "card_ref" not in tap
    assert all(event.isalpha() for event in lines)


def test_journald_gets_the_level_and_consoles_do_not(tmp_path: Path) -> None:
    arguments = ["--profile", "bus", "--reader", "sim:adult_purse", "--state", tmp_path / "s"]
    with running(arguments, {**ENVIRONMENT, "JOURNAL_STREAM": "8:1"}) as process:
        _, told = process.communicate(timeout=60)
    assert told.splitlines()[0].startswith("<5>terminal 1: shift: ")
