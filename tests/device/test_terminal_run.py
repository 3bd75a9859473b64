"""The whole terminal on a real pcscd: `sim vpcd` holds the card, `terminal run --reader pcsc` is its own process.

What the card holds afterwards is compared, byte for byte, with the same tap taken in-process.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route

from cardproto.resident.records.event import parse_event
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.simulated import laboratory_keys
from terminal.app.station import journal_reader
from terminal.codes import ReaderFault, SetKind
from terminal.journal.journal import Journal
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Fault, Started, parse_record
from terminal.journal.taps import End
from terminal.keys.file import load_file_keys
from terminal.lab.world import laboratory_deny_list
from terminal.media.port import MediumSetup
from terminal.media.resident.credential import CredentialCheck
from terminal.media.resident.medium import ResidentMedium
from terminal.policy.deny_list import DenyListFile
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.tap import Terminal, take_tap
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.shifts import open_shift
from tests.config_file import config_file
from tests.device.conftest import PutIn
from tests.device.daemon import Daemon
from tests.terminal.screen.browser import (
    NewPage,
    browser,  # noqa: F401 a fixture
    new_page,  # noqa: F401 a fixture
    wait_until,
)

pytestmark = [pytest.mark.pcscd, pytest.mark.usefixtures("pcscd")]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
SEED = 11
NUMBER = 70001


@dataclass(frozen=True)
class Setting:
    """One terminal process and what it leaves behind."""

    folder: Path
    profile: str
    deny_list: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def terminal(self, *more: str) -> list[str]:
        config = config_file(
            self.folder,
            terminal={
                "profile": self.profile,
                "state": self.state,
                "number": NUMBER,
                "region": "demo",
                "laboratory": True,
            },
            reader={"name": "pcsc"},
            lists={"deny": self.deny_list},
            shift={"operator": "17"},
        )
        return [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config), "--json", *more]

    def card(self, resident: str, day: date, *more: str) -> list[str]:
        command = [sys.executable, "-m", "sim.cli.app", "vpcd", "--profile", resident, "--seed", str(SEED)]
        return [
            *command,
            "--issued-on",
            day.isoformat(),
            "--image-out",
            str(self.folder / "image.json"),
            *more,
        ]


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to stop, by its own id, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


@pytest.fixture
def setting(tmp_path: Path, request: pytest.FixtureRequest) -> Setting:
    profile = getattr(request, "param", "bus")
    keys = load_file_keys(laboratory_keys())
    return Setting(tmp_path, profile, laboratory_deny_list(tmp_path / "deny-list", keys))


def today() -> date:
    return datetime.now(UTC).date()  # noqa: TID251 the process under test reads the real clock, too


def taps_of(setting: Setting, resident: str, count: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run terminal and card as processes for `count` presentations: the taps reported, and the card in the end."""
    terminal = start(setting.terminal("--taps", str(count)))
    try:
        assert terminal.stderr is not None
        card = start(setting.card(resident, today(), "--taps", str(count)))
        out, err = terminal.communicate(timeout=60)
        assert terminal.returncode == 0, err
        card.communicate(timeout=30)
    finally:
        end(terminal)
    return [json.loads(line) for line in out.splitlines()], json.loads(
        (setting.folder / "image.json").read_text()
    )


def in_process(setting: Setting, resident: str, at: datetime, intent: int) -> tuple[str, dict[str, Any]]:
    """The same card, terminal, journal number and time without any reader: what it decides, what the card holds."""

    class Clock:
        def now(self) -> datetime:
            return at

        def monotonic(self) -> float:
            return 0.0

    card = issue(load_profile(resident), load_lab_keys(), 34, today(), random.Random(SEED).randbytes)
    keys = load_file_keys(laboratory_keys(), random=random.Random(SEED).randbytes)
    policy = Policy.of(load_region("demo"), DenyListFile(setting.deny_list, keys.list_key("deny")))
    journal = Journal.open(setting.folder / "twin.db", NUMBER)
    journal.append(Started(0, software="twin"))
    for kind in (SetKind.REGION, SetKind.DENY):
        journal.append(SetActivated(0, kind.value, "twin", 1, bytes(32), 0))
    open_shift(journal, at, "17", setting.profile)
    assert journal.next_sequence == intent
    lent = MediumSetup(setting.profile, policy.document.header.region, keys, random.Random(SEED).randbytes)
    media = (ResidentMedium(lent, CredentialCheck.never()),)
    clock = Clock()
    watch = ClockWatch(journal, clock, policy.document.clock.ahead_days, at)
    terminal = Terminal(NUMBER, setting.profile, policy, keys, journal, clock, media, watch)
    card.power_on()
    report = take_tap(card, terminal)
    journal.close()
    return str(report.outcome.message), json.loads(json.dumps(card.image()))


RESIDENTS = [
    ("bus", "adult_purse", "ok_paid"),
    ("bus", "month_pass", "ok_pass"),
    ("bus", "social_pack_45", "ok_pack"),
    ("bus", "free_pensioner", "ok_benefit_unlimited"),
    ("bus", "student_half_price", "ok_benefit"),
    ("bus", "empty_purse", "no_funds"),
    ("bus", "blocked", "blocked"),
    ("bus", "expired", "expired"),
    ("bus", "deny_listed", "deny_list"),
    ("bus", "half_personalised", "unknown_card"),
    ("bus", "foreign_desfire", "unknown_card"),
    ("bus", "not_desfire", "unknown_card"),
    ("bus", "bank_cda", "unknown_card"),
    ("bus", "resident_bank", "ok_paid"),
    ("canteen", "pupil_grade3", None),
]


@pytest.mark.parametrize(("setting", "resident", "message"), RESIDENTS, indirect=["setting"], ids=str)
def test_same_outcome_and_same_card_bytes_as_in_process(
    setting: Setting, resident: str, message: str | None
) -> None:
    """`message` None: a meal depends on the hour; both runs must still agree."""
    (tap,), image = taps_of(setting, resident, 1)
    at = datetime.fromisoformat(tap["at"])
    twin_message, twin_image = in_process(setting, resident, at, tap["sequence"] or 5)
    assert tap["message"] == twin_message
    assert message in (None, tap["message"])
    assert image == twin_image


def test_a_hundred_presentations_are_a_hundred_taps(setting: Setting) -> None:
    """One purse card, a hundred times in and out: as many records, and the money adds up."""
    count = 25
    taps, image = taps_of(setting, "adult_purse", count)
    assert len(taps) == count
    charged = sum(tap["charge_minor"] for tap in taps if tap["end"] == End.COMMITTED)
    purse = image["applications"]["4B5A01"]["files"]["03"]["value"]
    assert charged == 50000 - purse > 0


class _OnReaderWithoutUid:
    """A card whose UID the reader does not say: through the virtual driver the reader's own questions reach us, too."""

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self.atr = card.atr
        self.power_on, self.power_off = card.power_on, card.power_off

    def transmit(self, command: bytes) -> bytes:
        return bytes.fromhex("6A81") if command[:1] == b"\xff" else self._card.transmit(command)


def test_a_reader_that_says_no_uid_serves_and_is_reported_once(setting: Setting, bridge: PutIn) -> None:
    """Each passenger is served, three exchanges later; after the third, staff hear of the reader."""
    card = issue(load_profile("adult_purse"), load_lab_keys(), 34, today(), random.Random(SEED).randbytes)
    terminal = start(setting.terminal("--taps", "5"))
    try:
        assert terminal.stdout is not None
        putting = bridge(_OnReaderWithoutUid(card), present=False)
        taps = []
        for _ in range(5):
            before = putting.conversations
            putting.present()
            taps.append(json.loads(terminal.stdout.readline()))
            assert putting.wait_for_conversation(before, 60)
            putting.remove()
        _, err = terminal.communicate(timeout=60)
    finally:
        end(terminal)
    assert terminal.returncode == 0
    assert all(tap["admission"] != "refused" for tap in taps), taps
    assert len({tap["card_ref"] for tap in taps}) == 1
    assert err.count("code=reader:no_uid") == 1
    with journal_reader(setting.state) as reader:
        records = [parse_record(row.body) for row in reader.all_rows()]
    assert [r.code for r in records if isinstance(r, Fault)] == [ReaderFault.NO_UID]


def test_terminal_stops_cleanly_while_waiting(setting: Setting) -> None:
    terminal = start(setting.terminal())
    card = start(setting.card("month_pass", today()))
    try:
        assert terminal.stdout is not None
        assert json.loads(terminal.stdout.readline())["admission"] == "let_in"
        terminal.send_signal(signal.SIGTERM)
        terminal.wait(10)
        assert terminal.returncode == 0
    finally:
        end(card)
        end(terminal)


def card_left_in(setting: Setting, resident: str = "adult_purse") -> subprocess.Popen[str]:
    """A card, a purse of 500.00, that lies on the reader until its process ends."""
    card = start(setting.card(resident, today()))
    assert card.stdout is not None
    assert "is in virtual reader" in card.stdout.readline()
    return card


def purse_and_taps(setting: Setting) -> tuple[int, int]:
    """What is on the card's purse, and how many events the terminal wrote on it."""
    files = json.loads((setting.folder / "image.json").read_text())["applications"]["4B5A01"]["files"]
    records = [parse_event(bytes.fromhex(record)) for record in files["02"]["records"]]
    return files["03"]["value"], sum(event.terminal == NUMBER for event in records)


def heard(terminal: subprocess.Popen[str]) -> dict[str, Any]:
    """The next tap it reports."""
    assert terminal.stdout is not None
    tap: dict[str, Any] = json.loads(terminal.stdout.readline())
    return tap


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_card_that_lies_there_through_restarts_is_charged_once(
    setting: Setting, ending: signal.Signals
) -> None:
    card = card_left_in(setting)
    try:
        answers = []
        for _ in range(3):
            terminal = start(setting.terminal())
            answers.append(heard(terminal))
            terminal.send_signal(ending)
            terminal.communicate(timeout=30)
    finally:
        end(card)
    first, *repeated = answers
    assert (first["end"], first["balance_after_minor"]) == (End.COMMITTED, 47600)
    for again in repeated:
        assert again["end"] in (End.REPEATED, End.RECOVERED)
        assert (again["message"], again["admission"]) == (first["message"], "let_in")
        assert (again["sequence"], again["balance_after_minor"]) == (first["sequence"], 47600)
    assert purse_and_taps(setting) == (47600, 1)


def test_killed_at_any_moment_a_card_that_lies_there_is_charged_once(setting: Setting) -> None:
    """From the first exchange to the row after the commit; seeded, and the last terminal may live."""
    rng, card = random.Random(SEED), card_left_in(setting)
    try:
        for _ in range(6):
            terminal = start(setting.terminal())
            assert terminal.stderr is not None
            terminal.stderr.readline()  # ready: the reader is looked at from here on
            time.sleep(rng.uniform(0.0, 0.15))
            terminal.kill()
            terminal.communicate(timeout=30)
        terminal = start(setting.terminal())
        assert heard(terminal)["admission"] == "let_in"
        end(terminal)
    finally:
        end(card)
    assert purse_and_taps(setting) == (47600, 1)


def test_a_card_laid_there_again_after_a_restart_is_a_new_ride(setting: Setting) -> None:
    file = str(setting.folder / "card.json")
    new = [sys.executable, "-m", "sim.cli.app", "card", "new", file, "--profile", "adult_purse"]
    subprocess.run(new, env=ENVIRONMENT, check=True, capture_output=True)
    card = card_left_in(setting, file)
    terminal = start(setting.terminal("--taps", "1"))
    try:
        assert heard(terminal)["end"] == End.COMMITTED
        terminal.communicate(timeout=30)
        terminal = start(setting.terminal())
        assert heard(terminal)["end"] == End.REPEATED
        end(card)
        time.sleep(2.5)  # T-35, the only guard of this right; and the service must see that it has gone
        card = card_left_in(setting, file)
        again = heard(terminal)
        assert (again["end"], again["balance_after_minor"]) == (End.COMMITTED, 45200)
    finally:
        end(terminal)
        end(card)
    assert purse_and_taps(setting) == (45200, 2)


def test_a_card_that_lies_there_while_the_service_restarts_is_charged_once(
    our_pcscd: Daemon, setting: Setting
) -> None:
    card = start(setting.card("adult_purse", today(), "--keep"))
    terminal = start(setting.terminal())
    try:
        assert heard(terminal)["end"] == End.COMMITTED
        for ending in (our_pcscd.kill, our_pcscd.stop):
            ending()
            our_pcscd.start()
            assert heard(terminal)["end"] == End.REPEATED
    finally:
        end(terminal)
        end(card)
    assert purse_and_taps(setting) == (47600, 1)


def test_card_read_through_the_service(setting: Setting) -> None:
    card = start(setting.card("student_half_price", today()))
    try:
        assert card.stdout is not None
        card.stdout.readline()
        command = [sys.executable, "-m", "terminal.cli.app", "card", "read", "--reader", "pcsc", "--json"]
        command += ["--keys", "laboratory"]
        read = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
        )
        assert read.returncode == 0, read.stderr
        content = json.loads(read.stdout)
        assert content["purse_minor"] == 30000
        assert content["purse_agrees"] is True
        assert content["rights"]["concessions"][0]["code"] == 2
    finally:
        end(card)


def test_no_service_or_no_such_reader_is_one_line() -> None:
    command = [
        sys.executable,
        "-m",
        "terminal.cli.app",
        "card",
        "read",
        "--reader",
        "pcsc:Nowhere 3000",
        "--keys",
        "laboratory",
        "--wait",
        "1",
    ]
    finished = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == 30
    assert "Traceback" not in finished.stderr
    assert "Nowhere 3000" in finished.stderr


def relayed(route: Route) -> None:
    """Longer than the 300 ms that a terminal waits for an answer."""
    time.sleep(0.31)
    route.continue_()


def test_a_phone_in_the_browser_answers_a_terminal_through_the_service(
    setting: Setting,
    new_page: NewPage,  # noqa: F811
) -> None:
    """`sim phone --vpcd` has no key: what `terminal run` asks goes to Chromium, which signs. Late answers of a busy
    machine are asked for again, as people do.
    """
    config = config_file(
        setting.folder,
        terminal={
            "profile": "bus",
            "state": setting.state,
            "number": NUMBER,
            "region": "demo",
            "laboratory": True,
        },
        reader={"name": "pcsc"},
        media={"order": ["resident", "phone"]},
        shift={"operator": "17"},
    )
    terminal = start([sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config), "--json"])
    served = start([sys.executable, "-m", "sim.cli.app", "phone", "--port", "0", "--vpcd"])
    try:
        assert terminal.stdout is not None
        assert served.stdout is not None
        page = new_page()
        page.goto(served.stdout.readline().split()[-1])
        wait_until(page, "document.getElementById('code').dataset.counter === '1'")

        def held() -> str:
            assert terminal.stdout is not None
            page.get_by_role("button", name="Hold to the reader").click()
            while not select.select([terminal.stdout], [], [], 0)[0]:
                page.wait_for_timeout(20)  # the browser's routes are served meanwhile
            message = json.loads(terminal.stdout.readline())["message"]
            page.get_by_role("button", name="Take away").click()
            return str(message)

        for expected in ("ok_benefit_unlimited", "already_paid"):
            while (said := held()) == "read_again":
                pass
            assert said == expected
        page.route("**/field", relayed)
        assert held() == "read_again", "an answer that was fetched from elsewhere"
        page.unroute("**/field")
        assert page.locator("#answers li").first.text_content().endswith(f"terminal {NUMBER}")  # type: ignore[union-attr]
    finally:
        end(served)
        end(terminal)
    assert served.returncode == 0
