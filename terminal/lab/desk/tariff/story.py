"""A rider's story as the playground's page holds it: the card, the taps, and no expectations.

Its shape is that of a scenario, so that the same runner plays it and every scenario can be taken as a story. What is
saved states what came of each tap: the expectations of a scenario file that plays to the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Struct

from terminal.decision.outcome import Message
from terminal.errors import Mistake, ScenarioFileError
from terminal.mistakes.document import parsed
from terminal.mistakes.form import FileForm
from terminal.policy.policy import Policy
from terminal.scenario.compare import balance_minor, counters_of, paid_by
from terminal.scenario.load import card_of, parse_scenarios
from terminal.scenario.mistakes import PlayMistake, mistakes_of_one, unplayable
from terminal.scenario.play import Played, play
from terminal.scenario.result import run
from terminal.scenario.schema import (
    SCENARIO_SCHEMA,
    BankCard,
    Card,
    Cash,
    Expect,
    IssuingPointVisit,
    Line,
    Payment,
    Repeat,
    RosterFacts,
    Scenario,
    ScenarioFile,
    TapStep,
    Where,
)
from terminal.scenario.write import file_text

MOST_STEPS: Final = 200
MOST_TAPS: Final = 1_000
"""Of one story; a repeated step is as many taps as it is repeated."""
NOTHING_EXPECTED: Final = Expect(message=Message.OK_PAID)


class StoryTap(Where, frozen=True, kw_only=True):
    """One step of a story: a tap without what must come of it."""

    at: datetime | None = None
    after_s: Annotated[int, Meta(ge=0)] | None = None
    repeat: Repeat | None = None
    issuing_point: IssuingPointVisit | None = None
    note: Line | None = None


class Story(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who rides with what, and what he does."""

    name: Line
    rider: Line
    card: Card | None = None
    bank_card: BankCard | None = None
    cash: Cash | None = None
    pupil: RosterFacts | None = None
    terminal: Where = Where()
    rules: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    taps: Annotated[tuple[StoryTap, ...], Meta(max_length=MOST_STEPS)] = ()


STORIES: Final = FileForm(Story, ScenarioFileError)


def read_story(stated: dict[str, Any]) -> Story:
    """The story in JSON values; raises `ScenarioFileError` with all that is wrong with its values."""
    return parsed(STORIES, msgspec.json.encode(stated), "", json=True)


@dataclass(frozen=True, slots=True)
class SavedStory:
    """A story as a scenario file. `differing` of its taps do not come out as the file says; there should be none."""

    text: str
    taps: int
    differing: int


def file_of(story: Story, region: str, about: str = "-") -> ScenarioFile:
    """A scenario file with the one story in it; nothing is expected of its taps.

    Raises `ScenarioFileError` for a story no scenario can be made of.
    """
    scenario = _scenario(story, tuple(_step(tap) for tap in story.taps))
    file = ScenarioFile(schema=SCENARIO_SCHEMA, region=region, about=about, scenarios=(scenario,))
    with mistakes_of_one():
        return parse_scenarios(file_text(file), "")


def played(story: Story, policy: Policy) -> list[Played]:
    """What comes of every tap; raises `ScenarioFileError` with the place inside the story."""
    if not story.taps:
        return []
    count = sum(1 if tap.repeat is None else tap.repeat.times for tap in story.taps)
    if count > MOST_TAPS:
        raise unplayable(Mistake("taps", PlayMistake.TOO_MANY_TAPS, {"count": count, "most": MOST_TAPS}))
    file = file_of(story, policy.document.header.id)
    with mistakes_of_one():
        return play(file, 1, policy)


def saved(story: Story, policy: Policy) -> SavedStory:
    """The story with what came of it, played again from the text that is saved."""
    taps = played(story, policy)
    if not taps:
        raise unplayable(Mistake("taps", PlayMistake.NOTHING_PLAYED))
    steps = tuple(_expecting(story.taps[tap.tap - 1], tap, policy) for tap in taps)
    file = ScenarioFile(
        schema=SCENARIO_SCHEMA,
        region=policy.document.header.id,
        about=story.name,
        scenarios=(_scenario(story, steps),),
    )
    text = file_text(file)
    with mistakes_of_one():
        differing = sum(len(result.misses) for result in run(parse_scenarios(text, ""), policy))
    return SavedStory(text, len(taps), differing)


def story_of(file: ScenarioFile, number: int) -> dict[str, Any]:
    """Scenario `number` (from 1) of `file` as a story, in JSON values; what it expects is left out."""
    if not 1 <= number <= len(file.scenarios):
        values = {"number": number, "count": len(file.scenarios)}
        raise unplayable(Mistake("", PlayMistake.NO_SCENARIO, values))
    scenario = file.scenarios[number - 1]
    stated: dict[str, Any] = msgspec.to_builtins(scenario)
    found = {name: stated[name] for name in Story.__struct_fields__ if stated.get(name) is not None}
    card = card_of(file, scenario)
    if card is not None:
        found["card"] = msgspec.to_builtins(card)
    kept = StoryTap.__struct_fields__
    found["taps"] = [
        {name: tap[name] for name in kept if tap.get(name) is not None} for tap in stated["taps"]
    ]
    return found


def _scenario(story: Story, taps: tuple[TapStep, ...]) -> Scenario:
    names = [name for name in Story.__struct_fields__ if name != "taps"]
    return Scenario(taps=taps, **{name: getattr(story, name) for name in names})


def _step(tap: StoryTap) -> TapStep:
    return TapStep(expect=NOTHING_EXPECTED, **{name: getattr(tap, name) for name in tap.__struct_fields__})


def _expecting(tap: StoryTap, played: Played, policy: Policy) -> TapStep:
    """The step of one tap, at its moment, with what came of it."""
    stated: Mapping[str, Any] = {name: getattr(tap, name) for name in tap.__struct_fields__}
    own = {"at": played.at.astimezone(policy.zone), "after_s": None, "repeat": None}
    once = {} if played.turn == 1 else {"issuing_point": None, "note": None}
    return TapStep(expect=_expect(played, policy), **{**stated, **own, **once})


def _expect(played: Played, policy: Policy) -> Expect:
    decision = played.decision
    outcome, meal = decision.outcome, decision.meal
    event = None if played.after is None else played.after.event
    kinds = policy.document.meals.kinds
    return Expect(
        message=Message(outcome.message),
        charge_minor=outcome.charge_minor,
        admission=outcome.admission,
        balance_minor=balance_minor(played),
        paid_by=cast(Payment, paid_by(played)),
        counters=counters_of(played, policy),
        values=dict(outcome.values),
        meals=None if event is None else tuple(kind.id for kind in kinds if event.meals >> kind.bit & 1),
        transfers=None if event is None else event.transfers,
        written=played.written,
        reasons=tuple(reason.code for reason in decision.facts),
        flags=tuple(decision.flags),
        sources=None if meal is None else dict(meal.sources),
        meal_minor=None if meal is None else meal.sum_minor,
        hot_minor=played.hot_minor,
    )
