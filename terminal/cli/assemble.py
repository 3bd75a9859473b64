"""The composition root: a terminal, its journal and a reader, put together from options."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from terminal.clock import Clock
from terminal.decision.outcome import Outcome
from terminal.errors import JournalError
from terminal.journal.journal import Journal
from terminal.journal.records import Started
from terminal.keys.file import FileKeys, load_file_keys
from terminal.keys.issuers import load_issuers
from terminal.policy.deny_list import DenyListFile
from terminal.policy.document import load_region, require_in_force
from terminal.policy.policy import Policy
from terminal.session.credential import CredentialCheck, VerifyCredential
from terminal.tap import Terminal

JOURNAL_FILE: Final = "journal.db"
CANTEEN: Final = "canteen"
SOFTWARE: Final = "resident-card-terminal 0.1.0"


@dataclass(frozen=True, slots=True)
class Station:
    """Where one terminal lives and what it works with."""

    number: int
    profile: str
    state: Path
    region: str
    keys: Path | None = None
    deny_list: Path | None = None
    serving: str = ""
    """In a canteen: the meal taps are for, or by_shift; empty for the meal of the hour."""

    def load_keys(self) -> FileKeys:
        return load_file_keys(self.keys or laboratory_keys())

    def load_policy(self, keys: FileKeys, now: datetime) -> Policy:
        """The region document, valid now, and the deny list; raises `RegionDocumentError`."""
        document = load_region(self.region)
        require_in_force(document, now)
        if self.deny_list is None:
            return Policy.of(document)
        return Policy.of(document, DenyListFile(self.deny_list, keys.list_key("deny")))


def laboratory_keys() -> Path:
    """The simulator's own key file: what software cards are personalised with unless told otherwise."""
    from sim.profile import LAB_KEYS

    return LAB_KEYS


def credential_check(verify: VerifyCredential, issuers: Path | None, policy: Policy) -> CredentialCheck:
    """When signed grants are verified and whom they must come from; raises `KeyFileError`."""
    if verify is VerifyCredential.NEVER:
        return CredentialCheck.never()
    if issuers is not None:
        return CredentialCheck(verify, load_issuers(issuers))
    from sim.lab_issuer import lab_issuers

    return CredentialCheck(verify, lab_issuers(policy.document.header.region))


@contextmanager
def open_journal(state: Path, number: int) -> Iterator[Journal]:
    """The journal of a terminal that is not running; closed at the end whatever happens."""
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"cannot create {state} ({error.strerror})", "Give --state a folder you may write."
        ) from error
    journal = Journal.open(state / JOURNAL_FILE, number)
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def open_terminal(
    station: Station, clock: Clock, signal: Callable[[Outcome], None] = lambda _outcome: None
) -> Iterator[Terminal]:
    """A terminal ready for its first tap. Policy and keys are checked before the journal is touched."""
    keys = station.load_keys()
    policy = station.load_policy(keys, clock.now())
    with open_journal(station.state, station.number) as journal:
        journal.append(Started(at_ms=int(clock.now().timestamp() * 1000), software=SOFTWARE))
        canteen = None
        if station.profile == CANTEEN:
            from terminal.cli.canteen_desk import desk_over

            canteen = desk_over(station, policy, keys, journal)
        yield Terminal(
            number=station.number,
            profile=station.profile,
            policy=policy,
            keys=keys,
            journal=journal,
            clock=clock,
            random=secrets.token_bytes,
            signal=signal,
            canteen=canteen,
        )
