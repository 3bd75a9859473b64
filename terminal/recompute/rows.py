"""One row decided again: from the record, the document that was in force, and the lists it names, to a verdict.

The terminal, the collector and an auditor ask the same function, `verdict_of`; only where rows and documents come from
differs. A verdict says what was found of the decision; what the card's own proof says of the row is another matter
(`terminal.collector.evidence`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from cardproto.desfire.commands import INS_READ_DATA_NATIVE
from terminal.clock import from_unix_ms
from terminal.codes import Admission
from terminal.decision.outcome import GRANTS
from terminal.decision.recompute import (
    CannotRecompute,
    Deviation,
    RecomputeGap,
    RecordedCash,
    RecordedPortion,
    RecordedTap,
    read_of,
    recompute,
    recompute_cash,
    recompute_portion,
)
from terminal.journal.canteen_records import MealLine, MealServed, ServedBy
from terminal.journal.records import CashSale, Intent, Unwritten
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from terminal.trip.pupil import Pupil

Decided: TypeAlias = Intent | Unwritten | CashSale | MealServed
"""The rows that a decision stands behind."""


class VerdictKind(StrEnum):
    """What was found of a decision."""

    RECOMPUTED = "recomputed"
    """Made again, it came to the same bytes, charge, answer and trail."""
    DIFFERING = "differing"
    UNPROVEN = "unproven"
    """It could not be made again; the reason is a `RecomputeGap`."""


class Verdict(Struct, frozen=True):
    """The verdict on one row. `reason` is set for an unproven one, `deviations` for a differing one.

    `needs` names the file whose arrival may change an unproven verdict: a SHA-256 in hexadecimal, or the beginning of
    one; empty where no file would. `says` is for people: the gap in words.
    """

    kind: VerdictKind
    reason: RecomputeGap | None = None
    deviations: tuple[Deviation, ...] = ()
    needs: str = ""
    says: str = ""


RECOMPUTED: Final = Verdict(VerdictKind.RECOMPUTED)


def unproven(reason: RecomputeGap, needs: str = "", says: str = "") -> Verdict:
    """The verdict on what cannot be decided again."""
    return Verdict(VerdictKind.UNPROVEN, reason, needs=needs, says=says or reason.value)


def verdict_of(
    terminal: int, sequence: int, record: Decided, policy: Policy, pupil: Pupil | None = None
) -> Verdict:
    """What is found of the decision in row `sequence` under the document and lists of `policy`.

    Never raises for anything a row holds: it may come from a terminal in other hands.
    """
    try:
        found = deviations_of(terminal, sequence, record, policy, pupil)
    except CannotRecompute as error:
        needs = list_named(record) if error.gap is RecomputeGap.GRANTS else ""
        return unproven(error.gap, needs, str(error))
    except Exception:  # noqa: BLE001 facts that no terminal of ours states, such as a stop of another feed
        return unproven(RecomputeGap.FAILED)
    return Verdict(VerdictKind.DIFFERING, deviations=tuple(found)) if found else RECOMPUTED


def deviations_of(
    terminal: int, sequence: int, record: Decided, policy: Policy, pupil: Pupil | None = None
) -> list[Deviation]:
    """Where the record deviates from what follows from it; raises `CannotRecompute`.

    A record that names another document than the one given deviates in that alone.
    """
    if record.tariff != policy.tariff:
        return [Deviation("tariff", record.tariff, policy.tariff)]
    if isinstance(record, CashSale):
        return recompute_cash(recorded_cash(terminal, sequence, record), policy)
    if isinstance(record, MealServed):
        return recompute_portion(recorded_portion(record), policy, pupil)
    return recompute(recorded_tap(terminal, sequence, record), policy, pupil)


def list_named(record: Decided) -> str:
    """The beginning of the hash of the grants list that spoke of the card, as the row names it; empty for none."""
    if isinstance(record, CashSale | MealServed):
        return ""
    return record.lists.get(GRANTS, "").rpartition(":")[2]


def by_ev1(record: Intent) -> bool:
    """Whether the card was read by the commands of an EV1, which gives no proof of what it holds."""
    return any(ins == INS_READ_DATA_NATIVE for ins, _, _ in record.proof)


def recorded_cash(terminal: int, sequence: int, sale: CashSale) -> RecordedCash:
    """The cash sale in its row, as it was priced."""
    return RecordedCash(
        at=moment_of(sale),
        trip=_trip(terminal, sequence, "bus", sale),
        known=sale.trip,
        persons=sale.persons,
        sum_minor=sale.sum_minor,
        reasons=sale.reasons,
        flags=sale.flags,
        ticket=sale.ticket,
    )


def recorded_portion(served: MealServed) -> RecordedPortion:
    """The portion in its row; raises `CannotRecompute` for one that was given while the journal took no rows: then what
    was known of the pupil is not what the rows before it say.
    """
    if served.spare:
        raise CannotRecompute(RecomputeGap.FACTS, "given while the journal took no rows")
    return RecordedPortion(
        at=moment_of(served),
        kind=served.meal.kind,
        portion=_portion(served.meal),
        flags=served.meal.flags,
        ordered=served.how is ServedBy.PRE_ORDER,
        reasons=served.reasons,
    )


def recorded_tap(terminal: int, sequence: int, row: Intent | Unwritten) -> RecordedTap:
    """The tap in its row, as it was decided; raises `CannotRecompute` for one that was not decided from a card."""
    if isinstance(row, Intent):
        return RecordedTap(
            at=moment_of(row),
            trip=_trip(terminal, sequence, row.profile, row),
            known=row.trip,
            read=read_of(row.proof),
            event=row.event,
            charge_minor=row.charge_minor,
            message=row.message,
            admission=Admission.LET_IN,
            reasons=row.reasons,
            flags=row.flags,
            lists=row.lists,
            reference=row.card_ref,
            states={
                "previous": (row.prev_terminal, row.prev_sequence),
                "balance_before_minor": row.balance_before_minor,
                "balance_after_minor": row.balance_after_minor,
                "paid_by": row.paid_by,
                "values": row.values,
                "meal": None if row.meal is None else _portion(row.meal),
            },
        )
    if not row.read:
        raise CannotRecompute(
            RecomputeGap.NOTHING_READ, f"the row holds nothing to decide again from ({row.message})"
        )
    return RecordedTap(
        at=moment_of(row),
        trip=_trip(terminal, sequence, row.profile, row),
        known=row.trip,
        read=row.read,
        event=b"",
        charge_minor=0,
        message=row.message,
        admission=row.admission,
        reasons=row.reasons,
        flags=row.flags,
        lists=row.lists,
        reference=row.card_ref or b"",
        states={"previous": (row.prev_terminal, row.prev_sequence)},
    )


def _trip(terminal: int, sequence: int, profile: str, record: Intent | Unwritten | CashSale) -> Trip:
    return Trip(
        profile=profile,
        terminal=terminal,
        sequence=sequence,
        shift=record.shift,
        turn=record.turn,
        route=record.route,
        direction=record.direction,
    )


def _portion(line: MealLine) -> tuple[object, ...]:
    return (line.school, line.class_id, line.kind, line.day, line.sources, line.category, line.flags)


def moment_of(record: Decided) -> datetime:
    """When it was decided; raises `CannotRecompute`."""
    try:
        return from_unix_ms(record.at_ms)
    except OverflowError as error:
        raise CannotRecompute(RecomputeGap.TIME, "no calendar has its time") from error
