"""The demo on the screen: who tapped, what the passenger saw and why, and how it all adds up."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.table import Table

from cardcli.console import ReadableConsole
from cardproto.resident.records.event import Event, parse_event
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.journal.taps import End
from terminal.lab.demo.run import DemoResult, proofs_of
from terminal.lab.demo.script import DemoStep
from terminal.messages import text
from terminal.money import amount_text, money
from terminal.tap_report import TapReport
from terminal.trail_words import ENGLISH, effect_words

WIDTH: Final = 150
"""Columns where the output is not shown in a window, and from here on the table has a column for everything."""

NARROWEST: Final = 66
"""Columns below which sums would be cut: a narrower window wraps the lines itself."""
LONGEST_NAME: Final = 18
"""Letters of the longest word: a column this wide breaks none."""

ADMISSIONS: Final = {Admission.LET_IN: "green", Admission.INSIDE: "yellow", Admission.REFUSED: "red"}
COLOURS: Final = {
    End.UNRESOLVED: "yellow",
    End.NOT_COMMITTED: "yellow",
    End.RECOVERED: "cyan",
    End.REPEATED: "cyan",
}


def print_demo(result: DemoResult, language: str) -> None:
    """As a wide table or, in a narrow window, with two or three lines for each tap."""
    console = ReadableConsole(WIDTH)
    console.width = max(console.width, NARROWEST)
    lay_out = _wide if console.width >= WIDTH else _compact
    console.print(lay_out(result, language))
    console.print()
    console.print(_totals(result))
    verdict = "[bold green]balanced" if result.balanced else "[bold red]NOT balanced"
    lost, charged = (
        money(sum_minor, result.currency, ENGLISH) for sum_minor in (result.spent_minor, result.charged_minor)
    )
    console.print(f"{verdict}[/]: purses lost {lost}, records charged {charged}")


def _table() -> Table:
    title = "A morning in the laboratory region"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = table.pad_edge = False
    return table


def _wide(result: DemoResult, language: str) -> Table:
    table = _table()
    for heading in ("time", "where"):
        table.add_column(heading, no_wrap=True)
    table.add_column("who", min_width=LONGEST_NAME)
    for heading in ("the passenger saw", "why"):
        table.add_column(heading, overflow="fold", min_width=LONGEST_NAME)
    for heading in ("balance", "trips", "exch.", "bytes", "air ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for played in result.played:
        step, report = played.step, played.tap.report
        table.add_row(
            step.time,
            step.stop.place,
            _who(step),
            _seen(report, language),
            _why(report, language),
            _balance(report),
            _trips(report),
            str(report.exchanges),
            str(report.apdu_bytes),
            f"{played.tap.air_ms:.0f}",
        )
    return table


def _compact(result: DemoResult, language: str) -> Table:
    """Related things share a column: the person and the place, the answer and its reason, money and effort."""
    table = _table()
    table.add_column("time", no_wrap=True)
    table.add_column("who, where", min_width=LONGEST_NAME)
    table.add_column("the passenger saw, and why", overflow="fold", min_width=LONGEST_NAME)
    table.add_column("balance, trips", justify="right", no_wrap=True)
    for played in result.played:
        step, report = played.step, played.tap.report
        trips = _trips(report)
        effort = f"[dim]{report.exchanges} exch., {played.tap.air_ms:.0f} ms[/]"
        table.add_row(
            step.time,
            f"{_who(step)}\n{step.stop.place}",
            f"{_seen(report, language)}\n{_why(report, language)}",
            "\n".join(line for line in (_balance(report), f"{trips} trips" if trips else "", effort) if line),
        )
    return table


def _who(step: DemoStep) -> str:
    return f"{step.resident}\n[dim]{step.note}[/]" if step.note else step.resident


def _seen(report: TapReport, language: str) -> str:
    colour = COLOURS.get(report.end, ADMISSIONS[report.outcome.admission])
    return f"[{colour}]{text(report.outcome.message, language, report.outcome.values)}[/]"


def _why(report: TapReport, language: str) -> str:
    if not report.reasons or report.end in COLOURS:
        return report.operator
    last = report.reasons[-1]
    return f"{last.rule} {effect_words(last.code, language)}"


def _balance(report: TapReport) -> str:
    before, after = report.balance_before_minor, report.balance_after_minor
    if before is None or after is None:
        return ""
    shown = amount_text(before, report.currency)
    return f"{shown} → {amount_text(after, report.currency)}" if report.written else shown


def _trips(report: TapReport) -> str:
    card = report.snapshot
    if not isinstance(card, CardSnapshot):
        return ""
    before, after = _used(card.event), _used(parse_event(report.written) if report.written else card.event)
    if not before and not after:
        return ""
    return f"{before} → {after}" if report.written else str(before)


def _used(event: Event) -> int:
    """Trips counted on the card, concession and packs together (the counters of the laboratory region)."""
    return sum((event.counters >> shift) & 0xFF for shift in (48, 40, 32))


def _totals(result: DemoResult) -> Table:
    total = result.collector["total"]
    table = Table(title="Journal, sync, reconciliation", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = {
        "taps": len(result.played),
        "  let in": result.admissions[Admission.LET_IN],
        "  already inside": result.admissions[Admission.INSIDE],
        "  refused or asked to tap again": result.admissions[Admission.REFUSED],
        "journal records on the terminals": result.journal_records,
        "  hash chains sound": "yes" if result.journals_sound else "NO",
        "  durable flushes": result.flushes,
        "records sent and acknowledged (signed)": result.synced,
        "records at the collector": total["records"],
        "  taps whose end was not known": total["unresolved_settled"] + total["unresolved_open"],
        "  of these settled": total["unresolved_settled"],
        "  card proofs verified / contradicting": " / ".join(map(str, proofs_of(total))),
        "  alarms": len(result.collector["alarms"]),
        "money on all cards before": money(result.purses_before_minor, result.currency, ENGLISH),
        "money on all cards after": money(result.purses_after_minor, result.currency, ENGLISH),
        "charged according to the collector": money(result.charged_minor, result.currency, ENGLISH),
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
