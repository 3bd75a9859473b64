"""The playground's answers in JSON values: a document's own names, a tap and what came of it, differences in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from terminal.errors import DocumentError, Mistake
from terminal.messages import colour, text, wording
from terminal.mistakes.words import place_of, said
from terminal.money import money, sum_format
from terminal.policy.base import Mode
from terminal.policy.policy import Policy
from terminal.scenario.compare import Difference, balance_minor, counters_of, paid_by
from terminal.scenario.diff import Change
from terminal.scenario.play import Played
from terminal.texts import NP_, translator
from terminal.trail_steps import step_line

CHANGED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "message": NP_("of a tap", "message"),
        "charge_minor": NP_("of a tap", "charge"),
        "admission": NP_("of a tap", "admission"),
        "balance_minor": NP_("of a tap", "balance"),
        "paid_by": NP_("of a tap", "paid by"),
        "transfers": NP_("of a tap", "transfers"),
        "written": NP_("of a tap", "written to the card"),
        "sources": NP_("of a tap", "who pays the portion"),
        "meal_minor": NP_("of a tap", "price of the portion"),
        "hot_minor": NP_("of a tap", "hot-meal account"),
        "meals": NP_("of a tap", "meals of the day"),
        "reasons": NP_("of a tap", "reasons"),
        "flags": NP_("of a tap", "flags"),
        "values": NP_("of a tap", "values of the message"),
        "counters": NP_("of a tap", "counter"),
        "sold": NP_("of a tap", "sold"),
        "price_minor": NP_("of a tap", "price"),
        "total.charge_minor": NP_("of a tap", "all charges"),
        "total.meals_minor": NP_("of a tap", "all portions"),
    }
)
"""What scenario files call the parts of a result, in words."""
ADMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "let_in": NP_("admission", "let in"),
        "refused": NP_("admission", "refused"),
        "inside": NP_("admission", "nothing opens"),
    }
)
YES_NO: Final = {True: NP_("yes or no", "yes"), False: NP_("yes or no", "no")}


def mistake_shown(mistake: Mistake, language: str) -> dict[str, Any]:
    """Where a mistake is, what is wrong, and what to write instead."""
    what, advice = said(mistake, language)
    return {"line": mistake.line, "place": place_of(mistake), "what": what, "advice": advice}


def problem_shown(error: DocumentError, language: str) -> list[dict[str, Any]]:
    """All mistakes of a scenario file or a story; the one of a file that is sound and does not fit the document."""
    if error.mistakes:
        return [mistake_shown(one, language) for one in error.mistakes]
    return [{"line": None, "place": "", "what": error.what, "advice": error.advice}]


def document_shown(policy: Policy, language: str) -> dict[str, Any]:
    """What a document has that a story may name."""
    document = policy.document
    header = document.header
    return {
        "id": header.id,
        "version": header.version,
        "currency": header.currency,
        "sum_format": sum_format(header.currency, language)._asdict(),
        "valid_from": header.valid_from.astimezone(policy.zone).date(),
        "valid_to": header.valid_to.astimezone(policy.zone).date(),
        "media": list(document.profiles.bus.media),
        "concessions": [{"code": one.code, "name": one.name} for one in document.concessions],
        "entitlements": sorted({one.code for one in document.meals.entitlements}),
        "products": [
            {"id": one.id, "name": one.name, "trips": getattr(one, "trips", 0)} for one in document.products
        ],
        "counters": [counter.name for counter in policy.counters],
        "zones": [{"number": zone.number, "name": zone.name} for zone in document.zones],
        "meals": [kind.id for kind in document.meals.kinds],
        "modes": list(Mode),
        "feed": document.gtfs is not None,
        "checkin": document.checkin is not None,
    }


def played_shown(played: Played, policy: Policy, language: str) -> dict[str, Any]:
    """One tap with everything that came of it."""
    outcome = played.decision.outcome
    return {
        "tap": played.tap,
        "turn": played.turn,
        "at": played.at.astimezone(policy.zone).replace(tzinfo=None),
        "message": text(outcome.message, language, outcome.values),
        "colour": colour(outcome.message).value,
        "charge_minor": outcome.charge_minor,
        "balance_minor": balance_minor(played),
        "paid_by": _payment(paid_by(played), language),
        "counters": counters_of(played, policy),
        "trail": [
            {
                "rule": reason.rule,
                "words": step_line(reason, policy.currency, language).removeprefix(reason.rule).lstrip(),
            }
            for reason in played.decision.facts
        ],
    }


def difference_shown(found: Difference, currency: str, language: str) -> dict[str, Any]:
    """What was expected, and what came; sums are in `currency`."""
    old, new = ((value, currency) for value in (found.expected, found.got))
    return _pair(found.what, old, new, language)


def change_shown(found: Change, old: Policy, new: Policy, language: str) -> dict[str, Any]:
    """A value under the old document and under the new one, each in its own currency."""
    return _pair(found.what, (found.old, old.currency), (found.new, new.currency), language)


def _pair(what: str, old: tuple[object, str], new: tuple[object, str], language: str) -> dict[str, Any]:
    return {
        "what": what,
        "words": _named(what, language),
        "old": _worth(what, *old, language),
        "new": _worth(what, *new, language),
    }


def _named(what: str, language: str) -> str:
    """ "charge_minor" in words; a part of a document and a name of its own stay as they are written."""
    t = translator(language)
    if what in CHANGED:
        return t.pgettext("of a tap", CHANGED[what])
    room, dotted, name = what.partition(".")
    if dotted and room in ("counters", "values"):
        return f"{t.pgettext('of a tap', CHANGED[room])} {name}"
    return what


def _worth(what: str, value: object, currency: str, language: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return translator(language).pgettext("yes or no", YES_NO[value])
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{name}: {_worth(str(name), one, currency, language)}" for name, one in value.items())
            or "–"
        )
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or "–"
    if isinstance(value, int):
        is_sum = what.endswith("_minor") or ".by_medium." in what
        return money(value, currency, language) if is_sum else str(value)
    return _code_in_words(what, str(value), language)


def _code_in_words(what: str, code: str, language: str) -> str:
    """A code of a result in words; a text of the author's as it is."""
    match what:
        case "message":
            return wording(code, language)
        case "paid_by":
            return _payment(code, language)
        case "admission":
            return translator(language).pgettext("admission", ADMISSIONS[code])
    return code


def _payment(payment: str, language: str) -> str:
    return translator(language).pgettext("card", payment)
