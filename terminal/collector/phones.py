"""What a phone itself says of its tap: two signatures, checked again with public keys alone.

The issuer signed whose phone it is and what it may do, the phone a challenge of this terminal, or moment and counter.
Neither can be made by a terminal, so a row of a phone that never came cannot be made either. The same showing under two
rows was copied, or shown twice: which row had it first is kept.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
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
from terminal.policy.rights.index import LimitEffect
from terminal.trail import TrailEntry

SHOWING_BYTES: Final = 16
MOST_ASKED: Final = 256
"""Of so many rides apart each is looked for; no terminal can make a row cost more."""
_COUNTED: Final = frozenset(effect.value for effect in LimitEffect)
_DAY_LETTERS: Final = len("2026-09-01")
WINDOW: Final = CodeWindow(timedelta(minutes=2), timedelta(minutes=2))
"""The widest that a terminal takes, with a clock in doubt."""
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS showing"
    " (id BLOB PRIMARY KEY, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
)
_KEEP: Final = "INSERT INTO showing VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FIND: Final = "SELECT terminal, sequence FROM showing WHERE id = ?"


class PhoneOfDay(NamedTuple):
    """What one person's phones of a day have in common, and what one of them has with itself: both say nothing of
    another day. `medium` is the phone's, or a resident's paper's, for good: names follow from it, and it is not kept.
    """

    person: bytes
    phone: bytes
    medium: bytes


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
    return PhoneOfDay(person, hashlib.sha256(medium + b"day" + day).digest()[:SHOWING_BYTES], medium)


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


def limit_passed(row: TapId, count: int, limit: LimitStated) -> Alarm:
    """The ride in `row` is the phone's `count`th by a limit of fewer."""
    detail = detail_of(AlarmCause.RIDES_APART, count=count, of=limit.of, since=limit.since)
    return Alarm(AlarmKind.LIMIT_PASSED, *row, detail)


class Showings(Protocol):
    """Which row had something first."""

    def first(self, name: bytes, row: TapId) -> TapId:
        """The row that had `name` before, else `row`, which has it from now on."""
        ...


class LimitStated(NamedTuple):
    """A limit that a ride was counted against: rides before it as its terminal knew, how many there are, by which
    counter and since which day.
    """

    used: int
    of: int
    counter: int
    since: str

    def ride(self, medium: bytes, number: int) -> bytes:
        """The name of this phone's ride `number` under this limit: one row has it."""
        counted = b"%s %d %d" % (self.since.encode(), self.counter, number)
        return hashlib.sha256(medium + b"limit" + counted).digest()[:SHOWING_BYTES]


def limits_stated(reasons: Iterable[TrailEntry]) -> Iterator[LimitStated]:
    """The limits with a period that a ride with this trail was counted against."""
    for step in reasons:
        match step.inputs if step.code in _COUNTED else None:
            case {"used": int(used), "of": int(of), "counter": int(counter), "since": str(since)}:
                yield LimitStated(used, of, counter, since[:_DAY_LETTERS])


def counted_apart(
    row: TapId, medium: bytes, reasons: Iterable[TrailEntry], showings: Showings
) -> Iterator[Alarm]:
    """What terminals that had not heard of each other let ride beyond a limit: each ride has a number of its own, the
    one its terminal gave it or, where another row has that, the next that is free.
    """
    for limit in limits_stated(reasons):
        number, last = limit.used + 1, limit.used + MOST_ASKED
        while showings.first(limit.ride(medium, number), row) != row and number < last:
            number += 1
        if number > limit.of:
            yield limit_passed(row, number, limit)


def phone_findings(
    row: TapId, word: PhoneWord, reasons: Iterable[TrailEntry], showings: Showings
) -> Iterator[Alarm]:
    """What of a believed showing people must look at, when `row`, decided with `reasons`, is noted with it."""
    if word.showing and (first := showings.first(word.showing, row)) != row:
        yield shown_twice(row, first)
    if word.of_day is None:
        return
    yield from counted_apart(row, word.of_day.medium, reasons, showings)
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
