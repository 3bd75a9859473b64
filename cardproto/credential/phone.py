"""A phone that answers like a card (ISO 7816-4): our application, its credential, its answer to a challenge.

    SELECT AID             → 6F {84 AID, A5 {80 version, 81 length of the credential}}
    READ BINARY 00 B0      → the credential, at most 250 bytes, so that one short APDU holds it
    INTERNAL AUTHENTICATE  → a COSE_Sign1 over challenge, terminal and credential, without its text
    UPDATE BINARY 00 D6    a receipt, signed by the terminal; a phone may drop it

Three exchanges after selection at most. The phone may leave at any of them: that is `TransmissionError`, and means
nothing for money, because a phone holds none. Only the time of the answer limits a relay: the caller measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cardproto.apdu import SHORT_DATA_BYTES, SW, CommandApdu, ResponseApdu
from cardproto.channel import CardChannel
from cardproto.credential.proof import PROOF_VERSION
from cardproto.errors import CardError, FormatError, ProtocolError
from cardproto.tlv import find, parse_tlv

PHONE_AID: Final = bytes.fromhex("F0") + b"RCARD\x01"
"""Of the proprietary kind (`F`), until a provider is registered for it; Android routes it as category "other"."""
MAX_CREDENTIAL: Final = 250
MAX_PROOF: Final = 128
TAG_FCI: Final = 0x6F
TAG_AID: Final = 0x84
TAG_PROPRIETARY: Final = 0xA5
TAG_VERSION: Final = 0x80
TAG_LENGTH: Final = 0x81
INS_READ: Final = 0xB0
INS_AUTHENTICATE: Final = 0x88
INS_UPDATE: Final = 0xD6
SW_NO_CREDENTIAL: Final = 0x6A88
_WHERE: Final = "phone"
_USUAL: Final = b"\x6f\x12\x84\x07" + PHONE_AID + b"\xa5\x07\x80\x01" + bytes((PROOF_VERSION,)) + b"\x81\x02"
"""What the answer to the selection begins with; the credential's length, two bytes, follows."""
_ANOTHER_APPLICATION: Final = (SW.INS_NOT_SUPPORTED, SW.CLA_NOT_SUPPORTED, 0x6986)


class PhoneFault(StrEnum):
    """Why a phone with our application showed nothing."""

    LOCKED = "locked"
    """Its holder has to unlock it or agree, then tap again."""
    NO_CREDENTIAL = "no_credential"
    """The application is there and empty."""
    SWITCHED = "switched"
    """Another application answers: a wallet took over between two exchanges."""
    UNKNOWN_VERSION = "unknown_version"
    REFUSED = "refused"
    """Another status word, kept in `sw`."""


class PhoneRefused(CardError):
    """What a phone answered instead, `sw` where that says more; the next tap may succeed."""

    def __init__(self, fault: PhoneFault, sw: int = 0) -> None:
        super().__init__(f"phone: {fault} ({sw:04X})")
        self.fault = fault
        self.sw = sw


@dataclass(frozen=True, slots=True)
class PhoneApplication:
    """What it says of itself when it is selected."""

    version: int
    credential_bytes: int


def select_command() -> CommandApdu:
    """SELECT by name."""
    return CommandApdu(0, 0xA4, 0x04, 0, PHONE_AID, le=0)


def select_phone(channel: CardChannel) -> PhoneApplication | None:
    """Our application, in one exchange; None where there is none. Raises `FormatError` for an answer that is not one,
    `PhoneRefused` for one of a later version or that its holder has to open.
    """
    answer = channel.send(select_command())
    if answer.sw in (SW.CONDITIONS_OF_USE, SW_NO_CREDENTIAL):
        raise _refused(answer.sw)
    return parse_selected(answer.data) if answer.sw == SW.OK else None


def parse_selected(fci: bytes) -> PhoneApplication:
    """The answer to SELECT. Raises `FormatError`, `PhoneRefused`."""
    if len(fci) == len(_USUAL) + 2 and fci.startswith(_USUAL):  # as nearly every phone answers
        return _application(fci[len(_USUAL) :])
    inside = parse_tlv(fci)
    if find(inside, TAG_FCI, TAG_AID) != PHONE_AID:
        raise FormatError(_WHERE, "another application answered the selection")
    version = find(inside, TAG_FCI, TAG_PROPRIETARY, TAG_VERSION)
    length = find(inside, TAG_FCI, TAG_PROPRIETARY, TAG_LENGTH)
    if version is None or length is None or len(version) != 1 or len(length) not in (1, 2):
        raise FormatError(_WHERE, "no version and length in the answer to the selection")
    if version[0] != PROOF_VERSION:
        raise PhoneRefused(PhoneFault.UNKNOWN_VERSION)
    return _application(length)


def _application(length: bytes) -> PhoneApplication:
    if not 0 < int.from_bytes(length, "big") <= MAX_CREDENTIAL:
        raise FormatError(_WHERE, f"a credential has 1 to {MAX_CREDENTIAL} bytes")
    return PhoneApplication(PROOF_VERSION, int.from_bytes(length, "big"))


def read_credential(channel: CardChannel, application: PhoneApplication) -> bytes:
    """The credential, not verified. Raises `PhoneRefused`, `ProtocolError`, `TransmissionError`."""
    length = application.credential_bytes
    data = _answer(channel, CommandApdu(0, INS_READ, 0, 0, le=length))
    if len(data) != length:
        raise ProtocolError(f"the phone sent {len(data)} bytes of a credential of {length}")
    return data


def ask_proof(channel: CardChannel, text: bytes) -> bytes:
    """The phone's proof over `text` (`challenge_text`), not verified; raises as `read_credential`."""
    proof = _answer(channel, CommandApdu(0, INS_AUTHENTICATE, 0, 0, text, le=0))
    if len(proof) > MAX_PROOF:
        raise ProtocolError(f"a proof of {len(proof)} bytes; {MAX_PROOF} are the most")
    return proof


def leave_receipt(channel: CardChannel, receipt: bytes) -> bool:
    """Whether the phone keeps it; up to 255 bytes. Raises `TransmissionError`: then it may have it or not."""
    if len(receipt) > SHORT_DATA_BYTES:
        raise ValueError(f"a receipt has at most {SHORT_DATA_BYTES} bytes")
    return channel.send(CommandApdu(0, INS_UPDATE, 0, 0, receipt)).sw == SW.OK


def _answer(channel: CardChannel, command: CommandApdu) -> bytes:
    answer: ResponseApdu = channel.send(command)
    if answer.sw != SW.OK:
        raise _refused(answer.sw)
    return answer.data


def _refused(sw: int) -> PhoneRefused:
    if sw == SW.CONDITIONS_OF_USE:
        return PhoneRefused(PhoneFault.LOCKED, sw)
    if sw == SW_NO_CREDENTIAL:
        return PhoneRefused(PhoneFault.NO_CREDENTIAL, sw)
    return PhoneRefused(PhoneFault.SWITCHED if sw in _ANOTHER_APPLICATION else PhoneFault.REFUSED, sw)
