"""What an operator must look at: each thing once, with how often and when it was seen and who has dealt with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from terminal.fault_texts import ENGLISH, fault_text
from terminal.sync.wire import MOST_WITHDRAWN
from terminal.texts import N_, translator

SCHEMA: Final = """
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL,
    detail TEXT NOT NULL, times INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    acknowledged_at_ms INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT '',
    UNIQUE (kind, terminal, sequence, detail)
)"""

_RAISE: Final = """
INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms) VALUES (?, ?, ?, ?, 1, ?,
?) ON CONFLICT (kind, terminal, sequence, detail) DO UPDATE SET times = times + 1, last_at_ms =
excluded.last_at_ms
"""
_FIND: Final = """
INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms)
SELECT ?1, ?2, ?3, ?4, 1, ?5, ?5
WHERE ?3 = 0 OR NOT EXISTS (SELECT 1 FROM alarm WHERE kind = ?1 AND terminal = ?2 AND sequence = ?3)
ON CONFLICT (kind, terminal, sequence, detail) DO NOTHING
"""
_COLUMNS: Final = (
    "id, kind, terminal, sequence, detail, times, first_at_ms, last_at_ms,"
    " acknowledged_at_ms, acknowledged_by, comment"
)
_OPEN: Final = "acknowledged_at_ms IS NULL OR last_at_ms > acknowledged_at_ms"


_COUNT_OF_KIND: Final = (
    f"SELECT count(*) FROM (SELECT 1 FROM alarm WHERE kind = ?1 AND terminal = ?2 AND ({_OPEN})"  # noqa: S608 a constant
    " AND detail <> ?6 AND NOT (sequence = ?3 AND detail = ?4) LIMIT ?5)"
)
WITHDRAWN_DETAILS: Final = "SELECT detail FROM alarm WHERE kind = ? ORDER BY id DESC LIMIT ?"
MOST_OPEN: Final = 200
"""Open alarms of one kind that a terminal has one by one; what is beyond is counted together."""


class AlarmKind(StrEnum):
    """What an operator must look at; docs/collector.md says what to do about each."""

    OTHER_HASH = "other_hash"  # a row was sent with another content than the one held: tampering
    GAP = "gap"  # rows are missing between what is held and what was sent
    ROWS_LOST = "rows_lost"  # the terminal says that rows it had stored are gone from its disk
    CUT_TAIL = "cut_tail"  # its journal ends before a row it knows it has sent: an old or cut one
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_TERMINAL = "unknown_terminal"
    WRONG_CERTIFICATE = "wrong_certificate"  # the client certificate is not that of the terminal in the batch
    ENROLMENT_REFUSED = "enrolment_refused"  # an attempt to enrol with a wrong or spent code
    TMV_MISMATCH = "tmv_mismatch"  # the card's own proof does not fit what the terminal says it did
    PROOF_DIFFERS = "proof_differs"  # the row says otherwise than the card's own commands in it
    NO_PROOF = "no_proof"  # a card that can prove its taps is said to have answered without a proof
    UNKNOWN_CARD = "unknown_card"  # cards that the registry does not know, once a day for each terminal
    UNPROVEN_SHARE = "unproven_share"  # too many taps of a day without a proof, for a reason that may be good
    COUNTER_GAP = "counter_gap"  # a card's counter moved by more than one between an event and the next
    DROPPED_TAP = "dropped_tap"  # a card proves an event of a row that is no tap of it
    TMC_TWICE = "tmc_twice"  # one card counter under two taps: a clone or a rolled-back image
    SHOWN_TWICE = "shown_twice"  # one proof of a phone, or one of its codes, under two rows
    TWO_PHONES = "two_phones"  # two phones of one person rode on one day: one of them should be active (K-01)
    LIMIT_PASSED = "limit_passed"  # a phone rode more often than its limit allows, at terminals apart (PHONE)
    RECOMPUTED = "recomputed"  # decided again, a row does not follow from what is recorded with it
    CONTRADICTION = "contradiction"  # the terminal says "not committed", the card showed otherwise later
    DUPLICATE_ENTITLEMENT = "duplicate_entitlement"  # same pupil, meal kind and service day twice (O-08)
    CLOCK = "clock"  # the terminal's clock cannot be believed (O-05)
    READER = "reader"  # a reader is out of order (T-64)
    HOUSING = "housing"  # a terminal's housing was opened: it has wiped its journal's key and takes no taps
    BUNDLES = "bundles"  # signed bundles are refused at a terminal, or no new ones have come for too long
    UNRESOLVED_OLD = "unresolved_old"  # a tap of unknown end whose card has not come back for too long
    NO_START = "no_start"  # the terminal itself says that it cannot read its journal
    TAKEN_BACK = "taken_back"  # a terminal went back from a tariff on trial to the one before (O-12)
    WITHDRAWN = "withdrawn"  # the collector takes a tariff on trial back from a group that refuses too many
    SILENT = "silent"  # nothing heard of a terminal for too long (T-65)
    DISK = "disk"  # the collector's own disk is nearly full: uploads are put off


class AlarmCause(StrEnum):
    """What exactly was found; `CAUSES` says it in words, with what it was found by."""

    ROWS_MISSING = "rows_missing"
    ROWS_LOST = "rows_lost"
    ROWS_DAMAGED = "rows_damaged"
    ROWS_ONLY_HERE = "rows_only_here"
    JOURNAL_REPLACED = "journal_replaced"
    NUMBERS_SKIPPED = "numbers_skipped"
    ROWS_NOT_STORED = "rows_not_stored"
    HASH_DIFFERS = "hash_differs"
    GIVEN_UP = "given_up"
    ENDS_EARLY = "ends_early"
    BATCH_REFUSED = "batch_refused"
    NOT_ENROLLED = "not_enrolled"
    REVOKED = "revoked"
    KEY_UNUSABLE = "key_unusable"
    MANY_MORE = "many_more"
    OTHER_CERTIFICATE = "other_certificate"
    CODE_REFUSED = "code_refused"
    PROOF_FAILED = "proof_failed"
    PROOF_MISSING = "proof_missing"
    ROW_DIFFERS = "row_differs"
    NO_EVENT = "no_event"
    CREDITED = "credited"
    DEBIT_DIFFERS = "debit_differs"
    AMOUNT_DIFFERS = "amount_differs"
    BALANCE_DIFFERS = "balance_differs"
    BEFORE_DIFFERS = "before_differs"
    EVENT_DIFFERS = "event_differs"
    NOTHING_FOUND = "nothing_found"
    FOUND_DIFFERS = "found_differs"
    FOREIGN_COMMAND = "foreign_command"
    CARDS_NOT_REGISTERED = "cards_not_registered"
    EV1_SHARE = "ev1_share"
    REPLACED_SHARE = "replaced_share"
    COUNTER_SKIPPED = "counter_skipped"
    NOT_IN_JOURNAL = "not_in_journal"
    COUNTER_TWICE = "counter_twice"
    PHONE_PROOF = "phone_proof"
    SHOWN_BEFORE = "shown_before"
    OTHER_PHONE = "other_phone"
    RIDES_APART = "rides_apart"
    ISSUERS_NOT_KNOWN = "issuers_not_known"
    DECIDED_OTHERWISE = "decided_otherwise"
    DOCUMENT_BACK = "document_back"
    DOCUMENT_OTHER = "document_other"
    TERMINAL_DIFFERS = "terminal_differs"
    NOT_STATED = "not_stated"
    FOUND_LATER = "found_later"
    MEAL_TWICE = "meal_twice"
    WENT_BACK = "went_back"
    DOUBTED = "doubted"
    DATED_AHEAD = "dated_ahead"
    DATED_LONG_AGO = "dated_long_ago"
    CLOCK_AHEAD = "clock_ahead"
    CLOCK_BEHIND = "clock_behind"
    CARDS_AHEAD = "cards_ahead"
    CLOCK_FAULT = "clock_fault"
    READER_FAULT = "reader_fault"
    HOUSING_FAULT = "housing_fault"
    BUNDLE_FAULT = "bundle_fault"
    NOT_COME_BACK = "not_come_back"
    CANNOT_START = "cannot_start"
    SET_RETURNED = "set_returned"
    GROUP_REFUSED = "group_refused"
    NOT_HEARD = "not_heard"
    DISK_NEARLY_FULL = "disk_nearly_full"


CAUSES: Final[Mapping[AlarmCause, str]] = MappingProxyType(
    {
        AlarmCause.ROWS_MISSING: N_("rows {first} to {last} are missing"),
        AlarmCause.ROWS_LOST: N_(
            "rows {first} to {last} were lost with the old hardware, or never written:"
            " restored from a backup up to row {backup}"
        ),
        AlarmCause.ROWS_DAMAGED: N_(
            "rows {first} to {last} were stored at the terminal and are lost there ({why}); none of them arrived"
        ),
        AlarmCause.ROWS_ONLY_HERE: N_(
            "rows {first} to {last} are lost at the terminal ({why}); they had arrived here before"
        ),
        AlarmCause.JOURNAL_REPLACED: N_(
            "its journal could not be read and was put aside; every row it is known to have had is here"
        ),
        AlarmCause.NUMBERS_SKIPPED: N_(
            "numbers passed over after an end that was not in order ({why}); no lost row is known"
        ),
        AlarmCause.ROWS_NOT_STORED: N_("rows before {first} were confirmed and are not in the database"),
        AlarmCause.HASH_DIFFERS: N_("row {row} has hash {stated}, held {held}"),
        AlarmCause.GIVEN_UP: N_(
            "row {row} comes from hardware that was given up: its terminal was restored elsewhere"
        ),
        AlarmCause.ENDS_EARLY: N_("its journal ends at row {last}, but it has sent row {sent}"),
        AlarmCause.BATCH_REFUSED: N_("batch refused"),
        AlarmCause.NOT_ENROLLED: N_("is not enrolled"),
        AlarmCause.REVOKED: N_("is revoked"),
        AlarmCause.KEY_UNUSABLE: N_("its key file cannot be used"),
        AlarmCause.MANY_MORE: N_("many more"),
        AlarmCause.OTHER_CERTIFICATE: N_("the certificate is that of terminal {owner}, 0 for none"),
        AlarmCause.CODE_REFUSED: N_("with a wrong or spent code, or another terminal's certificate"),
        AlarmCause.PROOF_FAILED: N_("card counter {counter}"),
        AlarmCause.PROOF_MISSING: N_("the card can prove its taps, and no proof is stated"),
        AlarmCause.ROW_DIFFERS: N_(
            "the card's event is that of row {row} of terminal {terminal} (other differences: {more})"
        ),
        AlarmCause.NO_EVENT: N_("the card's commands append no event (other differences: {more})"),
        AlarmCause.CREDITED: N_("the card's purse was credited {card} (other differences: {more})"),
        AlarmCause.DEBIT_DIFFERS: N_(
            "{card} debited from the card, {stated} stated (other differences: {more})"
        ),
        AlarmCause.AMOUNT_DIFFERS: N_(
            "the card's event says {card}, {stated} stated (other differences: {more})"
        ),
        AlarmCause.BALANCE_DIFFERS: N_(
            "balance {card} by the card, {stated} stated (other differences: {more})"
        ),
        AlarmCause.BEFORE_DIFFERS: N_(
            "balance {card} found on the card, {stated} stated (other differences: {more})"
        ),
        AlarmCause.EVENT_DIFFERS: N_(
            "another event was written than the one stated (other differences: {more})"
        ),
        AlarmCause.NOTHING_FOUND: N_("no event was read from the card (other differences: {more})"),
        AlarmCause.FOUND_DIFFERS: N_(
            "the event found on the card is that of row {row} of terminal {terminal} (other differences: {more})"
        ),
        AlarmCause.FOREIGN_COMMAND: N_("card command {code}, which no tap sends (other differences: {more})"),
        AlarmCause.CARDS_NOT_REGISTERED: N_("taps of cards that the registry does not know, {day}"),
        AlarmCause.EV1_SHARE: N_("too many taps of cards without a proof, {day}"),
        AlarmCause.REPLACED_SHARE: N_("too many taps whose proof was replaced, {day}"),
        AlarmCause.COUNTER_SKIPPED: N_(
            "card counter {counter}, and {before} in row {row} of terminal {terminal} just before"
        ),
        AlarmCause.NOT_IN_JOURNAL: N_("its event was found on a card by row {row} of terminal {terminal}"),
        AlarmCause.COUNTER_TWICE: N_("card counter {counter} also in row {row} of terminal {terminal}"),
        AlarmCause.PHONE_PROOF: N_("a phone's proof is not believed ({why})"),
        AlarmCause.SHOWN_BEFORE: N_("a phone's proof or code also in row {row} of terminal {terminal}"),
        AlarmCause.OTHER_PHONE: N_(
            "another phone of this person rode that day, in row {row} of terminal {terminal}"
        ),
        AlarmCause.RIDES_APART: N_(
            "ride {count} of {of} since {since}: terminals that had not heard of each other counted apart"
        ),
        AlarmCause.ISSUERS_NOT_KNOWN: N_("taps of phones whose issuer is not known, {day}"),
        AlarmCause.DECIDED_OTHERWISE: N_(
            "decided again it differs in {what}: recorded {recorded}, recomputed {recomputed}"
        ),
        AlarmCause.DOCUMENT_BACK: N_("decides by {edition} after {before}: an older document came back"),
        AlarmCause.DOCUMENT_OTHER: N_("decides by {edition} after {before}: the document of another tariff"),
        AlarmCause.TERMINAL_DIFFERS: N_("says itself that {count} of its rows differ, the first is {row}"),
        AlarmCause.NOT_STATED: N_("has not decided its own rows again since {since}"),
        AlarmCause.FOUND_LATER: N_("stated not committed, found on the card later"),
        AlarmCause.MEAL_TWICE: N_("{meal} of {day} also in row {row} of terminal {terminal}"),
        AlarmCause.WENT_BACK: N_("went back, {day}"),
        AlarmCause.DOUBTED: N_("is doubted by the terminal itself, {day}"),
        AlarmCause.DATED_AHEAD: N_("dates records after their receipt, {day}"),
        AlarmCause.DATED_LONG_AGO: N_("dates records long before their receipt, {day}"),
        AlarmCause.CLOCK_AHEAD: N_("is ahead of the collector's, {day}"),
        AlarmCause.CLOCK_BEHIND: N_("is behind the collector's, {day}"),
        AlarmCause.CARDS_AHEAD: N_("has put cards into a later period, {day}"),
        AlarmCause.CLOCK_FAULT: "{fault}",
        AlarmCause.READER_FAULT: "{fault}",
        AlarmCause.HOUSING_FAULT: "{fault}",
        AlarmCause.BUNDLE_FAULT: "{fault}",
        AlarmCause.NOT_COME_BACK: N_("its card has not come back"),
        AlarmCause.CANNOT_START: N_("{fault}, {day}"),
        AlarmCause.SET_RETURNED: N_(
            "went back from {edition} to version {back_to} ({why}): {refused} of {taps} taps refused, "
            "{refused_before} of {taps_before} before"
        ),
        AlarmCause.GROUP_REFUSED: N_(
            "{edition} is taken back from {terminals} terminals that had it on trial: together {refused} of {taps} "
            "taps refused, {refused_before} of {taps_before} before"
        ),
        AlarmCause.NOT_HEARD: N_("nothing heard since {since}"),
        AlarmCause.DISK_NEARLY_FULL: N_("nearly full, {day}"),
    }
)
"""The one place of their words, as the catalogues know them."""


def detail_of(cause: AlarmCause, **inputs: int | str) -> str:
    """A cause with its inputs as alarms hold and compare it: `rows_missing first=5 last=9`. No input has a space."""
    return " ".join([cause.value, *(f"{name}={value}" for name, value in inputs.items())])


def detail_words(detail: str, language: str = ENGLISH) -> str:
    """The words of what `detail_of` made; anything else, of other software, stands for itself."""
    cause, *stated = detail.split(" ")
    inputs = dict(one.partition("=")[::2] for one in stated)
    if "fault" in inputs:
        inputs["fault"] = fault_text(inputs["fault"], dict(inputs), language)
    try:
        return translator(language).gettext(CAUSES[AlarmCause(cause)]).format_map(inputs)
    except (KeyError, ValueError):
        return detail


class Alarm(NamedTuple):
    """`sequence` is 0 when the alarm is about no single row, `terminal` 0 when about none; `detail` as `detail_of`."""

    kind: AlarmKind
    terminal: int
    sequence: int
    detail: str

    def says(self, language: str = ENGLISH) -> str:
        """The detail in words."""
        return detail_words(self.detail, language)


class SeenAlarm(NamedTuple):
    """An alarm with how often and when it was seen, and who has dealt with it."""

    id: int
    kind: str
    terminal: int
    sequence: int
    detail: str
    times: int
    first_at_ms: int
    last_at_ms: int
    acknowledged_at_ms: int | None
    acknowledged_by: str
    comment: str

    def says(self, language: str = ENGLISH) -> str:
        """The detail in words."""
        return detail_words(self.detail, language)

    @property
    def open(self) -> bool:
        """It was not acknowledged, or it was seen again since."""
        return self.acknowledged_at_ms is None or self.last_at_ms > self.acknowledged_at_ms


def raise_alarm(connection: sqlite3.Connection, alarm: Alarm, at_ms: int) -> None:
    """Keep `alarm`, or count it once more."""
    _raise(connection, _bounded(connection, alarm), at_ms)


def keep_findings(connection: sqlite3.Connection, alarms: list[Alarm], at_ms: int) -> None:
    """Keep what books computed anew may find again: an alarm of that kind about that row is kept once for ever."""
    for alarm in alarms:
        bounded = _bounded(connection, alarm)
        if bounded is alarm:
            connection.execute(_FIND, (*alarm, at_ms))
        else:
            _raise(connection, bounded, at_ms)


def _raise(connection: sqlite3.Connection, alarm: Alarm, at_ms: int) -> None:
    connection.execute(_RAISE, (*alarm, at_ms, at_ms))


def _bounded(connection: sqlite3.Connection, alarm: Alarm) -> Alarm:
    """`alarm`, or what stands for it where its terminal has `MOST_OPEN` of its kind: who signs with a stolen key can
    make as many as he likes, and must not push out those of other terminals.
    """
    if alarm.terminal == 0:
        return alarm
    row = (alarm.kind, alarm.terminal)
    (others,) = connection.execute(
        _COUNT_OF_KIND, (*row, alarm.sequence, alarm.detail, MOST_OPEN, AlarmCause.MANY_MORE)
    ).fetchone()
    if others < MOST_OPEN:
        return alarm
    return Alarm(alarm.kind, alarm.terminal, 0, AlarmCause.MANY_MORE)


def newest(
    connection: sqlite3.Connection, limit: int, kinds: Collection[AlarmKind] | None, *, only_open: bool
) -> list[SeenAlarm]:
    """The newest `limit` alarms of these kinds, oldest first; None: of every kind."""
    wanted = [f"({_OPEN})"] if only_open else []
    if kinds is not None:
        wanted.append(f"kind IN ({','.join('?' * len(kinds))})")
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    query = f"SELECT {_COLUMNS} FROM alarm {where} ORDER BY last_at_ms DESC, id DESC LIMIT ?"  # noqa: S608 constants
    return [SeenAlarm(*row) for row in connection.execute(query, (*(kinds or ()), limit))][::-1]


def about(connection: sqlite3.Connection, terminal: int, sequence: int) -> list[SeenAlarm]:
    """The alarms about one row, oldest first."""
    query = f"SELECT {_COLUMNS} FROM alarm WHERE terminal = ? AND sequence = ? ORDER BY id"  # noqa: S608 constants
    return [SeenAlarm(*row) for row in connection.execute(query, (terminal, sequence))]


def withdrawn(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The newest editions that were taken back from groups, also where the alarm has been acknowledged."""
    details = connection.execute(WITHDRAWN_DETAILS, (AlarmKind.WITHDRAWN, MOST_WITHDRAWN)).fetchall()
    return editions_in(detail for (detail,) in details)


def editions_in(details: Iterable[str]) -> tuple[str, ...]:
    """The editions that details of such alarms name."""
    words = (word for detail in details for word in detail.split(" ") if word.startswith("edition="))
    return tuple(dict.fromkeys(word.removeprefix("edition=") for word in words))


def count_open(connection: sqlite3.Connection) -> int:
    """How many alarms are open."""
    (count,) = connection.execute(f"SELECT count(*) FROM alarm WHERE {_OPEN}").fetchone()  # noqa: S608 a constant
    return int(count)


def alarm_of(connection: sqlite3.Connection, number: int) -> SeenAlarm | None:
    """Alarm `number`, open or not."""
    found = connection.execute("SELECT * FROM alarm WHERE id = ?", (number,)).fetchone()
    return SeenAlarm(*found) if found else None


def acknowledge(connection: sqlite3.Connection, number: int, by: str, comment: str, at_ms: int) -> bool:
    """Note who has dealt with alarm `number`; whether there is such an alarm. It stays in the history."""
    if connection.execute("SELECT 1 FROM alarm WHERE id = ?", (number,)).fetchone() is None:
        return False
    connection.execute(
        # Never before it was last seen, or a clock set back would leave it open for ever.
        "UPDATE alarm SET acknowledged_at_ms = max(?, last_at_ms), acknowledged_by = ?, comment = ? WHERE id = ?",
        (at_ms, by, comment, number),
    )
    return True
