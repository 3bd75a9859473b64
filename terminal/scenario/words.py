"""A decision told step by step: what `terminal policy explain` prints.

The rules' names and effects are in Russian and, for every other language, in English: tariff authors read them, no
passenger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from terminal.decision.outcome import Reason
from terminal.messages import money, text
from terminal.policy.policy import Policy
from terminal.scenario.compare import balance_minor
from terminal.scenario.effects import EFFECTS
from terminal.scenario.play import Played
from terminal.scenario.rules import INPUTS, RULES
from terminal.texts import translator

FUNDED_BY: Final = "M-01"
"""The rule whose steps name each funder with his sum."""


def told(played: Played, policy: Policy, language: str) -> Iterator[str]:
    """The tap in lines: where and when, each step of the trail, and what the passenger was told."""
    outcome, left_minor = played.decision.outcome, balance_minor(played)
    yield f"{played.tap}{_turn(played)}. {place(played, policy)}"
    for number, reason in enumerate(played.decision.facts, start=1):
        yield f"   {number}) {step(reason, language)}"
    shown = text(outcome.message, language, outcome.values)
    t = translator(language)
    sums = [
        (t.pgettext("trail", "charged"), outcome.charge_minor or None),
        (t.pgettext("trail", "balance"), left_minor),
    ]
    told_sums = "".join(f" · {what} {money(minor, language)}" for what, minor in sums if minor is not None)
    yield f"   → {shown}{told_sums}"


def place(played: Played, policy: Policy) -> str:
    """When and where a tap was taken."""
    context, local = played.context, played.at.astimezone(policy.zone)
    when = f"{local:%Y-%m-%d %H:%M:%S}"
    if context.profile != "bus":
        return f"{when} {context.profile}, terminal {context.terminal}"
    return f"{when} {context.mode} {context.route}/{context.direction}, terminal {context.terminal}"


def step(reason: Reason, language: str) -> str:
    """One step of the trail: the rule and its name, what it did, what it looked at."""
    russian = language == "ru"
    titles = RULES.get(reason.rule)
    title = f" ({titles[0 if russian else 1]})" if titles else ""
    effect = EFFECTS.get(reason.effect, reason.effect) if russian else reason.effect
    funded = reason.rule == FUNDED_BY
    inputs = ", ".join(
        _input(
            f"{name.removesuffix('_minor')}_minor" if funded and isinstance(value, int) else name,
            value,
            language,
        )
        for name, value in reason.inputs.items()
    )
    return f"{reason.rule}{title}: {effect}{f' [{inputs}]' if inputs else ''}"


def _input(name: str, value: int | str, language: str) -> str:
    russian = language == "ru"
    bare = name.removesuffix("_minor").removesuffix("_s")
    label = INPUTS.get(name, bare) if russian else bare
    if name.endswith("_minor") and isinstance(value, int):
        return f"{label} {money(value, language)}"
    if name.endswith("_s") and isinstance(value, int):
        return f"{label} {value} {'с' if russian else 's'}"
    return f"{label} {value}"


def _turn(played: Played) -> str:
    return f".{played.turn}" if played.turn > 1 else ""
