"""A look at any card says what it is and shows no number, name or whole UID of it."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cardproto.connection import CardConnection
from cardproto.emv.tags import PPSE
from cardproto.errors import CardGone, ReaderGone
from sim.card.virtual import VirtualCard
from sim.emv.card import DualCard, VirtualBankCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile, profile_names
from sim.transcript import load_transcript
from terminal.app.simulated import laboratory_bank_ca, whole_recording
from terminal.cli.card_look import card_look, print_look
from terminal.clock import SystemClock
from terminal.errors import ReaderError, TerminalError
from terminal.keys.bank_ca import BankCa
from tests.cardproto.emv.lab import tlv
from tests.cardproto.emv.vectors import CDA, FDDA, PPSE_SELECT, TranscriptCard, own_card, own_trust
from tests.terminal.cli.conftest import Run

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
UID = "08A1B2C3"
GET_UID = "FFCA0000"


LAB_CA = laboratory_bank_ca()
HELD = ("held", None)
VERDICTS = {
    "bank_cda": HELD,
    "bank_cda_19": HELD,
    "bank_fdda": HELD,
    "bank_fdda_19": HELD,
    "bank_longest_key": HELD,
    "bank_phone": HELD,
    "resident_bank": HELD,
    "bank_counterfeit": ("not_held", "signature_format"),
    "bank_expired": ("not_held", "card_certificate_expired"),
    "bank_revoked_issuer": ("not_held", "issuer_certificate_revoked"),
    "bank_static_only": ("not_held", "counts_as_none"),
}
NOT_READ = {"bank_blocked": "application_blocked", "bank_contacts": "contacts_only"}
BANK_CARDS = [name for name in profile_names() if load_profile(name).bank is not None]


def look(card: CardConnection, at: datetime = NOW) -> dict[str, Any]:
    return card_look(card, at, bytes)


def bank_card(name: str = FDDA) -> TranscriptCard:
    """The recorded card on a reader: it does not look at what it is given, and no DESFire answers on it."""
    card = own_card(name)
    card.by_header = True
    card.answers[GET_UID] = UID + "9000"
    card.otherwise = "6D00"
    return card


def software_card(profile: str) -> VirtualCard | VirtualBankCard:
    card = issue(load_profile(profile), load_lab_keys(), 34, date(2026, 9, 1), random.Random(1).randbytes)
    assert isinstance(card, VirtualCard | VirtualBankCard)
    card.power_on()
    return card


class BothApplications:
    """A resident card with a bank application beside it: what is neither wrapped nor the reader's goes to the bank."""

    def __init__(self, resident: CardConnection, bank: CardConnection) -> None:
        self.resident, self.bank = resident, bank

    def transmit(self, command: bytes) -> bytes:
        return (self.resident if command[0] in (0x90, 0xFF) else self.bank).transmit(command)


def test_a_resident_card() -> None:
    found = look(software_card("adult_purse"))
    assert (found["kind"], found["bank"]) == ("resident", None)
    assert found["desfire"] == {
        **{"resident": True, "generation": "DESFire EV2", "storage_code": 0x1A, "applications": ["4B5A01"]}
    }


@pytest.mark.parametrize(
    ("profile", "generation"),
    [("blank_ev1", "EV1"), ("blank_ev2", "EV2"), ("blank_ev3", "EV3"), ("blank_light", "Light")],
)
def test_another_desfire_card(profile: str, generation: str) -> None:
    found = look(software_card(profile))
    assert found["kind"] == "desfire"
    assert found["desfire"]["generation"] == f"DESFire {generation}"


@pytest.mark.parametrize(("name", "method"), [(CDA, "cda"), (FDDA, "fdda")])
def test_a_bank_card(name: str, method: str) -> None:
    found = look(bank_card(name))
    bank = found["bank"]
    assert (found["kind"], found["desfire"]) == ("bank", None)
    assert found["uid"] == {"end": "B2C3", "bytes": 4}
    assert bank["applications"] == [{"aid": "A0000006581010", "label": "MIR", "priority": 1, "kernel": None}]
    read = bank["read"]
    assert (read["number"], read["sequence"], read["method"]) == ("220000******0004", 1, method)
    assert (read["expires_on"], read["expired"], read["ca_key"]) == ("2030-12-31", False, "A000000658 E7")
    assert "57" in read["tags"]
    assert "57" not in read["signed_tags"]


def test_a_card_with_both() -> None:
    found = look(BothApplications(software_card("adult_purse"), bank_card()))
    assert found["kind"] == "resident_and_bank"


def test_a_card_that_answers_nothing_known() -> None:
    found = look(TranscriptCard([], otherwise="6D00"))
    assert found == {"kind": "unknown", "uid": None, "desfire": None, "bank": None}


def test_every_bank_card_of_the_simulator_is_in_one_of_the_lists() -> None:
    assert sorted(VERDICTS | NOT_READ) == sorted(BANK_CARDS)


@pytest.mark.parametrize(("profile", "verdict"), VERDICTS.items())
def test_whether_the_authentication_holds(profile: str, verdict: tuple[str, str | None]) -> None:
    found = card_look(software_card(profile), NOW, random.Random(2).randbytes, LAB_CA)
    proven = found["bank"]["read"]["authentication"]
    assert (proven["verdict"], proven["fault"], proven["keys"]) == (*verdict, "laboratory")
    assert ("5A" in proven["proven_tags"]) == (verdict == HELD)


@pytest.mark.parametrize(("profile", "fault"), NOT_READ.items())
def test_a_bank_card_without_data_for_a_tap(profile: str, fault: str) -> None:
    card = software_card(profile)
    found = card_look(card, NOW, random.Random(2).randbytes, LAB_CA)
    assert (found["kind"], found["bank"]["read"], found["bank"]["fault"]) == ("bank", None, fault)


def test_without_keys_nothing_is_checked_and_nothing_is_signed() -> None:
    asked: list[int] = []

    class Counting:
        def transmit(self, command: bytes) -> bytes:
            asked.append(command[1])
            return card.transmit(command)

    card = software_card("bank_cda")
    proven = look(Counting())["bank"]["read"]["authentication"]
    assert proven == {"verdict": "not_checked", "fault": None, "keys": None, "proven_tags": []}
    assert 0xAE not in asked, "no cryptogram is asked for"


def test_keys_of_another_chain_prove_nothing() -> None:
    other = BankCa("production", own_trust())
    proven = card_look(software_card("bank_cda"), NOW, bytes, other)["bank"]["read"]["authentication"]
    assert (proven["verdict"], proven["fault"], proven["keys"]) == (
        "not_held",
        "ca_key_unknown",
        "production",
    )


def forms(number: str) -> tuple[str, ...]:
    """As text, packed and read as text in a hexadecimal listing."""
    return number, number.encode().hex().upper()


@pytest.mark.parametrize("profile", BANK_CARDS)
def test_no_number_of_a_software_card_is_shown_or_recorded(
    profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = software_card(profile)
    assert isinstance(card, VirtualBankCard | DualCard)
    path = tmp_path / "look.jsonl"
    with whole_recording(path, SystemClock(), masked=True) as recorded:
        found = card_look(recorded(card), NOW, random.Random(2).randbytes, LAB_CA)
    print_look(found)
    seen = capsys.readouterr().out + json.dumps(found) + path.read_text(encoding="utf-8")
    for wallet in card.chip_memory.wallets:
        for application in wallet.applications:
            for form in forms(application.pan) + forms(application.pan[:-1]) + forms(application.pan[6:]):
                assert form not in seen
    assert b"LABORATORY/CARD".hex().upper() not in seen


@pytest.mark.parametrize("number", ["2200000000000004", "2200 0000 0000 0004", "22000004"])
def test_a_number_in_a_label_or_kernel_is_not_shown(number: str) -> None:
    kernel = "9F2A08" + "2200000000000004"
    entry = tlv("61", tlv("4F", "A0000006581010") + tlv("50", (b"MIR " + number.encode()).hex()) + kernel)
    fci = tlv("6F", tlv("84", PPSE.hex()) + tlv("A5", tlv("BF0C", entry)))
    (listed,) = look(TranscriptCard([{"c": PPSE_SELECT, "r": fci + "9000"}], otherwise="6A82"))["bank"][
        "applications"
    ]
    assert listed["label"] == "MIR " + "*" * len(number)
    assert listed["kernel"] == "*" * 16


class Pulled:
    """A card that leaves after so many exchanges."""

    def __init__(self, card: CardConnection, exchanges: int) -> None:
        self.card, self.left = card, exchanges

    def transmit(self, command: bytes) -> bytes:
        if not self.left:
            raise CardGone("pulled")
        self.left -= 1
        return self.card.transmit(command)


@pytest.mark.parametrize("profile", ["resident_bank", "bank_fdda"])
def test_a_card_pulled_at_any_exchange_is_looked_at_again_from_the_beginning(profile: str) -> None:
    card = software_card(profile)
    for exchanges in range(100):
        card.power_on()
        pulled = Pulled(card, exchanges)
        try:
            found = card_look(pulled, NOW, random.Random(2).randbytes, LAB_CA)
        except CardGone:
            continue
        assert pulled.left == 0
        assert found["bank"]["read"]["authentication"]["verdict"] == "held"
        break
    assert exchanges > 8


class Garbled:
    """A card whose answers are damaged now and then, or are nonsense."""

    def __init__(self, card: CardConnection, rng: random.Random) -> None:
        self.card, self.rng = card, rng

    def transmit(self, command: bytes) -> bytes:
        answer, rng = bytearray(self.card.transmit(command)), self.rng
        match rng.randrange(20):
            case 0:
                answer[rng.randrange(len(answer))] ^= 1 << rng.randrange(8)
            case 1:
                del answer[rng.randrange(len(answer)) :]
            case 2:
                answer[:-2] = rng.randbytes(rng.randrange(256))
            case 3:
                answer[-2:] = rng.choice((b"\x91\xaf", b"\x61\x10", b"\x6c\x00", b"\x69\x85"))
        return bytes(answer)


@pytest.mark.parametrize("profile", ["resident_bank", "bank_fdda", "bank_static_only", "adult_purse"])
def test_a_card_that_answers_nonsense_is_described_or_refused(
    profile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    card, kinds = software_card(profile), set()
    for seed in range(150):
        card.power_on()
        rng = random.Random(seed)
        found = card_look(Garbled(card, rng), NOW, rng.randbytes, LAB_CA)
        kinds.add(found["kind"])
        json.dumps(found)
        print_look(found)
    assert len(kinds) > 1, "the damage was met"
    assert "not held" in capsys.readouterr().out or profile == "adult_purse"


def test_an_expired_card_says_so() -> None:
    found = look(bank_card(), datetime(2031, 1, 1, tzinfo=UTC))
    assert found["bank"]["read"]["expired"] is True


@pytest.mark.parametrize(
    ("command", "answer", "fault", "sw"),
    [
        ("00A4040007", "6283", "application_blocked", "6283"),
        ("80A8", "6986", "see_phone", "6986"),
        ("00B2010C", "70015A9000", "malformed", None),
        ("00A404000E", "6F009000", "malformed", None),
    ],
)
def test_a_bank_card_that_cannot_be_read_is_named_as_one(
    command: str, answer: str, fault: str, sw: str | None
) -> None:
    card = bank_card().change(command, lambda _: answer)
    found = look(card)
    bank = found["bank"]
    assert found["kind"] == "bank"
    assert (bank["read"], bank["fault"], bank["sw"]) == (None, fault, sw)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("2200123456780004", "220012******0004"),
        ("2200123456789012345", "220012*********2345"),
        ("22001234567890", "**********7890"),
    ],
)
def test_no_form_of_a_number_is_shown(
    number: str, shown: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tag_5a = tlv("5A", number + "F" * (len(number) % 2))
    track_2 = number + "D301220100000000" + "F" * (len(number) % 2)
    card = bank_card()
    record = card.answers.pop("00B20114")
    card.answers["00B20114"] = tlv("70", record[6:-4].replace("5A082200000000000004", tag_5a)) + "9000"
    card.change(
        "00B2010C", lambda _: tlv("70", tlv("57", track_2) + tlv("5F20", "544553542F4E414D45")) + "9000"
    )
    found = look(card)
    if as_json:
        print(json.dumps(found))
    else:
        print_look(found)
    printed = capsys.readouterr().out
    assert shown in printed
    assert number not in printed
    assert number[6:-4] not in printed
    assert "TEST" not in printed
    assert UID not in printed


def test_what_a_card_calls_itself_commands_no_screen(capsys: pytest.CaptureFixture[str]) -> None:
    entry = tlv("61", tlv("4F", "A0000006581010") + tlv("50", "1B5B324A5B7265645D" + "00"))
    fci = tlv("6F", tlv("84", PPSE.hex()) + tlv("A5", tlv("BF0C", entry)))
    card = TranscriptCard([{"c": PPSE_SELECT, "r": fci + "9000"}], otherwise="6A82")
    print_look(look(card))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]" in printed, "no markup"


class FailingCard:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def transmit(self, command: bytes) -> bytes:
        raise self.error


def test_a_card_that_leaves_is_waited_for_again_and_a_lost_reader_is_one_line() -> None:
    with pytest.raises(CardGone):
        look(FailingCard(CardGone("pulled")))
    with pytest.raises(ReaderError, match="unplugged"):
        look(FailingCard(ReaderGone("unplugged")))


# the command


def test_the_command_looks_at_a_software_card_and_records_it_masked(run: Run, tmp_path: Path) -> None:
    done = run("card", "look", "--reader", "sim:adult_purse", "--record", "look.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "resident card"
    recorded = load_transcript(tmp_path / "look.jsonl")
    assert [tap.masked for tap in recorded.taps] == [True]
    assert not list(tmp_path.glob(".recording-*"))


def ca_file(run: Run, folder: Path) -> dict[str, Any]:
    """What the simulator's own command prints, in a file."""
    printed = run("card", "emv", "ca", program="sim.cli.app")
    assert printed.returncode == 0, printed.stderr
    (folder / "ca.json").write_text(printed.stdout, encoding="utf-8")
    return dict(json.loads(printed.stdout))


def test_the_command_checks_a_bank_card_with_the_laboratorys_keys_on_a_software_reader(run: Run) -> None:
    done = run("card", "look", "--reader", "sim:bank_cda")
    assert done.returncode == 0, done.stderr
    assert "authentication held, by laboratory CA keys; not certified" in done.stdout


def test_the_command_takes_ca_keys_from_a_file(run: Run, tmp_path: Path) -> None:
    keys = ca_file(run, tmp_path)
    done = run("card", "look", "--reader", "sim:bank_revoked_issuer", "--ca", "ca.json", "--json")
    assert done.returncode == 0, done.stderr
    proven = json.loads(done.stdout)["bank"]["read"]["authentication"]
    assert (proven["verdict"], proven["fault"]) == ("not_held", "issuer_certificate_revoked")
    keys["revoked"] = []
    keys["ca_keys"] = [{**one, "expires_on": "2026-01-31", "source": "here"} for one in keys["ca_keys"]]
    (tmp_path / "ca.json").write_text(json.dumps(keys), encoding="utf-8")
    done = run("card", "look", "--reader", "sim:bank_cda", "--ca", "ca.json")
    assert "authentication not held (ca_key_expired)" in done.stdout


def test_a_file_of_ca_keys_that_is_wrong_is_one_error(run: Run, tmp_path: Path) -> None:
    keys = ca_file(run, tmp_path)
    first = keys["ca_keys"][0]
    wrong = {
        "does not fit its checksum": [{**first, "sha1": "00" * 20}],
        "have a name of their own": [first, first],
        "ca_keys[0].exponent": [{**first, "exponent": "05"}],
        "secret": [{**first, "secret": 1}],
    }
    for says, ca_keys in wrong.items():
        (tmp_path / "ca.json").write_text(json.dumps({**keys, "ca_keys": ca_keys}), encoding="utf-8")
        done = run("card", "look", "--reader", "sim:bank_cda", "--ca", "ca.json")
        assert done.returncode == 11, done
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    done = run("card", "look", "--reader", "sim:bank_cda", "--ca", "none.json")
    assert (done.returncode, "none.json" in done.stderr) == (11, True)


def test_the_reader_also_comes_from_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "terminal.toml").write_text('[reader]\nname = "sim:adult_purse"\n', encoding="utf-8")
    done = run("card", "look", "--config", "terminal.toml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "resident"


def test_a_look_without_a_card_leaves_no_transcript(run: Run, tmp_path: Path) -> None:
    done = run("card", "look", "--reader", "sim:", "--record", "look.jsonl", "--wait", "0")
    assert done.returncode != 0
    assert "no card stayed" in done.stderr
    assert list(tmp_path.glob("*look*")) == []
    assert list(tmp_path.glob(".recording-*")) == []


def test_a_file_that_is_there_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "look.jsonl").write_text("mine", encoding="utf-8")
    done = run("card", "look", "--reader", "sim:adult_purse", "--record", "look.jsonl")
    assert done.returncode != 0
    assert "exists already" in done.stderr
    assert (tmp_path / "look.jsonl").read_text(encoding="utf-8") == "mine"


def test_a_transcript_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "look.jsonl"
    card = bank_card()

    def fails_after(exchanges: int) -> None:
        with whole_recording(path, SystemClock(), masked=True) as recorded:
            connection = recorded(card)
            for _ in range(exchanges):
                connection.transmit(bytes.fromhex(PPSE_SELECT + "00"))
            raise ReaderError("gone", "Try again.")

    for exchanges in (0, 1, 3):
        with pytest.raises(ReaderError):
            fails_after(exchanges)
        assert list(tmp_path.iterdir()) == []
    with whole_recording(path, SystemClock(), masked=True) as recorded:
        card_look(recorded(card), NOW, bytes)
        assert not path.exists(), "not before all of it is there"
    assert [one.name for one in tmp_path.iterdir()] == ["look.jsonl"]
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text(encoding="utf-8")
    assert "2200000000000004" not in text
    assert "544553542F5245534944454E54" not in text


def test_a_transcript_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with (
        pytest.raises(TerminalError, match="cannot be written"),
        whole_recording(tmp_path / "none" / "look.jsonl", SystemClock(), masked=True),
    ):
        pass


def test_a_file_that_came_in_between_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "look.jsonl"
    with (
        pytest.raises(TerminalError, match="exists already"),
        whole_recording(path, SystemClock(), masked=True),
    ):
        path.write_text("mine", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "mine"
