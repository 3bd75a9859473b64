"""What every page of the office is made of: one document around its body, tables, forms, ages and local times. Pages
are HTML made on the server, nothing is loaded from elsewhere.

Every value is escaped, whatever it is: what terminals send ends up here. No name, no pseudonym, no card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from itertools import chain, repeat
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from starlette.responses import Response

from cardcli.characters import visible
from terminal.collector.order_sums import SUM_NAMES, OrderSum
from terminal.collector.watch import local_time
from terminal.money import amount_text
from terminal.texts import N_, languages, translator

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " base-uri 'none';"
    " form-action 'self';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with "no-referrer" browsers send forms from the origin "null"
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
fieldset { display: inline-flex; flex-wrap: wrap; gap: .4rem; border: 0; margin: 0; padding: 0; min-width: 0; }
form.sign-in { display: flex; flex-direction: column; max-width: 20rem; gap: .8rem; }
label { display: flex; flex-direction: column; }
input, button, select { font: inherit; padding: .3rem .6rem; min-height: 2.2rem; }
nav { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; }
.notice { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; font-weight: 600; }
@media print { nav, form, .notice { display: none; } }
footer { margin-top: 2rem; font-size: .85rem; }
"""


SCRIPT: Final = """\
// Renews the page when something has come to the collector, and leaves alone what is being typed.
const typed = () => [...document.querySelectorAll("input")].some((field) => field.value !== field.defaultValue);
let wanted = false;
let asking = false;
async function renew() {
  if (asking || typed() || document.hidden) return;
  asking = true;
  wanted = false;
  try {
    const address = new URL(location.pathname === "/operator/do" ? "/operator/" : location.href, location.href);
    address.searchParams.set("live", "1");
    const answer = await fetch(address);
    if (answer.redirected) location.reload();
    else if (answer.ok && !typed()) {
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      const now = document.querySelector("main");
      const notice = now.querySelector(".notice");
      const focus = document.activeElement?.closest("main") ? document.activeElement.outerHTML : "";
      if (notice) found.querySelector("h1").after(document.adoptNode(notice));
      now.replaceWith(document.adoptNode(found));
      if (focus) [...found.querySelectorAll("a, button, input")].find((one) => one.outerHTML === focus)?.focus();
    } else wanted = true;
  } finally {
    asking = false;
  }
}
const news = new EventSource("/operator/events");
news.onmessage = () => { wanted = true; renew(); };
document.addEventListener("visibilitychange", () => wanted && renew());
document.addEventListener("input", () => wanted && renew());
"""
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


class PageTexts(NamedTuple):
    """The page's texts in one language, and the zone its times are local to."""

    gettext: Callable[[str], str]
    language: str
    zone: ZoneInfo

    def time(self, at_ms: int) -> str:
        """A moment as clocks of the region show it, to the minute."""
        return local_time(at_ms, self.language, self.zone)

    def day(self, day: str) -> str:
        """A service day, "2026-09-15", as the region writes it."""
        parts = day.split("-")
        return ".".join(reversed(parts)) if self.language == "ru" and len(parts) == 3 else day


def page_texts(language: str, zone: ZoneInfo) -> PageTexts:
    """The texts of a language."""
    return PageTexts(translator(language).gettext, language, zone)


def document(title: str, language: str, body: str, *, live: bool = False) -> str:
    """A whole page of the office around `body`; a `live` one is renewed by its script when something has come."""
    script = "<script src='/operator/live.js' defer></script>" if live else ""
    return (
        f"<!doctype html><html lang={escape(language)}><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><link rel=stylesheet href='/operator/style.css'>{script}</head>"
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


def form(proof: str, do: str, label: str, subject: str = "", inputs: str = "", name: str = "") -> str:
    """A form that does one thing; all of them go to one place. It is called `name`, or as its button is."""
    fields = {"proof": proof, "do": do, **({"subject": subject} if subject else {})}
    hidden = "".join(
        f"<input type=hidden name={name} value='{escape(value)}'>" for name, value in fields.items()
    )
    group = (
        f"<fieldset aria-label='{escape(name or label)}'>{inputs}<button>{escape(label)}</button></fieldset>"
    )
    return f"<form method=post action=/operator/do>{hidden}{group}</form>"


def response(html: str, status: int = 200) -> Response:
    """The page with the headers that keep anything foreign out of it."""
    return Response(html, status, HEADERS, "text/html")


def shown_code(words: PageTexts, code: str) -> str:
    """A code of the books in words; what is none stands for itself."""
    text = CODE_NAMES.get(code)
    return code.replace("_", " ") if text is None else words.gettext(text)


def section(
    title: str,
    heads: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    numbers: set[int],
    said: str = "",
    acts: Iterable[str] = (),
) -> str:
    """A table under its title, with what is `said` of it before; the columns `numbers` hold numbers. `acts` are forms,
    one for each row, in a last column."""

    def line(cells: tuple[str, ...], tag: str, act: str = "") -> str:
        marked = ((" class=n" if place in numbers else "", cell) for place, cell in enumerate(cells))
        shown = "".join(f"<{tag}{mark}>{escape(visible(cell))}</{tag}>" for mark, cell in marked)
        return f"<tr>{shown}{act and f'<td>{act}</td>'}</tr>"

    body = "".join(line(row, "td", act) for row, act in zip(rows, chain(acts, repeat("")), strict=False))
    table = f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"
    before = f"<p>{escape(said)}</p>" if said else ""
    scroll = f"<div class=scroll tabindex=0 role=region aria-label='{escape(title)}'>{table}</div>"
    return f"<h2>{escape(title)}</h2>{before}{scroll}"


def order_table(words: PageTexts, title: str, sums: list[OrderSum]) -> str:
    """Orders for cards as lines that add up; nothing where there are none."""
    _ = words.gettext
    if not sums:
        return ""
    rows = (
        (
            _(SUM_NAMES[one.what]),
            one.currency,
            *(
                text
                for count, minor in (
                    (one.approved, one.approved_minor),
                    (one.done, one.done_minor),
                    (one.open, one.open_minor),
                    (one.dropped, one.dropped_minor),
                )
                for text in (str(count), amount_text(minor, one.currency))
            ),
        )
        for one in sums
    )
    states = (_("approved"), _("done"), _("open"), _("given up"))
    heads = (_("orders"), _("currency"), *(name for state in states for name in (state, _("sum"))))
    return section(title, heads, rows, set(range(2, 10)))


def age(seconds: int, words: PageTexts) -> str:
    """How long ago, in the largest unit of which there are at least two."""
    _ = words.gettext
    for unit, length in ((_("d"), 86_400), (_("h"), 3_600), (_("min"), 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} {_('s')}"
