"""Scenario files in a few lines, for tests."""

from __future__ import annotations

from terminal.policy.load import DEMO_REGION, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.scenario.load import parse_scenarios
from terminal.scenario.play import Played, play
from terminal.scenario.result import Result, run
from terminal.scenario.schema import ScenarioFile

DEMO = Policy.of(load_region(DEMO_REGION))
HEADER = 'schema = 1\nregion = "demo"\nabout = "a test"\n'
PURSE = "card = { balance_minor = 10000 }"
STUDENT = (
    "card = { balance_minor = 10000, "
    "concessions = [{ code = 2, valid_from = 2026-09-01, valid_to = 2027-05-31 }] }"
)
PAID = "at = 2026-09-15T08:00:00, expect = { message = 'ok_paid', charge_minor = 2400 }"


def story(*taps: str, card: str = PURSE, more: str = "") -> ScenarioFile:
    """A file of one scenario whose taps are the insides of inline tables."""
    return parse_scenarios(HEADER + story_text(*taps, card=card, more=more), "story.toml")


def story_text(*taps: str, card: str = PURSE, more: str = "") -> str:
    listed = ",\n".join(f"{{ {tap} }}" for tap in taps)
    return f'[[scenarios]]\nname = "one"\nrider = "adult"\n{card}\n{more}\ntaps = [\n{listed}\n]\n'


def played(*taps: str, card: str = PURSE, more: str = "", policy: Policy = DEMO) -> list[Played]:
    return play(story(*taps, card=card, more=more), 1, policy)


def result(*taps: str, card: str = PURSE, more: str = "", policy: Policy = DEMO) -> Result:
    return run(story(*taps, card=card, more=more), policy)[0]


def demo_with(*changes: tuple[str, str]) -> Policy:
    """The demo region with pieces of its text replaced; each piece must be there."""
    text = DEMO_REGION.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in the demo region"
        text = text.replace(old, new)
    return Policy.of(parse_region(text, "changed demo.toml"))
