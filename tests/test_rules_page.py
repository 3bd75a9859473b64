"""docs/rules.md states every rule that the tree cites, and nothing cites a document that is not in the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from terminal.trail_steps import RULES
from terminal.trail_words import ROOMS
from terminal.trip.producers import NO_LIVE_PRODUCER, PRODUCERS, FactSource
from tests.rule_facts import facts_by_rule
from tests.test_docs import ROOT, anchors, named, tracked

PAGE = ROOT / "docs" / "rules.md"
RULE = re.compile(r"(?<![\w-])[TMOKDG]-\d\d(?!\w)")
NAMED = {"CAP", "CREDENTIAL", "PHONE"}
"""Rules that have a name instead of a number."""
SAID = {
    FactSource.CONFIGURATION: "terminal.toml",
    FactSource.JOURNAL: "the journal",
    FactSource.CREW: "the crew",
    FactSource.RIDER: "the rider",
    FactSource.INSPECTOR: "the inspector",
    FactSource.VEHICLE: "the vehicle",
    FactSource.ROUTES: "the routes document",
    FactSource.LISTS: "the lists",
    FactSource.BUNDLES: "signed bundles",
    FactSource.DOCUMENT: "the region document",
    FactSource.CLOCK: "the clock",
    FactSource.COLLECTOR: "the collector",
    FactSource.CANTEEN: "the canteen's staff",
    FactSource.ROSTER: "the roster",
}
"""Sources of facts as the page calls them."""
BESIDES = {"the card", "the keys", "the reader"}
"""What else a rule is known by."""
RANGE = re.compile(r"\b([TMOKDG])-(\d\d) to \1-(\d\d)\b")
SOURCES = re.compile(r"\[(S\d+(?:[ ,]+S\d+)*)\]")
DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
NO_TEXT = {".bin", ".mo", ".png"}
OF_OTHERS = {"gtfs/spec/en/reference.md"}
"""Documents of other repositories, cited with the repository's name."""
PRIVATE = re.compile(r"\breference sections?\b|\bdomain brief\b|\btrap [0-9]|\bdesign note\b", re.IGNORECASE)
OWN_PATTERNS = Path(__file__)


BEFORE = re.compile(r"^(?:(?:\.\.?/)+|/usr/share/doc/resident-(?:terminal|collector)/)")
"""What stands before a document's name in a neighbour of its, and where a package has been installed."""


def texts() -> dict[str, str]:
    """Every file of the repository that is text, but for the page itself and this rule."""
    return {
        named(path): path.read_text(encoding="utf-8")
        for path in tracked()
        if path.suffix not in NO_TEXT and path not in (PAGE, OWN_PATTERNS)
    }


def rules() -> dict[str, str]:
    """Rule id → what the page says under it."""
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    parts = [section.split("\n## ", 1)[0].partition("\n") for section in sections]
    return {title.strip(): body for title, _, body in parts}


def cited(text: str) -> set[str]:
    """The rules `text` names, those between the ends of "T-02 to T-05" included where the page has them."""
    found = set(RULE.findall(text))
    for letter, first, last in RANGE.findall(text):
        found |= {rule for rule in rules() if f"{letter}-{first}" <= rule <= f"{letter}-{last}"}
    return found


def test_the_page_states_the_rules_that_are_cited_and_no_others() -> None:
    everywhere = {rule: file for file, text in texts().items() for rule in cited(text)}
    assert {rule: file for rule, file in everywhere.items() if rule not in rules()} == {}
    assert set(rules()) - set(everywhere) == NAMED


def test_every_rule_of_a_trail_is_stated() -> None:
    assert {effect.rule for room in ROOMS for effect in room} | set(RULES) <= set(rules())


def test_each_rule_is_stated_once() -> None:
    titles = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(titles) == len(set(titles))
    assert {title.lower() for title in titles} <= anchors(PAGE)


@pytest.mark.parametrize("rule", rules())
def test_a_rule_has_a_statement_an_example_and_a_place(rule: str) -> None:
    statement = re.match(
        r"\n\*\*[^*]+\.\*\* \S.{20,}\n- \*Example\*: (.+)\n- \*Decided in\* (.+)\n", rules()[rule]
    )
    assert statement, f"{rule}: statement, example and place, a line each"
    example, place = statement.groups()
    assert "→" in example, f"{rule}: an example is input → result"
    for path in re.findall(r"`(terminal/[^`]+|sim/[^`]+)`", place):
        assert (ROOT / path).exists(), f"{rule}: {path} is not there"


def test_the_regions_that_play_a_rule_are_named() -> None:
    played: dict[str, set[str]] = {}
    for path in sorted((ROOT / "terminal" / "policy" / "scenarios").glob("*.toml")):
        for scenario in tomllib.loads(path.read_text(encoding="utf-8"))["scenarios"]:
            for rule in scenario.get("rules", ()):
                played.setdefault(rule, set()).add(path.stem)
    named_there = {
        rule: set(regions[1].split(", "))
        for rule, body in rules().items()
        if (regions := re.search(r"^- \*Scenarios\*: (.+)\.$", body, re.MULTILINE))
    }
    assert named_there == played


def known_by(rule: str) -> list[str]:
    """How a running terminal comes to know what the rule needs, as its line says; empty where none does."""
    line = re.search(r"^- \*Known live by\* (.+)\.$", rules()[rule], re.MULTILINE)
    assert line, f"{rule}: no line says how a running terminal comes to know"
    return [] if line[1].startswith("nothing") else line[1].partition(";")[0].split(", ")


@pytest.mark.parametrize("rule", rules())
def test_a_rule_says_how_a_running_terminal_comes_to_know(rule: str) -> None:
    """By the sources of the facts it looks at, by what it reads besides, or in scenarios only."""
    said, needed = known_by(rule), facts_by_rule().get(rule, frozenset())
    assert set(said) <= {*SAID.values(), *BESIDES}
    assert said or "cenarios only**" in rules()[rule], "either a source or scenarios only"
    if said:
        wanted = {SAID[source] for fact in needed for source in PRODUCERS.get(fact, ())}
        assert wanted <= set(said), f"{rule} looks at {sorted(needed)}"


def test_only_products_wait_for_what_runs() -> None:
    only = {rule for rule, body in rules().items() if "cenarios only**" in body}
    assert only == {"T-16"}
    assert not NO_LIVE_PRODUCER


def test_every_source_that_is_cited_is_listed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| (S\d+) \|", page, re.MULTILINE))
    used = {
        source for text in texts().values() for group in SOURCES.findall(text) for source in group.split()
    }
    assert {source.strip(",") for source in used} <= listed
    assert set(re.findall(r"\bS\d+\b", page.partition("## Sources")[0])) <= listed


def test_every_document_that_is_cited_is_in_the_repository() -> None:
    there = ["/" + named(path) for path in tracked() if path.suffix == ".md"]
    missing = {
        f"{file}: {document}"
        for file, text in texts().items()
        for document in DOCUMENT.findall(text)
        if document not in OF_OTHERS
        and not any(path.endswith("/" + BEFORE.sub("", document)) for path in there)
    }
    assert missing == set()


def test_nothing_is_cited_by_a_private_name() -> None:
    found = {f"{file}: {match[0]}" for file, text in texts().items() if (match := PRIVATE.search(text))}
    assert found == set()
