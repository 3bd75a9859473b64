"""A phone over near field: three exchanges, and everything a phone may do instead of answering."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cardproto.channel import CardChannel
from cardproto.credential.code import CodeWindow, ShownCode, verify_code
from cardproto.credential.grant import Credential, verify_credential
from cardproto.credential.phone import (
    PHONE_AID,
    PhoneFault,
    PhoneRefused,
    ask_proof,
    leave_receipt,
    parse_selected,
    read_credential,
    select_phone,
)
from cardproto.credential.proof import ProofDefect, challenge_text, verify_proof
from cardproto.errors import CardError, FormatError, ProtocolError
from sim.image_file import ImageFault, load_card, load_image, save_card
from sim.issuing import issue
from sim.lab_issuer import lab_issuers
from sim.lab_keys import load_lab_keys
from sim.phone import VirtualPhone
from sim.profile import load_profile
from terminal.app.simulated import laboratory_keys

NOW = datetime(2026, 9, 15, 6, 40, tzinfo=UTC)
CHALLENGE, TERMINAL = bytes(range(16)), b"TERM0001"
SELECTED = bytes.fromhex("6F12 8407F0524341524401 A507 8001 01 810200B9".replace(" ", ""))


@pytest.fixture
def phone() -> VirtualPhone:
    card = issue(
        load_profile("phone_pensioner"), load_lab_keys(laboratory_keys()), 34, date(2026, 9, 15), os.urandom
    )
    assert isinstance(card, VirtualPhone)
    card.power_on()
    return card


def test_select_read_prove(phone: VirtualPhone) -> None:
    channel = CardChannel(phone)
    application = select_phone(channel)
    assert application is not None
    data = read_credential(channel, application)
    credential = verify_credential(data, lab_issuers(34), NOW)
    assert isinstance(credential, Credential)
    text = challenge_text(CHALLENGE, TERMINAL, data)
    assert verify_proof(ask_proof(channel, text), text, credential) is None
    assert channel.exchanges == 3
    assert leave_receipt(channel, b"receipt")
    assert phone.memory.receipts == (b"receipt",)


def test_a_copied_credential_without_the_key_proves_nothing(phone: VirtualPhone) -> None:
    stranger = issue(
        load_profile("phone_pensioner"), load_lab_keys(laboratory_keys()), 34, date(2026, 9, 15), os.urandom
    )
    assert isinstance(stranger, VirtualPhone)
    stranger.memory = replace(stranger.memory, credential=phone.memory.credential)
    data = phone.memory.credential
    credential = verify_credential(data, lab_issuers(34), NOW)
    assert isinstance(credential, Credential)
    stranger.power_on()
    channel = CardChannel(stranger)
    select_phone(channel)
    text = challenge_text(CHALLENGE, TERMINAL, data)
    rejected = verify_proof(ask_proof(channel, text), text, credential)
    assert rejected is not None
    assert rejected.reason is ProofDefect.NOT_THE_HOLDER
    copied = verify_code(stranger.code(NOW), lab_issuers(34), NOW, CodeWindow())
    assert not isinstance(copied, ShownCode)


def test_a_phone_shows_another_uid_each_time_and_another_code(phone: VirtualPhone) -> None:
    first = CardChannel(phone).read_uid()
    phone.power_on()
    assert CardChannel(phone).read_uid() != first
    assert phone.code(NOW) != phone.code(NOW)


def lock(phone: VirtualPhone) -> None:
    phone.lock()


def empty(phone: VirtualPhone) -> None:
    phone.memory = replace(phone.memory, credential=b"")


@pytest.mark.parametrize(("change", "fault"), [(lock, PhoneFault.LOCKED), (empty, PhoneFault.NO_CREDENTIAL)])
def test_a_phone_that_shows_nothing_says_why(
    phone: VirtualPhone, change: Callable[[VirtualPhone], None], fault: PhoneFault
) -> None:
    change(phone)
    with pytest.raises(PhoneRefused) as refused:
        select_phone(CardChannel(phone))
    assert refused.value.fault is fault


def test_a_wallet_that_takes_over_is_named(phone: VirtualPhone) -> None:
    channel = CardChannel(phone)
    application = select_phone(channel)
    assert application is not None
    phone.switch()
    for exchange in (lambda: read_credential(channel, application), lambda: ask_proof(channel, b"text")):
        with pytest.raises(PhoneRefused) as refused:
            exchange()
        assert refused.value.fault is PhoneFault.SWITCHED


class Answers:
    """A card with one answer to everything."""

    def __init__(self, answer: str) -> None:
        self.answer = bytes.fromhex(answer)

    def transmit(self, command: bytes) -> bytes:
        return self.answer


def test_a_card_of_another_kind_is_no_phone() -> None:
    for answer in ("6A82", "6D00", "6E00", "911C"):
        assert select_phone(CardChannel(Answers(answer))) is None


@pytest.mark.parametrize(
    "fci",
    [
        "",
        "6F00",
        SELECTED.hex().replace("f052", "f053"),
        SELECTED[:-1].hex(),
        "6F0E8407F0524341524401A503800101",
        "6F128407F0524341524401A5078001018102FFFF",
        "6F128407F0524341524401A50780010181020000",
    ],
)
def test_other_answers_to_the_selection_are_refused(fci: str) -> None:
    with pytest.raises(FormatError):
        parse_selected(bytes.fromhex(fci))


def test_the_answer_to_the_selection() -> None:
    assert SELECTED[4:11] == PHONE_AID
    assert parse_selected(SELECTED).credential_bytes == 185
    with pytest.raises(PhoneRefused) as refused:
        parse_selected(SELECTED.replace(b"\x80\x01\x01", b"\x80\x01\x02"))
    assert refused.value.fault is PhoneFault.UNKNOWN_VERSION


def test_more_or_less_than_was_announced_is_no_credential() -> None:
    application = parse_selected(SELECTED)
    for answer in ("00" * 184 + "9000", "00" * 186 + "9000"):
        with pytest.raises(ProtocolError):
            read_credential(CardChannel(Answers(answer)), application)
    with pytest.raises(ProtocolError):
        ask_proof(CardChannel(Answers("00" * 129 + "9000")), b"text")
    with pytest.raises(CardError):
        ask_proof(CardChannel(Answers("6F00")), b"text")


def test_a_phone_is_kept_in_a_file(phone: VirtualPhone, tmp_path: Path) -> None:
    path = tmp_path / "phone.json"
    phone.code(NOW)
    phone.lock()
    save_card(phone, path)
    again = load_image(path, os.urandom)
    assert isinstance(again, VirtualPhone)
    assert again.memory == phone.memory
    with pytest.raises(ImageFault, match="is a phone"):
        load_card(path, os.urandom)
