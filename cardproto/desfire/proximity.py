"""The proximity check of EV2 and EV3, the terminal's half: a relay needs time, and time can be measured.

`(?)` only secondary sources describe it. Through PC/SC the times say nothing (the reader and the service take far
longer than the card), so this is for readers that measure by themselves; it is no part of a tap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from cardproto.desfire.commands import (
    INS_PREPARE_PROXIMITY_CHECK,
    INS_PROXIMITY_CHECK,
    INS_VERIFY_PROXIMITY_CHECK,
)
from cardproto.desfire.crypto import CardKey, truncate_mac
from cardproto.desfire.messaging import Session
from cardproto.desfire.secure import SecureConversation
from cardproto.desfire.status import raise_status
from cardproto.errors import CardError, IntegrityError, ProtocolError

CHALLENGE_BYTES: Final = 8
_ANSWER_CODE: Final = b"\x90"


@dataclass(frozen=True, slots=True)
class Proximity:
    """What the card promised and what was seen: option byte, published response time as sent, and how long each
    round took on the caller's clock."""

    option: int
    published_time: bytes
    rounds_s: tuple[float, ...]


class ProximityCheck(SecureConversation):
    """One method. It needs no session, and uses the session's MAC key when there is one."""

    def proximity_check(
        self, key: CardKey, rnd_c: bytes, clock_s: Callable[[], float], rounds: int = 1
    ) -> Proximity:
        """Exchange eight bytes in `rounds` (1, 2, 4 or 8) rounds and prove on both sides that these were the bytes.

        `key` is the proximity key (number 21 of the card level). Raises `IntegrityError` when the card's proof
        does not verify, `StatusError` when it refuses.
        """
        if len(rnd_c) != CHALLENGE_BYTES or rounds not in (1, 2, 4, 8):
            raise ValueError("the challenge is 8 bytes, in 1, 2, 4 or 8 rounds")
        size = CHALLENGE_BYTES // rounds
        promise = self._step(INS_PREPARE_PROXIMITY_CHECK, b"", range(3, 5))
        covered, times = promise, []
        for at in range(0, CHALLENGE_BYTES, size):
            part = rnd_c[at : at + size]
            began_s = clock_s()
            own = self._step(INS_PROXIMITY_CHECK, bytes((size,)) + part, range(size, size + 1))
            times.append(clock_s() - began_s)
            covered += own + part
        sent = self._proof(key, bytes((INS_VERIFY_PROXIMITY_CHECK,)) + covered)
        proof = self._step(INS_VERIFY_PROXIMITY_CHECK, sent, range(8, 9))
        if not compare_digest(proof, self._proof(key, _ANSWER_CODE + covered)):
            self.drop_session()
            raise IntegrityError("VerifyPC: the card saw other bytes, or has not the key")
        return Proximity(promise[0], promise[1:3], tuple(times))

    def _proof(self, key: CardKey, message: bytes) -> bytes:
        session = self.session
        if isinstance(session, Session):
            return session.cipher.mac(message)
        return truncate_mac(key.cmac(message))

    def _step(self, ins: int, data: bytes, expected: range) -> bytes:
        try:
            status, answer = self.channel.frame(ins, data)
            if status:
                raise_status(ins, status)
            if len(answer) not in expected:
                raise ProtocolError(f"proximity check: {len(answer)} bytes answered to {ins:02X}")
        except CardError:
            self.drop_session()
            raise
        return answer
