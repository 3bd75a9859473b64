"""The operator's page: one screen of HTML made on the server, no script, nothing loaded from elsewhere.

Every value is escaped, whatever it is: what terminals send ends up here. No name, no pseudonym, no card.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from starlette.responses import Response

from cardcli.characters import visible
from terminal.collector.days import By, DaySum, totals_of
from terminal.collector.store import SeenAlarm
from terminal.collector.strangers import StrangerCount
from terminal.collector.views import CollectorStatus, OperatorViews, TerminalView
from terminal.collector.watch import as_time
from terminal.fault_texts import fault_text
from terminal.money import amount_text

MOST_TERMINALS: Final = 500
MOST_ALARMS: Final = 100
MOST_STRANGERS: Final = 20
REFRESH_S: Final = 30
LAG_S: Final = 3_600
"""A follower that is so far behind does not run, or cannot keep up."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

STYLE: Final = """\
:root { color-scheme: light dark; --line: #8886; --bad: #c0261c; --good: #1d7a36; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7fd897; } }
body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 72rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; list-style: none; }
.tiles li { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .8rem; min-width: 6rem; }
.tiles b { display: block; font-size: 1.3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
footer { margin-top: 2rem; font-size: .85rem; }
"""


def render(views: OperatorViews, now_ms: int) -> str:
    """The whole page. Raises `CollectorError`."""
    status = views.status(now_ms)
    terminals = views.terminals(now_ms)
    alarms = views.store.alarms(MOST_ALARMS, only_open=True)[::-1]
    day = views.books.day(status.newest_day, By.TERMINAL) if status.newest_day else []
    funders = views.books.day(status.newest_day, By.FUNDER) if status.newest_day else []
    proofs = views.books.day(status.newest_day, By.PROOF) if status.newest_day else []
    return "".join(
        (
            "<!doctype html><html lang=en><head><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width, initial-scale=1'>",
            f"<meta http-equiv=refresh content={REFRESH_S}><title>Collector</title>",
            "<link rel=stylesheet href='/operator/style.css'></head><body><main>",
            f"<h1>Collector <small>{as_time(now_ms)}</small></h1>",
            _tiles(status, max((t.oldest_unsent_s or 0 for t in terminals), default=0)),
            _alarms(alarms, status.open_alarms),
            _strangers(views.strangers()),
            _terminals(terminals),
            _day(status.newest_day, "terminal", day),
            _day(status.newest_day, "funder", funders),
            _day(status.newest_day, "proof", proofs),
            "</main><footer>Acknowledge alarms with the command ",
            "<code>terminal collector ack</code>.</footer></body></html>",
        )
    )


def response(html: str) -> Response:
    """The page with the headers that keep anything foreign out of it."""
    return Response(html, 200, HEADERS, "text/html")


def _tiles(status: CollectorStatus, oldest_unsent_s: int) -> str:
    tiles = (
        ("terminals", str(status.terminals), False),
        ("silent", str(status.silent), status.silent > 0),
        ("open alarms", str(status.open_alarms), status.open_alarms > 0),
        ("taps unresolved", str(status.unresolved), False),
        ("oldest unsent", age(oldest_unsent_s), oldest_unsent_s > 24 * 3600),
        ("records", str(status.records), False),
        ("not booked yet", str(status.behind), False),
        ("recomputed", str(status.recomputed), False),
        ("decided otherwise", str(status.decided_otherwise), status.decided_otherwise > 0),
        ("not decidable again", str(status.undecided), False),
        ("not recomputed yet", str(status.not_recomputed), False),
        ("of them the oldest", age(status.not_recomputed_s), status.not_recomputed_s > LAG_S),
        ("taps proven", str(status.proven), False),
        ("taps unproven", str(status.unproven), False),
        ("taps differing", str(status.differing), status.differing > 0),
    )
    items = (
        f"<li><b{' class=bad' if bad else ''}>{escape(value)}</b>{escape(name)}</li>"
        for name, value, bad in tiles
    )
    return f"<ul class=tiles>{''.join(items)}</ul>"


def _alarms(alarms: list[SeenAlarm], count: int) -> str:
    if not alarms:
        return "<h2>Alarms</h2><p class=good>No open alarms.</p>"
    rows = (
        (
            str(a.id),
            a.kind,
            str(a.terminal or ""),
            str(a.sequence or ""),
            a.says(),
            str(a.times),
            as_time(a.last_at_ms),
        )
        for a in alarms
    )
    more = f"<p>The newest {len(alarms)} of {count}.</p>" if count > len(alarms) else ""
    heads = ("no", "what", "terminal", "row", "detail", "times", "last")
    return f"<h2>Alarms</h2>{more}{_table(heads, rows, {0, 2, 3, 5})}"


def _strangers(counts: list[StrangerCount]) -> str:
    if not counts:
        return ""
    rows = (
        (c.kind, c.address, str(c.terminal or ""), c.says(), str(c.times), as_time(c.last_at_ms))
        for c in counts[:MOST_STRANGERS]
    )
    attempts, addresses = sum(c.times for c in counts), len({c.address for c in counts})
    heads = ("what", "address", "in the name of", "detail", "times", "last")
    said = f"<p>{attempts} attempts without a good signature, from {addresses} addresses or more.</p>"
    return f"<h2>Strangers</h2>{said}{_table(heads, rows, {2, 4})}"


def _terminals(terminals: list[TerminalView]) -> str:
    # The terminals that need attention come first.
    worst = sorted(terminals, key=lambda t: (-t.open_alarms, -(t.oldest_unsent_s or 0), -(t.silent_s or 0)))
    rows = (
        (
            str(t.terminal),
            t.enrolment.replace("_", " "),
            "never" if t.silent_s is None else f"{age(t.silent_s)} ago",
            str(t.held),
            str(t.unsent),
            "" if t.oldest_unsent_s is None else f"up to {age(t.oldest_unsent_s)}",
            fault_text(t.reader, {}) if t.reader else "works",
            str(t.proven),
            str(t.unproven),
            str(t.differing),
            str(t.open_alarms),
        )
        for t in worst[:MOST_TERMINALS]
    )
    heads = (
        *("no", "key", "last batch", "records", "unsent", "oldest unsent", "reader"),
        *("proven", "unproven", "differing", "alarms"),
    )
    more = f"<p>{MOST_TERMINALS} of {len(terminals)}.</p>" if len(terminals) > MOST_TERMINALS else ""
    return f"<h2>Terminals</h2>{more}{_table(heads, rows, {0, 3, 4, 7, 8, 9, 10})}"


def _day(day: str | None, by: str, sums: list[DaySum]) -> str:
    if day is None or not sums:
        return ""
    rows = (
        (
            line.name.replace("_", " ") or "—",
            str(line.rides),
            str(line.meals),
            str(line.cash_sales),
            str(line.buffet_sales),
            line.currency,
            amount_text(line.counted_minor, line.currency),
            amount_text(line.open_minor, line.currency),
            amount_text(line.annulled_minor, line.currency),
            amount_text(line.duplicate_minor, line.currency),
            amount_text(line.overstated_minor, line.currency),
            amount_text(line.understated_minor, line.currency),
        )
        for line in (*sums[:MOST_TERMINALS], *totals_of(sums))
    )
    heads = (
        *(by, "rides", "meals", "cash", "buffet", "currency", "counted", "open", "annulled", "duplicate"),
        *("overstated", "understated"),
    )
    return f"<h2>Service day {escape(day)} by {by}</h2>{_table(heads, rows, {1, 2, 3, 4, *range(6, 12)})}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], numbers: set[int]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        marked = ((" class=n" if place in numbers else "", cell) for place, cell in enumerate(cells))
        return f"<tr>{''.join(f'<{tag}{mark}>{escape(visible(cell))}</{tag}>' for mark, cell in marked)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<div class=scroll><table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table></div>"


def age(seconds: int) -> str:
    """How long ago, in the largest unit of which there are at least two."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
