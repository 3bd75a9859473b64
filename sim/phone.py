"""A phone that answers like a card: the application of `cardproto.credential.phone`, with a laboratory's credential.

It holds a P-256 key of its own and what an issuer signed for that key. It shows another UID each time, signs challenges
and codes, may be locked, and keeps no money. A real phone's key cannot be read; this one's is drawn from the simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)

from cardproto.apdu import SW, CommandApdu
from cardproto.credential.code import build_code
from cardproto.credential.phone import (
    INS_AUTHENTICATE,
    INS_READ,
    INS_UPDATE,
    MAX_CREDENTIAL,
    PHONE_AID,
    SW_NO_CREDENTIAL,
    TAG_AID,
    TAG_FCI,
    TAG_LENGTH,
    TAG_PROPRIETARY,
    TAG_VERSION,
)
from cardproto.credential.proof import PROOF_VERSION, build_proof
from cardproto.errors import ProtocolError
from cardproto.tlv import Tlv, build_tlv
from sim.card.image import Json
from sim.emv.card import ATR_CONTACTLESS

UID_HEAD: Final = 0x08
"""ISO 14443-3: the UID is drawn for this presentation only."""
_GET_UID: Final = bytes.fromhex("FFCA0000")
_SELECT: Final = 0xA4
_MOST_RECEIPTS: Final = 20


@dataclass(frozen=True, slots=True)
class PhoneMemory:
    """What survives: `scalar` is the private key, `credential` empty where no issuer has signed one, `counter` that of
    the last code it showed, `receipts` what terminals left, newest last.
    """

    scalar: bytes
    credential: bytes = b""
    locked: bool = False
    counter: int = 0
    receipts: tuple[bytes, ...] = ()


class VirtualPhone:
    """One resident's phone. Not thread-safe."""

    def __init__(self, uid: bytes, rng: Callable[[int], bytes], memory: PhoneMemory) -> None:
        self.uid: Final = uid
        self.memory = memory
        self._rng: Final = rng
        self._shown_uid = uid
        self._selected = False

    @property
    def atr(self) -> bytes:
        """As of any contactless card that says nothing of itself."""
        return ATR_CONTACTLESS

    @cached_property
    def key(self) -> EllipticCurvePrivateKey:
        """The holder's key."""
        return derive_private_key(int.from_bytes(self.memory.scalar, "big"), SECP256R1())

    def power_on(self) -> None:
        """Enter the field with a new UID, nothing selected."""
        self._selected = False
        self._shown_uid = bytes((UID_HEAD,)) + self._rng(3)

    def power_off(self) -> None:
        """Leave it."""
        self._selected = False

    def switch(self) -> None:
        """Another application takes over, as wallets do between two exchanges."""
        self._selected = False

    def lock(self, locked: bool = True) -> None:
        """Its holder has to open it before it shows anything."""
        self.memory = replace(self.memory, locked=locked)

    def code(self, at: datetime) -> str:
        """The text of the code on its screen at `at` (aware); a new one at every call."""
        self.memory = replace(self.memory, counter=self.memory.counter + 1)
        return build_code(self.memory.credential, at.astimezone(UTC), self.memory.counter, self.key)

    def transmit(self, command: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        if command[:4] == _GET_UID:
            return self._shown_uid + _word(SW.OK)
        try:
            parsed = CommandApdu.parse(command)
        except ProtocolError:
            return _word(SW.WRONG_LENGTH)
        if parsed.cla != 0:
            return _word(SW.CLA_NOT_SUPPORTED)
        if parsed.ins == _SELECT:
            return self._select(parsed)
        return self._answer(parsed) if self._selected else _word(SW.INS_NOT_SUPPORTED)

    def _select(self, command: CommandApdu) -> bytes:
        self._selected = False
        if command.p1 != 0x04 or command.data != PHONE_AID:
            return _word(SW.FILE_NOT_FOUND)
        if self.memory.locked:
            return _word(SW.CONDITIONS_OF_USE)
        if not self.memory.credential:
            return _word(SW_NO_CREDENTIAL)
        self._selected = True
        about = build_tlv(
            (
                Tlv(TAG_VERSION, bytes((PROOF_VERSION,))),
                Tlv(TAG_LENGTH, len(self.memory.credential).to_bytes(2, "big")),
            )
        )
        inside = build_tlv((Tlv(TAG_AID, PHONE_AID), Tlv(TAG_PROPRIETARY, about)))
        return build_tlv((Tlv(TAG_FCI, inside),)) + _word(SW.OK)

    def _answer(self, command: CommandApdu) -> bytes:
        match command.ins:
            case _ if self.memory.locked:
                return _word(SW.CONDITIONS_OF_USE)
            case ins if ins == INS_READ:
                return self.memory.credential[: command.le or MAX_CREDENTIAL] + _word(SW.OK)
            case ins if ins == INS_AUTHENTICATE:
                return build_proof(command.data, self.key) + _word(SW.OK)
            case ins if ins == INS_UPDATE:
                kept = (*self.memory.receipts, command.data)[-_MOST_RECEIPTS:]
                self.memory = replace(self.memory, receipts=kept)
                return _word(SW.OK)
        return _word(SW.INS_NOT_SUPPORTED)

    def image(self) -> dict[str, Json]:
        """What survives, without the key."""
        return {
            "uid": self.uid.hex().upper(),
            "phone": {"credential": self.memory.credential.hex().upper(), "locked": self.memory.locked},
        }

    def clone(self) -> VirtualPhone:
        """An independent phone in the same state: what a real one's hardware forbids."""
        return VirtualPhone(self.uid, self._rng, self.memory)


def _word(sw: int) -> bytes:
    return sw.to_bytes(2, "big")
