"""`VirtualCard`: a DESFire in software (EV1, EV2, EV3 or Light), from bytes to bytes.

    transmit ── FF..    pseudo APDU, answered as a reader would
             ├─ 90 ..   native command in ISO wrapping       -> answer 91 status
             ├─ 00 ..   ISO 7816-4                           -> answer SW
             └─ other   native command as it is              -> status answer

How it differs from a chip: no shared or delegated applications, no LRP, no authentication delay, no transaction
timer, one logical channel, no ISO authentication, no failed-authentication counters; memory is accounted for
roughly; times mean nothing, those of the proximity check neither; what is marked (?) in the sources is a guess
there as well as here; the signature is not the maker's.

A DESFire Light leaves the factory with one application of six files (datasheet 8.2). The native commands name
applications by three bytes; Light's has none, so it is kept under a name of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.apdu import SW
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.status import Status
from sim.card import commands, iso
from sim.card.deviating import leave_deviating
from sim.card.deviation import NO_DEVIATIONS, ChipDeviation
from sim.card.files import (
    AccessMasks,
    CardFile,
    DataFile,
    FileHeader,
    RecordFile,
    TransactionMacFile,
    ValueFile,
)
from sim.card.generation import GENERATIONS, Generation
from sim.card.identity import identity_of
from sim.card.image import Json, image_of
from sim.card.memory import PICC_AID, ZERO_KEY, Application, KeySlot, Memory, blank_memory
from sim.card.state import CardState, RandomSource

ATR: Final = bytes.fromhex("3B8180018080")
CLA_READER: Final = 0xFF
CLA_WRAPPED: Final = 0x90
CLA_ISO: Final = 0x00
GET_UID: Final = bytes.fromhex("FFCA0000")
GET_ATS: Final = bytes.fromhex("FFCA0100")
UID_BYTES: Final = 7

_OK: Final = SW.OK.to_bytes(2, "big")
_LENGTH: Final = bytes((0x91, Status.LENGTH_ERROR))


class VirtualCard:
    """One card. Not thread-safe: a card is in one field at a time.

    `uid` is the real 7-byte UID, `rng(n)` must return n bytes; `generation` is a name of `sim.card.generation`.
    `memory` None makes an empty card with an all-zero master key of `key_type`, or Light's fixed application.
    """

    def __init__(
        self,
        uid: bytes,
        rng: RandomSource,
        *,
        generation: str = "EV2",
        key_type: KeyType = KeyType.AES,
        memory: Memory | None = None,
        deviations: frozenset[ChipDeviation] = NO_DEVIATIONS,
    ) -> None:
        if len(uid) != UID_BYTES:
            raise ValueError(f"a UID is {UID_BYTES} bytes, not {len(uid)}")
        self.uid: Final = uid
        self.atr: Final = ATR
        self._rng: Final = rng
        self._identity: Final = identity_of(uid, generation)
        self._state = CardState(
            self._identity,
            rng,
            memory or _as_made(self._identity.generation, key_type),
            deviations=deviations,
        )
        self._shown_uid = self._draw_uid()

    @property
    def generation(self) -> str:
        """What kind of chip it is."""
        return self._identity.generation.name

    @property
    def memory(self) -> Memory:
        """Everything that survives power loss, keys included."""
        return self._state.memory

    def take_back(self, memory: Memory) -> None:
        """Be as before: `memory` is what survives from now on, and what is pending is lost."""
        self._state = CardState(self._identity, self._rng, memory, deviations=self._state.deviations)

    def power_on(self) -> None:
        """Enter the field: nothing selected, no session, nothing pending."""
        leave_deviating(self._state)
        before = self._state
        self._state = CardState(self._identity, self._rng, before.memory, deviations=before.deviations)
        self._shown_uid = self._draw_uid()

    def power_off(self) -> None:
        """Leave the field: everything uncommitted is lost."""
        self.power_on()

    def reset(self) -> None:
        """As leaving and entering the field."""
        self.power_on()

    def transmit(self, command: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        if not command:
            return SW.WRONG_LENGTH.to_bytes(2, "big")
        cla = command[0]
        if cla == CLA_WRAPPED and len(command) > 1:
            return self._wrapped(command)
        if cla == CLA_READER and len(command) > 1:
            return self._reader_command(command)
        if cla == CLA_ISO:
            return iso.execute(self._state, command)
        if not self._identity.generation.native_framing:
            return SW.CLA_NOT_SUPPORTED.to_bytes(2, "big")
        status, answer = commands.execute(self._state, cla, command[1:])
        return bytes((status,)) + answer

    def image(self) -> dict[str, Json]:
        """Committed state as JSON values; see `sim.card.image`."""
        return image_of(self.uid, self._state.memory)

    def clone(self) -> VirtualCard:
        """An independent card with the same committed state, just powered on. Costs almost nothing."""
        return VirtualCard(
            self.uid,
            self._rng,
            generation=self.generation,
            memory=self._state.memory,
            deviations=self._state.deviations,
        )

    def deviating(self, *deviations: ChipDeviation) -> VirtualCard:
        """The same card, just powered on, of a chip that is not as assumed."""
        return VirtualCard(
            self.uid,
            self._rng,
            generation=self.generation,
            memory=self._state.memory,
            deviations=frozenset(deviations),
        )

    def _wrapped(self, command: bytes) -> bytes:
        payload = _wrapped_payload(command)
        if payload is None:
            self._state.fail()
            return _LENGTH
        if command[2] or command[3]:
            self._state.fail()
            return SW.WRONG_P1_P2.to_bytes(2, "big")
        status, answer = commands.execute(self._state, command[1], payload)
        return answer + bytes((0x91, status))

    def _reader_command(self, command: bytes) -> bytes:
        match command[:4], len(command):
            case head, 5 if head == GET_UID:
                return self._shown_uid + _OK
            case head, 5 if head == GET_ATS:
                return self._state.memory.ats + _OK
            case _:
                return SW.FUNCTION_NOT_SUPPORTED.to_bytes(2, "big")

    def _draw_uid(self) -> bytes:
        """What anticollision shows: the UID, or a random 4-byte one starting with 08."""
        return b"\x08" + self._rng(3) if self._state.memory.random_uid else self.uid


def _as_made(generation: Generation, key_type: KeyType) -> Memory:
    return light_memory() if generation.fixed else blank_memory(key_type, generation)


def _wrapped_payload(command: bytes) -> bytes | None:
    """The data of `90 INS P1 P2 [Lc data] 00`; None when the length fields do not fit or Le is not 00."""
    length = len(command)
    if length < 5 or command[-1]:
        return None
    if length == 5:
        return b""
    return command[5:-1] if command[4] and length == 6 + command[4] else None


LIGHT_AID: Final = b"\x01\xdf\xff"
LIGHT_DF_NAME: Final = bytes.fromhex("A00000039656434103F015400000000B")
LIGHT_DF_ID: Final = 0xDF01
_FULL: Final = 3
_NEVER_REACHED: Final = 0xFFFFFFFF


def _files() -> tuple[CardFile, ...]:
    """In the order a real card returns them to GetFileIDs."""
    mac_head = FileHeader(0x0F, _FULL, AccessMasks.of(0x1F10), 0)
    return (
        TransactionMacFile(mac_head, ZERO_KEY, 0, 0, bytes(8), bytes(16), _NEVER_REACHED),
        DataFile(FileHeader(0x1F, 0, AccessMasks.of(0xEF30), 0xEF1F), backup=False, content=bytes(32)),
        ValueFile(FileHeader(3, _FULL, AccessMasks.of(0x1230), 0), 0, 0x7FFFFFFF, 0, 0, True, True),
        DataFile(FileHeader(0, _FULL, AccessMasks.of(0x1F30), 0xEF00), backup=False, content=bytes(256)),
        # Four records can be read; the fifth place is the pending one.
        RecordFile(FileHeader(1, _FULL, AccessMasks.of(0x1230), 0xEF01), True, 16, 5, ()),
        DataFile(FileHeader(4, _FULL, AccessMasks.of(0x1230), 0xEF04), backup=False, content=bytes(256)),
    )


def light_memory() -> Memory:
    """Five AES keys, all zero; the level above has no key at all."""
    application = Application(
        LIGHT_AID,
        0x0B,
        (KeySlot(ZERO_KEY),) * 5,
        {file.head.number: file for file in _files()},
        True,
        LIGHT_DF_ID,
        LIGHT_DF_NAME,
    )
    memory = blank_memory(generation=GENERATIONS["Light"])
    above = replace(memory.applications[PICC_AID], keys=())
    return memory.with_application(above).with_application(application)
