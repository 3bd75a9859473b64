"""How commands print: JSON for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

import msgspec

from cardcli.characters import visible_json
from terminal.codes import Admission
from terminal.messages import text
from terminal.money import amount_text, money
from terminal.tap_report import TapReport
from terminal.trail_words import ENGLISH, effect_words

MARKS: Final = {Admission.LET_IN: "+", Admission.INSIDE: "=", Admission.REFUSED: "-"}
"""How a line for staff begins."""


def print_json(value: Any) -> None:
    """One JSON object on one line, flushed, so that a program can follow along."""
    sys.stdout.buffer.write(as_json(value))
    sys.stdout.buffer.flush()


def as_json(value: Any) -> bytes:
    """A line of JSON in which every character can be seen."""
    return visible_json(msgspec.json.encode(value)) + b"\n"


def print_totals(title: str, totals: Mapping[str, int], currency: str) -> None:
    """A titled list of numbers; sums (`_minor`) are in `currency`, which stands beside them."""
    print(title)
    for name, value in totals.items():
        shown = money(value, currency, ENGLISH) if name.endswith("_minor") else value
        print(f"  {name.removesuffix('_minor'):<24} {shown}")


def report_as_json(report: TapReport, language: str) -> dict[str, Any]:
    """One tap for programs: no UID, no pseudonym as the card holds it. `person_ref` is what a roster lists."""
    return {
        "at": report.at.isoformat(),
        "message": str(report.outcome.message),
        "text": text(report.outcome.message, language, report.outcome.values),
        "admission": report.outcome.admission.value,
        "charge_minor": report.outcome.charge_minor,
        "currency": report.currency,
        "end": report.end.value,
        "card_ref": report.card_ref.hex() if report.card_ref else None,
        "person_ref": report.person_ref.hex() if report.person_ref else None,
        "sequence": report.sequence,
        "support_code": report.support_code,
        "balance_before_minor": report.balance_before_minor,
        "balance_after_minor": report.balance_after_minor,
        "exchanges": report.exchanges,
        "apdu_bytes": report.apdu_bytes,
        "reasons": [reason.code for reason in report.reasons],
        "operator": report.operator,
    }


def report_as_line(report: TapReport, zone: tzinfo) -> str:
    """One tap for staff, in the region's local time; the passenger has seen the outcome already."""
    mark = MARKS[report.outcome.admission]
    charged = (
        f"  {amount_text(report.outcome.charge_minor, report.currency)}"
        if report.outcome.charge_minor
        else ""
    )
    cost = f"{report.exchanges} exchanges, {report.apdu_bytes} bytes"
    why = f"  [{report.operator}]" if report.operator else f"  [{_why(report)}]" if report.reasons else ""
    said = f"{report.outcome.message}{charged}"
    return f"{report.at.astimezone(zone):%H:%M:%S} {mark} {said}  ({report.end.value}; {cost}){why}"


def _why(report: TapReport) -> str:
    last = report.reasons[-1]
    return f"{last.rule} {effect_words(last.code)}"
