"""The first half of a tap of a bank card: directory, selection, options, records. It proves nothing.

Every call begins at the directory and keeps nothing of an earlier one: records of two cards, or of two presentations,
never meet. Each application that is tried gets a random number of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from cardproto.apdu import SW, CommandApdu, ResponseApdu
from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.dol import fill_dol
from cardproto.emv.faults import NotRead, ReadFault, ReadingEnded
from cardproto.emv.numbers import Pan, parse_date, parse_pan, parse_track_2
from cardproto.emv.records import (
    CardData,
    CardRecord,
    ProcessingOptions,
    RecordPlace,
    collect,
    parse_options,
    parse_record,
)
from cardproto.emv.selection import (
    BankApplication,
    Candidate,
    candidates_of,
    parse_application,
    parse_directory,
)
from cardproto.emv.transaction import UNPREDICTABLE_BYTES, BankTransaction
from cardproto.errors import FormatError, LimitExceeded, ProtocolError
from cardproto.tlv import Tlv

Draw = Callable[[int], bytes]
"""So many unpredictable bytes, new ones at every call."""

_APPLICATION_BLOCKED: Final = (SW.SELECTED_LIMITED, 0x6285)
"""Deactivated, or in its termination state (ISO 7816-4): its answer is not read on."""
_NOT_THIS_ONE: Final = (0x6984, SW.CONDITIONS_OF_USE)
_SEE_PHONE: Final = 0x6986
_MASTERCARD: Final = bytes.fromhex("A000000004")
_CLA: Final = 0x80
_SFI_IN_P2: Final = 0x04


@dataclass(frozen=True, slots=True)
class OpenedApplication:
    """An application whose records are read and nothing of which is proven.

    `aip` is its profile, `values` what it may be given of the transaction, `pdol` the part of them it asked for first.
    """

    application: BankApplication
    aip: int
    data: CardData
    pan: Pan
    sequence: int | None
    expires_on: date | None
    effective_on: date | None
    values: dict[int, bytes] = field(repr=False)
    pdol: bytes = field(repr=False)

    @property
    def unpredictable(self) -> bytes:
        """The random number of this attempt."""
        return self.values[tags.TAG_UNPREDICTABLE]


def open_application(
    channel: CardChannel, taken: Iterable[bytes], transaction: BankTransaction, draw: Draw
) -> OpenedApplication | NotRead:
    """The first application that opens among those whose names begin with one of `taken`, by the card's priority.

    Raises `TransmissionError` when card or reader are lost, `ValueError` for a name in `taken` that is too short to
    mean one scheme; what a card answers ends in a value.
    """
    return _not_raising(lambda: open_listed(channel, _directory(channel), taken, transaction, draw))


def open_listed(
    channel: CardChannel,
    directory: Iterable[Candidate],
    taken: Iterable[bytes],
    transaction: BankTransaction,
    draw: Draw,
) -> OpenedApplication | NotRead:
    """The same of a card whose `directory` was read in this very presentation: its selection stands."""
    candidates = candidates_of(directory, tuple(taken))
    return _not_raising(lambda: _first_that_opens(channel, candidates, transaction, draw))


def _not_raising(read: Callable[[], OpenedApplication | NotRead]) -> OpenedApplication | NotRead:
    try:
        return read()
    except ReadingEnded as ended:
        return NotRead(ended.fault, ended.sw)
    except LimitExceeded:
        return NotRead(ReadFault.TOO_MUCH)
    except (ProtocolError, FormatError):
        return NotRead(ReadFault.MALFORMED)


def read_directory(channel: CardChannel) -> tuple[Candidate, ...] | NotRead:
    """The card's list of applications, for people to look at. Raises `TransmissionError`."""
    try:
        return _directory(channel)
    except ReadingEnded as ended:
        return NotRead(ended.fault, ended.sw)
    except (ProtocolError, FormatError):
        return NotRead(ReadFault.MALFORMED)


def select_command(name: bytes) -> CommandApdu:
    """SELECT by name, first occurrence."""
    return CommandApdu(0, tags.INS_SELECT, 0x04, 0, name, 0)


def _directory(channel: CardChannel) -> tuple[Candidate, ...]:
    answer = channel.send(select_command(tags.PPSE))
    if answer.sw == SW.FUNCTION_NOT_SUPPORTED:
        raise ReadingEnded(ReadFault.CARD_BLOCKED, answer.sw)
    if answer.sw != SW.OK:
        raise ReadingEnded(ReadFault.NO_BANK_APPLICATION, answer.sw)
    return parse_directory(answer.data)


def _first_that_opens(
    channel: CardChannel, candidates: tuple[Candidate, ...], transaction: BankTransaction, draw: Draw
) -> OpenedApplication:
    refused = ReadingEnded(ReadFault.UNSUPPORTED)
    for candidate in candidates:
        selected = _select(channel, candidate)
        if isinstance(selected, ReadingEnded):
            refused = selected
            continue
        values = transaction.values(draw(UNPREDICTABLE_BYTES))
        pdol = fill_dol(selected.pdol, values)
        options = _options(channel, pdol)
        if not isinstance(options, ReadingEnded):
            return _read(channel, selected, options, values, pdol)
        refused = options
    raise refused


def _select(channel: CardChannel, candidate: Candidate) -> BankApplication | ReadingEnded:
    """The application, or why this one is not it; raises where the whole card is not."""
    answer = channel.send(select_command(candidate.aid))
    if answer.sw == SW.FUNCTION_NOT_SUPPORTED:
        raise ReadingEnded(ReadFault.CARD_BLOCKED, answer.sw)
    if answer.sw in _APPLICATION_BLOCKED:
        return ReadingEnded(ReadFault.APPLICATION_BLOCKED, answer.sw)
    if answer.sw != SW.OK:
        return ReadingEnded(ReadFault.SELECTION_REFUSED, answer.sw)
    return parse_application(answer.data, candidate.aid)


def _options(channel: CardChannel, pdol: bytes) -> ProcessingOptions | ReadingEnded:
    """What the application answers to its list, or that it does not do this transaction; raises for anything else."""
    template = Tlv(tags.TAG_DOL_VALUES, pdol).to_bytes()
    answer = channel.send(CommandApdu(_CLA, tags.INS_GET_PROCESSING_OPTIONS, 0, 0, template, 0))
    if answer.sw in _NOT_THIS_ONE:
        return ReadingEnded(ReadFault.CONDITIONS, answer.sw)
    if answer.sw == _SEE_PHONE:
        raise ReadingEnded(ReadFault.SEE_PHONE, answer.sw)
    if answer.sw != SW.OK:
        raise ReadingEnded(ReadFault.OPTIONS_REFUSED, answer.sw)
    return parse_options(answer.data)


def _read(
    channel: CardChannel,
    application: BankApplication,
    options: ProcessingOptions,
    values: dict[int, bytes],
    pdol: bytes,
) -> OpenedApplication:
    if application.rid == _MASTERCARD and not options.aip & tags.AIP_EMV_MODE:
        raise ReadingEnded(ReadFault.MAGNETIC_STRIPE_ONLY)
    data = collect(options, [(place, _record(channel, place)) for place in options.places])
    pan, expires_on = _number(data)
    effective = data.get(tags.TAG_EFFECTIVE)
    return OpenedApplication(
        *(application, options.aip, data, pan, _sequence(data), expires_on),
        *(None if effective is None else parse_date(effective), values, pdol),
    )


def _record(channel: CardChannel, place: RecordPlace) -> CardRecord:
    p2 = place.sfi << 3 | _SFI_IN_P2
    answer: ResponseApdu = channel.send(CommandApdu(0, tags.INS_READ_RECORD, place.record_number, p2, le=0))
    if answer.sw != SW.OK:
        raise ReadingEnded(ReadFault.RECORD_REFUSED, answer.sw)
    return parse_record(place.sfi, answer.data)


def _number(data: CardData) -> tuple[Pan, date | None]:
    """The card's number and expiry: tags 5A and 5F24, or what track 2 says where they are missing."""
    stated, expiry, track_2 = (data.get(tag) for tag in (tags.TAG_PAN, tags.TAG_EXPIRY, tags.TAG_TRACK_2))
    on_track, expires_on = (None, None) if track_2 is None else parse_track_2(track_2)
    pan = on_track if stated is None else parse_pan(stated)
    if pan is None:
        raise ReadingEnded(ReadFault.NUMBER_MISSING)
    if on_track not in (None, pan):
        raise ReadingEnded(ReadFault.NUMBER_MISMATCH)
    return pan, expires_on if expiry is None else parse_date(expiry)


def _sequence(data: CardData) -> int | None:
    value = data.get(tags.TAG_SEQUENCE)
    if value is None:
        return None
    if len(value) != 1 or not value.hex().isdigit():
        raise FormatError("sequence number", "is not two digits")
    return int(value.hex())
