"""Vectors of the conversations before EV2, played by the real terminal side against a scripted card."""

from __future__ import annotations

from typing import Any

from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey, rotate_left
from cardproto.desfire.legacy_crypto import (
    CipherKey,
    DesKey,
    aes_session_key,
    d40_receive,
    d40_send,
    des_session_key,
)
from cardproto.desfire.legacy_messaging import Ev1Session
from tests.cardproto.scripted import ScriptedConnection
from tests.vectors.fields import Fields, raw, text


def aes_authentication(inputs: Fields, expected: Fields) -> dict[str, Any]:
    key, rnd_a = AesKey(raw(inputs["key"])), raw(inputs["RndA"])
    computed, card = authentication(0xAA, key, 16, inputs, expected)
    card.authenticate_aes(0, AesAuthentication(key, rnd_a))
    session_key = aes_session_key(rnd_a, raw(computed["RndB"]))
    return computed | {"session_key": acts_like(card, session_key, 16, expected)}


def iso_authentication(inputs: Fields, expected: Fields) -> dict[str, Any]:
    key, rnd_a = DesKey(raw(inputs["key"])), raw(inputs["RndA"])
    computed, card = authentication(0x1A, key, 8, inputs, expected)
    card.authenticate_iso(0, key, rnd_a)
    session_key = des_session_key(key, rnd_a, raw(computed["RndB"]))
    return computed | {"session_key": acts_like(card, session_key, 8, expected)}


def authentication(
    ins: int, key: CipherKey, block: int, inputs: Fields, expected: Fields
) -> tuple[dict[str, Any], DesfireCard]:
    """What each side must say, and a terminal before a card that says just that."""
    challenge, rnd_a = raw(inputs["encRndB"]), raw(inputs["RndA"])
    rnd_b = key.decrypt(bytes(block), challenge)
    token = key.encrypt(challenge[-block:], rnd_a + rotate_left(rnd_b))
    proof = key.encrypt(token[-block:], rotate_left(rnd_a))
    sent = raw(expected.get("c_data", text(token)))
    script = ScriptedConnection(
        [
            (bytes((0x90, ins, 0, 0, 1, 0, 0)), challenge + b"\x91\xaf"),
            (
                bytes((0x90, 0xAF, 0, 0, len(sent))) + sent + b"\0",
                raw(expected.get("r_data", text(proof))) + b"\x91\0",
            ),
        ]
    )
    return {"RndB": text(rnd_b), "c_data": text(token), "r_data": text(proof)}, DesfireCard(
        DesfireChannel(script)
    )


def acts_like(card: DesfireCard, computed: CipherKey, block: int, expected: Fields) -> str:
    """The expected session key's text when the terminal's session and our own derivation both act like it."""
    session, wanted = card.session, expected.get("session_key", "")
    assert isinstance(session, Ev1Session)
    key = (AesKey if block == 16 else DesKey)(raw(wanted)) if wanted else computed
    probe = bytes(range(2 * block))
    told = key.encrypt(bytes(block), probe)
    same = session.encipher(probe) == told and computed.encrypt(bytes(block), probe) == told
    return wanted if same else "another key"


def d40_sending(inputs: Fields, expected: Fields) -> dict[str, Any]:
    """As the terminal sends, and back again as the card reads it."""
    key, plain = DesKey(raw(inputs["session_key"])), raw(inputs["plain"])
    sent = d40_send(key, plain)
    assert d40_receive(key, sent) == plain
    return {"sent": text(sent)}
