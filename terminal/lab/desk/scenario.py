"""A session at the desk as a scenario file: one scenario for each card, played again by `terminal policy run`.

A scenario knows decisions, not radio. A tap that was pulled off and left the card as it was decided nothing, so it
becomes a comment; one whose commit the card did execute is the ride the card holds, whatever the passenger saw
first. What was written is played at once, and what does not come out the same is said, in the file and to the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cardproto.resident.records.event import Event, PaidBy
from cardproto.resident.records.rights import Rights
from cardproto.resident.snapshot import CardSnapshot
from sim.desk.content import Holding
from sim.desk.disturbance import AT_EXCHANGE, Disturbance, Mishap
from terminal.codes import Admission
from terminal.decision.effects import CardEffect
from terminal.journal.taps import End
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.session import DeskSession
from terminal.lab.desk.tap import FinishedTap
from terminal.policy.policy import Policy
from terminal.scenario.load import parse_scenarios
from terminal.scenario.play import FACTS
from terminal.scenario.result import place_of, run
from terminal.scenario.schema import SCENARIO_SCHEMA
from terminal.scenario.write import toml_value
from terminal.texts import N_, translator
from terminal.trip.stated import Fact

NAME: Final = "desk.toml"
MISHAPS: Final = {
    Mishap.TEAR_BEFORE: N_("the card was pulled before exchange {n}"),
    Mishap.TEAR_AFTER: N_("the card was pulled after exchange {n}"),
    Mishap.COMMIT_BEFORE: N_("the card was pulled before its commit"),
    Mishap.COMMIT_AFTER: N_("the card was pulled as its commit ran"),
    Mishap.SLOW: N_("the card answered slowly"),
    Mishap.SILENT: N_("the card was silent at exchange {n}"),
    Mishap.CORRUPT: N_("a bit of answer {n} was flipped"),
    Mishap.ENDLESS: N_("from exchange {n} on there was always one more frame"),
}
_LOSES: Final = {
    End.NOT_COMMITTED: "the card kept nothing of it",
    End.UNRESOLVED: "the card kept nothing of it",
    End.RECOVERED: "the earlier result was shown again, nothing new was decided",
    End.NOTHING_WRITTEN: "no decision was made",
}


WRITTEN: Final = {fact: name for name, fact in FACTS.items() if name != "served_elsewhere"} | {
    name: name for name in ("mode", "companions", "asked_by", "razzia", "reader_ok")
}
"""How a scenario calls a fact of a tap; at the desk there is no pupil's roster and no other terminal of a school."""


@dataclass(frozen=True, slots=True)
class SavedScenario:
    """`text` is the file. Of `taps` taps in it, those at `differing` places do not play as they went at the desk."""

    text: str
    taps: int
    left_out: int
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _DecidedTap:
    """A tap as a decision: what the card became and what was said."""

    entry: FinishedTap
    message: str
    admission: Admission
    charge_minor: int
    values: Mapping[str, int | str]
    event: Event | None
    flags: Sequence[str]


def scenario_of(session: DeskSession) -> SavedScenario:
    """Raises `DeskRefused` when no tap since the last change of the document came to a decision."""
    with session.lock:
        taps, policy, document = tuple(session.taps), session.town.policy, session.document
    kept = [entry for entry in taps if entry.document == document]
    decided_by = {entry.number: _decided(entry) for entry in kept}
    decided = sum(one is not None for one in decided_by.values())
    if not decided:
        raise DeskRefused(DeskFault.NOTHING_TO_SAVE)
    text = "\n".join(_file(kept, decided_by, len(taps) - len(kept), policy)) + "\n"
    differing = tuple(_differing(text, policy))
    if differing:
        text += "\n# Played by the runner, these do not come out as they did at the desk:\n"
        text += "".join(f"# {line}\n" for line in differing)
    return SavedScenario(text, decided, len(taps) - decided, differing)


def mishap_words(disturbance: Disturbance, language: str = "en") -> str:
    """What was done to the tap, empty for nothing."""
    if disturbance.mishap not in MISHAPS:
        return ""
    words = translator(language).gettext(MISHAPS[disturbance.mishap])
    return words.format(n=disturbance.exchange if disturbance.mishap in AT_EXCHANGE else "")


def _differing(text: str, policy: Policy) -> Iterator[str]:
    for result in run(parse_scenarios(text, NAME), policy):
        for miss in result.misses:
            for found in miss.differences:
                where = place_of(result.number, miss.played)
                yield f"{where}: {found.what}: {found.expected!r} at the desk, {found.got!r} here"


def _decided(entry: FinishedTap) -> _DecidedTap | None:
    """None when the tap left no decision behind, or a scenario has no card for it: a phone's, a bank card's."""
    report, intent = entry.report, entry.intent
    if entry.before.rights is None or not isinstance(report.snapshot, CardSnapshot):
        return None
    outcome = report.outcome
    if report.end is End.COMMITTED or (report.end is End.UNRESOLVED and _written(entry)):
        assert intent is not None, "whatever was written was intended first"
        return _DecidedTap(
            entry,
            str(intent.message),
            Admission.LET_IN if report.end is End.UNRESOLVED else outcome.admission,
            intent.charge_minor,
            intent.values,
            entry.after.event,
            intent.flags,
        )
    if report.end is not End.NOTHING_WRITTEN or not report.reasons or report.snapshot is None:
        return None
    flags = next((getattr(row.record, "flags", ()) for row in reversed(entry.journal)), ())
    return _DecidedTap(
        entry,
        str(outcome.message),
        outcome.admission,
        outcome.charge_minor,
        outcome.values,
        None,
        flags,
    )


def _written(entry: FinishedTap) -> bool:
    event = entry.after.event
    return event is not None and (event.terminal, event.sequence) == (
        entry.place.number,
        entry.report.sequence,
    )


def _file(
    taps: Sequence[FinishedTap], decided_by: Mapping[int, _DecidedTap | None], earlier: int, policy: Policy
) -> Iterator[str]:
    header = policy.document.header
    cards = list(dict.fromkeys(entry.card.face.name for entry in taps))
    yield f"# Saved at the desk, under {header.id} version {header.version}. Play it again:"
    yield f"#     terminal policy run {header.id} {NAME}"
    yield "# A document edited at the desk is not the supplied one: give its file instead of its name."
    if earlier:
        yield f"# {earlier} taps before the document was changed are left out: a scenario has one document."
    yield f"schema = {SCENARIO_SCHEMA}"
    yield f"region = {toml_value(header.id)}"
    yield f"about = {toml_value(f'A session at the desk: {len(taps)} taps of {len(cards)} cards')}"
    for name in cards:
        own = [entry for entry in taps if entry.card.face.name == name]
        yield ""
        if any(decided_by[entry.number] for entry in own):
            yield from _scenario(own, decided_by, policy)
        else:
            yield f"# {name}: no tap of it came to a decision, so there is no scenario."
            for entry in own:
                yield f"# {_comment(entry, policy)}"


def _scenario(
    taps: Sequence[FinishedTap], decided_by: Mapping[int, _DecidedTap | None], policy: Policy
) -> Iterator[str]:
    face = taps[0].card.face
    yield "[[scenarios]]"
    yield f"name = {toml_value(f'{face.name}, {len(taps)} taps at the desk')}"
    yield f"rider = {toml_value(face.title.en)}"
    yield ""
    yield "[scenarios.card]"
    first = next(entry for entry in taps if decided_by[entry.number])
    for key, value in _card(first, policy).items():
        yield f"{key} = {toml_value(value)}"
    for entry in taps:
        one = decided_by[entry.number]
        yield ""
        if one is None:
            yield f"# {_comment(entry, policy)}"
        else:
            yield from _tap(one, policy)


def _comment(entry: FinishedTap, policy: Policy) -> str:
    """One line for what a scenario cannot express."""
    when = entry.report.at.astimezone(policy.zone)
    done = mishap_words(entry.disturbance)
    why = _LOSES.get(entry.report.end, "")
    said = f"the passenger saw {entry.report.outcome.message}"
    words = "; ".join(part for part in (done, said, why) if part)
    return f"{when:%H:%M:%S} at {entry.place.number} ({entry.place.profile}): {_one_line(words)}"


def _card(entry: FinishedTap, policy: Policy) -> dict[str, Any]:
    """The card as the first tap found it, from its own memory."""
    holding = entry.before
    assert holding.rights is not None, "a decision was made from it"
    rights = holding.rights
    region = policy.document.header.region
    card: dict[str, Any] = {
        "balance_minor": 0 if holding.event is None else holding.event.balance_after_minor,
        "valid_from": rights.valid_from,
        "valid_to": rights.valid_to,
        "issued_on": rights.issued_on,
        "region": None if rights.region == region else rights.region,
        "blocked": rights.blocked or None,
        "inactive": rights.inactive or None,
        "deny_listed": _denied(entry),
        "concessions": _concessions(rights),
        "contracts": _contracts(rights),
        "last": _last(holding, policy),
    }
    return {key: value for key, value in card.items() if value is not None}


def _denied(entry: FinishedTap) -> str | None:
    """The trail of a card on the list says so; another list than the laboratory's there is not."""
    entries = {CardEffect.CARD_DENIED.value: "card", CardEffect.PERSON_DENIED.value: "person"}
    return next((entries[r.code] for r in entry.report.reasons if r.code in entries), None)


def _concessions(rights: Rights) -> list[dict[str, Any]] | None:
    return [
        {
            "code": right.code,
            "parameter": right.parameter,
            "valid_from": right.valid_from,
            "valid_to": right.valid_to,
        }
        for right in rights.concessions
        if right is not None
    ] or None


def _contracts(rights: Rights) -> list[dict[str, Any]] | None:
    return [
        {
            "product": right.product,
            "valid_from": right.valid_from,
            "valid_to": right.valid_to,
            "trips": right.trips,
        }
        for right in rights.contracts
        if right is not None
    ] or None


def _last(holding: Holding, policy: Policy) -> dict[str, Any] | None:
    event = holding.event
    if event is None:
        return None
    ours = event.counter_layout == policy.document.counters.layout
    last: dict[str, Any] = {
        "at": event.at,
        "event": event.kind.name.lower(),
        "terminal": max(1, event.terminal),
        "route": event.route,
        "direction": event.direction,
        "amount_minor": event.amount_minor,
        "paid_by": event.paid_by.name.lower(),
        "journey_age_s": event.journey_age_s,
        "transfers": event.transfers,
        "meals": _meals(event, policy),
        "period_ahead": event.period_ahead,
        "inside": event.inside,
        "counters": _counters(event, policy) if ours else {},
    }
    return {key: value for key, value in last.items() if value is not None}


def _tap(decided_by: _DecidedTap, policy: Policy) -> Iterator[str]:
    entry = decided_by.entry
    run = entry.run
    yield "[[scenarios.taps]]"
    yield f"at = {toml_value(entry.report.at.astimezone(policy.zone))}"
    yield f"profile = {toml_value(entry.place.profile)}"
    yield f"terminal = {entry.place.number}"
    yield f"route = {run.route if run else 0}"
    yield f"direction = {run.direction if run else 0}"
    if run is None:
        yield "shift_open = false"
    for name, value in _known(entry).items():
        yield f"{name} = {toml_value(value)}"
    yield f"expect = {toml_value(_expect(decided_by, policy))}"
    done = mishap_words(entry.disturbance)
    if done and entry.report.end is End.UNRESOLVED:
        yield f"note = {toml_value(_one_line(f'{done}: asked to tap again, but the card held it'))}"
    elif done:
        yield f"note = {toml_value(_one_line(done))}"


def _known(entry: FinishedTap) -> dict[str, Fact]:
    """The facts of the tap that a scenario has to state, as the row of its decision holds them."""
    row = entry.decided
    facts = {} if row is None else row.trip
    return {WRITTEN[name]: value for name, value in facts.items() if name in WRITTEN}


def _expect(decided_by: _DecidedTap, policy: Policy) -> dict[str, Any]:
    event = decided_by.event
    before = decided_by.entry.before.event
    balance = event or before
    expect: dict[str, Any] = {
        "message": decided_by.message,
        "charge_minor": decided_by.charge_minor,
        "admission": decided_by.admission.value,
        "balance_minor": None if balance is None else balance.balance_after_minor,
        "written": event is not None,
        "paid_by": _paid_by(decided_by),
        "transfers": None if event is None else event.transfers,
        "meals": None if event is None else _meals(event, policy),
        "counters": None if event is None else _counters(event, policy),
        "values": dict(decided_by.values) or None,
        "reasons": [reason.rule for reason in decided_by.entry.report.reasons] or None,
        "flags": list(decided_by.flags) or None,
    }
    return {key: value for key, value in expect.items() if value is not None}


def _paid_by(decided_by: _DecidedTap) -> str | None:
    """What paid for the tap, as its row states it; None where nothing was written."""
    intent = decided_by.entry.intent
    return None if intent is None or decided_by.event is None else PaidBy(intent.paid_by).name.lower()


def _meals(event: Event, policy: Policy) -> list[str]:
    return [kind.id for kind in policy.document.meals.kinds if event.meals >> kind.bit & 1]


def _counters(event: Event, policy: Policy) -> dict[str, int]:
    return {counter.name: counter.read(event.counters) for counter in policy.counters}


def _one_line(words: str) -> str:
    return "".join(character for character in words if character.isprintable())[:200]
