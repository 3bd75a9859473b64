"""What a phone showed, as the row of its tap keeps it: enough to verify it again, and to decide again.

    credential   as the issuer signed it; empty for a code, which carries it
    answer       near field: challenge and proof · code: its bytes · paper: empty
    way          near field: 00 and how many ms the answer took · code: 01 and the counter of the one before
                 paper: 02, and 1 when staff saw whose it is; 4 bytes
    event        what was kept of this phone; empty where nothing was

Nothing of it has to be believed: issuer and holder signed the first two, and the rest is held against other rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from cardproto.credential.code import parse_shown
from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import Credential, parse_claims
from cardproto.credential.phone import INS_AUTHENTICATE
from cardproto.credential.proof import CHALLENGE_BYTES
from cardproto.errors import FormatError
from terminal.decision.phone import Answered, CodeShown, OnPaper, PhoneSnapshot, PhoneWay, phone_snapshot

PARTS: Final = 4
_NEAR, _CODE, _PAPER = b"\x00", b"\x01", b"\x02"
_WAY_BYTES: Final = 5
_MOST: Final = 0xFFFF_FFFF
_WHERE: Final = "phone's row"

ShownCommands = tuple[tuple[int, bytes, bytes], ...]
"""The form in which an intent lists what proves it."""


class PhoneRecord(Struct, frozen=True):
    """See above."""

    credential: bytes
    answer: bytes
    way: bytes
    event: bytes

    @property
    def parts(self) -> tuple[bytes, ...]:
        """For the row of a tap that writes nothing."""
        return (self.credential, self.answer, self.way, self.event)

    @property
    def commands(self) -> ShownCommands:
        """For the row of a tap that is counted."""
        return tuple((INS_AUTHENTICATE, b"", part) for part in self.parts)

    @property
    def challenge(self) -> bytes:
        """Of near field."""
        return self.answer[:CHALLENGE_BYTES]

    @property
    def proof(self) -> bytes:
        """Of near field."""
        return self.answer[CHALLENGE_BYTES:]

    @property
    def by_code(self) -> bool:
        """Whether a scanner read it."""
        return self.way[:1] == _CODE

    @property
    def on_paper(self) -> bool:
        """Whether it was a printed code, which no phone signed."""
        return self.way[:1] == _PAPER


def near_record(credential: bytes, challenge: bytes, proof: bytes, answered_ms: int) -> PhoneRecord:
    """Of a phone that answered a challenge."""
    return PhoneRecord(credential, challenge + proof, _way(_NEAR, answered_ms), b"")


def code_record(code: bytes, last: int) -> PhoneRecord:
    """Of a code, `last` being the counter of the one shown before."""
    return PhoneRecord(b"", code, _way(_CODE, last), b"")


def paper_record(credential: bytes, *, checked: bool) -> PhoneRecord:
    """Of a printed code."""
    return PhoneRecord(credential, b"", _way(_PAPER, int(checked)), b"")


def recorded_phone(parts: tuple[bytes, ...]) -> PhoneRecord | None:
    """What `parts` of a row are of a phone; None for those of a card."""
    return PhoneRecord(*parts) if len(parts) == PARTS else None


def shown_in(proof: ShownCommands) -> PhoneRecord | None:
    """What an intent says of a phone; None for one of a card."""
    of_phone = (
        len(proof) == PARTS
        and proof[0][0] == INS_AUTHENTICATE  # at every tap: a generator takes five times as long
        and all(ins == INS_AUTHENTICATE for ins, _, _ in proof)
    )
    return recorded_phone(tuple(data for _, _, data in proof)) if of_phone else None


def snapshot_again(record: PhoneRecord, region: int, reference: bytes, at: datetime) -> PhoneSnapshot:
    """The phone as it was when the tap at `at` was decided; raises `FormatError`. No signature is verified."""
    number = _number(record.way)
    way: PhoneWay = OnPaper(number == 1) if record.on_paper else Answered(number)
    data = record.credential
    if record.by_code:
        shown = parse_shown(record.answer)
        way, data = code_shown(shown.counter, shown.at, number, at), shown.credential
    return phone_snapshot(_claims(data), record.event or None, region, reference, way)


def kept_after(parts: tuple[bytes, ...], written: bytes) -> tuple[bytes, int] | None:
    """The event and the code's counter (0: none) that the terminal keeps after the row of a phone with these parts;
    `written` is the event of a tap that counted, empty where none did. None for a row of a card.
    """
    record = recorded_phone(parts)
    if record is None:
        return None
    try:
        counter = parse_shown(record.answer).counter if record.by_code else 0
    except FormatError:
        return None
    return written or record.event, counter


def code_shown(counter: int, shown_at: datetime, last: int, now: datetime) -> CodeShown:
    """A code of `shown_at`, read at `now`: its age in whole seconds, downwards."""
    return CodeShown(counter, int((now - shown_at).total_seconds() // 1), last)


def _claims(data: bytes) -> Credential:
    payload = parse_sign1(data).payload
    if payload is None:
        raise FormatError(_WHERE, "a credential without claims")
    return parse_claims(payload)


def _way(kind: bytes, number: int) -> bytes:
    return kind + min(max(number, 0), _MOST).to_bytes(_WAY_BYTES - 1, "big")


def _number(way: bytes) -> int:
    if len(way) != _WAY_BYTES or way[:1] not in (_NEAR, _CODE, _PAPER):
        raise FormatError(_WHERE, "neither near field nor code")
    return int.from_bytes(way[1:], "big")
