"""The office's page: one screen of HTML made on the server, renewed when something has come. A user who is signed in
finds the forms of what the role allows.

Every value is escaped, whatever it is: what terminals send ends up here. No name, no pseudonym, no card.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, NamedTuple

from cardcli.characters import visible
from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.collector.alarm_words import KIND_NAMES
from terminal.collector.alarms import AlarmKind
from terminal.collector.approvals import Act, Approval
from terminal.collector.days import By, DaySum, totals_of
from terminal.collector.denying import DENY_REASONS
from terminal.collector.issuing_orders import ISSUING_ACTS, IssuingSubject
from terminal.collector.office_rights import ROLE_OF, OfficeReading, alarms_of
from terminal.collector.order_sums import OrderSum
from terminal.collector.page_parts import (
    PageTexts,
    age,
    document,
    form,
    language_links,
    order_table,
    page_texts,
    section,
    shown_code,
)
from terminal.collector.recompute.trials import GroupCount, ShadowSum
from terminal.collector.roll_out import Staged
from terminal.collector.store import SeenAlarm
from terminal.collector.strangers import StrangerCount
from terminal.collector.users import OFFICE_ROLES, OfficeRole, Who
from terminal.collector.views import CollectorStatus, OperatorViews, TerminalView
from terminal.fault_texts import fault_text
from terminal.money import amount_text
from terminal.texts import N_

MOST_TERMINALS: Final = 500
MOST_ALARMS: Final = 100
MOST_STRANGERS: Final = 20
MOST_TARIFFS: Final = 20
LAG_S: Final = 3_600
"""A follower that is so far behind does not run, or cannot keep up."""
BY_NAMES: Final = {
    By.TERMINAL: N_("terminal"),
    By.ROUTE: N_("route"),
    By.SCHOOL: N_("school"),
    By.FUNDER: N_("funder"),
    By.PROOF: N_("proof"),
}
DAY_TITLES: Final = {
    By.TERMINAL: N_("Service day {day} by terminal"),
    By.ROUTE: N_("Service day {day} by route"),
    By.SCHOOL: N_("Service day {day} by school"),
    By.FUNDER: N_("Service day {day} by funder"),
    By.PROOF: N_("Service day {day} by proof"),
}
PLACES: Final = {
    "": N_("not known"),
    "unknown": N_("not known"),
    "hand": N_("by hand"),
    "vehicle": N_("on-board computer"),
}
SETS: Final = {
    "region": N_("tariff"),
    "routes": N_("routes"),
    "deny": N_("deny list"),
    "deny_changes": N_("deny list changes"),
    "grants": N_("grants"),
    "roster": N_("roster"),
    "prices": N_("prices"),
    "staff": N_("staff"),
    "issuers": N_("issuers"),
}
"""What of a terminal's active set is in force, for people."""
ACTS: Final = {
    Act.ACKNOWLEDGE: N_("Acknowledge alarm"),
    Act.ROLL_OUT: N_("Roll out"),
    Act.REFUND: N_("Refund"),
    Act.CLOSE_MONTH: N_("Close month"),
    Act.REPLACE_CARD: N_("New card for a lost one"),
    Act.REPAY_RIDE: N_("Pay a ride back onto the card"),
    Act.SETTLE_LATER: N_("Settle later records on the new card"),
    Act.FORGIVE_LATER: N_("Forgive later records"),
    Act.MOVE_ORDER: N_("Move an order off a broken card"),
    Act.DROP_ORDER: N_("Give up an order"),
    Act.ERASE_PERSON: N_("Erase what names a holder"),
}


class Sight(NamedTuple):
    """As whom and how the page is seen. `proof` is what its forms carry, "" for a reader who is not signed in."""

    who: Who
    language: str
    proof: str
    reads: frozenset[OfficeReading]
    waiting: list[Approval]
    staged: Staged | None
    notice: str = ""
    day: str = ""
    """The service day asked for; "": the newest."""
    orders: tuple[str, ...] = ()
    """What was approved for cards and is not done, or has been overtaken by later records: a line each."""
    denies: bool = False
    """Whether this collector has a deny register at hand."""


def render(views: OperatorViews, now_ms: int, sight: Sight) -> str:
    """The whole page. Raises `CollectorError`."""
    words = page_texts(sight.language, views.books.calendar().zone)
    _ = words.gettext
    status = views.status(now_ms)
    terminals = views.terminals(now_ms)
    alarms = views.store.alarms(MOST_ALARMS, only_open=True, kinds=alarms_of(sight.who))[::-1]
    shown_by = (
        (By.TERMINAL, By.ROUTE, By.SCHOOL, By.FUNDER, By.PROOF) if OfficeReading.SUMS in sight.reads else ()
    )
    day = sight.day or status.newest_day
    by = {one: views.books.day(day, one) if day else [] for one in shown_by}
    body = (
        f"<h1>{escape(_('Collector'))} <small>{words.time(now_ms)}</small></h1>",
        _visitor(words, sight),
        f"<p class=notice role=status>{escape(sight.notice)}</p>" if sight.notice else "",
        _requests(words, sight),
        _orders(words, sight, views.orders_of() if sight.orders or OfficeReading.SUMS in sight.reads else []),
        _ride_form(words) if OfficeReading.RIDES in sight.reads else "",
        _tiles(words, status, max((t.oldest_unsent_s or 0 for t in terminals), default=0)),
        _alarms(words, alarms, status.open_alarms, sight.proof)
        if OfficeReading.ALARMS in sight.reads
        else "",
        _acts(words, sight),
        _strangers(words, views.strangers()) if OfficeReading.STRANGERS in sight.reads else "",
        _terminals(words, terminals),
        _trials(words, views.ledger.groups()) if OfficeReading.TRIALS in sight.reads else "",
        _shadows(words, views.ledger.shadows()) if OfficeReading.STAGED in sight.reads else "",
        _days(words, day or "") if shown_by else "",
        *(_day(words, day, one, sums) for one, sums in by.items()),
        order_table(
            words, _("Orders for cards done on {day}").format(day=words.day(day)), views.orders_of(day)
        )
        if day and shown_by
        else "",
    )
    return document(_("Collector"), sight.language, "".join(body), live=True)


def ride_page(words: PageTexts, code: str, lines: Iterable[str]) -> str:
    """One tap, and the form for the next."""
    language = words.language
    said = "".join(f"<p>{escape(visible(line))}</p>" for line in lines)
    head = escape(words.gettext("Find a ride"))
    back = f"<nav><a href=/operator/>{escape(words.gettext('Collector'))}</a></nav>"
    return document(head, language, f"{back}<h1>{head} {escape(code)}</h1>{said}{_ride_form(words)}")


def rides_page(words: PageTexts, lines: Iterable[str]) -> str:
    """Several rides, and the forms for others. Printed, only the rides are."""
    said = "".join(f"<p>{escape(visible(line))}</p>" if line else "<hr>" for line in lines)
    head = escape(words.gettext("Find rides"))
    back = f"<nav><a href=/operator/>{escape(words.gettext('Collector'))}</a></nav>"
    return document(head, words.language, f"{back}<h1>{head}</h1>{said}{_ride_form(words)}")


def _ride_form(words: PageTexts) -> str:
    _ = words.gettext
    button = f"<button>{escape(_('Find'))}</button>"

    def field(label: str, attributes: str) -> str:
        return f"<label>{escape(label)}<input {attributes} required></label>"

    code = field(_("Support code"), "name=code maxlength=40")
    card = field(_("Card reference"), "name=card maxlength=16 pattern='[0-9a-fA-F]{16}'")
    where = field(_("Service day"), "name=day type=date") + field(
        _("Route"), "name=route inputmode=numeric maxlength=5"
    )
    at = field(_("Time"), "name=at type=time")
    return "".join(
        f"<form method=get action=/operator/{page}><fieldset aria-label='{escape(name)}'>"
        f"{fields}{button}</fieldset></form>"
        for page, name, fields in (
            ("ride", _("By support code"), code),
            ("rides", _("By the card's number"), card),
            ("rides", _("By route and time"), where + at),
        )
    )


def _visitor(words: PageTexts, sight: Sight) -> str:
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
    pages = ""
    if OfficeReading.SUMS in sight.reads:
        pages = f"<a href=/operator/settlement>{escape(_('Carriers'))}</a>"
    return f"<nav>{pages}{who}{language_links(sight.language)}</nav>"


def _requests(words: PageTexts, sight: Sight) -> str:
    """What waits for a second person, with the answers of who may give them."""
    _ = words.gettext
    if not sight.waiting:
        return ""

    def answers(one: Approval) -> str:
        if not sight.proof or ROLE_OF[one.what] not in sight.who.roles:
            return ""
        number, own = str(one.id), one.by == sight.who.ref
        reject = form(sight.proof, "reject", _("Take the request back") if own else _("Reject"), number)
        confirm = form(sight.proof, "confirm", _("Confirm"), number, name=_(ACTS[one.what]))
        return reject if own else confirm + reject

    rows = "".join(
        f"<li><b>{one.id}</b> {escape(_(ACTS[one.what]))} {escape(visible(_subject(one)))}"
        f" — {escape(one.by)}, {words.time(one.at_ms)}"
        f"{': ' + escape(visible(one.comment)) if one.comment else ''} {answers(one)}</li>"
        for one in sight.waiting
    )
    return f"<h2>{escape(_('Waits for a second person'))}</h2><ul>{rows}</ul>"


def _orders(words: PageTexts, sight: Sight, sums: list[OrderSum]) -> str:
    """What the issuing point has to do, for who decides about money or works there; and what all orders come to."""
    rows = "".join(f"<li>{escape(visible(line))}</li>" for line in sight.orders)
    listed = f"<h2>{escape(words.gettext('Orders for cards'))}</h2><ul>{rows}</ul>" if rows else ""
    summed = order_table(words, words.gettext("Orders for cards in all"), sums)
    return listed + (summed if OfficeReading.SUMS in sight.reads else "")


def _subject(one: Approval) -> str:
    if one.what in (Act.ERASE_PERSON, Act.MOVE_ORDER):
        return one.subject.replace(",", ", ").replace("/", ", ")
    if one.what in ISSUING_ACTS:
        subject = IssuingSubject.parse(one.subject)
        return f"{subject.card.hex()} {amount_text(subject.minor, subject.currency)} {subject.currency}"
    return one.subject[:16] if one.what is Act.ROLL_OUT else one.subject.partition("/")[0]


def _acts(words: PageTexts, sight: Sight) -> str:
    """The forms of what this user may do."""
    _ = words.gettext
    if not sight.proof:
        return ""

    def number(label: str, most: int) -> str:
        field = f"<input name=subject inputmode=numeric required pattern='[0-9]+' maxlength={len(str(most))}>"
        return f"<label>{escape(label)}{field}</label>"

    found = []
    if OfficeRole.OPERATE in sight.who.roles:
        terminal = number(_("Terminal number"), LARGEST_TERMINAL)
        found.append(form(sight.proof, "code", _("One-time code for enrolment"), inputs=terminal))
        found.append(form(sight.proof, "revoke", _("Revoke: it uploads no more"), inputs=terminal))
    if sight.denies and {OfficeRole.OPERATE, OfficeRole.MONEY} & sight.who.roles:
        found.append(_denial(words, sight.proof))
    if OfficeRole.MONEY in sight.who.roles:
        why = f"<label>{escape(_('Reason'))}<input name=comment required maxlength=500></label>"
        for do, label in (
            (Act.REPLACE_CARD, _("Lost card: support code or reference")),
            (Act.REPAY_RIDE, _("Support code")),
            (Act.ERASE_PERSON, _("Card: support code or reference")),
        ):
            inputs = f"<label>{escape(label)}<input name=subject required maxlength=40></label>{why}"
            found.append(form(sight.proof, do, _(ACTS[do]), inputs=inputs))
        if sight.orders:
            order = number(_("Order number"), 10**12)
            acts = (Act.SETTLE_LATER, Act.FORGIVE_LATER, Act.MOVE_ORDER, Act.DROP_ORDER)
            found += [form(sight.proof, do, _(ACTS[do]), inputs=order + why) for do in acts]
    if OfficeRole.PUBLISH in sight.who.roles and sight.staged is not None:
        changes = escape("; ".join(sight.staged.changes))
        found.append(form(sight.proof, "roll_out", _("Ask for roll-out"), inputs=f"<span>{changes}</span>"))
    forms = "".join(f"<p>{one}</p>" for one in found)
    return f"<h2>{escape(_('What you may do'))}</h2>{forms}" if forms else ""


def _denial(words: PageTexts, proof: str) -> str:
    """The form that has a card refused."""
    _ = words.gettext
    options = "".join(
        f"<option value={code}>{escape(_(reason))}</option>" for code, reason in DENY_REASONS.items()
    )
    inputs = (
        f"<label>{escape(_('Card: support code or reference'))}"
        "<input name=subject required maxlength=40></label>"
        f"<label>{escape(_('Why denied'))}<select name=comment aria-label='{escape(_('Why denied'))}'>{options}"
        "</select></label>"
    )
    return form(proof, "deny_card", _("Deny the card"), inputs=inputs)


def _tiles(words: PageTexts, status: CollectorStatus, oldest_unsent_s: int) -> str:
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


def _alarms(words: PageTexts, alarms: list[SeenAlarm], count: int, proof: str) -> str:
    _ = words.gettext
    title = _("Open alarms")
    if not alarms:
        return f"<h2>{escape(title)}</h2><p class=good>{escape(_('No open alarms.'))}</p>"
    rows = (
        (
            str(a.id),
            _(KIND_NAMES[AlarmKind(a.kind)]),
            str(a.terminal or ""),
            str(a.sequence or ""),
            a.says(words.language),
            str(a.times),
            words.time(a.last_at_ms),
        )
        for a in alarms
    )
    newest = _("The newest {shown} of {all}.").format(shown=len(alarms), all=count)
    heads = (_("number"), _("what"), _("terminal"), _("row"), _("detail"), _("times"), _("last"))
    said = newest if count > len(alarms) else ""
    if not proof:
        return section(title, heads, rows, {0, 2, 3, 5}, said)
    label = escape(_("Finding and action taken"))
    acts = [
        form(
            proof,
            "acknowledge",
            _("Acknowledge"),
            str(a.id),
            f"<input name=comment maxlength=500 placeholder='{label}' aria-label='{label}'>",
            _("{alarm}, terminal {terminal}").format(
                alarm=_(KIND_NAMES[AlarmKind(a.kind)]), terminal=a.terminal
            ),
        )
        for a in alarms
    ]
    return section(title, (*heads, _("acknowledgement")), rows, {0, 2, 3, 5}, said, acts)


def _strangers(words: PageTexts, counts: list[StrangerCount]) -> str:
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
            words.time(c.last_at_ms),
        )
        for c in counts[:MOST_STRANGERS]
    )
    said = _("Attempts without a good signature: {attempts}, from {addresses} addresses or more.").format(
        attempts=sum(c.times for c in counts), addresses=len({c.address for c in counts})
    )
    heads = (_("what"), _("address"), _("in the name of"), _("detail"), _("times"), _("last"))
    return section(_("Strangers"), heads, rows, {2, 4}, said)


def _terminals(words: PageTexts, terminals: list[TerminalView]) -> str:
    _ = words.gettext
    # The terminals that need attention come first.
    worst = sorted(terminals, key=lambda t: (-t.open_alarms, -(t.oldest_unsent_s or 0), -(t.silent_s or 0)))
    rows = (
        (
            str(t.terminal),
            shown_code(words, t.enrolment),
            _("never") if t.silent_s is None else _("{age} ago").format(age=age(t.silent_s, words)),
            str(t.held),
            str(t.unsent),
            "" if t.oldest_unsent_s is None else _("up to {age}").format(age=age(t.oldest_unsent_s, words)),
            fault_text(t.reader, {}, words.language) if t.reader else _("works"),
            _("in doubt") if t.clock else _("sound"),
            _(PLACES.get(t.place, t.place)),
            ", ".join(f"{_(SETS.get(kind, kind))} {version}" for kind, version in sorted(t.in_force.items())),
            str(t.proven),
            str(t.unproven),
            str(t.differing),
            str(t.open_alarms),
        )
        for t in worst[:MOST_TERMINALS]
    )
    heads = (
        *(_("number"), _("key"), _("last batch"), _("records"), _("unsent"), _("oldest unsent"), _("reader")),
        *(_("clock"), _("place"), _("in force")),
        *(_("proven"), _("unproven"), _("differing"), _("alarms")),
    )
    shown = _("{shown} of {all}.").format(shown=MOST_TERMINALS, all=len(terminals))
    said = shown if len(terminals) > MOST_TERMINALS else ""
    return section(_("Terminals"), heads, rows, {0, 3, 4, 10, 11, 12, 13}, said)


def _trials(words: PageTexts, groups: list[GroupCount]) -> str:
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
    return section(_("Tariffs on trial"), heads, rows, {1, 2, 3, 4})


def _shadows(words: PageTexts, shadows: list[ShadowSum]) -> str:
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
    return section(_("Tariffs in shadow"), heads, rows, {*range(1, 11), 12})


def _days(words: PageTexts, day: str) -> str:
    """The form for another day."""
    label, button = escape(words.gettext("Service day")), escape(words.gettext("Show"))
    field = f"<input type=date name=day required value='{escape(day)}'>"
    asked = f"<label>{label}{field}</label><button>{button}</button>"
    group = escape(words.gettext("Another day"))
    return f"<form method=get action=/operator/><fieldset aria-label='{group}'>{asked}</fieldset></form>"


def _day(words: PageTexts, day: str | None, by: By, sums: list[DaySum]) -> str:
    _ = words.gettext
    if day is None or not sums:
        return ""
    rows = (
        (
            shown_code(words, line.name) or "—",
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
    return section(_(DAY_TITLES[by]).format(day=words.day(day)), heads, rows, {1, 2, 3, 4, *range(6, 12)})
