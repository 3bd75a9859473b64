"""Bank cards: whatever one answers, and whatever any part of its answers holds, ends in a value."""

from __future__ import annotations

import contextlib
from datetime import date

from cardproto.apdu import CommandApdu
from cardproto.channel import CardChannel
from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.dol import MAX_VALUE_BYTES, fill_dol, parse_dol
from cardproto.emv.faults import ChainBroken, NotRead, ReadingEnded
from cardproto.emv.numbers import parse_date, parse_pan, parse_track_2
from cardproto.emv.proving import parse_generated
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.records import MAX_RECORDS, parse_afl, parse_options, parse_record
from cardproto.emv.selection import MAX_CANDIDATES, parse_application, parse_directory
from cardproto.emv.signatures import dynamic_number
from cardproto.errors import CardGone, FormatError
from cardproto.tlv import parse_raw_tlv, parse_tlv, split_tlv
from tests.cardproto.emv.vectors import (
    CDA,
    DDA,
    FDDA,
    MIR,
    UNPREDICTABLE,
    TranscriptCard,
    own_card,
    own_transaction,
    own_trust,
)

MAX_EXCHANGES = 40
_CARDS = (CDA, FDDA, DDA)
_TRUST = own_trust()
_DAY = date(2026, 11, 21)


def bank_parsers(data: bytes) -> None:
    """Every parser of a bank card's answers: a value within its limits, or the parser's own error."""
    with contextlib.suppress(FormatError, ReadingEnded):
        assert len(parse_directory(data)) <= MAX_CANDIDATES
    with contextlib.suppress(FormatError, ReadingEnded):
        assert 0 < len(parse_options(data).places) <= MAX_RECORDS
    with contextlib.suppress(FormatError, ReadingEnded):
        assert 0 < len(parse_afl(data)) <= MAX_RECORDS
    with contextlib.suppress(FormatError):
        wanted = parse_dol(data)
        assert len(fill_dol(wanted, own_transaction().values(UNPREDICTABLE))) <= MAX_VALUE_BYTES
    with contextlib.suppress(FormatError):
        assert b"".join(raw for _, raw in parse_raw_tlv(data)) == data
        assert tuple(one for one, _ in parse_raw_tlv(data)) == parse_tlv(data)
    with contextlib.suppress(FormatError):
        first, rest = split_tlv(data)
        assert data.endswith(rest)
        assert len(first.value) + len(rest) < len(data)
    _small_parsers(data)


def _small_parsers(data: bytes) -> None:
    for read in (parse_generated, parse_pan, parse_date, parse_track_2):
        with contextlib.suppress(FormatError):
            read(data)
    with contextlib.suppress(FormatError):
        parse_application(data, MIR)
    for sfi in (1, 10, 11, 30):
        with contextlib.suppress(FormatError):
            parse_record(sfi, data)
    with contextlib.suppress(ChainBroken):
        assert 2 <= len(dynamic_number(data)) <= 8


def bank_answers(data: bytes) -> None:
    """A genuine card until exchange n, then any answers: a verdict within limits, and genuine only unchanged."""
    if not data:
        return
    genuine = own_card(_CARDS[data[0] % 3])
    hostile = _HostileBankCard(genuine, data[0] >> 4, data[1:])
    channel = CardChannel(hostile, max_exchanges=MAX_EXCHANGES)
    try:
        found = read_card(channel, (MIR,), own_transaction(), _TRUST, lambda size: UNPREDICTABLE)
    except CardGone:
        return
    assert channel.exchanges <= MAX_EXCHANGES
    assert isinstance(found, NotRead | BankReading)
    if isinstance(found, BankReading) and found.authentication.genuine:
        assert found.authentication.method in (OfflineMethod.CDA, OfflineMethod.FDDA)
        assert found.opened.pan.in_clear == "2200000000000004"
        assert found.opened.sequence == 1
        assert found.in_force(_DAY)


class _HostileBankCard:
    """Two bytes change one byte of the card's answer; anything else is the answer. Pieces are led by their length."""

    def __init__(self, card: TranscriptCard, start: int, plan: bytes) -> None:
        self._card, self._before, self._plan = card, start, plan

    def transmit(self, command: bytes) -> bytes:
        assert len(CommandApdu.parse(command).data) <= 255
        answer = self._card.transmit(command)
        if self._before:
            self._before -= 1
            return answer
        if not self._plan:
            raise CardGone("left")
        piece, self._plan = self._plan[1 : 1 + self._plan[0]], self._plan[1 + self._plan[0] :]
        if len(piece) != 2 or not answer:
            return piece or answer
        at = piece[0] % len(answer)
        return answer[:at] + bytes((answer[at] ^ piece[1],)) + answer[at + 1 :]
