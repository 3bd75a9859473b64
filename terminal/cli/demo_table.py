"""The demo on the screen: who tapped, what the passenger saw and why, and how it all adds up."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

from cardproto.resident.records.event import Event
from terminal.cli.demo_run import DemoResult, Played
from terminal.cli.output import roubles
from terminal.messages import text
from terminal.tap_report import End, TapReport

WIDTH: Final = 170
"""Wide enough that nothing wraps when the output is not a screen."""

COLOURS: Final = {End.UNRESOLVED: "yellow", End.NOT_COMMITTED: "yellow", End.RECOVERED: "cyan"}


def print_demo(result: DemoResult, language: str) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(_taps(result, language))
    console.print(_totals(result))
    verdict = "[bold green]balanced" if result.balanced else "[bold red]NOT balanced"
    console.print(
        f"{verdict}[/]: purses lost {roubles(result.spent_minor)}, records charged {roubles(result.charged_minor)}"
    )


def _taps(result: DemoResult, language: str) -> Table:
    table = Table(title="A morning in the laboratory region", title_justify="left")
    for heading in ("time", "where", "who", "the passenger saw", "why"):
        table.add_column(heading)
    for heading in ("balance", "trips used", "exch.", "bytes", "air ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for played in result.played:
        table.add_row(*_row(played, language))
    return table


def _row(played: Played, language: str) -> tuple[str, ...]:
    step, report = played.step, played.tap.report
    colour = COLOURS.get(report.end, "green" if report.outcome.accepted else "red")
    who = f"{step.resident}\n[dim]{step.note}[/]" if step.note else step.resident
    return (
        step.time,
        step.stop.place,
        who,
        f"[{colour}]{text(report.outcome.message, language, report.outcome.values)}[/]",
        _why(report),
        _balance(report),
        _trips(report),
        str(report.exchanges),
        str(report.apdu_bytes),
        f"{played.tap.air_ms:.0f}",
    )


def _why(report: TapReport) -> str:
    if report.end in (End.UNRESOLVED, End.NOT_COMMITTED, End.RECOVERED) or not report.reasons:
        return report.operator
    last = report.reasons[-1]
    return f"{last.rule} {last.effect}"


def _balance(report: TapReport) -> str:
    if report.before is None:
        return ""
    before = roubles(report.before.balance_minor)
    return before if report.after is None else f"{before} → {roubles(report.after.balance_after_minor)}"


def _trips(report: TapReport) -> str:
    if report.before is None:
        return ""
    before, after = _used(report.before.event), _used(report.after or report.before.event)
    if not before and not after:
        return ""
    return str(before) if report.after is None else f"{before} → {after}"


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
        "  accepted": result.accepted,
        "  refused or asked to tap again": len(result.played) - result.accepted,
        "journal records on the terminals": result.journal_records,
        "  hash chains sound": "yes" if result.journals_sound else "NO",
        "  durable flushes": result.flushes,
        "records sent and acknowledged (signed)": result.synced,
        "records at the collector": total["records"],
        "  taps whose end nobody heard": total["unresolved_settled"] + total["unresolved_open"],
        "  of these settled": total["unresolved_settled"],
        "  card proofs verified / failed": f"{total['tmv_verified']} / {total['tmv_failed']}",
        "  alarms": len(result.collector["alarms"]),
        "money on all cards before": roubles(result.purses_before_minor),
        "money on all cards after": roubles(result.purses_after_minor),
        "charged according to the collector": roubles(result.charged_minor),
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
