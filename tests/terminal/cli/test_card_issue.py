"""A card torn on the issuing point's reader: what the operator reads is true of the card."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cardproto.connection import CardConnection
from cardproto.desfire.application import PICC_AES_KEY, PICC_AID, KeySettings
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.key_types import KeyType
from cardproto.resident.issuance import ZERO_KEY, CardBefore, FoundCard, begin_as_master, look_at
from cardproto.resident.layout import AID
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.image_file import load_card, save_card
from sim.lab_keys import load_lab_keys
from sim.reader import SimReader
from terminal.app.simulated import laboratory_keys
from terminal.cli.card_view import card_content
from terminal.errors import ReaderError
from terminal.keys.file import load_file_keys
from terminal.lab.issuing import IssueReport, issue_on, wipe
from terminal.policy.load import load_region
from tests.terminal.cli.conftest import Run

HEADER = load_region("demo").header
REGION = HEADER.region
TODAY = date(2026, 9, 15)
THEIRS = bytes.fromhex("F48010")
LOOK = 8
"""Before that a card is only looked at."""


def on_reader(card: VirtualCard, faults: FaultPlan | None = None) -> SimReader:
    reader = SimReader("issuing point", VirtualClock(datetime(2026, 9, 15, tzinfo=UTC)))
    reader.present(card, faults)
    return reader


def connected(card: VirtualCard, faults: FaultPlan | None = None) -> CardConnection:
    connection = on_reader(card, faults).wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    return connection


def issue(card: VirtualCard, faults: FaultPlan | None = None, **asked: bool) -> IssueReport:
    connection = connected(card, faults)
    return issue_on(connection, "adult_purse", "demo", None, TODAY, secrets.token_bytes, **asked)


def wiped(card: VirtualCard, **asked: bool) -> FoundCard:
    return wipe(connected(card), "demo", None, secrets.token_bytes, **asked)


def looked_at(card: VirtualCard) -> CardBefore:
    keys = load_lab_keys(laboratory_keys()).for_card(card.uid, REGION)
    return look_at(DesfireCard(DesfireChannel(connected(card))), keys, secrets.token_bytes).before


def applications(card: VirtualCard) -> tuple[bytes, ...]:
    desfire = DesfireCard(DesfireChannel(connected(card)))
    desfire.select_application(PICC_AID)
    return desfire.get_application_ids()


def with_their_application(key_type: KeyType) -> VirtualCard:
    card = blank(key_type=key_type)
    desfire = DesfireCard(DesfireChannel(connected(card)))
    desfire.select_application(PICC_AID)
    begin_as_master(desfire, ZERO_KEY, key_type, secrets.token_bytes)
    desfire.create_application(THEIRS, KeySettings(1))
    return card


def is_issued(card: VirtualCard) -> bool:
    connection = on_reader(card).wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    try:
        content = card_content(connection, load_file_keys(laboratory_keys()), HEADER)
    except ReaderError:
        return False
    return bool(content["purse_minor"] == 50_000)


def blank(generation: str = "EV3", key_type: KeyType = KeyType.AES) -> VirtualCard:
    return VirtualCard(
        b"\x04" + secrets.token_bytes(6), secrets.token_bytes, generation=generation, key_type=key_type
    )


def test_a_card_whose_last_answer_was_lost_is_not_called_unissued() -> None:
    exchanges = issue(blank()).exchanges
    for tear, issued in ((tear_after, True), (tear_before, False)):
        card = blank()
        with pytest.raises(ReaderError, match="left or failed while it was issued") as error:
            issue(card, tear(exchanges))
        assert "`terminal card read`" in error.value.advice
        assert is_issued(card) is issued


@pytest.mark.parametrize("generation", ["EV1", "EV2", "EV3"])
@pytest.mark.parametrize("key_type", [KeyType.AES, KeyType.DES])
def test_an_interrupted_card_is_named_and_finished_wherever_it_was_torn(
    generation: str, key_type: KeyType
) -> None:
    """However far it came: it is empty, interrupted or issued, and never anything that cannot be helped."""
    exchanges = issue(blank(generation, key_type)).exchanges
    said = set()
    for torn in range(LOOK, exchanges, 7):
        card = blank(generation, key_type)
        with pytest.raises(ReaderError):
            issue(card, tear_after(torn))
        before = card.image()
        found = looked_at(card)
        said.add(found)
        if found is CardBefore.INTERRUPTED:
            with pytest.raises(ReaderError, match="was interrupted") as error:
                issue(card)
            assert "--finish" in error.value.advice
            assert card.image() == before
            issue(card, finish=True)
        elif found is not CardBefore.ISSUED:
            issue(card)
        assert is_issued(card)
    assert {CardBefore.EMPTY, CardBefore.INTERRUPTED} <= said


def test_an_interrupted_card_can_be_emptied_and_an_issued_one_only_if_it_is_meant() -> None:
    card = blank()
    with pytest.raises(ReaderError):
        issue(card, tear_after(40))
    wiped(card)
    assert looked_at(card) is CardBefore.EMPTIED
    issue(card)
    before = card.image()
    for refused in (lambda: issue(card), lambda: issue(card, finish=True), lambda: wiped(card)):
        with pytest.raises(ReaderError, match="issued"):
            refused()
        assert card.image() == before
        assert is_issued(card)
    wiped(card, issued=True)
    assert not is_issued(card)
    with pytest.raises(ReaderError, match="nothing to empty"):
        wiped(card)
    issue(card)
    assert is_issued(card)


@pytest.mark.parametrize("key_type", [KeyType.AES, KeyType.DES])
def test_another_systems_card_is_left_as_it_is_unless_it_is_named(key_type: KeyType) -> None:
    card = with_their_application(key_type)
    before = card.image()
    for refused in (lambda: issue(card), lambda: issue(card, finish=True), lambda: wiped(card, issued=True)):
        with pytest.raises(ReaderError, match="another system"):
            refused()
        assert card.image() == before
    issue(card, beside_others=True)
    assert is_issued(card)
    assert set(applications(card)) == {THEIRS, AID}
    wiped(card, issued=True)
    assert applications(card) == (THEIRS,)


def test_a_card_under_another_master_key_is_refused_whatever_is_asked() -> None:
    card = blank()
    desfire = DesfireCard(DesfireChannel(connected(card)))
    desfire.select_application(PICC_AID)
    begin_as_master(desfire, ZERO_KEY, KeyType.AES, secrets.token_bytes)
    desfire.change_key(PICC_AES_KEY, secrets.token_bytes(16), 1)
    before = card.image()
    with pytest.raises(ReaderError, match="neither the factory's nor of this key file"):
        issue(card, finish=True, beside_others=True)
    assert card.image() == before


def test_the_commands_say_what_a_card_is_and_finish_it(run: Run, tmp_path: Path) -> None:
    """`terminal card issue` on the image of a card whose issue stopped: refused, finished, wiped, issued again."""
    half = VirtualCard(b"\x04" + secrets.token_bytes(6), secrets.token_bytes, generation="EV2")
    with pytest.raises(ReaderError):
        issue(half, tear_after(30))
    save_card(half, tmp_path / "half.json")
    where = ("--reader", "sim:half.json", "--wait", "5")
    refused = run("card", "issue", "--resident", "adult_purse", *where)
    assert refused.returncode == 30
    assert "the issue of this card was interrupted" in refused.stderr
    assert "--finish" in refused.stderr
    finished = run("card", "issue", "--resident", "adult_purse", "--finish", *where)
    assert finished.returncode == 0, finished.stderr
    assert run("card", "read", *where).returncode == 0
    assert "--issued" in run("card", "wipe", *where).stderr
    assert run("card", "wipe", "--issued", *where).stdout == "the card is empty: it can be issued\n"
    assert run("card", "issue", "--resident", "adult_purse", *where).returncode == 0


@pytest.mark.parametrize(
    ("left_out", "timer", "sets", "rights"),
    [
        ((), "set", True, True),
        (("timer",), "absent", True, True),
        (("key_sets",), "set", False, True),
        (("additional_rights",), "set", True, False),
        (("timer", "key_sets", "additional_rights"), "absent", False, False),
    ],
)
def test_a_card_is_issued_without_what_its_chip_does_not_do_and_can_be_read(
    run: Run, tmp_path: Path, left_out: tuple[str, ...], timer: str, sets: bool, rights: bool
) -> None:
    save_card(blank(), tmp_path / "new.json")
    words = [word for each in left_out for word in ("--without", each)]
    done = run("card", "issue", "--resident", "adult_purse", "--reader", "sim:new.json", *words)
    assert done.returncode == 0, done.stderr
    assert f"transaction timer {timer}" in done.stdout
    card = load_card(tmp_path / "new.json", secrets.token_bytes)
    assert isinstance(card, VirtualCard)
    application = card.memory.applications[AID[::-1]]
    assert (application.key_sets is not None) is sets
    assert any(len(file.head.rights.sets) > 1 for file in application.files.values()) is rights
    assert run("card", "read", "--reader", "sim:new.json").returncode == 0


def test_what_can_be_left_out_is_named_when_it_is_something_else(run: Run) -> None:
    refused = run(
        "card", "issue", "--resident", "adult_purse", "--reader", "sim:blank_ev3", "--without", "luck"
    )
    assert refused.returncode == 2
    assert "additional_rights" in refused.stderr
