"""[laboratory]: cards and clock of a running terminal moved by hand, and never on a real reader."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.by_hand import BY_HAND, SOCKET, HandRefused, TerminalByHand, started
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run, command

BUS: dict[str, object] = {"profile": "bus", "number": 7, "region": "demo", "state": "state"}
COMMIT = 8
"""The command that ends a ride paid from the purse."""
SHIFT: dict[str, object] = {"operator": "17", "route": 15}


def bus(folder: Path, **laboratory: object) -> Path:
    return config_file(
        folder,
        terminal=BUS,
        reader={"name": "sim:"},
        shift=SHIFT,
        laboratory={**BY_HAND, **laboratory},
    )


def card(folder: Path, profile: str = "adult_purse") -> Path:
    """A new card's image file, made by the simulator's own command."""
    path = folder / f"{profile}.json"
    arguments = ("card", "new", path, "--profile", profile)
    subprocess.run(command(arguments, "sim.cli.app"), check=True, env=ENVIRONMENT, capture_output=True)
    return path


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerminalByHand]:
    folder = tmp_path_factory.mktemp("by_hand")
    with started(folder, bus(folder)) as running:
        yield running
    assert not running.socket_path.exists()


@pytest.fixture(scope="module")
def passenger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return card(tmp_path_factory.mktemp("cards"))


def test_a_card_is_laid_down_served_and_written_back(terminal: TerminalByHand, passenger: Path) -> None:
    first = terminal.tap(passenger)
    terminal.say("clock", step_s=3600)
    second = terminal.tap(passenger)
    status = terminal.say("status")
    assert (first["end"], first["admission"], second["end"]) == ("committed", "let_in", "committed")
    assert first["balance_before_minor"] - first["balance_after_minor"] == first["charge_minor"] > 0
    assert second["balance_before_minor"] == first["balance_after_minor"]
    assert first["at"] == "2026-09-15T05:00:00+00:00"
    assert second["at"] == "2026-09-15T06:00:00+00:00"
    assert (status["taps"], status["card"], status["ready"]) == (2, None, True)


def test_a_card_leaves_at_a_command_before_or_after_it_was_done(
    terminal: TerminalByHand, passenger: Path
) -> None:
    """Taken away at the commit: before it the card keeps its money, after it the ride is paid though no answer came.
    The same card, laid down again, says which it was.
    """
    terminal.say("clock", step_s=7200)
    first = terminal.tap(passenger)
    held_minor, fare_minor = first["balance_after_minor"], first["charge_minor"]
    for executed in (False, True):
        terminal.say("clock", step_s=7200)
        torn = torn_at(terminal, passenger, COMMIT, executed=executed)
        again = terminal.tap(passenger)
        assert (torn["end"], torn["message"], again["admission"]) == ("unresolved", "read_again", "let_in")
        assert again["balance_after_minor"] == held_minor - fare_minor, "charged once"
        assert again["end"] == ("recovered" if executed else "committed")
        held_minor = again["balance_after_minor"]
    terminal.say("clock", step_s=7200)
    assert torn_at(terminal, passenger, 2)["message"] == "read_again"
    assert terminal.tap(passenger)["balance_before_minor"] == held_minor, "nothing was written"
    for leaves_at in (-1, 100_000):
        assert "this is no command" in refused(terminal, "present", card="card.json", leaves_at=leaves_at)


def torn_at(
    terminal: TerminalByHand, card: Path, leaves_at: int, *, executed: bool = False
) -> dict[str, Any]:
    terminal.say("present", card=str(card), leaves_at=leaves_at, executed=executed)
    report: dict[str, Any] = terminal.say("await")["tap"]
    terminal.say("remove")
    return report


def test_the_socket_is_for_its_user_only(terminal: TerminalByHand) -> None:
    assert stat.S_IMODE(terminal.socket_path.stat().st_mode) == 0o600


def test_a_clock_that_jumps_is_in_doubt_and_one_that_steps_is_not(
    terminal: TerminalByHand, passenger: Path
) -> None:
    terminal.say("clock", set="2026-10-01T08:00:00+03:00")
    assert terminal.tap(passenger)["end"] == "committed"
    before = terminal.say("status")
    terminal.say("clock", jump_s=-7200, step_s=60)
    after = terminal.say("status")
    assert terminal.tap(passenger)["message"] == "clock_unconfirmed"
    terminal.say("clock", jump_s=7200)
    assert terminal.tap(passenger)["end"] == "committed"
    assert after["monotonic_s"] - before["monotonic_s"] == 60
    assert after["now"] == "2026-10-01T03:01:00+00:00"


def refused(terminal: TerminalByHand, do: str, **more: object) -> str:
    with pytest.raises(HandRefused) as said:
        terminal.say(do, **more)
    return str(said.value)


def test_what_cannot_be_done_is_said_and_the_terminal_goes_on(
    terminal: TerminalByHand, passenger: Path
) -> None:
    assert "there is no file" in refused(terminal, "present", card=str(passenger.with_name("none.json")))
    assert "this is no command" in refused(terminal, "fly")
    assert "this is no command" in refused(terminal, "clock", steps=5)
    assert "this is no command" in refused(terminal, "clock", step_s=1e300)
    assert "time cannot go back" in refused(terminal, "clock", set="2026-09-14T08:00:00+03:00")
    terminal.say("clock", step_s=3600)
    assert terminal.tap(passenger)["end"] == "committed"


def test_what_has_no_end_is_no_card(terminal: TerminalByHand, passenger: Path, tmp_path: Path) -> None:
    """A device, a pipe and a large file: nothing of them is waited for, and the next card is served."""
    os.mkfifo(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(8 << 30)
    for name in ("/dev/zero", tmp_path / "pipe.json", tmp_path):
        assert "is no plain file" in refused(terminal, "present", card=str(name))
    assert "is larger than any card" in refused(terminal, "present", card=str(tmp_path / "large.json"))
    assert "cannot be read" in refused(terminal, "present", card="a\0b")
    terminal.say("clock", step_s=3600)
    assert terminal.tap(passenger)["end"] == "committed"


def test_a_line_that_never_ends_is_refused(terminal: TerminalByHand) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(terminal.socket_path))
        other.sendall(b" " * 9000)
        with other.makefile() as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    assert not answer["ok"]
    assert terminal.say("status")["ready"]


def test_who_is_moved_by_hand_says_so(terminal: TerminalByHand, run: Run) -> None:
    health = run("health", "--config", terminal.socket_path.with_name("terminal.toml"), "--json")
    assert "laboratory=control, clock" in terminal.stderr
    assert "laboratory:by_hand" in health.stdout


def test_a_file_in_place_of_the_socket_is_not_replaced(run: Run, tmp_path: Path) -> None:
    bus(tmp_path)
    (tmp_path / SOCKET).write_text("mine")
    done = run("run", "--config", tmp_path / "terminal.toml")
    assert (done.returncode, "is a file already" in done.stderr) == (15, True)
    assert (tmp_path / SOCKET).read_text() == "mine"


def test_a_second_terminal_does_not_take_the_socket_of_one_that_runs(
    terminal: TerminalByHand, run: Run, tmp_path: Path
) -> None:
    bus(tmp_path, control=str(terminal.socket_path))
    done = run("run", "--config", tmp_path / "terminal.toml")
    assert (done.returncode, "moves another terminal" in done.stderr) == (15, True)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(terminal.socket_path))


def test_the_socket_of_one_that_was_killed_is_replaced(tmp_path: Path) -> None:
    config = bus(tmp_path)
    with started(tmp_path, config) as killed:
        killed.process.kill()
        killed.process.wait()
    assert (tmp_path / SOCKET).is_socket()
    with started(tmp_path, config) as again:
        assert again.say("status")["ready"]


@pytest.mark.parametrize(
    ("reader", "laboratory", "says"),
    [
        ("pcsc", {"control": SOCKET}, "laboratory.control"),
        ("pcsc:ACS", {"clock": True}, "laboratory.clock"),
        ("gate:1", {"clock": True}, "laboratory.clock"),
        ("sim:adult_purse", {"control": SOCKET}, "laboratory.control"),
        ("sim:", {"starts_at": "2026-09-15T08:00:00+03:00"}, "laboratory.starts_at"),
        ("sim:", {"clock": True, "starts_at": "2026-09-15 08:00"}, "laboratory.starts_at"),
    ],
)
def test_nothing_moves_a_real_reader(
    run: Run, tmp_path: Path, reader: str, laboratory: dict[str, object], says: str
) -> None:
    file = config_file(
        tmp_path, terminal={**BUS, "laboratory": True}, reader={"name": reader}, laboratory=laboratory
    )
    for done in (run("config", "check", "--config", file), run("run", "--config", file)):
        assert done.returncode == 15
        assert says in done.stdout + done.stderr


def test_an_option_does_not_bring_a_real_reader_under_a_hand(run: Run, tmp_path: Path) -> None:
    bus(tmp_path)
    done = run("run", "--config", tmp_path / "terminal.toml", "--reader", "pcsc", "--laboratory-keys")
    assert done.returncode == 15
    assert "laboratory.control" in done.stderr
