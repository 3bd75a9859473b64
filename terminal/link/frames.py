"""Datagrams between linked terminals: signed by the sender's identity, for one receiver, each with a higher number.

    magic "RCL1" · sender (4) · receiver (4) · number (8) · MessagePack · Ed25519 signature (64)

The number is the sender's time in milliseconds and only grows, so that the same datagram counts once. What is larger
than `MOST_BYTES`, of another version, for another terminal, not signed by a key of that peer, or not newer than the
last one is refused with its reason; nothing of it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from struct import Struct
from typing import Annotated, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from terminal.decoding import decoded
from terminal.link.marks import LinkMark
from terminal.sync.enrolment import RenewalRequest, signature_is_genuine

MAGIC: Final = b"RCL1"
DOMAIN: Final = b"resident terminal link 1\0"
MOST_BYTES: Final = 4096
MOST_IN_ONE: Final = 12
"""Marks of one datagram: with signature about 1 400 bytes, what a network carries in one piece."""
_HEAD: Final = Struct(">4sIIQ")
_SIGNATURE: Final = 64

Number = Annotated[int, Meta(ge=0, le=1 << 48)]


class LinkRefusal(StrEnum):
    """Why a datagram or a mark is not taken; counted by these."""

    MALFORMED = "malformed"
    FOREIGN = "foreign"
    """From an address or a terminal that is no peer, or for another terminal."""
    FORGED = "forged"
    REPLAYED = "replayed"
    FLOOD = "flood"
    OLD = "old"
    """A mark of another day."""
    AHEAD = "ahead"
    """A mark from the future: one of the two clocks is wrong."""
    FULL = "full"


class MarksSent(msgspec.Struct, frozen=True, tag="marks", array_like=True, forbid_unknown_fields=True):
    """All marks of the sender beyond `after` up to `until`, and how far it has the receiver's (`through`)."""

    after: Number
    until: Number
    through: Number
    marks: Annotated[tuple[LinkMark, ...], Meta(max_length=MOST_IN_ONE)] = ()


class KeysRenewed(msgspec.Struct, frozen=True, tag="keys", array_like=True, forbid_unknown_fields=True):
    """The sender's identity was renewed: the new keys, approved with those before."""

    renewal: RenewalRequest


LinkMessage: TypeAlias = MarksSent | KeysRenewed
_messages: Final = msgspec.msgpack.Decoder(LinkMessage)


class LinkFrame(NamedTuple):
    """A datagram taken apart; nothing of it is believed yet. `signed` is what the signature covers."""

    sender: int
    receiver: int
    number: int
    content: bytes
    signed: bytes
    signature: bytes


def seal(
    sender: int, receiver: int, number: int, message: LinkMessage, sign: Callable[[bytes], bytes]
) -> bytes:
    """The datagram that says `message`."""
    content = _HEAD.pack(MAGIC, sender, receiver, number) + msgspec.msgpack.encode(message)
    return content + sign(DOMAIN + content)


def parse_frame(datagram: bytes) -> LinkFrame | LinkRefusal:
    """The parts of a datagram, or why it is none."""
    if not _HEAD.size + _SIGNATURE < len(datagram) <= MOST_BYTES or not datagram.startswith(MAGIC):
        return LinkRefusal.MALFORMED
    signed, signature = datagram[:-_SIGNATURE], datagram[-_SIGNATURE:]
    _, sender, receiver, number = _HEAD.unpack_from(signed)
    return LinkFrame(sender, receiver, number, signed[_HEAD.size :], DOMAIN + signed, signature)


def parse_message(content: bytes) -> LinkMessage | LinkRefusal:
    """What a datagram says, or that it says nothing."""
    try:
        message: LinkMessage = decoded(_messages, content)
    except msgspec.DecodeError:
        return LinkRefusal.MALFORMED
    return message


def signed_by(frame: LinkFrame, keys: Iterable[bytes]) -> bool:
    """Whether one of these raw Ed25519 keys signed the datagram."""
    signature = frame.signature.hex()
    return any(signature_is_genuine(key.hex(), signature, frame.signed) for key in keys)


def follows(renewal: RenewalRequest, terminal: int, keys: Iterable[bytes]) -> bool:
    """Whether `renewal` puts new keys of `terminal` in the place of one of `keys`."""
    known = bytes.fromhex(renewal.known)
    return (
        renewal.terminal == terminal
        and known in keys
        and signature_is_genuine(renewal.keys.signing, renewal.signature, renewal.digest)
        and signature_is_genuine(renewal.known, renewal.approval, renewal.digest)
    )
