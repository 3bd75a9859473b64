"""The office's page: one screen of HTML made on the server, no script, nothing loaded from elsewhere. A user who is
signed in finds the forms of what the role allows.

Every value is escaped, whatever it is: what terminals send ends up here. No name, no pseudonym, no card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Final, NamedTuple

from starlette.responses import Response

from cardcli.characters import visible
from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.collector.approvals import Act, Approval
from terminal.collector.days import By, DaySum, totals_of
from terminal.collector.office import ROLE_OF, OfficeReading, alarms_of
from terminal.collector.recompute.trials import GroupCount, ShadowSum
from terminal.collector.roll_out import Staged
from terminal.collector.store import SeenAlarm
from terminal.collector.strangers import StrangerCount
from terminal.collector.users import OFFICE_ROLES, OfficeRole, Who
from terminal.collector.views import CollectorStatus, OperatorViews, TerminalView
from terminal.collector.watch import as_time
from terminal.fault_texts import fault_text
from terminal.money import amount_text
from terminal.texts import N_, languages, translator

MOST_TERMINALS: Final = 500
MOST_ALARMS: Final = 100
MOST_STRANGERS: Final = 20
MOST_TARIFFS: Final = 20
REFRESH_S: Final = 30
LAG_S: Final = 3_600
"""A follower that is so far behind does not run, or cannot keep up."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self';"
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
form { display: inline-flex; flex-wrap: wrap; gap: .4rem; margin: 0 .6rem .2rem 0; }
form.sign-in { display: flex; flex-direction: column; max-width: 20rem; gap: .8rem; }
label { display: flex; flex-direction: column; }
input, button { font: inherit; padding: .3rem .6rem; min-height: 2.2rem; }
nav { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; }
.notice { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; font-weight: 600; }
footer { margin-top: 2rem; font-size: .85rem; }
"""


BY_NAMES: Final = {By.TERMINAL: N_("terminal"), By.FUNDER: N_("funder"), By.PROOF: N_("proof")}
DAY_TITLES: Final = {
    By.TERMINAL: N_("Service day {day} by terminal"),
    By.FUNDER: N_("Service day {day} by funder"),
    By.PROOF: N_("Service day {day} by proof"),
}
ACTS: Final = {Act.ACKNOWLEDGE: N_("Acknowledge alarm"), Act.ROLL_OUT: N_("Roll out")}
CODE_NAMES: Final = {
    "total": N_("total"),
    "purse": N_("purse"),
    "cash": N_("cash"),
    "buffet": N_("buffet"),
    "proven": N_("proven"),
    "differing": N_("differing"),
    "cannot_prove": N_("cannot prove"),
    "unknown_card": N_("unknown card"),
    "replaced": N_("replaced"),
    "not_stated": N_("not reported"),
    "no_proof": N_("no proof"),
    "failed": N_("failed"),
    "no_registry": N_("no registry"),
    "no_issuers": N_("no issuers' keys"),
    "unknown_issuer": N_("unknown issuer"),
    "enrolled": N_("enrolled"),
    "revoked": N_("revoked"),
    "not_enrolled": N_("not enrolled"),
}
"""Codes of books and keys for people; others, the numbers of terminals and names of funders, stand for themselves."""


class Sight(NamedTuple):
    """As whom and how the page is seen. `proof` is what its forms carry, "" for a reader who is not signed in."""

    who: Who
    language: str
    proof: str
    reads: frozenset[OfficeReading]
    waiting: list[Approval]
    staged: Staged | None
    notice: str = ""


class _PageTexts(NamedTuple):
    """The page's texts in one language."""

    gettext: Callable[[str], str]
    language: str


def render(views: OperatorViews, now_ms: int, sight: Sight) -> str:
    """The whole page. Raises `CollectorError`."""
    words = _PageTexts(translator(sight.language).gettext, sight.language)
    _ = words.gettext
    status = views.status(now_ms)
    terminals = views.terminals(now_ms)
    alarms = views.store.alarms(MOST_ALARMS, only_open=True, kinds=alarms_of(sight.who))[::-1]
    shown_by = (By.TERMINAL, By.FUNDER, By.PROOF) if OfficeReading.SUMS in sight.reads else ()
    by = {one: views.books.day(status.newest_day, one) if status.newest_day else [] for one in shown_by}
    body = (
        f"<h1>{escape(_('Collector'))} <small>{as_time(now_ms)}</small></h1>",
        _visitor(words, sight),
        f"<p class=notice role=status>{escape(sight.notice)}</p>" if sight.notice else "",
        _requests(words, sight),
        _ride_form(words) if OfficeReading.RIDES in sight.reads else "",
        _tiles(words, status, max((t.oldest_unsent_s or 0 for t in terminals), default=0)),
        _alarms(words, alarms, status.open_alarms) if OfficeReading.ALARMS in sight.reads else "",
        _acts(words, sight),
        _strangers(words, views.strangers()) if OfficeReading.STRANGERS in sight.reads else "",
        _terminals(words, terminals),
        _trials(words, views.ledger.groups()) if OfficeReading.TRIALS in sight.reads else "",
        _shadows(words, views.ledger.shadows()) if OfficeReading.STAGED in sight.reads else "",
        *(_day(words, status.newest_day, one, sums) for one, sums in by.items()),
    )
    # What is being typed must not be lost to a page that comes anew.
    return document(
        _("Collector"), sight.language, "".join(body), refresh=not sight.proof and not sight.notice
    )


def document(title: str, language: str, body: str, *, refresh: bool = False) -> str:
    """A whole page of the office around `body`."""
    again = f"<meta http-equiv=refresh content={REFRESH_S}>" if refresh else ""
    return (
        f"<!doctype html><html lang={escape(language)}><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"{again}<title>{escape(title)}</title><link rel=stylesheet href='/operator/style.css'></head>"
        f"<body><main>{body}</main></body></html>"
    )


def language_links(language: str) -> str:
    """The other languages."""
    names = {"ru": "Русский", "en": "English"}
    return " ".join(
        f"<a href='?language={escape(one)}' lang={escape(one)}>{escape(names.get(one, one))}</a>"
        for one in languages()
        if one != language
    )


def form(proof: str, do: str, label: str, subject: str = "", inputs: str = "") -> str:
    """A form that does one thing; all of them go to one place."""
    fields = {"proof": proof, "do": do, **({"subject": subject} if subject else {})}
    hidden = "".join(
        f"<input type=hidden name={name} value='{escape(value)}'>" for name, value in fields.items()
    )
    return f"<form method=post action=/operator/do>{hidden}{inputs}<button>{escape(label)}</button></form>"


def ride_page(language: str, code: str, lines: Iterable[str]) -> str:
    """One tap, and the form for the next."""
    words = _PageTexts(translator(language).gettext, language)
    said = "".join(f"<p>{escape(visible(line))}</p>" for line in lines)
    head = escape(words.gettext("Find a ride"))
    back = f"<nav><a href=/operator/>{escape(words.gettext('Collector'))}</a></nav>"
    return document(head, language, f"{back}<h1>{head} {escape(code)}</h1>{said}{_ride_form(words)}")


def _ride_form(words: _PageTexts) -> str:
    label, button = escape(words.gettext("Support code")), escape(words.gettext("Find"))
    return (
        f"<form method=get action=/operator/ride><label>{label}<input name=code required maxlength=40></label>"
        f"<button>{button}</button></form>"
    )


def _visitor(words: _PageTexts, sight: Sight) -> str:
    _ = words.gettext
    if not sight.proof:
        who = f"<a href=/operator/sign-in>{escape(_('Sign in'))}</a>"
    else:
        roles = ", ".join(_(OFFICE_ROLES[role]) for role in OfficeRole if role in sight.who.roles)
        leave = (
            f"<form method=post action=/operator/sign-out><input type=hidden name=proof value='{sight.proof}'>"
            f"<button>{escape(_('Sign out'))}</button></form>"
        )
        who = f"<span>{escape(sight.who.ref)}: {escape(roles)}</span>{leave}"
    return f"<nav>{who}{language_links(sight.language)}</nav>"


def _requests(words: _PageTexts, sight: Sight) -> str:
    """What waits for a second person, with the answers of who may give them."""
    _ = words.gettext
    if not sight.waiting:
        return ""

    def answers(one: Approval) -> str:
        if not sight.proof or ROLE_OF[one.what] not in sight.who.roles:
            return ""
        number, own = str(one.id), one.by == sight.who.ref
        reject = form(sight.proof, "reject", _("Take the request back") if own else _("Reject"), number)
        return reject if own else form(sight.proof, "confirm", _("Confirm"), number) + reject

    rows = "".join(
        f"<li><b>{one.id}</b> {escape(_(ACTS[one.what]))} {escape(visible(_subject(one)))}"
        f" — {escape(one.by)}, {as_time(one.at_ms)}"
        f"{': ' + escape(visible(one.comment)) if one.comment else ''} {answers(one)}</li>"
        for one in sight.waiting
    )
    return f"<h2>{escape(_('Waits for a second person'))}</h2><ul>{rows}</ul>"


def _subject(one: Approval) -> str:
    return one.subject.partition("/")[0] if one.what is Act.ACKNOWLEDGE else one.subject[:16]


def _acts(words: _PageTexts, sight: Sight) -> str:
    """The forms of what this user may do."""
    _ = words.gettext
    if not sight.proof:
        return ""

    def number(label: str, most: int) -> str:
        field = f"<input name=subject inputmode=numeric required pattern='[0-9]+' maxlength={len(str(most))}>"
        return f"<label>{escape(label)}{field}</label>"

    found = []
    comment = f"<label>{escape(_('Finding and action taken'))}<input name=comment maxlength=500></label>"
    if sight.who.roles & {OfficeRole.OPERATE, OfficeRole.MONEY}:
        alarm = number(_("Alarm number"), MOST_ALARMS) + comment
        found.append(form(sight.proof, "acknowledge", _("Acknowledge"), inputs=alarm))
    if OfficeRole.OPERATE in sight.who.roles:
        terminal = number(_("Terminal number"), LARGEST_TERMINAL)
        found.append(form(sight.proof, "code", _("One-time code for enrolment"), inputs=terminal))
        found.append(form(sight.proof, "revoke", _("Revoke: it uploads no more"), inputs=terminal))
    if OfficeRole.PUBLISH in sight.who.roles and sight.staged is not None:
        changes = escape("; ".join(sight.staged.changes))
        found.append(form(sight.proof, "roll_out", _("Ask for roll-out"), inputs=f"<span>{changes}</span>"))
    forms = "".join(f"<p>{one}</p>" for one in found)
    return f"<h2>{escape(_('What you may do'))}</h2>{forms}" if forms else ""


def response(html: str, status: int = 200) -> Response:
    """The page with the headers that keep anything foreign out of it."""
    return Response(html, status, HEADERS, "text/html")


def _tiles(words: _PageTexts, status: CollectorStatus, oldest_unsent_s: int) -> str:
    _ = words.gettext
    tiles = (
        (_("terminals"), str(status.terminals), False),
        (_("silent"), str(status.silent), status.silent > 0),
        (_("open alarms"), str(status.open_alarms), status.open_alarms > 0),
        (_("taps unresolved"), str(status.unresolved), False),
        (_("oldest unsent"), age(oldest_unsent_s, words), oldest_unsent_s > 24 * 3600),
        (_("records"), str(status.records), False),
        (_("not booked yet"), str(status.behind), False),
        (_("recomputed"), str(status.recomputed), False),
        (_("decided otherwise"), str(status.decided_otherwise), status.decided_otherwise > 0),
        (_("not decidable again"), str(status.undecided), False),
        (_("not recomputed yet"), str(status.not_recomputed), False),
        (_("of them the oldest"), age(status.not_recomputed_s, words), status.not_recomputed_s > LAG_S),
        (_("taps proven"), str(status.proven), False),
        (_("taps unproven"), str(status.unproven), False),
        (_("taps differing"), str(status.differing), status.differing > 0),
    )
    items = (
        f"<li><b{' class=bad' if bad else ''}>{escape(value)}</b>{escape(name)}</li>"
        for name, value, bad in tiles
    )
    return f"<ul class=tiles>{''.join(items)}</ul>"


def _alarms(words: _PageTexts, alarms: list[SeenAlarm], count: int) -> str:
    _ = words.gettext
    title = _("Open alarms")
    if not alarms:
        return f"<h2>{escape(title)}</h2><p class=good>{escape(_('No open alarms.'))}</p>"
    rows = (
        (
            str(a.id),
            a.kind,
            str(a.terminal or ""),
            str(a.sequence or ""),
            a.says(words.language),
            str(a.times),
            as_time(a.last_at_ms),
        )
        for a in alarms
    )
    newest = _("The newest {shown} of {all}.").format(shown=len(alarms), all=count)
    heads = (_("number"), _("what"), _("terminal"), _("row"), _("detail"), _("times"), _("last"))
    return _section(title, heads, rows, {0, 2, 3, 5}, newest if count > len(alarms) else "")


def _strangers(words: _PageTexts, counts: list[StrangerCount]) -> str:
    _ = words.gettext
    if not counts:
        return ""
    rows = (
        (
            c.kind,
            c.address,
            str(c.terminal or ""),
            c.says(words.language),
            str(c.times),
            as_time(c.last_at_ms),
        )
        for c in counts[:MOST_STRANGERS]
    )
    said = _("Attempts without a good signature: {attempts}, from {addresses} addresses or more.").format(
        attempts=sum(c.times for c in counts), addresses=len({c.address for c in counts})
    )
    heads = (_("what"), _("address"), _("in the name of"), _("detail"), _("times"), _("last"))
    return _section(_("Strangers"), heads, rows, {2, 4}, said)


def _terminals(words: _PageTexts, terminals: list[TerminalView]) -> str:
    _ = words.gettext
    # The terminals that need attention come first.
    worst = sorted(terminals, key=lambda t: (-t.open_alarms, -(t.oldest_unsent_s or 0), -(t.silent_s or 0)))
    rows = (
        (
            str(t.terminal),
            _shown(words, t.enrolment),
            _("never") if t.silent_s is None else _("{age} ago").format(age=age(t.silent_s, words)),
            str(t.held),
            str(t.unsent),
            "" if t.oldest_unsent_s is None else _("up to {age}").format(age=age(t.oldest_unsent_s, words)),
            fault_text(t.reader, {}, words.language) if t.reader else _("works"),
            str(t.proven),
            str(t.unproven),
            str(t.differing),
            str(t.open_alarms),
        )
        for t in worst[:MOST_TERMINALS]
    )
    heads = (
        *(_("number"), _("key"), _("last batch"), _("records"), _("unsent"), _("oldest unsent"), _("reader")),
        *(_("proven"), _("unproven"), _("differing"), _("alarms")),
    )
    shown = _("{shown} of {all}.").format(shown=MOST_TERMINALS, all=len(terminals))
    said = shown if len(terminals) > MOST_TERMINALS else ""
    return _section(_("Terminals"), heads, rows, {0, 3, 4, 7, 8, 9, 10}, said)


def _trials(words: _PageTexts, groups: list[GroupCount]) -> str:
    _ = words.gettext
    if not groups:
        return ""
    rows = (
        (
            one.edition,
            str(one.terminals),
            str(one.taken_back),
            f"{one.refused} / {one.taps}",
            f"{one.refused_before} / {one.taps_before}",
            _("withdrawn") if one.withdrawn else "",
        )
        for one in groups[-MOST_TARIFFS:]
    )
    heads = (
        *(_("tariff"), _("terminals"), _("went back"), _("refused"), _("refused before")),
        _("by the collector"),
    )
    return _section(_("Tariffs on trial"), heads, rows, {1, 2, 3, 4})


def _shadows(words: _PageTexts, shadows: list[ShadowSum]) -> str:
    _ = words.gettext
    if not shadows:
        return ""
    rows = (
        (
            one.edition,
            str(one.terminal),
            *(str(count) for count in (one.taps, one.same, one.dearer, one.cheaper, one.refused, one.let_in)),
            *(str(count) for count in (one.answered, one.failed, one.missed)),
            one.currency,
            amount_text(one.sum_minor, one.currency),
        )
        for one in shadows[-MOST_TERMINALS:]
    )
    heads = (
        *(_("tariff"), _("terminal"), _("taps"), _("same"), _("dearer"), _("cheaper")),
        *(_("refused only in shadow"), _("let in only in shadow"), _("another answer")),
        *(_("failed"), _("missed"), _("currency"), _("difference")),
    )
    return _section(_("Tariffs in shadow"), heads, rows, {*range(1, 11), 12})


def _day(words: _PageTexts, day: str | None, by: By, sums: list[DaySum]) -> str:
    _ = words.gettext
    if day is None or not sums:
        return ""
    rows = (
        (
            _shown(words, line.name) or "—",
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
        *(_(BY_NAMES[by]), _("rides"), _("meals"), _("cash"), _("buffet"), _("currency"), _("counted")),
        *(_("open"), _("annulled"), _("duplicate"), _("overstated"), _("understated")),
    )
    return _section(_(DAY_TITLES[by]).format(day=day), heads, rows, {1, 2, 3, 4, *range(6, 12)})


def _shown(words: _PageTexts, code: str) -> str:
    """A code of the books in words; what is none stands for itself."""
    text = CODE_NAMES.get(code)
    return code.replace("_", " ") if text is None else words.gettext(text)


def _section(
    title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], numbers: set[int], said: str = ""
) -> str:
    """A table under its title, with what is `said` of it before; the columns `numbers` hold numbers."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        marked = ((" class=n" if place in numbers else "", cell) for place, cell in enumerate(cells))
        return f"<tr>{''.join(f'<{tag}{mark}>{escape(visible(cell))}</{tag}>' for mark, cell in marked)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    table = f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"
    before = f"<p>{escape(said)}</p>" if said else ""
    return f"<h2>{escape(title)}</h2>{before}<div class=scroll>{table}</div>"


def age(seconds: int, words: _PageTexts) -> str:
    """How long ago, in the largest unit of which there are at least two."""
    _ = words.gettext
    for unit, length in ((_("d"), 86_400), (_("h"), 3_600), (_("min"), 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} {_('s')}"
