"""Software cards and a terminal in memory for the benchmarks."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cardproto.connection import CardConnection
from cardproto.credential import proof
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.phone import VirtualPhone
from sim.profile import load_profile
from terminal.app.simulated import issue_residents, laboratory_issuers, laboratory_keys
from terminal.journal.journal import Journal
from terminal.journal.key_file import load_or_create_key
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.media.code import CodeTaker
from terminal.media.held import HeldEvents
from terminal.media.phone.medium import PhoneMedium
from terminal.media.port import MediumSetup
from terminal.media.resident.credential import CredentialCheck
from terminal.media.resident.medium import ResidentMedium
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyList
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.tap import Terminal
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.shifts import open_shift

TODAY = date(2026, 9, 15)
MORNING = datetime(2026, 9, 15, 4, 40, tzinfo=UTC)


class SteppedClock:
    """Wall time that moves only when told, far enough that no guard window is open."""

    def __init__(self) -> None:
        self.at = MORNING

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def next_ride(self) -> None:
        self.at += timedelta(minutes=61)


def resident(name: str) -> VirtualCard:
    card = issue(load_profile(name), load_lab_keys(), 34, TODAY, secrets.token_bytes)
    assert isinstance(card, VirtualCard)
    return card


def bus(folder: Path, clock: SteppedClock, number: int = 70001) -> Terminal:
    """A validator with an open shift; close its journal when done."""
    keys = load_file_keys(laboratory_keys(), UNLIMITED, clock=clock)
    path = folder / "journal.db"
    journal = Journal.open(path, number, key=load_or_create_key(path, keys.sealer))
    open_shift(journal, clock.now(), "bench", "bus", route=15)
    policy = Policy.of(load_region("demo"))
    setup = MediumSetup("bus", policy.document.header.region, keys, secrets.token_bytes)
    watch = ClockWatch(journal, clock, policy.document.clock.ahead_days, clock.now())
    media = (ResidentMedium(setup, CredentialCheck.never()),)
    return Terminal(number, "bus", policy, keys, journal, clock, media, watch)


def phone_bus(
    folder: Path, clock: SteppedClock, *, deny_list: DenyList = EMPTY_DENY_LIST, number: int = 70001
) -> Terminal:
    """As `bus`, for phones and their codes. Its challenge is always the same: recorded answers verify again."""
    terminal = bus(folder, clock, number)
    terminal.policy = Policy.of(load_region("demo"), deny_list=deny_list)
    region = terminal.policy.document.header.region
    setup = MediumSetup("bus", region, terminal.keys, lambda n: bytes(range(n)))
    terminal.held = HeldEvents(folder)
    issuers = laboratory_issuers(region)
    terminal.media = (PhoneMedium(setup, terminal.number, issuers, terminal.held),)
    terminal.codes = CodeTaker(setup, issuers, terminal.held)
    return terminal


def forget(terminal: Terminal) -> None:
    """Let its medium of phones remember no credential, as after a start."""
    (medium,) = terminal.media
    assert isinstance(medium, PhoneMedium)
    proof._point.cache_clear()
    medium.trust(laboratory_issuers(terminal.policy.document.header.region))


def phone(profile: str = "phone_pensioner") -> VirtualPhone:
    (made,) = issue_residents([profile], 34, TODAY)
    assert isinstance(made, VirtualPhone)
    return made


class Tape:
    """Records exchanges with a card, then answers them again without the card."""

    def __init__(self, card: CardConnection) -> None:
        self._card = card
        self.answers: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.answers.append(answer)
        return answer


class Replay:
    """Gives recorded answers in order, as fast as a list can."""

    def __init__(self, answers: list[bytes]) -> None:
        self._next = iter(answers).__next__

    def transmit(self, command: bytes) -> bytes:  # noqa: ARG002 the recorded answer fits the same command only
        return self._next()
