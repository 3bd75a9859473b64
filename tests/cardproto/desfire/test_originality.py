"""The genuine signature is a vector; here, what must not pass for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.originality import verify_signature
from tests.vectors.conftest import OWN_FILE

(ENTRY,) = (
    vector["inputs"]
    for vector in json.loads(OWN_FILE.read_text(encoding="utf-8"))["vectors"]
    if vector["kind"] == "originality_signature"
)
UID, SIGNATURE, PUBLIC_KEY = (bytes.fromhex(ENTRY[name]) for name in ("uid", "signature", "public_key"))


@pytest.mark.parametrize("at", [0, 27, 28, 55])
def test_a_changed_signature_is_not_genuine(at: int) -> None:
    changed = SIGNATURE[:at] + bytes((SIGNATURE[at] ^ 1,)) + SIGNATURE[at + 1 :]
    assert not verify_signature(UID, changed, PUBLIC_KEY)


def test_another_chips_signature_is_not_genuine() -> None:
    assert not verify_signature(UID[:-1] + b"\0", SIGNATURE, PUBLIC_KEY)


@given(st.binary(max_size=30), st.binary(max_size=60), st.binary(max_size=60))
def test_anything_malformed_is_not_genuine(uid: bytes, signature: bytes, key: bytes) -> None:
    assert not verify_signature(uid, signature, key)
    assert not verify_signature(UID, SIGNATURE, b"\x04" + key.ljust(56, b"\0")[:56])
    assert not verify_signature(UID, signature.ljust(56, b"\0")[:56], PUBLIC_KEY)
