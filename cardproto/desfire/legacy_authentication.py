"""The terminal's end of the authentications before EV2: D40 (0A), ISO (1A), AES (AA).

For cards that know nothing newer, and for factory cards, whose master key is a DES key. In ISO and AES one
initialisation vector runs through all three messages; D40 begins each with zeros.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from cardproto.desfire.commands import (
    INS_ADDITIONAL_FRAME,
    INS_AUTHENTICATE_AES,
    INS_AUTHENTICATE_D40,
    INS_AUTHENTICATE_ISO,
    NATIVE_CHAINED_CODES,
    command_name,
)
from cardproto.desfire.crypto import BLOCK, rotate_left
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import (
    DES_BLOCK,
    CipherKey,
    DesKey,
    aes_session_key,
    d40_send,
    des_session_key,
)
from cardproto.desfire.legacy_messaging import D40Session, Ev1Session
from cardproto.desfire.secure import SecureConversation
from cardproto.errors import IntegrityError, ProtocolError

_OK: Final = 0x00
_MORE: Final = 0xAF


class LegacyAuthentication(SecureConversation):
    """Each method raises as `authenticate_ev2_first` does, and leaves no session then.

    From here on content travels by the native-chained codes, the only ones these cards know.
    """

    def authenticate_aes(self, key_no: int, key: CipherKey, rnd_a: bytes) -> None:
        """AES key `key_no`, EV1 messaging from then on; `rnd_a` are 16 fresh random bytes."""
        _check_random(rnd_a, BLOCK)
        rnd_b = self._chained(INS_AUTHENTICATE_AES, key_no, key, rnd_a, BLOCK)
        self.session = Ev1Session(key_no, aes_session_key(rnd_a, rnd_b), BLOCK)

    def authenticate_iso(self, key_no: int, key: DesKey, rnd_a: bytes) -> None:
        """DES key `key_no`, EV1 messaging from then on; `rnd_a` as long as `key.random_bytes` says."""
        _check_random(rnd_a, key.random_bytes)
        rnd_b = self._chained(INS_AUTHENTICATE_ISO, key_no, key, rnd_a, DES_BLOCK)
        self.session = Ev1Session(key_no, des_session_key(key, rnd_a, rnd_b), DES_BLOCK)

    def authenticate_d40(self, key_no: int, key: DesKey, rnd_a: bytes) -> None:
        """Single DES or 2K3DES key `key_no`, the first cards' messaging from then on; 8 random bytes."""
        if key.type is not KeyType.DES:
            raise ValueError("the D40 authentication knows DES and 2K3DES keys only")
        _check_random(rnd_a, DES_BLOCK)
        zeros = bytes(DES_BLOCK)
        challenge = self._begin(INS_AUTHENTICATE_D40, key_no, DES_BLOCK)
        rnd_b = key.decrypt(zeros, challenge)
        answer = self._finish(INS_AUTHENTICATE_D40, d40_send(key, rnd_a + rotate_left(rnd_b)), DES_BLOCK)
        self._compare(INS_AUTHENTICATE_D40, key.decrypt(zeros, answer), rnd_a)
        self.session = D40Session(key_no, des_session_key(key, rnd_a, rnd_b))

    def _chained(self, ins: int, key_no: int, key: CipherKey, rnd_a: bytes, block_bytes: int) -> bytes:
        """ISO and AES: returns RndB once the card has proved that it has the key."""
        challenge = self._begin(ins, key_no, len(rnd_a))
        rnd_b = key.decrypt(bytes(block_bytes), challenge)
        token = key.encrypt(challenge[-block_bytes:], rnd_a + rotate_left(rnd_b))
        answer = self._finish(ins, token, len(rnd_a))
        self._compare(ins, key.decrypt(token[-block_bytes:], answer), rnd_a)
        return rnd_b

    def _begin(self, ins: int, key_no: int, expected: int) -> bytes:
        self.session = None
        self.codes = NATIVE_CHAINED_CODES
        return self._sized(ins, self._auth_frame(ins, ins, bytes((key_no,)), _MORE), expected)

    def _finish(self, ins: int, token: bytes, expected: int) -> bytes:
        return self._sized(ins, self._auth_frame(ins, INS_ADDITIONAL_FRAME, token, _OK), expected)

    def _sized(self, ins: int, answer: bytes, expected: int) -> bytes:
        if len(answer) != expected:
            self._fail(
                ProtocolError(f"{command_name(ins)}: {len(answer)} bytes answered, {expected} expected")
            )
        return answer

    def _compare(self, ins: int, returned: bytes, rnd_a: bytes) -> None:
        if not compare_digest(returned, rotate_left(rnd_a)):
            self._fail(IntegrityError(f"{command_name(ins)}: the card does not prove that it has the key"))


def _check_random(rnd_a: bytes, expected: int) -> None:
    if len(rnd_a) != expected:
        raise ValueError(f"RndA is {expected} random bytes, not {len(rnd_a)}")
