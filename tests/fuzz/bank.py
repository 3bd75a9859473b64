"""Bank cards: whatever one answers, and whatever any part of its answers holds, ends in a value."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from cardproto.apdu import CommandApdu
from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
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
from sim.emv.card import VirtualBankCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.simulated import laboratory_bank_ca, laboratory_bank_office, laboratory_keys
from terminal.decision.bank_row import bank_row_of
from terminal.decision.bus.bank import BankSnapshot
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.media.bank.medium import BankMedium, BankTerms, BankTrust
from terminal.media.held import HeldEvents
from terminal.media.port import MediumSetup, UnsupportedCard
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from tests.cardproto.emv.vectors import (
    CDA,
    DDA,
    FDDA,
    MIR,
    UNPREDICTABLE,
    own_card,
    own_transaction,
    own_trust,
)

MAX_EXCHANGES = 40
_CARDS = (CDA, FDDA, DDA)
_TRUST = own_trust()
_DAY = date(2026, 11, 21)
_NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
_TRIP = Trip("bus", 70001, 1, shift=1, turn=1, route=15)
NUMBER = "2200000000000004"
_PROFILES = ("bank_cda", "bank_fdda", "bank_longest_key")


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
        assert found.opened.pan.in_clear == NUMBER
        assert found.opened.sequence == 1
        assert found.in_force(_DAY)


def bank_medium(data: bytes) -> None:
    """The same at the terminal's medium, from selection to outcome: a card that is taken rode by its own proof alone,
    any other reads a message, and its number is in nothing that leaves the medium.
    """
    if not data:
        return
    card_itself = _issued(_PROFILES[data[0] % len(_PROFILES)]).clone()
    card_itself.power_on()
    number = card_itself.chip_memory.wallet.applications[0].pan
    hostile = _HostileBankCard(card_itself, data[0] >> 4, data[1:])
    channel = CardChannel(hostile, max_exchanges=MAX_EXCHANGES)
    medium, policy = _medium()
    card, said = None, ""
    try:
        card = medium.open(channel, _NOW) if medium.select(channel) else None
    except (CardGone, UnsupportedCard) as refused:
        said = str(refused)
    assert number not in said
    if card is None:
        assert data[1:], "an untouched card rides"
        return
    assert isinstance(card.snapshot, BankSnapshot)
    decision = medium.decide(card.snapshot, policy, _TRIP, _NOW)
    assert decision.write_plan is None or card.snapshot.authenticated
    assert data[1:] or decision.outcome.message == "ok_paid"
    row = bank_row_of(card.read)
    assert row is not None
    assert row.genuine == card.snapshot.authenticated
    shown = repr((card.snapshot, card.read, decision.outcome, decision.facts)).encode() + b"".join(card.read)
    assert number.encode() not in shown
    assert bytes.fromhex(number[: len(number) // 2 * 2]) not in shown


@cache
def _medium() -> tuple[BankMedium, Policy]:
    """One for all inputs: it keeps nothing of a card that did not ride."""
    policy, keys = Policy.of(load_region("volgograd")), load_file_keys(laboratory_keys(), UNLIMITED)
    setup = MediumSetup("bus", 34, keys, lambda size: UNPREDICTABLE[:size], policy.zone)
    trust = BankTrust(laboratory_bank_ca().trust, laboratory_bank_office())
    held = HeldEvents(Path(mkdtemp()))
    return BankMedium(setup, _TRIP.terminal, BankTerms((MIR,), 643, 643, 4300), trust, held), policy


@cache
def _issued(profile: str) -> VirtualBankCard:
    made = issue(load_profile(profile), load_lab_keys(), 34, date(2026, 2, 1), Random(profile).randbytes)
    assert isinstance(made, VirtualBankCard)
    return made


class _HostileBankCard:
    """Two bytes change one byte of the card's answer; anything else is the answer. Pieces are led by their length."""

    def __init__(self, card: CardConnection, start: int, plan: bytes) -> None:
        self._card, self._before, self._plan, self._untouched = card, start, plan, not plan

    def transmit(self, command: bytes) -> bytes:
        assert len(CommandApdu.parse(command).data) <= 255
        answer = self._card.transmit(command)
        if self._before:
            self._before -= 1
            return answer
        if not self._plan:
            if self._untouched:
                return answer
            raise CardGone("left")
        piece, self._plan = self._plan[1 : 1 + self._plan[0]], self._plan[1 + self._plan[0] :]
        if len(piece) != 2 or not answer:
            return piece or answer
        at = piece[0] % len(answer)
        return answer[:at] + bytes((answer[at] ^ piece[1],)) + answer[at + 1 :]
