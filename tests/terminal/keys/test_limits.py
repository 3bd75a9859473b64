"""Ceilings of the key provider: what they count, what a tap and a console make of them, and what no object shows."""

from __future__ import annotations

import copy
import pickle
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import ValidationError, convert
from msgspec.structs import replace

from cardproto.desfire.authentication import AesAuthentication, Ev1Cipher, Ev2Cipher, Method
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import Session
from sim.air import VirtualClock
from sim.faults import corrupt
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault
from terminal.codes import KeyFault
from terminal.errors import KeyFileError, KeyLimitReached
from terminal.journal.records import Fault, Unwritten, parse_record
from terminal.journal.taps import End
from terminal.keys.file import FileKeys, load_file_keys
from terminal.keys.limits import BUS, DAY_S, MINUTE_S, UNLIMITED, Ceiling, KeyLimits, UseCounter
from terminal.keys.provider import require_keys
from terminal.keys.sealing import StorageKeys
from terminal.lab.town import Town
from terminal.screen.console.console import ActionRefused as ConsoleRefused
from tests.config_file import config_file
from tests.flows.conftest import COUNTER_A, FRONT, OpenTown, resident_of, town_of
from tests.flows.leaks import laboratory_secrets
from tests.journal_rows import prose_in
from tests.terminal.cli.inside import runner
from tests.terminal.screen.console.cab import DRIVER, PIN, Cab, open_cab

__all__ = ["town_of"]

START = datetime(2026, 9, 15, 6, 40, tzinfo=UTC)
LAB = tomllib.loads(LAB_KEYS.read_text("utf-8"))
SECRETS = laboratory_secrets()


def counted(counter: UseCounter, purpose: str = "transport") -> int:
    """How many uses there are until the ceiling."""
    for uses in range(10_000):
        try:
            counter.token(purpose)
        except KeyLimitReached:
            return uses
    raise AssertionError("there is no ceiling")


def test_a_minute_holds_so_many_and_says_when_it_opens_again() -> None:
    clock = VirtualClock(START)
    counter = UseCounter(KeyLimits(tokens={"transport": Ceiling(3, 100)}), clock)
    counter.token("transport")
    clock.advance(10)
    assert counted(counter) == 2
    with pytest.raises(KeyLimitReached) as reached:
        counter.token("transport")
    error = reached.value
    assert (error.use, error.opens_in_s) == ("token:transport", 50.0)
    assert error.opens_at == START + timedelta(seconds=60)
    assert "token:transport" in str(error)
    assert "2026-09-15 06:41:00 UTC" in str(error)
    clock.advance(error.opens_in_s - 0.001)
    assert counted(counter) == 0
    clock.advance(0.001)
    assert counted(counter) == 3


def test_a_day_holds_so_many_whatever_the_minutes_allow() -> None:
    clock = VirtualClock(START)
    counter, total = UseCounter(KeyLimits(tokens={"transport": Ceiling(3, 7)}), clock), 0
    for _ in range(600):
        total += counted(counter)
        clock.advance(60)
    assert total == 7
    clock.advance(DAY_S - clock.monotonic() - 1)
    with pytest.raises(KeyLimitReached) as reached:
        counter.token("transport")
    assert reached.value.opens_in_s == pytest.approx(1)
    clock.advance(1)
    assert counted(counter) == 3


def test_each_purpose_and_each_key_has_its_own_count() -> None:
    counter = UseCounter(KeyLimits(otherwise=Ceiling(2, 2)), VirtualClock(START))
    assert [counted(counter, purpose) for purpose in ("transport", "school", "transport")] == [2, 2, 0]
    counter.authentication("validate")
    counter.authentication("validate")
    counter.authentication("inspect")
    with pytest.raises(KeyLimitReached, match="authenticate:validate"):
        counter.authentication("validate")


def test_setting_the_clock_opens_nothing() -> None:
    class Set(VirtualClock):
        def now(self) -> datetime:
            return START + timedelta(days=400)

    counter = UseCounter(KeyLimits(otherwise=Ceiling(2, 2)), Set(START))
    assert counted(counter) == 2
    assert counted(counter) == 0


def test_the_default_is_beyond_one_reader_and_far_below_a_table() -> None:
    """Ten taps a second are more than a reader can serve; all of 10^9 numbers would take generations."""
    counter = UseCounter(KeyLimits(), VirtualClock(START))
    assert counted(counter) == BUS.per_minute == 600
    assert 10**9 / BUS.per_day / 365 > 50
    assert [MINUTE_S, DAY_S, BUS.per_day] == [60, 86_400, 40_000]


def test_a_ceiling_is_one_use_or_more() -> None:
    assert convert({"per_minute": 1, "per_day": 1}, Ceiling) == Ceiling(1, 1)
    for name in ("per_minute", "per_day"):
        with pytest.raises(ValidationError):
            convert({name: 0}, Ceiling)


def test_no_ceiling_is_said_in_so_many_words() -> None:
    counter = UseCounter(UNLIMITED, VirtualClock(START))
    for _ in range(BUS.per_minute + 1):
        counter.token("export")


# the file


def test_limits_of_the_file(tmp_path: Path) -> None:
    own = "\n[limits]\nauthentications = { validate = { per_minute = 2 } }\ntokens = { school = { per_day = 1 } }\n"
    (tmp_path / "keys.toml").write_text(LAB_KEYS.read_text("utf-8") + own, "utf-8")
    keys = load_file_keys(tmp_path / "keys.toml", clock=VirtualClock(START))
    keys.token("school", b"1")
    with pytest.raises(KeyLimitReached, match="token:school"):
        keys.token("school", b"2")
    for _ in range(2):
        keys.authenticate("validate", 1, b"uid").auth1(Method.EV2_FIRST, bytes(16))
    third = keys.authenticate("validate", 1, b"uid")
    with pytest.raises(KeyLimitReached, match="authenticate:validate"):
        third.auth1(Method.EV2_FIRST, bytes(16))
    keys.authenticate("inspect", 1, b"uid").auth1(Method.EV2_FIRST, bytes(16))
    free = load_file_keys(tmp_path / "keys.toml", UNLIMITED)
    assert [free.token("school", b"1") for _ in range(2)], "an office's own limits go before the file's"


@pytest.mark.parametrize(
    "line",
    [
        "tokens = 7",
        "tokens = { school = { per_hour = 1 } }",
        "speed = 1",
        "tokens = { a = { per_day = 'x' } }",
        "tokens = { trnasport = { per_day = 5 } }",
        "authentications = { credit = { per_day = 5 } }",
    ],
)
def test_limits_that_are_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "keys.toml").write_text(f"{LAB_KEYS.read_text('utf-8')}\n[limits]\n{line}\n", "utf-8")
    with pytest.raises(KeyFileError, match="limits"):
        load_file_keys(tmp_path / "keys.toml")


def test_versions_in_the_file(tmp_path: Path) -> None:
    text, key = LAB_KEYS.read_text("utf-8"), "5A" * 16
    (line,) = (line for line in text.splitlines() if line.startswith("validate = "))
    path = tmp_path / "keys.toml"

    def written(value: str, in_service: str = "") -> FileKeys:
        path.write_text(text.replace(line, f"validate = {value}").replace("key_version = 1\n", in_service))
        return load_file_keys(path)

    some = f'{{ 1 = "{key}", 12 = "{key}", 3 = "{"77" * 16}" }}'
    assert written(some).versions("validate") == (12, 3, 1)
    assert written(f'"{key}"').versions("validate") == (1,)
    orders = {0: (1, 3, 12), 1: (1, 3, 12), 2: (1, 3, 12), 3: (3, 1, 12), 12: (12, 3, 1), 255: (12, 3, 1)}
    for number, order in orders.items():
        assert written(some, f"key_version = {number}\n").versions("validate") == order
    for odd in ("256", "-1", "new", "01", "1_0", "two-hundred"):
        with pytest.raises(KeyFileError, match=f"masters.validate.{odd} is no version"):
            written(f'{{ 1 = "{key}", {odd} = "{key}" }}')
    with pytest.raises(KeyFileError, match=r"masters.validate has no version"):
        written("{}")
    for odd in ("256", "-1", '"1"', "true", "1.0"):
        with pytest.raises(KeyFileError, match="key_version is no version"):
            written(some, f"key_version = {odd}\n")


def test_a_bus_has_no_key_that_makes_money_or_rights(tmp_path: Path) -> None:
    text, path = LAB_KEYS.read_text("utf-8"), tmp_path / "keys.toml"
    names = ("picc", "application", "reload", "inspect", "entitle", "order", "roll", "transaction_mac")
    held = [line for line in text.splitlines() if not line.startswith(tuple(f"{name} = " for name in names))]
    path.write_text("\n".join(held))
    keys = load_file_keys(path)
    require_keys(keys, "transport")
    assert keys.versions("validate") == (1, 2, 3)
    for name in names:
        with pytest.raises(KeyFileError, match="no master key"):
            keys.versions(name)


@pytest.mark.parametrize("table", ["masters", "purposes", "lists", "storage"])
def test_a_key_written_where_its_name_belongs_is_not_quoted(tmp_path: Path, table: str) -> None:
    text, path = LAB_KEYS.read_text("utf-8"), tmp_path / "keys.toml"
    for line in ('{key} = "name"', 'name = {{ {key} = "1" }}', "name = {{ {key} = {{}} }}", "{key} = {{}}"):
        path.write_text(text.replace(f"[{table}]", f"[{table}]\n{line.format(key='5A' * 16)}"))
        with pytest.raises(KeyFileError, match=table) as refused:
            load_file_keys(path)
        assert "5A5A" not in str(refused.value)
        path.write_text(f"{text}\n[limits]\ntokens.{'5A' * 16} = {{ per_day = 5 }}\n")
        with pytest.raises(KeyFileError, match="limits") as refused:
            load_file_keys(path)
        assert "5A5A" not in str(refused.value)


def test_a_key_file_nested_without_end_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f"{LAB_KEYS.read_text('utf-8')}\nx = {'[' * 5000}\n", "utf-8")
    with pytest.raises(KeyFileError, match=r"key file .*: "):
        load_file_keys(path)
    with pytest.raises(ProfileFault, match="not TOML"):
        load_lab_keys(path)


# a tap, and the console


def limited(town: Town, limits: KeyLimits, number: int = FRONT.number) -> FileKeys:
    keys = load_file_keys(LAB_KEYS, limits, clock=town.clock)
    medium = resident_of(town.terminals[number])
    medium.setup = replace(medium.setup, keys=keys)
    return keys


ONE = Ceiling(1, 10)
ONE_OF_EACH = [
    pytest.param(KeyLimits(authentications={"validate": ONE}), id="authentications"),
    pytest.param(KeyLimits(tokens={"transport": ONE}), id="tokens"),
]


@pytest.mark.parametrize("limits", ONE_OF_EACH)
def test_at_the_limit_a_tap_is_out_of_order_on_record_and_free(town_of: OpenTown, limits: KeyLimits) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        limited(town, limits)
        assert town.tap(FRONT.number, "adult_purse").report.end is End.COMMITTED
        before = town.cards["adult_purse"].image()
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.end is End.NOTHING_WRITTEN
        assert report.outcome.message == "out_of_order"
        assert not report.outcome.accepted
        assert "limit" in report.operator
        assert town.cards["adult_purse"].image() == before
        *_, tap, why = [
            parse_record(row.body) for row in town.terminals[FRONT.number].journal.rows(0, 10_000)
        ]
        assert isinstance(tap, Unwritten)
        assert (tap.message, tap.admission) == ("out_of_order", "refused")
        assert isinstance(why, Fault)
        assert (why.code, why.inputs["opens_in_s"]) == (KeyFault.LIMIT, 60)
        assert prose_in(why) == []
        town.clock.advance(60)
        assert town.tap(FRONT.number, "adult_purse").report.outcome.accepted


def test_a_bus_asks_for_one_token_a_card_and_a_canteen_for_two(town_of: OpenTown) -> None:
    """The card's, and where rights and accounts are a person's, the holder's; never one more."""
    both = {"transport": Ceiling(per_minute=3), "school": Ceiling(per_minute=6)}
    with town_of("adult_purse", stops=(FRONT, COUNTER_A)) as town:
        for number in (FRONT.number, COUNTER_A.number):
            limited(town, KeyLimits(tokens=both, otherwise=None), number)
            ends = [town.tap(number, "adult_purse").report.outcome.message for _ in range(4)]
            assert [message == "out_of_order" for message in ends] == [False, False, False, True]


def test_a_limit_met_while_a_commit_is_looked_into_leaves_it_open(town_of: OpenTown) -> None:
    """The card is asked again after a garbled answer; a provider that refuses then must not lose what was intended."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        limited(town, KeyLimits(authentications={"validate": ONE}))
        before_minor = town.purses_minor()
        assert town.tap(FRONT.number, "adult_purse", corrupt(8, 9)).report.end is End.UNRESOLVED
        town.clock.advance(60)
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.end is End.RECOVERED
        assert report.outcome.accepted
        assert before_minor - town.purses_minor() == 2400


@pytest.fixture
def cab(tmp_path: Path) -> Iterator[Cab]:
    with open_cab(tmp_path / "cab") as opened:
        yield opened


def test_the_console_says_how_long_to_wait(cab: Cab) -> None:
    cab.terminal.keys = load_file_keys(LAB_KEYS, KeyLimits(tokens={"staff": ONE}), clock=cab.clock)
    cab.terminal.keys.token("staff", b"")
    with pytest.raises(ConsoleRefused, match=r"Try again in \{wait\}"):
        cab.console.sign_in(DRIVER, PIN)
    for _ in range(20):
        assert cab.sign_in().status_code == 403, "what was not looked at was no wrong PIN"
    cab.clock.advance(60)
    assert cab.sign_in().status_code == 303


def test_passengers_ride_on_while_staff_cards_cannot_be_told(cab: Cab) -> None:
    cab.sign_in()
    cab.open_shift()
    cab.terminal.keys = load_file_keys(LAB_KEYS, KeyLimits(tokens={"staff": ONE}), clock=cab.clock)
    cab.terminal.keys.token("staff", b"")
    assert cab.tap("adult_purse").outcome.accepted


@pytest.mark.parametrize("purpose", ["transport", "staff"])
def test_a_terminal_without_a_purpose_key_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], purpose: str
) -> None:
    """It used to say that it was ready, and to end at the first card."""
    lines = LAB_KEYS.read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "keys.toml").write_text("".join(line for line in lines if not line.startswith(purpose)))
    (tmp_path / "keys.toml").chmod(0o600)
    run = runner(tmp_path, monkeypatch, capfd)
    config_file(
        tmp_path,
        terminal={"profile": "bus"},
        reader={"name": "sim:month_pass"},
        keys={"file": "keys.toml"},
        shift={"operator": "17"},
        console={"enabled": True, "port": 0},
    )
    done = run("run")
    assert done.returncode == 11
    assert f"no purpose key '{purpose}'" in done.stderr
    assert "ready" not in done.stderr


# nothing shows


def holders() -> list[object]:
    keys = load_file_keys(LAB_KEYS)
    own = AesKey(bytes.fromhex(LAB["masters"]["validate"]["1"]))
    attempt = keys.authenticate("validate", 1, b"uid")
    attempt.auth1(Method.EV2_FIRST, bytes(16))
    session = Session.derive(own, 1, bytes(16), bytes(16), bytes(4))
    aes = AesAuthentication(own, bytes(16))
    return [keys, keys.sealer, attempt, own, aes, session, session.cipher, Ev1Cipher(own)]


@pytest.mark.parametrize("holder", holders(), ids=lambda holder: type(holder).__name__)
def test_no_holder_of_keys_shows_them_or_leaves_the_process(holder: object) -> None:
    shown = f"{holder!r} {holder} {holder:}".encode()
    assert [secret.name for secret in SECRETS if secret.found_in(shown)] == []
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        if isinstance(holder, Session) and leave is copy.copy:
            continue  # it holds the cipher by name, and stays in this process
        with pytest.raises(TypeError, match="stays in this process"):
            leave(holder)


def test_every_holder_of_keys_is_among_them() -> None:
    named = (FileKeys, StorageKeys, AesAuthentication, AesKey, Ev1Cipher, Ev2Cipher, DesKey)
    assert {type(holder) for holder in holders()} | {DesKey, type(holders()[2])} >= set(named)
