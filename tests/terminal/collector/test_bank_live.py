"""Bank cards from a bus to the money, by the product's own commands: tapped, sealed, uploaded, proven, charged, denied,
paid after all, given back by two persons. And no number of a card anywhere but in the acquirer's file.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sim.image_file import save_card
from sim.lab_office import lab_office_key
from terminal.app.simulated import issue_residents
from terminal.clock import SystemClock
from tests.by_hand import BY_HAND, started
from tests.config_file import config_file
from tests.flows.leaks import card_number, leaks, leaks_in_files
from tests.terminal.cli.conftest import Run, Start, run, start  # noqa: F401 fixtures
from tests.terminal.collector.bank_town import FARE_MINOR, bank_document, day, read
from tests.terminal.collector.office import user_of

NUMBER = 70001
TODAY = date(2026, 9, 15)


@pytest.fixture
def collector(start: Start) -> str:  # noqa: F811
    """A collector's process, and its address."""
    process = start(
        "collector", "--folder", "collector", "--port", 0, "--any-clock", "--no-recompute", "--json"
    )
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


def configured(folder: Path, later: str = "", **more: Mapping[str, object]) -> Path:
    """The configuration of a bus that takes bank cards."""
    laboratory = BY_HAND | ({"starts_at": later} if later else {})
    return config_file(
        folder,
        terminal={"number": NUMBER, "profile": "bus", "state": "state", "region": "bank-region.toml"},
        reader={"name": "sim:"},
        media={"order": ["resident", "bank"]},
        shift={"operator": "17", "route": 15},
        laboratory=laboratory,
        **more,
    )


def rides(folder: Path, config: Path) -> tuple[str, str, str]:
    """Two rides of one bank card on a running terminal; its token, its number and the row of the first."""
    (card,) = issue_residents(["bank_cda"], 34, TODAY)
    pan = read(card, day(2)).opened.pan.in_clear
    save_card(card, folder / "card.json")  # type: ignore[arg-type]
    with started(folder, config) as terminal:
        first = terminal.tap(folder / "card.json")
        terminal.say("clock", step_s=7200)
        second = terminal.tap(folder / "card.json")
    assert [one["message"] for one in (first, second)] == ["ok_paid", "ok_paid"]
    return first["card_ref"], pan, f"{NUMBER}:{first['sequence']}"


class Runs:
    """What `terminal collector bank settle --every 1` says, run by run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def until(self, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first run from now on that is so."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)["run"]
            if so(found):
                return found
        assert self._process.stderr is not None
        raise AssertionError(self._process.stderr.read())


def test_from_the_bus_to_the_money(tmp_path: Path, collector: str, run: Run, start: Start) -> None:  # noqa: F811
    bank_document(tmp_path)
    config = configured(tmp_path)
    token, pan, row = rides(tmp_path, config)
    said: list[str] = []

    def do(*arguments: object) -> str:
        done = run(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        said.extend((done.stdout, done.stderr))
        return done.stdout

    (tmp_path / "state/collector.pub").write_bytes((tmp_path / "collector/collector.pub").read_bytes())
    do("collector", "enrol", NUMBER, "--key", "state/terminal.pub", "--folder", "collector")
    do("collector", "documents", "add", "bank-region.toml", "--folder", "collector")
    sent = json.loads(do("sync", "--config", config, "--collector", collector, "--json"))
    assert sent["unsent"] == 0

    do("collector", "bank", "key", "--out", "bank-office.pub")
    assert (
        bytes.fromhex((tmp_path / "bank-office.pub").read_text())
        == lab_office_key().public_key().public_bytes_raw()
    )
    do("deny", "init", "--folder", "deny")
    (tmp_path / "lists").mkdir()
    settling = start(
        *("collector", "bank", "settle", "--folder", "collector", "--every", 1, "--pause-h", 0, "--json"),
        *("--deny", "deny", "--deny-out", "lists", "--region", 34),
    )
    runs = Runs(settling)
    first = runs.until(lambda one: one["asked"] > 0)
    assert (first["proven"], first["decided"], first["unproven"]) == (2, 2, 0)
    orders = tmp_path / "collector/bank/acquirer/out/000001.json"
    assert orders.stat().st_mode & 0o777 == 0o600
    assert pan in orders.read_text()

    assert "2 orders answered" in do(
        "collector", "bank", "acquirer", "--folder", "collector", "--decline", pan[-4:]
    )
    assert runs.until(lambda one: one["denied"] > 0)["unproven"] == 0
    of_row = ("--row", row, "--collector", "collector", "--folder", "deny")
    (entry,) = json.loads(do("deny", "why", *of_row, "--json"))["entries"]
    assert (entry["kind"], entry["identity"], entry["reason"]) == ("bank", token, "debt")
    moved = run("deny", "add", *of_row, "--moved", "--reason", "replaced", "--by", "17")
    assert (moved.returncode, "list of grants" in moved.stderr) == (2, True), moved.stderr
    later = (SystemClock().now() + timedelta(hours=1)).isoformat(timespec="seconds")
    listed = configured(tmp_path, updates={"folder": "lists"}, later=later)
    with started(tmp_path, listed) as terminal:
        assert terminal.tap(tmp_path / "card.json")["message"] == "deny_list"
    owing = do("collector", "statement", "--token", token, "--folder", "collector")
    assert "Owed: RUB 60.00" in owing
    assert "on the deny list" in owing

    do("sync", "--config", config, "--collector", collector)  # the refused tap asks for the debt once more
    runs.until(lambda one: one["sent"] > 0)
    do("collector", "bank", "acquirer", "--folder", "collector", "--decline", pan[-4:])
    runs.until(lambda one: not orders.exists() and not list(orders.parent.iterdir()))
    do("collector", "bank", "recover", "--token", token, "--folder", "collector")  # and so does its holder
    runs.until(lambda one: one["sent"] > 0)
    do("collector", "bank", "acquirer", "--folder", "collector", "--twice")
    runs.until(lambda one: one["released"] > 0)
    with started(tmp_path, listed) as terminal:  # from the acquirer's file to the door that opens
        terminal.say("clock", step_s=7200)
        assert terminal.tap(tmp_path / "card.json")["message"] == "ok_paid"

    asks, confirms = (user_of(tmp_path / "collector", ref, "money") for ref in ("21", "22"))
    for name, secret in (("asks", asks), ("confirms", confirms)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    mine = ("--folder", "collector", "--token-file")
    charge = json.loads(do("collector", "statement", "--token", token, *mine, "asks", "--json"))["demands"][
        -1
    ]
    assert (charge["kind"], charge["amount_minor"], charge["state"]) == ("charge", 2 * FARE_MINOR, "approved")
    do("collector", "bank", "refund", charge["id"], "--minor", FARE_MINOR, *mine, "asks")
    assert run("collector", "confirm", 1, *mine, "asks").returncode == 44  # not by the same person
    do("collector", "confirm", 1, *mine, "confirms")
    runs.until(lambda one: one["refunds"] > 0)
    assert f"taken in all: {FARE_MINOR} minor" in do("collector", "bank", "acquirer", "--folder", "collector")
    again = run("collector", "bank", "refund", charge["id"], "--minor", 2 * FARE_MINOR, *mine, "asks")
    assert "can still be given back" in again.stderr

    story = do("collector", "statement", "--token", token, *mine, "asks", "--language", "ru")
    for words in ("T-01", "T-40", "60,00"):
        assert words in story, story
    settling.terminate()
    said += settling.communicate(timeout=60)
    no_number_anywhere(tmp_path, pan, said)


def no_number_anywhere(folder: Path, pan: str, said: list[str]) -> None:
    """In no form in anything that was said or written: databases, logs, lists, statements. The card itself is the
    tap's, and orders are the acquirer's.
    """
    number = card_number("the number", pan)
    orders = [path.name for path in (folder / "collector/bank/acquirer/out").iterdir()]
    assert (folder / "collector/collector.db").stat().st_size > 1_000
    assert not leaks_in_files(number, folder, ["card.json", *orders])
    assert not leaks(number, "".join(said).encode(), "what was said")
    assert not any(pan[-10:] in text for text in said)
    assert leaks(number, (folder / "card.json").read_bytes(), "the card"), "the search finds what is there"
