"""What a phone itself says of its tap: two signatures, checked again with public keys alone.

The issuer signed whose phone it is and what it may do, the phone a challenge of this terminal, or moment and counter.
Neither can be made by a terminal, so a row of a phone that never came cannot be made either. The same showing under two
rows was copied, or shown twice: which row had it first is kept.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from cardproto.credential.code import CodeWindow, ShownCode, verify_shown
from cardproto.credential.grant import (
    Credential,
    CredentialDefect,
    HolderKey,
    RejectedCredential,
    verify_credential,
)
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.proof import (
    CHALLENGE_BYTES,
    TERMINAL_BYTES,
    ProofDefect,
    challenge_text,
    verify_proof,
)
from terminal.clock import from_unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.decision.phone_record import PhoneRecord
from terminal.journal.taps import TapId

SHOWING_BYTES: Final = 16
WINDOW: Final = CodeWindow(timedelta(minutes=2), timedelta(minutes=2))
"""The widest that a terminal takes, with a clock in doubt."""
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS showing"
    " (id BLOB PRIMARY KEY, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
)
_KEEP: Final = "INSERT INTO showing VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FIND: Final = "SELECT terminal, sequence FROM showing WHERE id = ?"


class PhoneOfDay(NamedTuple):
    """What one person's phones of a day have in common, and what one of them has with itself. Both say nothing of
    another day.
    """

    person: bytes
    phone: bytes


class PhoneWord(NamedTuple):
    """`showing` names what was shown, the same for any copy of it; empty where it is not believed. `unknown`: no issuer
    of that key is known. `why`: the code of what is wrong otherwise, empty for nothing. `of_day`: whose phone it was.
    """

    showing: bytes = b""
    of_day: PhoneOfDay | None = None
    unknown: bool = False
    why: str = ""


def word_of(row: TapId, at_ms: int, record: PhoneRecord, issuers: IssuerKeys) -> PhoneWord:
    """What the phone in `row` says. Never raises for anything a row holds."""
    try:
        at = from_unix_ms(at_ms)
    except OverflowError:
        return PhoneWord(why=ProofDefect.MALFORMED.value)
    if record.on_paper:
        return _of_paper(row, at, record, issuers)
    return _of_code(at, record, issuers) if record.by_code else _of_near(row[0], at, record, issuers)


def _of_near(terminal: int, at: datetime, record: PhoneRecord, issuers: IssuerKeys) -> PhoneWord:
    credential = verify_credential(record.credential, issuers, at)
    if isinstance(credential, RejectedCredential):
        return _rejected(credential)
    if len(record.challenge) != CHALLENGE_BYTES:
        return PhoneWord(why=ProofDefect.MALFORMED.value)
    text = challenge_text(record.challenge, terminal.to_bytes(TERMINAL_BYTES, "big"), record.credential)
    rejected = verify_proof(record.proof, text, credential)
    return _shown(at, credential, text) if rejected is None else PhoneWord(why=rejected.reason.value)


def _of_code(at: datetime, record: PhoneRecord, issuers: IssuerKeys) -> PhoneWord:
    match verify_shown(record.answer, issuers, at, WINDOW):
        case ShownCode(credential, _, int(counter)):
            return _shown(at, credential, counter.to_bytes(8, "big"))
        case RejectedCredential() as rejected:
            return _rejected(rejected)
        case refused:
            why = ProofDefect.MALFORMED if isinstance(refused, ShownCode) else refused.reason
            return PhoneWord(why=why.value)


def _of_paper(row: TapId, at: datetime, record: PhoneRecord, issuers: IssuerKeys) -> PhoneWord:
    """Paper is shown as often as its holder rides; that staff saw whose it is, is their terminal's word."""
    credential = verify_credential(record.credential, issuers, at)
    if isinstance(credential, RejectedCredential):
        return _rejected(credential)
    if credential.holder is not None:
        return PhoneWord(why=ProofDefect.MALFORMED.value)
    showing = hashlib.sha256(b"paper" + credential.id + b"%d %d" % row).digest()[:SHOWING_BYTES]
    return PhoneWord(showing, _of_day(at, credential, b"paper" + credential.pseudonym))


def _rejected(rejected: RejectedCredential) -> PhoneWord:
    if rejected.reason is CredentialDefect.UNKNOWN_ISSUER:
        return PhoneWord(unknown=True)
    return PhoneWord(why=rejected.reason.value)


def _shown(at: datetime, credential: Credential, what: bytes) -> PhoneWord:
    assert isinstance(credential.holder, HolderKey), "its proof was verified with it"
    return PhoneWord(_named(credential, what), _of_day(at, credential, credential.holder.x))


def _of_day(at: datetime, credential: Credential, medium: bytes) -> PhoneOfDay:
    day = at.date().isoformat().encode()
    person = hashlib.sha256(b"person" + day + credential.pseudonym).digest()[:SHOWING_BYTES]
    return PhoneOfDay(person, hashlib.sha256(medium + b"day" + day).digest()[:SHOWING_BYTES])


def _named(credential: Credential, what: bytes) -> bytes:
    """Of one phone, whatever credential it has by then."""
    assert isinstance(credential.holder, HolderKey), "its proof was verified with it"
    return hashlib.sha256(credential.holder.x + what).digest()[:SHOWING_BYTES]


def shown_twice(row: TapId, first: TapId) -> Alarm:
    """What was shown in `row` had been shown in row `first`."""
    return Alarm(
        AlarmKind.SHOWN_TWICE, *row, detail_of(AlarmCause.SHOWN_BEFORE, row=first[1], terminal=first[0])
    )


def two_phones(row: TapId, first: TapId) -> Alarm:
    """The phone in `row` is not the one with which its person began the day, in row `first`."""
    return Alarm(
        AlarmKind.TWO_PHONES, *row, detail_of(AlarmCause.OTHER_PHONE, row=first[1], terminal=first[0])
    )


class Showings(Protocol):
    """Which row had something first."""

    def first(self, name: bytes, row: TapId) -> TapId:
        """The row that had `name` before, else `row`, which has it from now on."""
        ...


def phone_findings(row: TapId, word: PhoneWord, showings: Showings) -> Iterator[Alarm]:
    """What of a believed showing people must look at, when `row` is noted with it."""
    if word.showing and (first := showings.first(word.showing, row)) != row:
        yield shown_twice(row, first)
    if word.of_day is None:
        return
    began = showings.first(word.of_day.person, row)
    if showings.first(word.of_day.phone, row) == row and began != row:  # once a day for each further phone
        yield two_phones(row, began)


class KeptShowings:
    """In the books."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def first(self, name: bytes, row: TapId) -> TapId:
        self._connection.execute(_KEEP, (name, *row))
        terminal, sequence = self._connection.execute(_FIND, (name,)).fetchone()
        return terminal, sequence


class CountedShowings:
    """In one pass over all records."""

    def __init__(self) -> None:
        self._rows: dict[bytes, TapId] = {}

    def first(self, name: bytes, row: TapId) -> TapId:
        return self._rows.setdefault(name, row)
