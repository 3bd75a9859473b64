"""One tap as the office sees it when a rider asks: found by its support code or row, with what came of it, why it was
decided so, and what looked wrong about it. Neither card nor person is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from terminal.collector.alarms import SeenAlarm
from terminal.collector.store import CollectorStore
from terminal.collector.watch import local_time
from terminal.errors import CollectorError, TerminalError
from terminal.journal.records import AnyRecord, CashSale, UnreadableRecord, parse_record
from terminal.journal.taps import JournalTap, taps
from terminal.messages import text
from terminal.money import money
from terminal.support_code import row_of_code, support_code
from terminal.texts import N_, translator
from terminal.trail_steps import step_line

ROWS_AFTER: Final = 2_000
"""In which the word on an intent is looked for: half a day of a busy bus."""
_ROW: Final = re.compile(r"([0-9]{1,7}):([0-9]{1,9})", re.ASCII)
MISREAD: Final = N_(
    "This is no support code, or it was misread. Have it read out again: twelve letters and digits."
)
NOT_COME: Final = N_("This tap has not come to the collector. See when the terminal last sent.")
ENDS: Final = {
    "committed": N_("on the card"),
    "not_committed": N_("not on the card, nothing taken"),
    "unresolved": N_("not known yet whether it is on the card"),
    "nothing_written": N_("nothing written, nothing taken"),
    "sold": N_("sold for cash"),
    "cancelled": N_("sold for cash and cancelled, the money given back"),
}
"""How a tap ended, for people; translated where it is shown."""


class FoundRide(Struct, frozen=True):
    """A tap or sale that the collector has. Its end is unknown while no word on it is among the rows that followed."""

    tap: JournalTap
    alarms: tuple[SeenAlarm, ...]

    @property
    def code(self) -> str:
        """What the rider reads out."""
        return support_code(self.tap.terminal, self.tap.sequence)

    def says(self, language: str, zone: ZoneInfo) -> Iterator[str]:
        """For people, line by line, with its time as clocks in `zone` show it."""
        record, _ = self.tap.record, translator(language).gettext
        where = _("terminal {terminal}, row {row}, route {route}").format(
            terminal=self.tap.terminal, row=self.tap.sequence, route=record.route
        )
        yield f"{local_time(record.at_ms, language, zone)}  {where}"
        taken = (
            f", {money(self.tap.charge_minor, record.currency, language)}" if self.tap.charge_minor else ""
        )
        yield f"{_message(record, language)}: {_(ENDS[self.tap.end])}{taken}"
        for step in record.reasons:
            yield step_line(step, record.currency, language)
        for alarm in self.alarms:
            yield f"{alarm.kind}: {alarm.says(language)}"

    def as_json(self, language: str, zone: ZoneInfo) -> dict[str, Any]:
        """For programs."""
        record = self.tap.record
        return {
            "support_code": self.code,
            "terminal": self.tap.terminal,
            "sequence": self.tap.sequence,
            "at_ms": record.at_ms,
            "profile": self.tap.profile,
            "route": record.route,
            "message": "" if isinstance(record, CashSale) else str(record.message),
            "end": self.tap.end.value,
            "charge_minor": self.tap.charge_minor,
            "currency": record.currency,
            "reasons": [step.code for step in record.reasons],
            "alarms": [alarm.kind for alarm in self.alarms],
            "says": list(self.says(language, zone)),
        }


class NoSuchCode(CollectorError):
    """What was given is no support code and no row."""


def row_named(written: str) -> tuple[int, int]:
    """Terminal and row of a support code, or of TERMINAL:ROW. Raises `NoSuchCode` for what is neither."""
    row = _ROW.fullmatch(written.strip())
    found = (int(row[1]), int(row[2])) if row else row_of_code(written)
    if found is None:
        raise NoSuchCode(
            "this is no support code, or it was misread",
            "Have it read out again: twelve letters and digits. A row is named as TERMINAL:ROW.",
        )
    return found


def find_ride(store: CollectorStore, row: tuple[int, int]) -> FoundRide | None:
    """The tap or sale in `row`; None where none has come. Raises `CollectorError`."""
    terminal, sequence = row
    rows = store.rows_from(terminal, sequence, ROWS_AFTER)
    for tap in taps(terminal, _readable(rows)):
        if tap.sequence == sequence:
            return FoundRide(tap, tuple(store.alarms_about(terminal, sequence)))
    return None


def _readable(rows: list[tuple[int, bytes]]) -> Iterator[tuple[int, AnyRecord]]:
    for sequence, body in rows:
        try:
            yield sequence, parse_record(body)
        except UnreadableRecord:
            continue


def _message(record: Any, language: str) -> str:
    """What the rider was shown; the code of a message whose values are not on record."""
    if isinstance(record, CashSale):
        return translator(language).gettext(N_("Cash sale"))
    try:
        return text(record.message, language, getattr(record, "values", {}))
    except TerminalError:
        return str(record.message)
