"""What may be wrong with scenarios once they are played under a document: codes and words, and the error of them.

Places are stated from the inside out: a card or a tap names the field, who plays them adds which scenario it was, and
who has read the file adds its name and the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from terminal.errors import Mistake, MistakeCode, ScenarioFileError
from terminal.mistakes.words import refusal
from terminal.texts import N_

FIRST: Final = "scenarios[0]"


class PlayMistake(MistakeCode):
    """Where a scenario and the document it is played under do not fit."""

    NO_CARD_HOLDS = "no_card_holds", N_("no card can hold this: {says}"), N_("Correct the card.")
    COUNTER_FULL = (
        "counter_full",
        N_("counter {counter} cannot hold {value}"),
        N_("It counts to {most}."),
    )
    NO_CARD_TO_WRITE = (
        "no_card_to_write",
        N_("there is no resident card to write"),
        N_("Leave `issuing_point` out."),
    )
    OTHER_REGION = (
        "scenarios_of_other_region",
        N_("written for '{written_for}', the document is '{document}'"),
        N_("Give the document the scenarios were written for, or change `region`."),
    )
    BEFORE_DOCUMENT = (
        "before_document",
        N_("{document} version {version} does not hold at {at}"),
        N_("It holds from {valid_from} until {valid_to}."),
    )
    TOO_LATE = (
        "too_late",
        N_("{seconds} s after the tap before; at most {most}"),
        N_("Write a nearer moment."),
    )
    NO_SCENARIO = "no_scenario", N_("no scenario #{number}"), N_("The file holds {count}.")
    NO_TAP = "no_tap", N_("no tap {tap} in #{number}"), N_("It has {count}.")
    TOO_MANY_TAPS = "too_many_taps", N_("{count} taps"), N_("A story here has {most} at most: shorten it.")
    NOTHING_PLAYED = "nothing_played", N_("there is no tap"), N_("Add a tap first.")


def unplayable(*mistakes: Mistake) -> ScenarioFileError:
    """The error that carries `mistakes`, of which there is one at least."""
    return refusal(ScenarioFileError, mistakes)


@contextmanager
def mistakes_at(place: str) -> Iterator[None]:
    """What is found wrong inside lies at `place` ("scenarios[0].card")."""
    try:
        yield
    except ScenarioFileError as error:
        raise unplayable(*(replace(one, path=_inside(place, one.path)) for one in error.mistakes)) from error


@contextmanager
def mistakes_of_one() -> Iterator[None]:
    """What is found wrong inside is in the one scenario of a file that was never written: places begin in it."""
    try:
        yield
    except ScenarioFileError as error:
        raise unplayable(
            *(
                replace(one, path=one.path.removeprefix(FIRST).lstrip("."), line=None, entries={})
                for one in error.mistakes
            )
        ) from error


def _inside(place: str, path: str) -> str:
    return f"{place}.{path}" if path else place
