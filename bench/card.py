"""The software card alone: exchange rate, personalising, memory over many taps."""

from __future__ import annotations

import resource
import secrets
import statistics
import time
from collections.abc import Iterator

from bench.cards import TODAY, resident
from bench.result import Result, at_least, at_most
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_RIGHTS, KeyNo
from cardproto.resident.records.event import EVENT_BYTES
from cardproto.resident.records.rights import RIGHTS_BYTES
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile

PERSONALISED = 60
READS = 3000
TAPS = 100_000
WARM_UP = 2_000


def exchange_rate() -> Iterator[Result]:
    """ReadRecords in MAC mode, both ends in this process on one core."""
    card = _session(resident("month_pass"))
    start = time.process_time()
    for _ in range(READS):
        card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES)
    rate = READS / (time.process_time() - start)
    yield at_least("exchanges with the software card, MAC mode, both ends", rate, "per CPU second", 3000)


def personalising() -> Iterator[Result]:
    """From a blank card to a resident's, through the same commands an issuing point sends."""
    profile, masters, samples = load_profile("social_pack_45"), load_lab_keys(), []
    for _ in range(PERSONALISED):
        start = time.perf_counter()
        issue(profile, masters, 34, TODAY, secrets.token_bytes)
        samples.append((time.perf_counter() - start) * 1000)
    yield at_most("personalising a card in-process", statistics.median(samples), "ms", 20)


def memory() -> Iterator[Result]:
    """Authenticate, read, append, commit: a pass tap's seven exchanges, again and again on one card."""
    card = resident("month_pass")
    _taps(card, WARM_UP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _taps(card, TAPS)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield at_most(f"growth of peak memory over {TAPS} taps", grown, "MB", 1)


def _taps(card: VirtualCard, count: int) -> None:
    key = AesKey(load_lab_keys().for_card(card.uid, 34).validate)
    for _ in range(count):
        card.power_on()
        terminal = DesfireCard(DesfireChannel(card))
        terminal.select_application(AID)
        terminal.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(key, bytes(16)))
        terminal.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC)
        event = terminal.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES)
        terminal.write_record(FILE_EVENTS, 0, event, CommMode.MAC)
        terminal.commit_transaction(return_mac=True)


def _session(card: VirtualCard) -> DesfireCard:
    card.power_on()
    terminal = DesfireCard(DesfireChannel(card, max_exchanges=READS + 10, max_bytes=READS * 200))
    terminal.select_application(AID)
    key = AesKey(load_lab_keys().for_card(card.uid, 34).validate)
    terminal.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(key, bytes(16)))
    return terminal
