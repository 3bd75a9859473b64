"""Scenario files: what is refused, where it says so, and that the words are the card's and the engine's own."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.errors import ScenarioFileError
from terminal.scenario.load import load_scenarios, parse_scenarios, scenario_files, split_reference
from terminal.scenario.play import FACTS, facts_of
from terminal.scenario.schema import Kind, Payment, Where
from terminal.trip.facts import Inspection, Place, Spot, Trip
from terminal.trip.stated import fact_names, restore
from tests.said import mistakes_at
from tests.terminal.scenario.story import HEADER, PAID, PURSE, demo_with, played, result, story

LAST = "last = { at = 2026-09-14T08:00:00"
UNKNOWN_COUNTER = "at = 2026-09-15T08:00:00, expect = { message = 'no_funds', counters = { moon = 1 } }"
TOO_EARLY = "at = 2024-12-31T08:00:00, expect = { message = 'no_funds' }"
ONE = f'[[scenarios]]\nname = "one"\nrider = "adult"\n{PURSE}\n'


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("schema = ", "", "no value follows the ="),
        ("schema = 2\n", "schema", "schema 2, this software knows 1 Update the software"),
        ("schema = 1\n", "", "the key `region` is missing"),
        (HEADER, "", "the key `scenarios` is missing"),
        (HEADER + "scenarios = []\n", "scenarios", "At least 1."),
        (
            HEADER
            + ONE
            + "taps = [{ at = 2026-09-15T08:00:00, rout = 1, expect = { message = 'ok_paid' } }]",
            "scenarios[0].taps[0].rout",
            "Did you mean `route`?",
        ),
        (
            HEADER + ONE + "taps = [{ at = 2026-09-15T08:00:00, expect = { message = 'ok_payed' } }]",
            "scenarios[0].taps[0].expect.message",
            'unknown word "ok_payed" Did you mean `ok_paid`?',
        ),
        (
            HEADER
            + ONE
            + "taps = [{ at = 2026-09-15T08:00:00, mode = 'tramm', expect = { message = 'ok_paid' } }]",
            "scenarios[0].taps[0].mode",
            'unknown word "tramm" Did you mean `tram`?',
        ),
        (
            HEADER + ONE + "taps = [{ expect = { message = 'ok_paid' } }]",
            "scenarios[0].taps[0]",
            "needs one of `at` and `after_s` State the moment in one way",
        ),
        (
            HEADER + ONE + "taps = [{ after_s = 3, expect = { message = 'ok_paid' } }]",
            "scenarios[0].taps[0]",
            "the first tap has none before it State its moment",
        ),
        (
            HEADER + ONE + f"taps = [{{ {PAID}, expect_last = {{ message = 'ok_paid' }} }}]",
            "scenarios[0].taps[0].expect_last",
            "the tap is not repeated Add `repeat`",
        ),
        (
            HEADER + ONE.replace(PURSE, "card = 'purse'") + f"taps = [{{ {PAID} }}]",
            "scenarios[0].card",
            'unknown card "purse" Known: none in this document',
        ),
        (
            HEADER + ONE.replace(PURSE, "") + f"taps = [{{ {PAID} }}]",
            "scenarios[0]",
            "needs `card`, `bank_card`, both for a card that is both, or `cash` State what the rider pays with",
        ),
        (
            HEADER + ONE + f"cash = {{}}\ntaps = [{{ {PAID} }}]",
            "scenarios[0]",
            "needs `card`, `bank_card`, both for a card that is both, or `cash` State what the rider pays with",
        ),
        (
            HEADER + (ONE + f"taps = [{{ {PAID} }}]\n") * 2,
            "scenarios[1].name",
            "one is already used by [0] Give each its own",
        ),
        (
            HEADER + "[cards.purse]\nbalance = 3\n" + ONE + f"taps = [{{ {PAID} }}]",
            "cards.purse.balance",
            "there is no key `balance` here Did you mean `balance_minor`?",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_what_to_change(text: str, path: str, words: str) -> None:
    with pytest.raises(ScenarioFileError) as refused:
        parse_scenarios(text, "f.toml")
    assert words in mistakes_at(refused.value, path), refused.value
    assert all(mistake.file == "f.toml" for mistake in refused.value.mistakes)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 10


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioFileError, match=r"binary\.toml:1: this text is in UTF-16"):
        load_scenarios(tmp_path / "binary.toml")
    with pytest.raises(ScenarioFileError, match=r"missing\.toml: there is no such file"):
        load_scenarios(tmp_path / "missing.toml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScenarioFileError, match="no scenario files"):
        scenario_files([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("card", "tap", "what"),
    [
        (
            f"{{ {LAST}, counters = {{ moon = 1 }} }} }}",
            PAID,
            'scenarios[0].card.last.counters: unknown counter "moon"',
        ),
        (
            f"{{ {LAST}, counters = {{ pack_a = 256 }} }} }}",
            PAID,
            "scenarios[0].card.last.counters.pack_a: counter pack_a cannot hold 256",
        ),
        (f"{{ {LAST}, meals = ['tea'] }} }}", PAID, 'scenarios[0].card.last.meals: unknown meal kind "tea"'),
        ("{ valid_from = 1999-12-31 }", PAID, "scenarios[0].card.valid_from: the year 1999 is out of reach"),
        ("{}", UNKNOWN_COUNTER, 'scenarios[0].taps[0].expect.counters: unknown counter "moon"'),
        ("{}", TOO_EARLY, "scenarios[0].taps[0]: demo version 1 does not hold at 2024-12-31"),
    ],
)
def test_what_the_document_does_not_know_is_named_with_its_place(card: str, tap: str, what: str) -> None:
    with pytest.raises(ScenarioFileError) as refused:
        result(tap, card=f"card = {card}")
    assert refused.value.what.startswith(what)


def test_scenarios_of_another_region_are_not_run() -> None:
    with pytest.raises(ScenarioFileError, match="written for 'demo'"):
        result(PAID, policy=demo_with(('id = "demo"', 'id = "elsewhere"')))


def test_the_words_of_a_card_are_those_of_its_records() -> None:
    assert list(get_args(Kind)) == [kind.name.lower() for kind in EventKind]
    assert list(get_args(Payment)) == [payment.name.lower() for payment in PaidBy]


KEPT_BY_THE_PLAYER = {"sequence", "turn", "canteen.roster", "canteen.lost_since"} | {
    f"bank.{name}" for name in ("taps_today", "sum_today_minor")
}
OF_A_LIVE_CREW = {"on_break", "inspection.heard", "inspection.said_at"}
"""Said by the console and by the vehicle's own terminal, of which a scenario has neither."""
MADE_OF_OTHERS = {"shift": "shift_open"}
"""Facts a scenario writes under a word of its own."""
SECOND_WORDS = {"position_manual"}
"""For what `place_source` says as well."""


def test_everything_a_terminal_may_know_of_a_tap_can_be_written() -> None:
    known = {name for name in fact_names() if not name.startswith("canteen.pupil")} - KEPT_BY_THE_PLAYER
    known -= OF_A_LIVE_CREW
    words = {fact: word for word, fact in FACTS.items()} | MADE_OF_OTHERS
    said = {words.get(name, name.removeprefix("inspection.")) for name in known}
    assert said == {field.name for field in msgspec.structs.fields(Where)} - SECOND_WORDS


def test_what_is_written_of_a_place_arrives_in_the_trip() -> None:
    trip = restore(Trip("bus", 7, 1, shift=1), facts_of({"to_zone": 3, "terminus_mark_m": 40, "zone": 2}))
    assert trip.place == Place(zone=2, terminus=Spot(mark_m=40), destination=Spot(zone=3))
    asked = restore(trip, facts_of({"inspection": True, "shift_open": False}))
    assert (asked.inspection, asked.shift_open) == (Inspection(), False)
    assert restore(trip, facts_of({"position_manual": True})).place.by_hand


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a.toml", ("a.toml", None, None)),
        ("a.toml#3", ("a.toml", 3, None)),
        ("a.toml#3.12", ("a.toml", 3, 12)),
    ],
)
def test_a_reference_names_file_scenario_and_tap(
    text: str, meant: tuple[str, int | None, int | None]
) -> None:
    assert split_reference(text) == (Path(meant[0]), *meant[1:])


@pytest.mark.parametrize("text", ["a.toml#", "a.toml#x", "a.toml#1.", "a.toml#1.x"])
def test_a_reference_to_nothing_is_refused(text: str) -> None:
    with pytest.raises(ScenarioFileError, match="names no scenario"):
        split_reference(text)


def test_times_without_offset_are_the_regions_and_an_offset_is_believed() -> None:
    local, abroad = played(PAID), played(PAID.replace("08:00:00", "07:00:00+02:00"))
    assert local[0].at == abroad[0].at
    assert local[0].at.utcoffset() is not None
    assert story(PAID).scenarios[0].taps[0].at is not None
