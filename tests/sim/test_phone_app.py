"""An app in another language, written from docs/phone.md: our verifiers believe it, and it speaks by the vectors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from cardproto.channel import CardChannel
from cardproto.credential.code import MAX_TEXT, CodeWindow, ShownCode, verify_code
from cardproto.credential.cose import dump
from cardproto.credential.grant import (
    Credential,
    GrantedCategory,
    HolderKey,
    build_credential,
    verify_credential,
)
from cardproto.credential.phone import (
    MAX_CREDENTIAL,
    MAX_PROOF,
    PhoneFault,
    PhoneRefused,
    ask_proof,
    read_credential,
    select_phone,
)
from cardproto.credential.proof import RejectedProof, challenge_text, verify_proof
from cardproto.resident.records.rights import CONCESSION_SLOTS
from sim.lab_issuer import lab_issuer_key, lab_issuers
from terminal.decision.outcome import Message
from terminal.decision.phone import ANSWERS_WITHIN_MS
from terminal.media.code import _DEFECTS, _OF_OTHERS, TRUSTED
from terminal.media.phone.state import _OUT_OF_DATE

NOW = datetime(2026, 9, 15, 5, tzinfo=UTC)
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "credential.json").read_text())
TERMINAL = (70001).to_bytes(8, "big")


class PhoneInNode:
    """The process; a card connection as well."""

    def __init__(self) -> None:
        node = shutil.which("node") or compute_driver_executable()[0]
        script = Path(__file__).with_name("phone_in_node.mjs")
        self._process = subprocess.Popen(
            [node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def ask(self, do: str, **more: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return str(json.loads(self._process.stdout.readline()))

    def transmit(self, command: bytes) -> bytes:
        return bytes.fromhex(self.ask("answer", command=command.hex()))

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def phone() -> Iterator[PhoneInNode]:
    made = PhoneInNode()
    yield made
    made.close()


@pytest.fixture(scope="module")
def credential(phone: PhoneInNode) -> bytes:
    """What the laboratory's issuer signs for the app's key; the app is empty before."""
    with pytest.raises(PhoneRefused) as refused:
        select_phone(CardChannel(phone))
    assert refused.value.fault is PhoneFault.NO_CREDENTIAL
    point = bytes.fromhex(phone.ask("point"))
    holder = HolderKey(point[:32], bool(point[-1] & 1))
    granted = (GrantedCategory(1, date(2027, 8, 31)),)
    claims = Credential("ru-34", NOW, NOW + timedelta(days=14), bytes(8), b"pseudony", granted, holder)
    data = build_credential(claims, lab_issuer_key())
    phone.ask("keep", credential=data.hex())
    return data


def test_its_codes_are_believed(phone: PhoneInNode, credential: bytes) -> None:
    shown = [
        verify_code(phone.ask("code", at=int(NOW.timestamp())), lab_issuers(34), NOW, CodeWindow())
        for _ in range(2)
    ]
    assert [one.counter for one in shown if isinstance(one, ShownCode)] == [1, 2]


def test_its_answers_to_a_terminal_are_believed(phone: PhoneInNode, credential: bytes) -> None:
    channel = CardChannel(phone)
    application = select_phone(channel)
    assert application is not None
    assert read_credential(channel, application) == credential
    believed = verify_credential(credential, lab_issuers(34), NOW)
    assert isinstance(believed, Credential)
    text = challenge_text(bytes(range(16)), TERMINAL, credential)
    proof = ask_proof(channel, text)
    assert verify_proof(proof, text, believed) is None
    assert isinstance(
        verify_proof(proof, challenge_text(bytes(16), TERMINAL, credential), believed), RejectedProof
    )
    with pytest.raises(PhoneRefused) as refused:
        ask_proof(channel, challenge_text(bytes(16), TERMINAL, b"another credential"))
    assert refused.value.sw == 0x6A80, "it signs for its own credential alone"


def test_it_answers_once_while_it_lies_there(phone: PhoneInNode, credential: bytes) -> None:
    """A manipulated terminal gets one answer from a phone that was laid on it, whatever it selects again."""
    channel = CardChannel(phone)
    phone.ask("left")
    for number in range(2):
        assert select_phone(channel) is not None
        text = challenge_text(bytes((number,)) * 16, TERMINAL, credential)
        if number:
            with pytest.raises(PhoneRefused) as refused:
                ask_proof(channel, text)
            assert refused.value.fault is PhoneFault.LOCKED
        else:
            ask_proof(channel, text)
    phone.ask("left")
    select_phone(channel)
    assert len(ask_proof(channel, text)) == 74


def test_locked_it_says_so(phone: PhoneInNode, credential: bytes) -> None:
    phone.ask("lock", locked=True)
    with pytest.raises(PhoneRefused) as refused:
        select_phone(CardChannel(phone))
    phone.ask("lock", locked=False)
    assert refused.value.fault is PhoneFault.LOCKED


def test_it_speaks_by_the_published_vectors(phone: PhoneInNode) -> None:
    near, token, credential = VECTORS["nfc_proof"], VECTORS["dynamic_token"], VECTORS["credential_hex"]
    assert "RC1:" + phone.ask("base45", data=token["hex"]) == token["qr_text"]
    moment = phone.ask("moment", at=token["timestamp"], counter=token["counter"], credential=credential)
    assert moment in token["hex"]
    asked = {"challenge": near["challenge"], "terminal": near["terminal_id"], "credential": credential}
    assert phone.ask("challenge", **asked) == near["payload_hex"]
    signed = phone.ask("to_be_signed", text=near["payload_hex"])
    text = bytes.fromhex(near["payload_hex"])
    assert bytes.fromhex(signed) == dump(["Signature1", bytes.fromhex("A10126"), b"", text])


def test_the_page_shows_the_published_vectors() -> None:
    page = "".join((Path(__file__).parents[2] / "docs" / "phone.md").read_text("utf-8").split())
    near = VECTORS["nfc_proof"]
    shown = (VECTORS["credential_hex"], near["payload_hex"], near["proof_hex"], VECTORS["device"]["x"])
    token = VECTORS["dynamic_token"]
    for value in (*shown, token["hex"], "".join(token["qr_text"].split())):
        assert value in page


def test_the_page_names_every_limit_and_answer_there_is() -> None:
    """Constants of the code, as the page states them."""
    page = (Path(__file__).parents[2] / "docs" / "phone.md").read_text("utf-8")
    stated = (
        f"at most {MAX_CREDENTIAL} bytes",
        f"at most {MAX_TEXT:,}".replace(",", " ") + " characters",
        f"within {ANSWERS_WITHIN_MS} ms",
        f"more than {TRUSTED.behind.seconds} s behind",
        f"more than {TRUSTED.ahead.seconds} s ahead",
        f"at most {MAX_PROOF} bytes",
        f"at most {CONCESSION_SLOTS} concessions",
    )
    for words in stated:
        assert words in page, words
    for status in ("6A 82", "69 85", "6A 88", "6D 00", "6A 80"):
        assert f"| `{status}` |" in page
    messages = {*_DEFECTS.values(), *_OF_OTHERS.values(), *_OUT_OF_DATE.values()} | {
        *(Message.CODE_USED, Message.CREDENTIAL_NOT_TRUSTED, Message.MEDIUM_INACTIVE, Message.CODE_PRINTED),
        *(Message.CODE_CHECK, Message.UNLOCK_PHONE, Message.UNKNOWN_CARD, Message.READ_AGAIN),
        Message.NO_RIGHT_IN_PHONE,
    }
    for message in messages:
        assert f"`{message}`" in page, message
