"""`terminal run` with a screen, with a pace, and in languages there are and are not."""

from __future__ import annotations

import socket

import pytest

from tests.terminal.cli.conftest import Run

BUS = ("run", "--profile", "bus", "--open-shift", "driver", "--state", "state")


def test_at_a_pace_the_cards_come_in_turn_and_again(run: Run) -> None:
    done = run(
        *BUS, "--reader", "sim:blocked,not_desfire", "--pace", "0.2", "--taps", "3", "--language", "en"
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("»")]
    assert said == ["» Card blocked", "» Card not supported", "» Card blocked"]


def test_a_taken_port_ends_the_command_before_anything_is_touched(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(*BUS, "--reader", "sim:blocked", "--screen", "--screen-port", port)
    assert done.returncode == 41
    assert f"127.0.0.1:{port} is in use" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("option", ["--language", "--second-language"])
def test_an_unknown_language_is_answered_with_those_there_are(run: Run, option: str) -> None:
    done = run(*BUS, "--reader", "sim:blocked", option, "xx")
    assert done.returncode == 2
    assert "there is no catalogue for 'xx'; use ru, en" in done.stderr
