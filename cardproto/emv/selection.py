"""Choosing an application: the directory, its order, partial match, what SELECT answers (EMV Book 1, 12; Book B)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cardproto.emv import tags
from cardproto.emv.dol import Wanted, parse_dol
from cardproto.emv.faults import ReadFault, ReadingEnded
from cardproto.errors import FormatError
from cardproto.tlv import Tlv, find, parse_tlv

MAX_CANDIDATES: Final = 16
MAX_TRIED: Final = 4
"""Applications that one tap asks: a card that refuses four has none for us, and a tap has a time."""
_PRIORITY_BITS: Final = 0x0F
_LAST: Final = 0x10


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry of the directory. `priority` 1 is the card's first choice, 16 none stated; `kernel` as given."""

    aid: bytes
    priority: int
    label: bytes = b""
    kernel: bytes = b""


@dataclass(frozen=True, slots=True)
class BankApplication:
    """What SELECT answered: full name, label, and the list of what the card wants to know."""

    aid: bytes
    label: bytes
    pdol: tuple[Wanted, ...]

    @property
    def rid(self) -> bytes:
        """Whose application this is: five bytes, which also name the CA's keys."""
        return self.aid[: tags.RID_BYTES]


def parse_directory(fci: bytes) -> tuple[Candidate, ...]:
    """The entries of the PPSE in the card's order; one without a usable name is left out. Raises `FormatError`."""
    path = (tags.TAG_FCI, tags.TAG_FCI_PROPRIETARY, tags.TAG_FCI_ISSUER)
    issuer = find(parse_tlv(fci, skip_filler=True), *path, skip_filler=True)
    if issuer is None:
        raise FormatError("PPSE", "has no list of applications")
    entries = [one for one in parse_tlv(issuer, skip_filler=True) if one.tag == tags.TAG_DIRECTORY_ENTRY]
    if len(entries) > MAX_CANDIDATES:
        raise ReadingEnded(ReadFault.TOO_MUCH)
    return tuple(found for one in entries if (found := _candidate(one)) is not None)


def _candidate(entry: Tlv) -> Candidate | None:
    inside = entry.children(skip_filler=True)
    aid = find(inside, tags.TAG_AID)
    if aid is None or len(aid) not in tags.AID_BYTES:
        return None
    stated = (find(inside, tags.TAG_PRIORITY) or b"\0")[0] & _PRIORITY_BITS
    label = find(inside, tags.TAG_LABEL) or b""
    return Candidate(aid, stated or _LAST, label, find(inside, tags.TAG_KERNEL) or b"")


def candidates_of(directory: Iterable[Candidate], accepted: Iterable[bytes]) -> tuple[Candidate, ...]:
    """Those whose name begins with an accepted one, by the card's priority; equal ones stay in the card's order.

    An accepted name has at least the five bytes of a registered provider; raises `ValueError` for a shorter one.
    """
    beginnings = tuple(accepted)
    if any(len(one) not in tags.AID_BYTES for one in beginnings):
        raise ValueError("an accepted application is named by 5 to 16 bytes")
    fitting = [one for one in directory if one.aid.startswith(beginnings)]
    return tuple(sorted(fitting, key=lambda one: one.priority)[:MAX_TRIED])


def parse_application(fci: bytes, asked: bytes) -> BankApplication:
    """The answer to SELECT of `asked`. Raises `FormatError`, also for an application of another name."""
    inside = find(parse_tlv(fci, skip_filler=True), tags.TAG_FCI) or b""
    objects = parse_tlv(inside, skip_filler=True)
    aid = find(objects, tags.TAG_DF_NAME)
    if aid is None or len(aid) not in tags.AID_BYTES or not aid.startswith(asked):
        raise FormatError("SELECT", "answers with another application than was asked for")
    proprietary = parse_tlv(find(objects, tags.TAG_FCI_PROPRIETARY) or b"", skip_filler=True)
    label = find(proprietary, tags.TAG_LABEL) or b""
    return BankApplication(aid, label, parse_dol(find(proprietary, tags.TAG_PDOL) or b""))
