"""`terminal run` with a screen, with a pace, and in languages there are and are not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.config_file import config_file
from tests.terminal.cli.conftest import Run

BUS = ("run", "--profile", "bus", "--state", "state")
SHIFT = {"operator": "driver"}


def test_at_a_pace_the_cards_come_in_turn_and_again(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, terminal={"language": "en"}, shift=SHIFT)
    done = run(*BUS, "--reader", "sim:blocked,not_desfire", "--pace", "0.2", "--taps", "3")
    said = [line for line in done.stdout.splitlines() if line.startswith("»")]
    assert said == ["» Card blocked", "» Card not supported", "» Card blocked"]


def test_a_taken_port_ends_the_command_before_anything_is_touched(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config_file(tmp_path, shift=SHIFT, screen={"enabled": True, "port": port})
        done = run(*BUS, "--reader", "sim:blocked")
    assert done.returncode == 41
    assert f"127.0.0.1:{port} is in use" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("key", ["language", "second_language"])
def test_an_unknown_language_is_answered_with_those_there_are(run: Run, tmp_path: Path, key: str) -> None:
    config_file(tmp_path, terminal={key: "xx"}, shift=SHIFT)
    done = run(*BUS, "--reader", "sim:blocked")
    assert done.returncode == 15
    assert f"terminal.toml:2: terminal.{key}: " in done.stderr
    assert 'there is no catalogue for "xx". Write one of ru, en' in done.stderr
