"""Who may work at a terminal: the list, PINs at rest, waits after wrong ones, and the command."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.profile import LAB_KEYS
from terminal.access.attempts import ATTEMPTS_FILE, MANY_WAIT_S, Attempts, wait_after
from terminal.cli.app import whole
from terminal.errors import StaffError
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.screen.console.pins import NO_MEMBERS_PIN, hash_pin, pin_fits
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList, card_reference
from tests.terminal.screen.console.cab import HASHED, KEYS, PIN

DRIVER = Member(ref="77", role=Role.DRIVER)
NOW = 1_000_000


def test_a_staff_list_is_kept_by_reference_for_its_owner_only(tmp_path: Path) -> None:
    staff = StaffList(tmp_path)
    assert staff.members() == ()
    staff.put(DRIVER)
    staff.put(Member(ref="12", role=Role.CASHIER))
    assert [member.ref for member in StaffList(tmp_path).members()] == ["12", "77"]
    assert stat.S_IMODE(staff.path.stat().st_mode) == 0o600
    staff.remove("12")
    assert StaffList(tmp_path).get("12") is None


@pytest.mark.parametrize("ref", ["", "Ivanov", "Иванов-7", "7 7", "7" * 17, "-7", "../7"])
def test_a_name_is_no_reference(tmp_path: Path, ref: str) -> None:
    staff = StaffList(tmp_path)
    with pytest.raises(StaffError):
        staff.put(Member(ref=ref, role=Role.DRIVER))
    assert staff.members() == ()


def test_what_another_process_writes_is_seen_at_once(tmp_path: Path) -> None:
    running, command = StaffList(tmp_path), StaffList(tmp_path)
    assert running.get("77") is None
    command.put(DRIVER)
    assert running.get("77") == DRIVER
    command.remove("77")
    assert running.get("77") is None


def test_a_card_belongs_to_one_member(tmp_path: Path) -> None:
    staff = StaffList(tmp_path)
    card = card_reference(KEYS, b"resident")
    staff.put(Member(ref="77", role=Role.DRIVER, card=card.hex()))
    with pytest.raises(StaffError, match="77"):
        staff.put(Member(ref="78", role=Role.DRIVER, card=card.hex()))
    assert staff.by_card(card) == staff.get("77")


def test_d_01_staff_and_passengers_cannot_be_joined() -> None:
    resident = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    transport = KEYS.token("transport", resident)
    assert card_reference(KEYS, resident) not in (transport, KEYS.token("school", resident))


@pytest.mark.parametrize(
    "content", ["", "{", '{"kind":"staff","members":[{"ref":"Ivanov","role":"driver"}]}', "[]"]
)
def test_a_damaged_list_is_told_not_guessed(tmp_path: Path, content: str) -> None:
    (tmp_path / "staff.json").write_text(content)
    with pytest.raises(StaffError):
        StaffList(tmp_path).members()


def test_only_the_right_pin_fits() -> None:
    assert pin_fits(PIN, HASHED, KEYS)
    assert not any(pin_fits(wrong, HASHED, KEYS) for wrong in ("2581", "", "25800", "2580 "))
    assert not pin_fits("0000", NO_MEMBERS_PIN, KEYS)
    assert PIN not in HASHED
    assert hash_pin(PIN, KEYS) != HASHED, "each has a salt of its own"


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "123",
        "258",
        "136924705",
        "1111",
        "00000000",
        "4321",
        "1234",
        "98765",
        "123456789",
        "12a4",
        "١٢٣٤",
        "12 34",
    ],
)
def test_a_pin_everybody_tries_first_is_refused(pin: str) -> None:
    with pytest.raises(StaffError):
        hash_pin(pin, KEYS)


def test_a_pin_cannot_be_tried_with_the_file_alone(tmp_path: Path) -> None:
    """The terminal's key for staff goes in: under another one the right PIN does not fit, and no other key does it."""
    staff = next(line for line in LAB_KEYS.read_text().splitlines() if line.startswith("staff = "))
    others = tmp_path / "keys.toml"
    others.write_text(LAB_KEYS.read_text().replace(staff, f'staff = "{"11" * 32}"'))
    others.chmod(0o600)
    assert not pin_fits(PIN, HASHED, load_file_keys(others, UNLIMITED))
    others.write_text(LAB_KEYS.read_text().replace("1D27EAFF", "11111111"))
    assert pin_fits(PIN, HASHED, load_file_keys(others, UNLIMITED))


@pytest.mark.parametrize("pin", ["2580", "13692470", "1357", "1122"])
def test_a_pin_is_kept_as_costly_to_try_as_is_said(pin: str) -> None:
    """16 MiB and some 50 ms for each try, a salt of 16 bytes, 32 bytes of hash."""
    scheme, log_n, block, lanes, salt, digest = hash_pin(pin, KEYS).split("$")
    assert (scheme, log_n, block, lanes) == ("scrypt", "14", "8", "1")
    assert (len(salt), len(digest)) == (32, 64)
    assert f"scrypt$14$8$1${'00' * 16}${'00' * 32}" == NO_MEMBERS_PIN


def test_every_wrong_pin_makes_the_next_wait_longer_and_no_wait_is_for_ever(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    waits = []
    for _ in range(44):
        attempts.begin("card:77", NOW)
        waits.append(attempts.wait_s("card:77", NOW))
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert waits[-1] == MANY_WAIT_S == 4 * 3600
    assert attempts.wait_s("card:77", NOW + 4 * 3600 * 1000) == 0
    assert attempts.wait_s("typed:77", NOW) == attempts.wait_s("card:78", NOW) == 0


def test_a_restart_and_a_clock_put_back_gain_nothing_and_lock_nobody(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    for _ in range(7):
        attempts.begin("card:77", NOW)
    again = Attempts(tmp_path)
    assert again.wait_s("card:77", NOW + 1000) == wait_after(7, "card:77") - 1
    assert again.wait_s("card:77", NOW - 10**9) == wait_after(7, "card:77")


def test_the_right_pin_and_an_administrator_start_over(tmp_path: Path) -> None:
    attempts, command = Attempts(tmp_path), Attempts(tmp_path)
    for key in ("card:77", "typed:77", "typed:78"):
        for _ in range(5):
            attempts.begin(key, NOW)
    attempts.right("card:77")
    assert attempts.wait_s("card:77", NOW) == 0
    assert command.unlock("77")
    assert not command.unlock("77")
    assert attempts.wait_s("typed:77", NOW) == 0
    assert attempts.wait_s("typed:78", NOW) > 0


def test_waits_that_cannot_be_read_do_not_begin_anew(tmp_path: Path) -> None:
    (tmp_path / ATTEMPTS_FILE).write_text("{")
    with pytest.raises(StaffError):
        Attempts(tmp_path)


class TestCommand:
    runner = CliRunner()

    def run(self, state: Path, *words: str, typed: str = "") -> tuple[int, str]:
        result = self.runner.invoke(whole(), ["staff", *words, "--state", str(state)], input=typed)
        return (0 if result.exception is None else 1), result.output

    def test_a_driver_is_added_with_card_and_pin_and_removed(self, tmp_path: Path) -> None:
        code, _ = self.run(
            tmp_path, "add", "77", "--role", "driver", "--card", "sim:driver_service", typed="2580\n2580\n"
        )
        assert code == 0
        member = StaffList(tmp_path).get("77")
        assert member is not None
        assert pin_fits("2580", member.pin, KEYS)
        assert member.card == card_reference(KEYS, bytes.fromhex("5E21C4D09A77B3F1")).hex()
        _, listed = self.run(tmp_path, "list")
        assert "77" in listed
        assert member.pin not in listed
        assert member.card not in listed
        assert self.run(tmp_path, "remove", "77")[0] == 0
        assert StaffList(tmp_path).members() == ()

    def test_a_refused_pin_leaves_nobody_on_the_list(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "add", "77", "--role", "driver", typed="1234\n1234\n")[0] == 1
        assert StaffList(tmp_path).members() == ()

    def test_pin_and_unlock(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "add", "77", "--role", "conductor", "--no-pin")[0] == 0
        attempts = Attempts(tmp_path / "console")
        for _ in range(8):
            attempts.begin("typed:77", NOW)
        assert "77 unlocked" in self.run(tmp_path, "unlock", "77")[1]
        assert attempts.wait_s("typed:77", NOW) == 0
        assert self.run(tmp_path, "pin", "77", typed="7391\n7391\n")[0] == 0
        member = StaffList(tmp_path).get("77")
        assert member is not None
        assert pin_fits("7391", member.pin, KEYS)

    @pytest.mark.parametrize("words", [("remove", "5"), ("unlock", "5"), ("pin", "5"), ("card", "5")])
    def test_nobody_is_told_apart_from_somebody(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        assert self.run(tmp_path, *words)[0] == 1
