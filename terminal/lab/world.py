"""The world of every laboratory run: a region with its keys, terminals composed as in service, residents' cards, and
what the issuing point gives the collector. Demo, desk and stress runs add what is their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cardproto.resident.keyset import MasterKeys
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS
from cardproto.resident.records.rights import parse_rights
from sim.card.files import CardFile, DataFile, RecordFile, ValueFile
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.compose import ANY_DAY, open_terminal
from terminal.app.simulated import laboratory_keys
from terminal.app.station import JournalFactory, Station
from terminal.clock import Clock
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.decision.outcome import Outcome
from terminal.journal.journal import Journal
from terminal.keys.file import FileKeys, load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import card_token
from terminal.media.port import PURPOSE
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.policy.policy import Policy
from terminal.tap import Terminal

DENIED_PROFILE: Final = "deny_listed"
REGISTRY_FILE: Final = "card-registry.json"
DENY_LIST_FILE: Final = "deny-list"


NEVER_OLD: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""When its lists are issued: on whatever day they are used, they are not old."""
DEMO_REGION_NUMBER: Final = 34


@dataclass(frozen=True, slots=True)
class World:
    """Built by `open_world`. `region` is the name or file terminals load; `random` feeds terminals and cards."""

    folder: Path
    region: str
    policy: Policy
    random: Callable[[int], bytes]
    keys: FileKeys
    masters: MasterKeys
    deny_list: Path

    def station(self, number: int, profile: str, state: Path | None = None) -> Station:
        """Where a terminal of this world lives: in a folder of its number by default."""
        where = self.folder / str(number) if state is None else state
        return Station(number, profile, where, self.region, deny_list=self.deny_list)

    def open_terminal(
        self,
        station: Station,
        clock: Clock,
        signal: Callable[[Outcome], None] = lambda _outcome: None,
        journal: JournalFactory = Journal.open,
        *,
        any_edition: bool = False,
    ) -> AbstractContextManager[Terminal]:
        """The terminal of `station`, composed as in service; `any_edition` for documents that are edited here."""
        return open_terminal(
            station,
            clock,
            signal,
            random=self.random,
            limits=UNLIMITED,
            journal=journal,
            made_at=ANY_DAY,
            any_edition=any_edition,
        )

    def registered(self, cards: Iterable[SimCard]) -> list[RegisteredCard]:
        """Each resident's card, once for each purpose."""
        region = self.policy.document.header.region
        found: list[RegisteredCard] = []
        for card in cards:
            if pseudonym_on(card) is not None:
                key = self.masters.for_card(card.uid, region).transaction_mac
                found += [
                    RegisteredCard(card_token(self.keys, purpose, card.uid), card.uid, key, proves(card))
                    for purpose in PURPOSE.values()
                ]
        return found

    def write_registry(self, cards: Sequence[SimCard]) -> Path:
        """What an issuing point hands the collector, as a file."""
        path = self.folder / REGISTRY_FILE
        write_registry(path, self.registered(cards))
        return path


def open_world(
    folder: Path,
    region: str,
    policy: Policy,
    random: Callable[[int], bytes],
    issued_at: datetime = NEVER_OLD,
) -> World:
    """The world of `policy`, with its deny list written, of that time of issue."""
    keys = load_file_keys(laboratory_keys(), UNLIMITED)
    deny_list = laboratory_deny_list(folder / DENY_LIST_FILE, keys, policy.document.header.region, issued_at)
    return World(folder, region, policy, random, keys, load_lab_keys(), deny_list)


def laboratory_deny_list(
    path: Path, keys: FileKeys, region: int = DEMO_REGION_NUMBER, issued_at: datetime = NEVER_OLD
) -> Path:
    """Write the laboratory's deny list, on which one of the simulated residents stands."""
    pseudonym = load_profile(DENIED_PROFILE).card.pseudonym
    assert pseudonym is not None, "the denied resident has a fixed pseudonym"
    denied = [(DenyKind.PERSON, bytes.fromhex(pseudonym))]
    build_deny_list(path, keys.list_key("deny"), ListIssue(1, region, issued_at), denied)
    return path


def proves(card: SimCard) -> bool:
    """Whether the card gives a transaction MAC: every generation but EV1 does."""
    return not (isinstance(card, VirtualCard) and card.generation == "EV1")


def pseudonym_on(card: SimCard) -> bytes | None:
    """What the issuing point wrote as the holder's pseudonym; None on a card without our rights file."""
    rights = rights_on(card) if isinstance(card, VirtualCard) else b""
    return parse_rights(rights).pseudonym if any(rights) else None


def rights_on(card: VirtualCard) -> bytes:
    """The committed content of the rights file; empty on a card that has none."""
    file = _file_on(card, FILE_RIGHTS)
    return file.content if isinstance(file, DataFile) else b""


def events_on(card: VirtualCard) -> tuple[bytes, ...]:
    """The committed event records, the newest first; empty on a card that has none."""
    file = _file_on(card, FILE_EVENTS)
    return file.records if isinstance(file, RecordFile) else ()


def purse_minor(card: VirtualCard) -> int:
    """The committed content of the purse file; 0 on a card that has none."""
    file = _file_on(card, FILE_PURSE)
    return file.value if isinstance(file, ValueFile) else 0


def _file_on(card: VirtualCard, number: int) -> CardFile | None:
    application = card.memory.applications.get(AID[::-1])
    return None if application is None else application.files.get(number)
