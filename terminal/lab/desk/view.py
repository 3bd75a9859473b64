"""What the desk's pages get, as JSON values: the whole desk, one tap, a stretch of the trace."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

from cardproto.resident.records.rights import Rights
from sim.desk.content import CardValue, holding_of
from sim.desk.shelf import Laid
from sim.desk.trace import Traced, waterfall
from terminal.fault_texts import fault_text
from terminal.journal.journal import Journal
from terminal.journal.taps import End
from terminal.lab.desk.known import known, span, worth
from terminal.lab.desk.refusals import worded
from terminal.lab.desk.rows import row_as_json
from terminal.lab.desk.scenario import mishap_words
from terminal.lab.desk.session import DeskSession
from terminal.lab.desk.tap import FinishedTap
from terminal.lab.desk.town import DRIVER, PLACES, DeskPlace, region_names
from terminal.lab.desk.words import CARD_LINES, WORDS, counter_title, region_title
from terminal.messages import colour, text
from terminal.money import money
from terminal.policy.policy import Policy
from terminal.tap import Terminal
from terminal.texts import translator
from terminal.trail_steps import step_line

TAPS_SHOWN: Final = 200
DAY: Final = {"en": "%Y-%m-%d", "ru": "%d.%m.%Y"}
MOMENT: Final = {"en": "%Y-%m-%d %H:%M:%S", "ru": "%d.%m.%Y %H:%M:%S"}
UNCERTAIN: Final = (End.UNRESOLVED, End.NOT_COMMITTED)


def desk_as_json(session: DeskSession, language: str, after: int = 0) -> dict[str, Any]:
    """Everything a page shows around a tap; of the taps only the newest after number `after`."""
    with session.lock:
        town, wire = session.town, session.wire
        header, zone = town.policy.document.header, town.policy.zone
        taps = session.taps[max(after, len(session.taps) - TAPS_SHOWN) :]
        return {
            "session": session.name,
            "region": session.region,
            "regions": [{"name": one, "title": region_title(one, language)} for one in region_names()],
            "document": {
                "id": header.id,
                "version": header.version,
                "changes": session.document,
                "path": str(town.document_path),
                "problem": None
                if session.document_problem is None
                else worded(session.document_problem, language),
            },
            "clock": town.clock.now().astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S"),
            "zone": town.clock.now().astimezone(zone).tzname(),
            "network": wire.network,
            "collector": {"wanted": wire.wanted, "up": wire.up, "problem": wire.problem},
            "report": wire.collector_report,
            "bus": _bus(session, language),
            "places": [_place(session, place, language) for place in PLACES],
            "cards": [card_as_json(laid, language, town.policy.currency) for laid in town.shelf.values()],
            "taps": [tap_line(entry, language, town.policy) for entry in taps],
            "taps_total": len(session.taps),
            "trace_total": len(session.trace),
        }


def card_as_json(laid: Laid, language: str, currency: str) -> dict[str, Any]:
    """A card as it lies on the shelf now; its purse counts in `currency`."""
    held = holding_of(laid.card)
    title = laid.face.title
    return {
        "name": laid.face.name,
        "group": laid.face.group.value,
        "title": title.ru if language == "ru" else title.en,
        "chip": laid.chip,
        "balance": ""
        if held.purse_minor is None or held.rights is None
        else money(held.purse_minor, currency, language),
        "flags": [] if held.rights is None else _flags(held.rights),
        "uid": held.uid.hex().upper()[-4:],
    }


def tap_line(entry: FinishedTap, language: str, policy: Policy) -> dict[str, Any]:
    """A tap in one line."""
    report = entry.report
    outcome = report.outcome
    title = entry.card.face.title
    return {
        "number": entry.number,
        "at": report.at.astimezone(policy.zone).strftime("%H:%M:%S"),
        "place": entry.place.key,
        "card": entry.card.face.name,
        "title": title.ru if language == "ru" else title.en,
        "message": str(outcome.message),
        "text": text(outcome.message, language, outcome.values),
        "colour": colour(outcome.message).value,
        "charge_minor": outcome.charge_minor,
        "charged": money(outcome.charge_minor, policy.currency, language) if outcome.charge_minor else "",
        "end": report.end.value,
        "mishap": mishap_words(entry.disturbance, language),
        "exchange": entry.exchange,
        "exchanges": len(entry.rows),
    }


def tap_as_json(entry: FinishedTap, language: str, policy: Policy, acknowledged: int) -> dict[str, Any]:
    """A tap with everything that is known of it."""
    report = entry.report
    say, line = translator(language).gettext, tap_line(entry, language, policy)
    reasons = [
        _reason(reason.rule, step_line(reason, policy.currency, language)) for reason in report.reasons
    ]
    return {
        **line,
        "operator": report.operator,
        "air_ms": round(entry.air_ms, 1),
        "on_air": sum(1 for row in entry.rows if row.number),
        "apdu_bytes": report.apdu_bytes,
        "sequence": report.sequence,
        "before_minor": entry.before.purse_minor,
        "after_minor": entry.after.purse_minor,
        "purse": _purse(entry, language, policy.currency),
        "reasons": reasons,
        "known": [asdict(fact) for fact in known(entry, language, policy)],
        "changes": [
            {
                "part": say(c.part),
                **_line_name(c.name, language),
                "before": _says(c.before, language, policy),
                "after": _says(c.after, language, policy),
                "changed": c.changed,
            }
            for c in entry.changes
        ],
        "journal": [row_as_json(row, acknowledged, language) for row in entry.journal],
        "waterfall": waterfall(
            entry.rows,
            f"{line['title']}: {entry.air_ms:.0f} {say(WORDS['ms'])}",
            say,
        ),
    }


def _purse(entry: FinishedTap, language: str, currency: str) -> str:
    """What the purse held, before and after where that differs; empty for a card without one."""
    sums = dict.fromkeys((entry.before.purse_minor, entry.after.purse_minor))
    return " → ".join(money(minor, currency, language) for minor in sums if minor is not None)


def _says(value: CardValue | None, language: str, policy: Policy) -> str | None:
    """What a line of a card says, in the page's language and the region's time."""
    if value is None or isinstance(value, str):
        return value
    words = translator(language).pgettext("card", value.words)
    return words.format_map({name: _shown(name, one, language, policy) for name, one in value.inputs.items()})


def _shown(name: str, value: date | int | str, language: str, policy: Policy) -> str:
    if isinstance(value, datetime):
        return value.astimezone(policy.zone).strftime(MOMENT[language])
    if isinstance(value, date):
        return value.strftime(DAY[language])
    if name.endswith("_minor"):
        return money(int(value), policy.currency, language)
    return str(value)


def _line_name(name: str, language: str) -> dict[str, Any]:
    """What a line of a card is called; a counter without words keeps the document's own name, marked as code."""
    if name in CARD_LINES:
        return {"name": translator(language).gettext(name), "code": False}
    title = counter_title(name, language)
    return {"name": title or name, "code": not title}


def trace_as_json(session: DeskSession, start: int, count: int, language: str) -> list[dict[str, Any]]:
    """Exchanges `start` (from 0) and on, names of the protocol as it has them."""
    say = translator(language).gettext
    with session.lock:
        stretch = list(islice(session.trace, start, start + count))
    return [{**_exchange(number, row), "part": row.part and say(row.part)} for number, row in stretch]


def _place(session: DeskSession, place: DeskPlace, language: str) -> dict[str, Any]:
    journal: Journal = session.town.terminals[place.key].journal
    shift = journal.open_shift
    run = journal.open_turn or shift
    return {
        "key": place.key,
        "number": place.number,
        "profile": place.profile,
        "title": place.title[1] if language == "ru" else place.title[0],
        "shift": None
        if shift is None or run is None
        else {"shift": shift.shift, "route": run.route, "direction": run.direction},
        "clock": _clock_state(session.town.terminals[place.key]),
        "next": _next_ride(session, place),
        "head": journal.head.sequence,
        "acknowledged": journal.acknowledged_through,
        "unsent": journal.unsent,
        "unresolved": len(journal.open_intents()),
    }


def _bus(session: DeskSession, language: str) -> dict[str, Any]:
    """Where the bus is, what its computer says of it, and what comes of that at the driver's terminal."""
    town = session.town
    bus, terminal = town.bus, town.terminals[DRIVER.key]
    line, trip = bus.line, terminal.trip()
    heard = bus.link.heard(trip.route, trip.direction, terminal.routes)
    names = () if line is None else tuple(one.name for one in line.directions)
    age_s = bus.link.age_s
    return {
        "route": bus.route,
        "line": "" if line is None else line.name,
        "direction": names[bus.direction] if bus.direction < len(names) else "",
        "stops": [{"name": stop.name, "zone": _zone_name(town.policy, stop.zone)} for stop in bus.stops],
        "index": bus.index,
        "phase": bus.phase.value,
        "ended": bus.ended,
        "driving": bus.driving,
        "computer": bus.computer.value,
        "mistakes": [one.value for one in bus.mistakes],
        "razzia": bus.razzia,
        "age": "" if age_s is None else span(age_s, language),
        "known": worth(trip.place, town.policy.document.vehicle),
        "trouble": ""
        if heard.trouble is None
        else fault_text(heard.trouble.code, heard.trouble.inputs, language),
    }


def _zone_name(policy: Policy, number: int) -> str:
    return next((zone.name for zone in policy.document.zones if zone.number == number), "")


def _next_ride(session: DeskSession, place: DeskPlace) -> dict[str, Any] | None:
    """What is asked of the next card there, and what may be; None where no ride begins."""
    if not place.on_bus:
        return None
    asked, ahead = session.town.terminals[place.key].next_ride.ride, session.goals(place.key)
    chosen = next((goal.key for goal in ahead if goal.spot == asked.destination), "")
    return {
        "companions": asked.companions,
        "goal": chosen,
        "goals": [{"key": goal.key, "name": goal.name} for goal in ahead],
    }


def _clock_state(terminal: Terminal) -> str:
    """A key of the page's words; empty for a clock in no doubt."""
    clock = terminal.clock_watch.state
    if not clock.suspect:
        return ""
    return "clock_confirmed" if clock.confirmed else "clock_suspect"


def _exchange(tap: int, row: Traced) -> dict[str, Any]:
    return {
        "tap": tap,
        "number": row.number,
        "name": row.name,
        "status": row.status,
        "mode": row.mode,
        "verified": row.verified,
        "session": row.session,
        "content": row.content,
        "command": row.command,
        "answer": row.answer,
        "lost": row.lost,
        "sent_ms": row.sent_ms,
        "took_ms": row.took_ms,
    }


def _reason(rule: str, words: str) -> dict[str, str]:
    return {"rule": rule, "words": words.removeprefix(rule).lstrip()}


def _flags(rights: Rights) -> list[str]:
    return [name for name in ("blocked", "inactive") if getattr(rights, name)]
