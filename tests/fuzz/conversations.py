"""Cards that must answer anything, and a terminal that must survive any answer."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode, Session
from cardproto.errors import CardError, CardGone
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_RIGHTS, KeyNo
from sim.air import VirtualClock
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.faults import flip
from sim.issuing import issue
from sim.lab_issuer import lab_issuers
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.compose import open_terminal
from terminal.app.station import Station
from terminal.journal.taps import End
from terminal.media.port import MAX_EXCHANGES
from terminal.media.resident.credential import CredentialCheck, VerifyCredential
from terminal.media.resident.medium import ResidentMedium
from terminal.tap import Terminal, take_tap
from terminal.trip.shifts import open_shift
from tests.fuzz.parsers import chunks

REGION = 34
MORNING = datetime(2026, 9, 15, 6, 40, tzinfo=UTC)
ROWS_BEFORE_A_NEW_JOURNAL = 20_000
LONGEST_ANSWER = 65_538

_open: list[object] = []


@cache
def issued(profile: str) -> SimCard:
    rng = random.Random(11).randbytes
    return issue(load_profile(profile), load_lab_keys(), REGION, MORNING.date(), rng)


@cache
def blank(generation: str) -> VirtualCard:
    return VirtualCard(b"\x04blank!", random.Random(12).randbytes, generation=generation)


def _card(choice: int) -> SimCard:
    makers = [
        lambda: issued("adult_purse"),
        lambda: blank("EV1"),
        lambda: blank("EV2"),
        lambda: blank("EV3"),
        lambda: blank("Light"),
        lambda: issued("foreign_desfire"),
        lambda: issued("half_personalised"),
        lambda: issued("not_desfire"),
        lambda: issued("resident_bank"),
        lambda: issued("bank_contacts"),
    ]
    return makers[choice % len(makers)]().clone()


def card(data: bytes) -> None:
    """First byte: which card; second: which session it begins in; then messages. Always an answer, never more."""
    if len(data) < 2:
        return
    software = _card(data[0])
    software.power_on()
    session = _session(software, data[0] % 8, data[1])
    for message in chunks(data[2:]):
        sent = message
        if session is not None and message[:1] == b"\xfe" and len(message) > 1:
            sent = _maced(session, message[1], message[2:])
        answer = software.transmit(sent)
        assert isinstance(answer, bytes)
        assert 1 <= len(answer) <= LONGEST_ANSWER, (sent.hex(), len(answer))
        if session is not None and sent is not message:
            session.counter += 1
    software.image()


def _session(software: SimCard, which: int, number: int) -> Session | None:
    """A real EV2 session with a key the card has, so that commands get past the MAC."""
    if not isinstance(software, VirtualCard) or number % 2:
        return None
    conversation = DesfireCard(DesfireChannel(software))
    try:
        key = bytes(16)
        if which == 0:
            conversation.select_application(AID)
            keys = load_lab_keys().for_card(software.uid, REGION)
            key = keys.application_key(KeyNo(number // 2 % 5))
        number = number // 2 % 5 if which == 0 else 0
        conversation.authenticate_ev2_first(number, AesAuthentication(AesKey(key), bytes(16)))
    except CardError:
        return None
    return conversation.session if isinstance(conversation.session, Session) else None


def _maced(session: Session, ins: int, body: bytes) -> bytes:
    body = body[:240]
    protected = body + session.command_mac(ins, b"", body)
    return bytes((0x90, ins, 0, 0, len(protected))) + protected + b"\0"


def terminal_answers(data: bytes) -> None:
    """A genuine card until exchange n, then any answers: bounded, a clear outcome, and never a ride for nothing."""
    if not data:
        return
    genuine = issued(("adult_purse", "free_pensioner")[data[0] >> 7]).clone()
    genuine.power_on()
    hostile = _Hostile(genuine, data[0] & 0x0F, chunks(data[1:]))
    report = take_tap(hostile, _terminal())
    assert report.exchanges <= MAX_EXCHANGES
    if report.outcome.accepted:
        assert report.end is End.COMMITTED, report.end


class _Hostile:
    """Answers as planned from exchange `start` on; one byte alone means the card's own answer, that bit flipped."""

    def __init__(self, card: SimCard, start: int, answers: list[bytes]) -> None:
        self._card = card
        self._before = start
        self._answers = iter(answers)

    def transmit(self, command: bytes) -> bytes:
        if self._before:
            self._before -= 1
            return self._card.transmit(command)
        answer = next(self._answers, None)
        if answer is None:
            raise CardGone("left")
        return flip(self._card.transmit(command), answer[0]) if len(answer) == 1 else answer


def terminal_content(data: bytes) -> None:
    """Any rights and any newest event under valid MACs: what the keys of a reload point can put on a card."""
    genuine = issued("free_pensioner").clone()
    assert isinstance(genuine, VirtualCard)
    genuine.power_on()
    conversation = DesfireCard(DesfireChannel(genuine))
    conversation.select_application(AID)
    keys = load_lab_keys().for_card(genuine.uid, REGION)
    conversation.authenticate_ev2_first(KeyNo.RELOAD, AesAuthentication(AesKey(keys.reload), bytes(16)))
    content = data[:96]
    if content[:64]:
        conversation.write_data(FILE_RIGHTS, 0, content[:64], CommMode.MAC)
    if content[64:]:
        conversation.write_record(FILE_EVENTS, 0, content[64:96], CommMode.MAC)
    if content:
        conversation.commit_transaction(return_mac=True)
    genuine.power_on()
    station = _terminal()
    checks = VerifyCredential.ALWAYS if data[96:97] > b"\x7f" else VerifyCredential.NEVER
    (medium,) = station.media
    assert isinstance(medium, ResidentMedium)
    medium.credentials = CredentialCheck(checks, lab_issuers(REGION))
    report = take_tap(genuine, station)
    medium.credentials = CredentialCheck.never()
    assert report.exchanges <= MAX_EXCHANGES
    assert report.end is not End.UNRESOLVED


def _terminal() -> Terminal:
    """One bus terminal with an open shift; a new journal now and then, because nobody purges this one."""
    current = _open[-1] if _open else None
    if isinstance(current, Terminal) and current.journal.next_sequence < ROWS_BEFORE_A_NEW_JOURNAL:
        return current
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clock = VirtualClock(MORNING)
    entered = open_terminal(Station(70001, "bus", folder, "demo"), clock)
    station = entered.__enter__()
    atexit.register(station.journal.close)
    open_shift(station.journal, clock.now(), "fuzz", "bus", 15, 0)
    _open[:] = [entered, station]
    return station
