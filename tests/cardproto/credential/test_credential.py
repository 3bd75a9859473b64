"""The published figures (accepted by two other implementations, see the file) and every way to be wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cardproto.credential.cose import _in_any_form, _in_usual_form, build_sign1, dump, parse_sign1
from cardproto.credential.grant import (
    CARD_FILE_READ_BYTES,
    CardHolder,
    Credential,
    CredentialDefect,
    GrantedCategory,
    HolderKey,
    RejectedCredential,
    build_claims,
    build_credential,
    card_holder_id,
    credential_digest,
    credential_in_file,
    parse_claims,
    verify_credential,
)
from cardproto.credential.keys import IssuerKey, IssuerKeys, key_id, public_key
from cardproto.errors import FormatError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "credential.json").read_text())
RAW = bytes.fromhex(VECTORS["credential_hex"])
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def scalar(label: bytes) -> int:
    """How the vectors make a laboratory's private key."""
    return int.from_bytes(hashlib.sha256(label).digest(), "big") % 2**255


ISSUER_KEY = ec.derive_private_key(scalar(b"resident-lab issuer 1"), ec.SECP256R1())
ISSUER = IssuerKey(
    "ru-99",
    public_key(bytes.fromhex(VECTORS["issuer"]["x"]), bytes.fromhex(VECTORS["issuer"]["y"])),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2028, 1, 1, tzinfo=UTC),
)
TRUSTED = IssuerKeys([ISSUER])
PROOF = bytes.fromhex(VECTORS["nfc_proof"]["proof_hex"])
MOMENT = bytes.fromhex(VECTORS["dynamic_token"]["hex"])
EXPECTED = Credential(
    issuer="ru-99",
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    expires=datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    id=bytes.fromhex("0011223344556677"),
    pseudonym=bytes.fromhex("A1A2A3A4A5A6A7A8"),
    entitlements=(GrantedCategory(3, date(2026, 12, 31)), GrantedCategory(17, date(2026, 6, 1))),
    holder=HolderKey(bytes.fromhex(VECTORS["device"]["x"]), VECTORS["device"]["y_odd"]),
    school=(1077, 5),
)


def device_key() -> ec.EllipticCurvePublicKey:
    prefix = b"\x03" if VECTORS["device"]["y_odd"] else b"\x02"
    return ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), prefix + bytes.fromhex(VECTORS["device"]["x"])
    )


def reason(data: bytes, *, trusted: IssuerKeys = TRUSTED, now: datetime = NOW) -> CredentialDefect | None:
    result = verify_credential(data, trusted, now)
    return result.reason if isinstance(result, RejectedCredential) else None


# the published figures


def test_the_published_credential_is_read_and_verified() -> None:
    result = verify_credential(RAW, TRUSTED, NOW)
    assert isinstance(result, Credential)
    assert dataclasses.replace(result, id=EXPECTED.id, entitlements=()) == dataclasses.replace(
        EXPECTED, entitlements=()
    )
    assert [grant.code for grant in result.entitlements] == [3, 17]
    assert key_id(ISSUER.key).hex() == VECTORS["issuer"]["kid"]
    assert len(RAW) == VECTORS["credential_len"]


def test_what_is_signed_is_what_was_published() -> None:
    signed = parse_sign1(RAW)
    text = dump(["Signature1", signed.protected, b"", signed.payload])
    assert hashlib.sha256(text).hexdigest() == VECTORS["credential_tbs_sha256"]


def test_our_issuer_writes_the_published_bytes() -> None:
    """Deterministic encoding and signature: the whole object, byte for byte."""
    result = verify_credential(RAW, TRUSTED, NOW)
    assert isinstance(result, Credential)
    assert build_credential(result, ISSUER_KEY) == RAW


def test_the_two_levels_of_a_code_verify_in_order() -> None:
    token = parse_sign1(bytes.fromhex(VECTORS["dynamic_token"]["hex"]))
    assert token.payload is not None
    inner = cbor2.loads(token.payload)
    assert inner[4] == RAW
    assert token.verifies(device_key())
    assert not token.verifies(ISSUER.key)


def test_the_phones_proof_over_a_detached_text() -> None:
    proof = parse_sign1(bytes.fromhex(VECTORS["nfc_proof"]["proof_hex"]))
    text = bytes.fromhex(VECTORS["nfc_proof"]["payload_hex"])
    assert proof.payload is None
    assert proof.verifies(device_key(), text)
    assert not proof.verifies(device_key(), text[:-1] + b"\0")
    assert not proof.verifies(device_key())


# every way to be wrong


def test_no_bit_can_be_changed() -> None:
    for bit in range(8 * len(RAW)):
        changed = bytearray(RAW)
        changed[bit // 8] ^= 1 << bit % 8
        assert reason(bytes(changed)) in (
            CredentialDefect.MALFORMED,
            CredentialDefect.UNKNOWN_ISSUER,
            CredentialDefect.BAD_SIGNATURE,
        )


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_cut_credential_is_malformed(length: int) -> None:
    assert reason(RAW[:length]) is CredentialDefect.MALFORMED


def test_bytes_behind_it_are_refused() -> None:
    assert reason(RAW + b"\0") is CredentialDefect.MALFORMED
    assert reason(RAW + RAW) is CredentialDefect.MALFORMED


def test_time_and_issuer() -> None:
    assert reason(RAW, now=EXPECTED.expires) is CredentialDefect.EXPIRED
    assert reason(RAW, now=EXPECTED.expires - timedelta(seconds=1)) is None
    believed_early = IssuerKeys([dataclasses.replace(ISSUER, not_before=datetime(2020, 1, 1, tzinfo=UTC))])
    before = EXPECTED.not_before - timedelta(seconds=1)
    assert reason(RAW, trusted=believed_early, now=before) is CredentialDefect.NOT_YET_VALID
    assert reason(RAW, now=before) is CredentialDefect.UNKNOWN_ISSUER, "its key is not believed yet"
    assert reason(RAW, trusted=IssuerKeys()) is CredentialDefect.UNKNOWN_ISSUER
    other = IssuerKeys([dataclasses.replace(ISSUER, issuer="ru-34")])
    assert reason(RAW, trusted=other) is CredentialDefect.WRONG_ISSUER


def signed_with(protected: object, payload: bytes | None = None, unprotected: object = None) -> bytes:
    """A token over any header, with a signature that fits it."""
    raw = dump(protected)
    content = build_claims(EXPECTED) if payload is None else payload
    signature = parse_sign1(build_sign1(content, key_id(ISSUER.key), ISSUER_KEY)).signature
    return dump(cbor2.CBORTag(18, [raw, unprotected or {}, content, signature]))


KID = key_id(ISSUER.key)


@pytest.mark.parametrize(
    "data",
    [
        signed_with({4: KID}),
        signed_with({1: -8, 4: KID}),
        signed_with({1: 5, 4: KID}),
        signed_with({1: True, 4: KID}),
        signed_with({1: -7, 4: KID, 2: [4]}),
        signed_with({1: -7, 4: "kid"}),
        signed_with({1: -7}, unprotected={4: KID}),
        signed_with([1, -7]),
        cbor2.dumps(cbor2.CBORTag(17, cbor2.loads(RAW).value)),
        cbor2.dumps(list(cbor2.loads(RAW).value)),
        RAW[:1] + b"\x9f" + RAW[2:] + b"\xff",
        b"\xd2\x98\x04" + RAW[2:],
        b"\x81" * 500,
        b"\xd2" * 500,
        b"\xa2\x01\x26\x01\x26",
        b"\xc2\x5a\xff\xff\xff\xff",
    ],
)
def test_other_forms_are_malformed(data: bytes) -> None:
    assert reason(data) is CredentialDefect.MALFORMED


def test_a_kid_outside_the_signature_is_not_used() -> None:
    assert reason(signed_with({1: -7})) is CredentialDefect.UNKNOWN_ISSUER


@pytest.mark.parametrize(
    "signature", [bytes(64), bytes(32) + b"\1" * 32, b"\1" * 32 + bytes(32), b"\xff" * 64]
)
def test_signatures_of_nothing_are_refused(signature: bytes) -> None:
    protected, unprotected, payload, _ = cbor2.loads(RAW).value
    data = dump(cbor2.CBORTag(18, [protected, {}, payload, signature]))
    assert unprotected == {}
    assert reason(data) is CredentialDefect.BAD_SIGNATURE


@pytest.mark.parametrize("signature", [bytes(63), bytes(65), b""])
def test_signatures_of_another_length_are_malformed(signature: bytes) -> None:
    protected, _, payload, _ = cbor2.loads(RAW).value
    assert reason(dump(cbor2.CBORTag(18, [protected, {}, payload, signature]))) is CredentialDefect.MALFORMED


CLAIMS = cbor2.loads(build_claims(EXPECTED))


@pytest.mark.parametrize(
    "change",
    [
        {1: None},
        {4: None},
        {4: 1.5},
        {4: -1},
        {4: 2**40},
        {4: True},
        {7: bytes(7)},
        {"iss": "ru-99"},
        {99: 1},
        {8: {}},
        {8: {3: bytes(7)}},
        {8: {3: bytes(8), 1: {}}},
        {8: {1: {1: 2, -1: 1, -2: bytes(32), -3: b"y"}}},
        {-70002: [[0, 1]]},
        {-70002: [[3, 2**31]]},
        {-70002: [[3]]},
        {-70002: {3: 1}},
        {-70003: [1, 2, 3]},
        {-70004: -1},
    ],
)
def test_signed_claims_of_another_form_are_malformed(change: dict[object, object]) -> None:
    claims = {key: value for key, value in {**CLAIMS, **change}.items() if value is not None}
    assert reason(build_sign1(dump(claims), KID, ISSUER_KEY)) is CredentialDefect.MALFORMED


grants = st.builds(
    Credential,
    issuer=st.text(min_size=1, max_size=16),
    not_before=st.integers(0, 2**32 - 1).map(lambda s: datetime.fromtimestamp(s, UTC)),
    expires=st.integers(0, 2**32 - 1).map(lambda s: datetime.fromtimestamp(s, UTC)),
    id=st.binary(min_size=8, max_size=8),
    pseudonym=st.binary(min_size=8, max_size=8),
    entitlements=st.lists(
        st.builds(GrantedCategory, st.integers(1, 255), st.dates(date(1970, 1, 1))), max_size=3
    ).map(tuple),
    holder=st.none()
    | st.builds(CardHolder, st.binary(min_size=8, max_size=8))
    | st.builds(HolderKey, st.binary(min_size=32, max_size=32), st.booleans()),
    school=st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    status_index=st.none() | st.integers(0, 2**32 - 1),
)


@given(grants)
def test_claims_survive_the_round_trip(credential: Credential) -> None:
    assert parse_claims(build_claims(credential)) == credential


# on the card


def test_the_card_file_holds_it_with_zeros_behind() -> None:
    assert len(RAW) <= CARD_FILE_READ_BYTES
    assert credential_in_file(RAW + bytes(CARD_FILE_READ_BYTES - len(RAW))) == RAW
    assert credential_in_file(bytes(CARD_FILE_READ_BYTES)) is None
    with pytest.raises(FormatError, match="not zero"):
        credential_in_file(RAW + b"\0\1")


def test_digest_and_holder_names() -> None:
    assert credential_digest(RAW) == hashlib.sha256(RAW).digest()[:8]
    assert len(card_holder_id(bytes(7))) == 8
    assert card_holder_id(bytes(7)) != card_holder_id(b"\1" + bytes(6))


def test_what_is_covered() -> None:
    assert EXPECTED.covers(3, date(2026, 12, 31))
    assert not EXPECTED.covers(3, date(2027, 1, 1))
    assert not EXPECTED.covers(4, date(2026, 1, 1))


def test_only_the_signature_is_remembered() -> None:
    """Of exactly these bytes and for these issuers; time and issuer are asked at each showing."""
    known = IssuerKeys([ISSUER])
    assert [reason(RAW, trusted=known), reason(RAW, trusted=known)] == [None, None]
    assert reason(RAW, trusted=known, now=EXPECTED.expires) is CredentialDefect.EXPIRED
    assert reason(RAW, trusted=known, now=ISSUER.not_after) is CredentialDefect.UNKNOWN_ISSUER
    assert reason(RAW, trusted=IssuerKeys()) is CredentialDefect.UNKNOWN_ISSUER
    changed = RAW[:-1] + bytes((RAW[-1] ^ 1,))
    assert reason(changed, trusted=known) is CredentialDefect.BAD_SIGNATURE
    assert known.recall(changed) is None, "a stranger takes no room"


def test_a_crowd_of_phones_takes_a_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardproto.credential.keys.MOST_REMEMBERED", 3)
    known = IssuerKeys()
    for number in range(7):
        known.remember(bytes((number,)), ISSUER, number)
    assert [known.recall(bytes((number,))) is not None for number in range(7)] == [False] * 6 + [True]


@given(st.sampled_from((RAW, PROOF, MOMENT)), st.data())
def test_the_usual_form_is_read_as_any_other(whole: bytes, drawn: st.DataObject) -> None:
    """What is read by its fixed bytes is what the general reader finds, and in nothing that it refuses."""
    data = bytearray(whole)
    for _ in range(drawn.draw(st.integers(0, 2))):
        at = drawn.draw(st.integers(0, len(data) - 1))
        data[at : at + drawn.draw(st.integers(0, 2))] = drawn.draw(st.binary(max_size=2))
    quickly = _in_usual_form(bytes(data))
    if quickly is not None:
        assert quickly == _in_any_form(bytes(data))


@pytest.mark.parametrize("data", [RAW, PROOF, MOMENT], ids=["credential", "proof", "moment"])
def test_what_is_shown_at_doors_has_the_usual_form(data: bytes) -> None:
    assert _in_usual_form(data) == _in_any_form(data)
