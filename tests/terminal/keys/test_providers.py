"""Whole taps, recorded authentications and older key versions, by the file and by a module that hands out no key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cardproto.connection import CardConnection
from cardproto.desfire.authentication import AesAuthentication, Method
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import Session
from cardproto.errors import IntegrityError
from cardproto.resident.layout import PURSE_TAP
from cardproto.resident.opening import OpenedCard
from sim.faults import corrupt, tear_after, tear_before
from sim.lab_keys import FORM, load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault
from terminal.errors import KeyFileError
from terminal.journal.records import Intent, parse_record
from terminal.journal.taps import End
from terminal.keys.file import FileKeys, load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import REMEMBERED, FittingVersions, KeyProvider
from terminal.lab.town import TerminalSite, Town
from terminal.tap import take_tap
from terminal.tap_report import TapReport
from tests.cardproto.scripted import ScriptedConnection
from tests.flows.conftest import COUNTER_A, FRONT, REAR, OpenTown, resident_of, town_of
from tests.terminal.keys.sam import Module, ModuleKeys
from tests.vectors.by_hand import cbc, cmac, odd
from tests.vectors.conftest import OWN_FILE

__all__ = ["town_of"]

LAB: dict[str, Any] = tomllib.loads(LAB_KEYS.read_text("utf-8"))
MASTER = bytes.fromhex(LAB["masters"]["validate"]["1"])
PURPOSES = {name: bytes.fromhex(key) for name, key in LAB["purposes"].items()}
NEXT = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F0")
NEWEST = bytes.fromhex("A0B1C2D3E4F5061728394A5B6C7D8E9F")
VECTORS: dict[str, dict[str, Any]] = {
    entry["id"]: entry for entry in json.loads(OWN_FILE.read_text("utf-8"))["vectors"]
}
FIRST = ["ev2first-an12343-t16", "ev2first-an12343-t7", "ev2first-an12343-t39", "ev2first-an12343-t41"]


def same(length: int) -> bytes:
    """A random source that both providers share, so that their bytes can be compared."""
    return bytes(range(0x40, 0x40 + length))


def file_keys(masters: dict[int, bytes], rnd: Callable[[int], bytes] = same) -> FileKeys:
    return FileKeys({"validate": masters}, PURPOSES, {}, limits=UNLIMITED, random=rnd)


def module_keys(masters: dict[int, bytes], rnd: Callable[[int], bytes] = same) -> ModuleKeys:
    return ModuleKeys(Module({("validate", number): key for number, key in masters.items()}, PURPOSES, rnd))


PROVIDERS = [pytest.param(file_keys, id="file"), pytest.param(module_keys, id="module")]
MakeKeys = Callable[[dict[int, bytes]], KeyProvider]


class Overheard:
    """A connection that keeps what was said."""

    def __init__(self, card: CardConnection) -> None:
        self._card = card
        self.said: list[tuple[bytes, bytes]] = []

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.said.append((command, answer))
        return answer


def ring(keys: KeyProvider, *numbers: int, town: Town) -> None:
    for number in numbers:
        medium = resident_of(town.terminals[number])
        medium.setup = replace(medium.setup, keys=keys)


def intents(town: Town, number: int) -> list[Intent]:
    found = [parse_record(row.body) for row in town.terminals[number].journal.rows(0, 10_000)]
    return [record for record in found if isinstance(record, Intent)]


TAPS = [
    ("adult_purse", FRONT),
    ("month_pass", FRONT),
    ("pupil_two_meals", COUNTER_A),
    ("adult_purse_ev1", FRONT),
    ("month_pass_ev1", FRONT),
    ("adult_purse_random_uid", FRONT),
]


@pytest.mark.parametrize(("resident", "stop"), TAPS, ids=[name for name, _ in TAPS])
def test_a_module_puts_the_same_bytes_on_the_wire_as_the_file(
    town_of: OpenTown, resident: str, stop: TerminalSite
) -> None:
    heard: list[tuple[TapReport, list[tuple[bytes, bytes]]]] = []
    for make in (file_keys, module_keys):
        with town_of(resident, stops=(stop,), folder=make.__name__) as town:
            ring(make({1: MASTER}), stop.number, town=town)
            card = town.cards[resident]
            card.power_on()
            connection = Overheard(card)
            heard.append((take_tap(connection, town.terminals[stop.number]), connection.said))
    (by_file, first), (by_module, second) = heard
    assert by_file.end is End.COMMITTED
    assert by_file == by_module
    assert first == second


@pytest.mark.parametrize(
    "plan", [tear_before(4), tear_after(6), tear_before(8), tear_after(8), corrupt(8, 9)]
)
def test_a_torn_card_is_charged_once_for_each_ride_through_a_module(town_of: OpenTown, plan: Any) -> None:
    with town_of("adult_purse") as town:
        ring(module_keys({1: MASTER}), FRONT.number, REAR.number, town=town)
        before_minor = town.purses_minor()
        first = town.tap(FRONT.number, "adult_purse", plan).report
        town.clock.advance(5)
        second = town.tap(FRONT.number, "adult_purse").report
        assert second.outcome.accepted
        rides = 1 + first.outcome.accepted  # the garbled answer to a commit is settled in the same tap
        assert before_minor - town.purses_minor() == 2400 * rides


def test_a_module_with_other_keys_opens_nothing(town_of: OpenTown) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        before = town.cards["adult_purse"].image()
        ring(module_keys({1: NEXT}), FRONT.number, town=town)
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.outcome.message == "unknown_card"
        assert town.cards["adult_purse"].image() == before


# recorded authentications of other people's tools


@pytest.mark.parametrize("name", FIRST)
def test_a_recorded_authentication_through_the_module(name: str) -> None:
    """What stands in NXP's application notes: the module must send it, believe it, and derive the published keys."""
    inputs, expected = VECTORS[name]["inputs"], VECTORS[name]["expected"]
    rnd_a, number = bytes.fromhex(expected["RndA"]), int(str(inputs["key_no"]), 0)
    module = Module({("raw", 1): bytes.fromhex(inputs["key"])}, {}, lambda _: rnd_a)
    script = ScriptedConnection([(inputs[f"c_apdu_{n}"], inputs[f"r_apdu_{n}"]) for n in (1, 2)])
    card = DesfireCard(DesfireChannel(script))
    attempt = ModuleKeys(module).authenticate("raw", 1, b"")
    attempt.diversifier = None  # type: ignore[attr-defined]  # the notes use their key as it is
    card.authenticate_ev2_first(number, attempt, bytes.fromhex(inputs["c_apdu_1"])[7:-1])
    assert script.finished()
    assert isinstance(card.session, Session)
    assert card.session.ti == bytes.fromhex(expected["TI"])
    cipher, block = card.session.cipher, bytes(range(16))
    assert cipher.mac(block) == odd(cmac(bytes.fromhex(expected["SesAuthMACKey"]), block))
    enc = bytes.fromhex(expected["SesAuthENCKey"])
    assert cipher.seal(block, block) == cbc(enc, cbc(enc, bytes(16), block), block)
    assert cipher.open(block, cipher.seal(block, block)) == block


def test_a_recorded_ev1_authentication_by_both() -> None:
    entry = VECTORS["ev1-aes-auth-revk"]
    key, challenge, rnd_a = (bytes.fromhex(entry["inputs"][name]) for name in ("key", "encRndB", "RndA"))
    module = Module({("raw", 1): key}, {}, lambda _: rnd_a)
    number, token = module.auth1("raw", 1, None, Method.AES, challenge)
    own = AesAuthentication(AesKey(key), rnd_a)
    assert token == own.auth1(Method.AES, challenge) == bytes.fromhex(entry["expected"]["c_data"])
    proof = bytes.fromhex(entry["expected"]["r_data"])
    cipher, _ = own.auth2(proof), module.auth2(number, proof)
    session = bytes.fromhex(entry["expected"]["session_key"])
    assert (
        cipher.seal(b"", bytes(16))
        == module.seal(number, b"", bytes(16))
        == cbc(session, bytes(16), bytes(16))
    )
    for message in (b"", b"abc", bytes(16), bytes(33)):
        assert cipher.mac(message) == module.mac(number, message)
    sealed = module.seal(number, b"", bytes(32))
    assert cipher.seal(b"", bytes(32)) == sealed
    assert cipher.open(b"", sealed) == module.open(number, b"", sealed)


def test_an_attempt_serves_once_and_believes_no_wrong_proof() -> None:
    attempt = AesAuthentication(AesKey(bytes(16)), bytes(range(16)))
    with pytest.raises(ValueError, match="after auth1"):
        attempt.auth2(bytes(32))
    attempt.auth1(Method.EV2_FIRST, bytes(16))
    with pytest.raises(IntegrityError, match="AuthenticateEV2First: the card does not prove"):
        attempt.auth2(bytes(32))
    with pytest.raises(ValueError, match="one attempt"):
        attempt.auth1(Method.EV2_FIRST, bytes(16))


def test_tokens_are_what_pseudonyms_were() -> None:
    """Recorded before the port had this verb: a journal's references stay what they are."""
    keys, value = load_file_keys(LAB_KEYS), bytes.fromhex("0102030405060708")
    found = {purpose: keys.token(purpose, value).hex() for purpose in ("transport", "school", "staff")}
    assert found == RECORDED
    assert {purpose: module_keys({}).token(purpose, value).hex() for purpose in found} == RECORDED


RECORDED = {"transport": "24d37054cf9bdccd", "school": "04b6d29525c48fb1", "staff": "4b6f913513a14070"}


# versions


@pytest.mark.parametrize("make", PROVIDERS)
def test_a_card_of_the_version_before_costs_two_exchanges_once(town_of: OpenTown, make: MakeKeys) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        ring(make({1: MASTER, 2: NEXT}), FRONT.number, town=town)
        first = town.tap(FRONT.number, "adult_purse").report
        town.clock.advance(7200)
        second = town.tap(FRONT.number, "adult_purse").report
        assert first.end is second.end is End.COMMITTED
        assert (first.exchanges, second.exchanges) == (PURSE_TAP.exchanges + 2, PURSE_TAP.exchanges)
        assert first.apdu_bytes == second.apdu_bytes + 66
        assert [intent.key_version for intent in intents(town, FRONT.number)] == [1, 1]


@pytest.mark.parametrize(
    ("resident", "more", "again"), [("adult_purse_random_uid", 2, 2), ("adult_purse_ev1", 2, 0)]
)
@pytest.mark.parametrize("make", PROVIDERS)
def test_so_does_any_other_card(
    town_of: OpenTown, make: MakeKeys, resident: str, more: int, again: int
) -> None:
    """A random UID says nothing of which card it is, so its version cannot be remembered."""
    with town_of(resident, stops=(FRONT,), folder="one") as town:
        plain = town.tap(FRONT.number, resident).report
    with town_of(resident, stops=(FRONT,), folder="two") as town:
        ring(make({1: MASTER, 2: NEXT}), FRONT.number, town=town)
        first = town.tap(FRONT.number, resident).report
        town.clock.advance(7200)
        second = town.tap(FRONT.number, resident).report
    assert first.end is second.end is End.COMMITTED
    assert first.exchanges - plain.exchanges == more
    assert first.apdu_bytes - plain.apdu_bytes <= 66
    assert second.exchanges - plain.exchanges == again


def test_the_newest_version_is_tried_first_and_the_third_never(town_of: OpenTown) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        ring(file_keys({1: NEXT, 2: NEWEST, 3: MASTER}), FRONT.number, town=town)
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.exchanges == PURSE_TAP.exchanges
        assert intents(town, FRONT.number)[0].key_version == 3
        ring(file_keys({1: MASTER, 2: NEXT, 3: NEWEST}), FRONT.number, town=town)
        assert town.tap(FRONT.number, "adult_purse").report.outcome.message == "unknown_card"


def test_what_fitted_is_remembered_forgotten_and_bounded() -> None:
    fitting, uid = FittingVersions(), bytes.fromhex("04A1B2C3D4E5F6")
    assert fitting.order([3, 2, 1], uid) == fitting.order([3, 2, 1], None) == (3, 2)
    fitting.fitted([3, 2], OpenedCard(uid, 2))
    assert fitting.order([3, 2, 1], uid) == (2, 3)
    assert fitting.order([3, 2, 1], None) == (3, 2)
    assert fitting.order([4, 3], uid) == (4, 3), "a version no longer tried is no first choice"
    fitting.fitted([3, 2], OpenedCard(uid, 3))
    assert not len(fitting), "a card that has been rolled needs no entry"
    for number in range(REMEMBERED + 5):
        fitting.fitted([3, 2], OpenedCard(number.to_bytes(7), 2))
    assert len(fitting) == REMEMBERED
    assert uid.hex() not in repr(vars(fitting))


def test_a_version_that_is_not_there() -> None:
    with pytest.raises(KeyFileError, match="no version 7 of master key 'validate'"):
        file_keys({1: MASTER}).authenticate("validate", 7, b"\x01")
    with pytest.raises(KeyFileError, match="no master key 'credit'"):
        file_keys({1: MASTER}).versions("credit")


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("", "states no form. Add form = "),
        ('form = "resident-laboratory-keys-2"', "not whole, or not of the form"),
    ],
)
def test_a_laboratory_s_file_states_its_form(line: str, refused: str, tmp_path: Path) -> None:
    """Both programs read the same file and refuse the same ones."""
    stated = f'form = "{FORM}"'
    text = LAB_KEYS.read_text("utf-8")
    assert text.count(stated) == 1
    file = tmp_path / "keys.toml"
    file.write_text(text.replace(stated, line), "utf-8")
    with pytest.raises(KeyFileError, match=refused):
        load_file_keys(file)
    with pytest.raises(ProfileFault, match=f"is not of the form {FORM}"):
        load_lab_keys(file)
