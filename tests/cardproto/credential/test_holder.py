"""A phone's proof and its code, by the published figures (tests/vectors/credential.json) and every way to be wrong."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cardproto.credential.code import (
    MAX_TEXT,
    CodeWindow,
    ShownCode,
    build_code,
    code_bytes,
    code_text,
    verify_code,
)
from cardproto.credential.cose import build_sign1, dump
from cardproto.credential.grant import (
    CardHolder,
    Credential,
    CredentialDefect,
    HolderKey,
    RejectedCredential,
    build_credential,
    verify_credential,
)
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.proof import (
    ProofDefect,
    RejectedProof,
    build_proof,
    challenge_text,
    holder_of,
    verify_proof,
)
from cardproto.errors import FormatError
from tests.cardproto.credential.test_credential import EXPECTED, ISSUER_KEY, RAW, TRUSTED, scalar

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "credential.json").read_text())
TOKEN = VECTORS["dynamic_token"]
TEXT = TOKEN["qr_text"]
AT = datetime.fromtimestamp(TOKEN["timestamp"], UTC)
PHONE = ec.derive_private_key(scalar(b"resident-lab device 1"), ec.SECP256R1())
STRANGER = ec.derive_private_key(scalar(b"another phone"), ec.SECP256R1())
CHALLENGE, TERMINAL = (bytes.fromhex(VECTORS["nfc_proof"][name]) for name in ("challenge", "terminal_id"))
READ = verify_credential(RAW, TRUSTED, AT)
assert isinstance(READ, Credential)
HELD: Credential = READ


def shown(text: str, now: datetime = AT, trusted: IssuerKeys = TRUSTED) -> ShownCode | str:
    result = verify_code(text, trusted, now, CodeWindow())
    return result if isinstance(result, ShownCode) else result.reason


# by the published figures


def test_the_published_code_is_read_and_believed() -> None:
    assert shown(TEXT) == ShownCode(HELD, AT, TOKEN["counter"])
    assert code_bytes(TEXT).hex() == TOKEN["hex"]
    assert len(TEXT) == TOKEN["qr_text_len"]


def test_a_phone_writes_the_published_code_and_proof() -> None:
    assert build_code(RAW, AT, TOKEN["counter"], PHONE) == TEXT
    text = challenge_text(CHALLENGE, TERMINAL, RAW)
    assert text.hex() == VECTORS["nfc_proof"]["payload_hex"]
    assert build_proof(text, PHONE).hex() == VECTORS["nfc_proof"]["proof_hex"]
    assert verify_proof(bytes.fromhex(VECTORS["nfc_proof"]["proof_hex"]), text, HELD) is None
    assert holder_of(PHONE.public_key()) == EXPECTED.holder


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")],
)
def test_the_examples_of_rfc_9285(data: bytes, text: str) -> None:
    assert code_text(data) == "RC1:" + text
    assert code_bytes("RC1:" + text) == data


# every way to be wrong


@pytest.mark.parametrize(
    "text", ["GGW", ":::", "::", "A", "BB8A", "bb8", "BB8\n", "BÄ8", "BB\N{FULLWIDTH DIGIT EIGHT}"]
)
def test_what_is_not_base45(text: str) -> None:
    with pytest.raises(FormatError):
        code_bytes("RC1:" + text)


@pytest.mark.parametrize("text", ["", "rc1:BB8", "HC1:BB8", "RC1", "RC1:" + "0" * MAX_TEXT])
def test_what_is_no_code_of_ours_is_malformed(text: str) -> None:
    assert shown(text) == ProofDefect.MALFORMED


def test_no_third_bit_of_a_code_can_be_changed() -> None:
    raw = bytes.fromhex(TOKEN["hex"])
    for bit in range(0, 8 * len(raw), 3):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not isinstance(shown(code_text(bytes(changed))), ShownCode)


def test_the_window_is_closed_at_both_ends() -> None:
    second = timedelta(seconds=1)
    assert isinstance(shown(TEXT, AT + timedelta(seconds=30)), ShownCode)
    assert shown(TEXT, AT + timedelta(seconds=30) + second) == ProofDefect.TOO_OLD
    assert isinstance(shown(TEXT, AT - timedelta(seconds=30)), ShownCode)
    assert shown(TEXT, AT - timedelta(seconds=30) - second) == ProofDefect.AHEAD


def test_a_strangers_clock_is_not_spoken_of() -> None:
    """The issuer first, then the phone, then the moment."""
    late = AT + timedelta(hours=1)
    assert shown(build_code(RAW, AT, 1, STRANGER), late) == ProofDefect.NOT_THE_HOLDER
    assert shown(TEXT, late, IssuerKeys()) == CredentialDefect.UNKNOWN_ISSUER
    assert shown(TEXT, EXPECTED.expires) == CredentialDefect.EXPIRED


def test_a_cards_credential_cannot_be_shown_by_a_phone() -> None:
    card = build_credential(dataclasses.replace(EXPECTED, holder=CardHolder(b"8 bytes!")), ISSUER_KEY)
    assert shown(build_code(card, AT, 1, PHONE)) == ProofDefect.NO_KEY
    assert shown(code_text(card)) == ProofDefect.MALFORMED, "nor by paper"
    assert shown(code_text(RAW)) == ProofDefect.MALFORMED, "a phone's is no paper either"


def test_a_holder_that_is_no_point_of_the_curve() -> None:
    nowhere = HolderKey(b"\xff" * 32, y_odd=False)
    signed = build_credential(dataclasses.replace(EXPECTED, holder=nowhere), ISSUER_KEY)
    assert shown(build_code(signed, AT, 1, PHONE)) == ProofDefect.MALFORMED


def test_paper_says_that_it_is_paper() -> None:
    printed = build_credential(dataclasses.replace(EXPECTED, holder=None), ISSUER_KEY)
    result = shown(code_text(printed))
    assert isinstance(result, ShownCode)
    assert result.printed
    assert result.counter is None


@pytest.mark.parametrize(
    "moment",
    [
        {1: 2, 2: 1, 3: 1, 4: RAW},
        {1: 1, 2: True, 3: 1, 4: RAW},
        {1: 1, 2: -1, 3: 1, 4: RAW},
        {1: 1, 2: 1, 3: 1 << 32, 4: RAW},
        {1: 1, 2: 1, 3: 1, 4: RAW, 5: 0},
        {1: 1, 2: 1, 3: 1},
        {1: 1, 2: 1.0, 3: 1, 4: RAW},
        [1, 1, 1, RAW],
    ],
)
def test_other_moments_are_malformed(moment: object) -> None:
    assert shown(code_text(build_sign1(dump(moment), None, PHONE))) == ProofDefect.MALFORMED


def test_a_proof_holds_for_one_challenge_terminal_and_credential() -> None:
    proof = build_proof(challenge_text(CHALLENGE, TERMINAL, RAW), PHONE)
    others = [
        challenge_text(bytes(16), TERMINAL, RAW),
        challenge_text(CHALLENGE, b"TERM0002", RAW),
        challenge_text(CHALLENGE, TERMINAL, RAW + b"\0"),
    ]
    assert [verify_proof(proof, text, HELD) for text in others] == [
        RejectedProof(ProofDefect.NOT_THE_HOLDER)
    ] * 3
    for wrong in (b"", proof[:-1], proof + b"\0", build_sign1(b"text", None, PHONE), RAW):
        rejected = verify_proof(wrong, others[0], HELD)
        assert rejected is not None
        assert rejected.reason is ProofDefect.MALFORMED


@given(st.text(max_size=80) | st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=80))
def test_any_text_is_an_answer(text: str) -> None:
    assert not isinstance(shown("RC1:" + text), ShownCode)


@given(st.binary(max_size=600))
def test_base45_carries_any_bytes(data: bytes) -> None:
    assert code_bytes(code_text(data)) == data


def test_results_are_values() -> None:
    assert isinstance(verify_code("", TRUSTED, AT, CodeWindow()), RejectedProof)
    assert isinstance(verify_code(TEXT, IssuerKeys(), AT, CodeWindow()), RejectedCredential)
