"""A decision step by step: what `terminal policy explain` prints."""

from __future__ import annotations

from collections.abc import Iterator

from terminal.messages import text
from terminal.money import money
from terminal.policy.policy import Policy
from terminal.scenario.compare import balance_minor
from terminal.scenario.play import Played
from terminal.texts import translator
from terminal.trail_steps import step_line


def tap_lines(played: Played, policy: Policy, language: str) -> Iterator[str]:
    """The tap in lines: where and when, each step of the trail, and what the passenger was shown."""
    outcome, left_minor = played.decision.outcome, balance_minor(played)
    yield f"{played.tap}{_turn(played)}. {place(played, policy)}"
    for number, reason in enumerate(played.decision.facts, start=1):
        yield f"   {number}) {step_line(reason, policy.currency, language)}"
    shown = text(outcome.message, language, outcome.values)
    t = translator(language)
    sums = [
        (t.pgettext("trail", "charged"), outcome.charge_minor or None),
        (t.pgettext("trail", "balance"), left_minor),
    ]
    sums_shown = "".join(
        f" · {what} {money(minor, policy.currency, language)}" for what, minor in sums if minor is not None
    )
    yield f"   → {shown}{sums_shown}"


def place(played: Played, policy: Policy) -> str:
    """When and where a tap was taken."""
    trip, local = played.trip, played.at.astimezone(policy.zone)
    when = f"{local:%Y-%m-%d %H:%M:%S}"
    if trip.profile != "bus":
        return f"{when} {trip.profile}, terminal {trip.terminal}"
    return f"{when} {trip.mode} {trip.route}/{trip.direction}, terminal {trip.terminal}"


def _turn(played: Played) -> str:
    return f".{played.turn}" if played.turn > 1 else ""
