"""A reader and an LED of another author, installed from wheels, in `terminal run` as it is installed."""

from __future__ import annotations

import ast
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

import cardproto
import sim
import terminal
from cardproto import (
    AccessRights,
    AesAuthentication,
    AesKey,
    CardGone,
    CommMode,
    DataFileSettings,
    DesfireCard,
    DesfireChannel,
    FileType,
    KeySettings,
)
from sim import SimReader, VirtualCard, VirtualClock, issue, load_lab_keys, load_profile
from terminal import SystemClock
from tests.config_file import config_file
from tests.extension.conftest import CLEAN, ROOT, SAMPLE, Installed
from tests.journal_rows import assert_codes

PATIENCE_S = 30.0
REGION = 34
NOW = SystemClock().now()
MODULES = sorted((SAMPLE / "sample_extension").glob("*.py"))
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(installed: Installed, tmp_path: Path) -> Iterator[Start]:
    """`start("run", "--config", …)`: the installed program; ended by its id if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [installed.terminal, *map(str, words)],
            cwd=tmp_path,
            env=CLEAN | {"NO_COLOR": "1", "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def card_of(resident: str) -> sim.SimCard:
    """Issued today, because the installed terminal has the machine's clock."""
    return issue(load_profile(resident), load_lab_keys(), REGION, NOW.date(), random.Random(0).randbytes)


GYM_AID = bytes.fromhex("4D5947")
GYM_KEY = bytes(range(16))


def gym_card(valid_to: date) -> VirtualCard:
    """A card that the gym issued: its application with one file, read with key 1."""
    rng = random.Random(0).randbytes
    made = VirtualCard(b"\x04" + rng(6), rng)
    made.power_on()
    card = DesfireCard(DesfireChannel(made))
    card.select_application(bytes(3))
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), rng(16)))
    card.create_application(GYM_AID, KeySettings(2))
    card.select_application(GYM_AID)
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), rng(16)))
    card.change_key(1, GYM_KEY, 1, bytes(16))
    rights = AccessRights(read=1, write=0)
    card.create_standard_file(1, DataFileSettings(FileType.STANDARD, CommMode.FULL, rights, 6))
    days = (valid_to - date(2024, 1, 1)).days
    card.write_data(1, 0, b"\x00\x00\x00\x07" + days.to_bytes(2, "big"), CommMode.FULL)
    made.power_off()
    return made


def tap_over_tcp(card: sim.SimCard, port: int) -> None:
    """Lay `card` on the reader behind `port` until it ends the connection."""
    reader = SimReader("field", VirtualClock(NOW))
    reader.present(card)
    connection = reader.wait_for_card(0)
    assert connection is not None
    with _connected(port) as link, link.makefile("rwb") as stream:
        while size := stream.read(2):
            try:
                answer = connection.transmit(stream.read(int.from_bytes(size, "big")))
            except CardGone:
                return
            stream.write(len(answer).to_bytes(2, "big") + answer)
            stream.flush()


def _connected(port: int) -> socket.socket:
    """A connection to the terminal, which needs a moment to start."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        except ConnectionRefusedError:
            assert time.monotonic() < until_s
            time.sleep(0.05)


def configured(folder: Path, port: int, **tables: dict[str, object]) -> Path:
    """A bus validator with both extensions."""
    return config_file(
        folder,
        **{
            "terminal": {"profile": "bus", "state": "state", "laboratory": True},
            "reader": {"name": f"tcp:127.0.0.1:{port}", "taps": 2},
            "signals": {"names": ["led"]},
            "shift": {"operator": "17", "route": 7},
            "extensions.led": {"file": str(folder / "led")},
            **tables,
        },
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_sample_uses_public_names_alone(module: Path) -> None:
    public = {package.__name__: {*package.__all__} for package in (cardproto, sim, terminal)}
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            assert not {name.name.partition(".")[0] for name in node.names} & {*public, "cardcli"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {
            *public,
            "cardcli",
        }:
            assert {name.name for name in node.names} <= public.get(node.module or "", set())


@pytest.mark.parametrize(("module", "most"), [("devices.py", 50), ("gym.py", 100)])
def test_the_sample_is_small(module: str, most: int) -> None:
    lines = (SAMPLE / "sample_extension" / module).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= most


def test_the_installed_terminal_is_not_this_tree(installed: Installed) -> None:
    script = "import terminal.tap, sim, sample_extension; print(terminal.tap.__file__, sim.__file__)"
    done = subprocess.run(
        [installed.python, "-c", script], capture_output=True, text=True, check=True, env=CLEAN, cwd="/"
    )
    assert str(ROOT) not in done.stdout
    assert str(installed.folder) in done.stdout


def test_a_card_behind_tcp_is_tapped_and_the_led_shows_it(start: Start, tmp_path: Path) -> None:
    port = free_port()
    led = tmp_path / "led"
    path = configured(tmp_path, port)
    terminal_run = start("run", "--config", path, "--json")
    for resident, colour in (("adult_purse", "green"), ("empty_purse", "red")):
        tap_over_tcp(card_of(resident), port)
        until_s = time.monotonic() + PATIENCE_S
        while not led.exists() or led.read_text() not in (colour, "off"):
            assert time.monotonic() < until_s
            time.sleep(0.02)
    code, out, err = ended(terminal_run)
    assert code == 0, err
    assert [json.loads(line)["message"] for line in out.splitlines()] == ["ok_paid", "no_funds"]
    assert led.read_text() == "off"


def test_journal_and_health_name_version_and_hash(start: Start, tmp_path: Path, installed: Installed) -> None:
    path = configured(tmp_path, free_port())
    running = start("run", "--config", path)
    until_s = time.monotonic() + PATIENCE_S
    while not (tmp_path / "state" / "status.json").exists():
        assert time.monotonic() < until_s
        assert running.poll() is None, ended(running)
        time.sleep(0.05)
    _, health, _ = ended(start("health", "--config", path, "--json"))
    running.terminate()
    assert ended(running)[0] == 0
    _, rows, err = ended(start("journal", "show", "--config", path, "--kind", "ExtensionLoaded", "--json"))
    recorded = [json.loads(line) for line in rows.splitlines()]
    assert [(row["role"], row["extension"]) for row in recorded] == [("reader", "tcp"), ("signal", "led")], (
        err
    )
    for row in recorded:
        assert (row["distribution"], row["version"]) == ("sample-extension", "1.2.0")
        says = json.loads(health)["checks"][f"extension:{row['role']}:{row['extension']}"]["says"]
        assert says == f"sample-extension 1.2.0, sha256 {row['sha256']}"
    assert recorded[0]["sha256"] == recorded[1]["sha256"] == sha256sum(installed)


def sha256sum(installed: Installed) -> str:
    """The hash as docs/api.md tells to make it, with the tools of any Unix."""
    (own,) = installed.folder.glob("lib/python*/site-packages")
    script = (
        "cut -d, -f1 sample_extension-1.2.0.dist-info/RECORD"
        " | grep -vE '\\.pyc$|^\\.\\./|dist-info/(RECORD|INSTALLER|REQUESTED|direct_url.json)$'"
        " | LC_ALL=C sort | xargs sha256sum | sha256sum"
    )
    done = subprocess.run(["sh", "-c", script], cwd=own, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_what_the_file_does_not_name_is_not_loaded(
    start: Start, tmp_path: Path, installed: Installed
) -> None:
    """Python's own list of imports is the witness; not even what looks extensions up is there."""
    path = config_file(
        tmp_path,
        terminal={"profile": "bus", "state": "state"},
        reader={"name": "sim:adult_purse"},
        shift={"operator": "17", "route": 7},
    )
    done = subprocess.run(
        [installed.python, "-X", "importtime", installed.terminal, "run", "--config", path],
        cwd=tmp_path,
        env=CLEAN,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert "terminal.tap" in done.stderr
    assert "sample_extension" not in done.stderr
    assert "importlib.metadata" not in done.stderr


@pytest.mark.parametrize(
    ("tables", "says", "advice"),
    [
        ({"reader": {"name": "udp:127.0.0.1:1"}}, "no installed package brings the reader 'udp'", "tcp"),
        ({"signals": {"names": ["led", "horn"]}}, "brings the signal 'horn'", "Install it"),
        ({"extensions.led": {}}, "signal led", "`file`"),
        ({"extensions.led": {"file": 3}}, "[extensions.led]", "Expected `str`"),
        ({"extensions.led": {"file": "x", "pin": 4}}, "has no key pin", "It has: file."),
        ({"reader": {"name": "tcp:127.0.0.1:port"}}, "does not start (ValueError", "sample-extension"),
    ],
    ids=str,
)
def test_what_is_wrong_refuses_the_start_in_one_line(
    start: Start, tmp_path: Path, tables: dict[str, dict[str, object]], says: str, advice: str
) -> None:
    path = configured(tmp_path, free_port(), **tables)
    code, out, err = ended(start("run", "--config", path))
    assert code == 15, (out, err)
    assert says in err
    assert advice in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "state").exists()


def test_a_signal_that_hangs_or_raises_delays_no_tap(start: Start, tmp_path: Path) -> None:
    """The LED's file is a pipe that is never read: opening it never returns. Taps go on, and so does the end."""
    port = free_port()
    pipe = tmp_path / "pipe"
    subprocess.run(["mkfifo", pipe], check=True)
    path = configured(tmp_path, port, **{"extensions.led": {"file": str(pipe)}})
    process = start("run", "--config", path, "--json")
    tapping = threading.Thread(target=lambda: [tap_over_tcp(card_of("adult_purse"), port) for _ in range(2)])
    tapping.start()
    code, out, err = ended(process)
    tapping.join(PATIENCE_S)
    assert code == 0, err
    assert [json.loads(line)["message"] for line in out.splitlines()] == ["ok_paid", "ok_paid"]
    assert "device: device=signal:led state=hangs" in err


@pytest.mark.parametrize(
    ("then", "said"),
    [(Path.unlink, "FileNotFoundError"), (partial(Path.write_text, data="-7"), "ValueError: a stop")],
    ids=["nothing", "a number below 0"],
)
def test_a_place_from_the_vehicle_reaches_the_row_and_a_broken_source_ends_no_tap(
    start: Start, tmp_path: Path, then: Callable[[Path], object], said: str
) -> None:
    port, file = free_port(), tmp_path / "stop"
    file.write_text("7")
    path = configured(
        tmp_path,
        port,
        vehicle={"source": "stops"},
        **{"extensions.stops": {"file": str(file)}},
    )
    process = start("run", "--config", path, "--json")
    tap_over_tcp(card_of("adult_purse"), port)
    until_s = time.monotonic() + PATIENCE_S
    while not (tmp_path / "led").exists():
        assert time.monotonic() < until_s
        time.sleep(0.02)
    then(file)
    tap_over_tcp(card_of("free_pensioner"), port)  # which no end of a month ends
    code, out, err = ended(process)
    assert code == 0, err
    assert [json.loads(line)["message"] for line in out.splitlines()] == ["ok_paid", "ok_benefit_unlimited"]
    assert f"device: {said}" in err
    with terminal.journal_reader(tmp_path / "state") as journal:
        records = [row.record for row in journal.all_rows()]
    first, second = [record.trip for record in records if hasattr(record, "trip")]
    assert first["place.stop"] == 7
    assert "place.stop" not in second


GYM = {"media": {"order": ["resident", "gym"]}, "extensions.gym": {"key": GYM_KEY.hex()}}


@pytest.mark.parametrize(
    ("language", "welcome", "ended_text"),
    [
        ("ru", "Добро пожаловать! Абонемент до ", "Абонемент закончился "),
        ("en", "Welcome! Membership until ", "Membership ended on "),
    ],
)
def test_the_gym_s_own_card_is_decided_shown_and_recorded(
    start: Start, tmp_path: Path, language: str, welcome: str, ended_text: str
) -> None:
    port, today = free_port(), NOW.date()
    station = {"profile": "bus", "state": "state", "laboratory": True, "language": language}
    path = configured(
        tmp_path,
        port,
        terminal=station,
        reader={"name": f"tcp:127.0.0.1:{port}", "taps": 4},
        **GYM,
    )
    process = start("run", "--config", path, "--json")
    member, former = gym_card(today + timedelta(days=30)), gym_card(today - timedelta(days=2))
    for card in (member, former, card_of("adult_purse"), card_of("not_desfire")):
        tap_over_tcp(card, port)
    code, out, err = ended(process)
    assert code == 0, err
    taps = [json.loads(line) for line in out.splitlines()]
    assert [tap["message"] for tap in taps] == ["gym.welcome", "gym.ended", "ok_paid", "unknown_card"]
    assert taps[0]["text"].startswith(welcome)
    assert taps[1]["text"].startswith(ended_text)
    assert [tap["exchanges"] for tap in taps] == [5, 5, 8, 2]
    with terminal.journal_reader(tmp_path / "state") as journal:
        records = [row.record for row in journal.all_rows()]
    codes = [record.message for record in records if hasattr(record, "message")]
    assert codes == ["gym.welcome", "gym.ended", "ok_paid", "unknown_card"]
    loaded = [record.extension for record in records if type(record).__name__ == "ExtensionLoaded"]
    assert sorted(loaded) == ["gym", "led", "tcp"]
    assert_codes(records)
    code, out, err = ended(start("journal", "recompute", "--config", path))
    assert code == 0, out + err


def test_people_read_the_gym_s_message_at_the_terminal(start: Start, tmp_path: Path) -> None:
    port = free_port()
    path = configured(tmp_path, port, reader={"name": f"tcp:127.0.0.1:{port}", "taps": 1}, **GYM)
    process = start("run", "--config", path)
    tap_over_tcp(gym_card(date(2030, 12, 31)), port)
    code, out, err = ended(process)
    assert code == 0, err
    assert "» Добро пожаловать! Абонемент до 31.12.2030" in out
    assert (tmp_path / "led").read_text() == "off"
