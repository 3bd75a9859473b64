"""What a question of a first run is: its name, what an answer must be, when it matters, and the page it stands on.

An answer is a text as a person types it ("78,02", "08:30", "2026-09-01"), kept under the question's name
("meals.breakfast.price").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

Texts: TypeAlias = Mapping[str, str]
"""Answers as they were typed, by the question's name."""

YES: Final = "yes"
"""A ticked box; one that is not ticked is empty."""


class AnswerKind(StrEnum):
    """What a text must be."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    CLOCK = "time"
    DAY = "date"
    CHOICE = "choice"
    SWITCH = "switch"
    FILE = "file"
    """The content of a file, pasted or chosen."""


class AnswerChoice(Struct, frozen=True):
    """One of what may be chosen: what is kept, and its words (a message id, or a name as it is)."""

    value: str
    label: str


class Question(Struct, frozen=True, kw_only=True):
    """`label` and `hint` are message ids. `only_if`: a switch of the same page without which it does not matter, or
    NAME=VALUE of a choice. `default` is a message id where it is a name that the region's language gives.
    """

    name: str
    kind: AnswerKind
    label: str
    hint: str = ""
    default: str = ""
    choices: tuple[AnswerChoice, ...] = ()
    low: int = 0
    high: int = 0
    needed: bool = True
    only_if: str = ""


class QuestionGroup(Struct, frozen=True):
    """Questions that belong together; `switch` turns the whole group on and off."""

    legend: str
    questions: tuple[Question, ...]
    explains: str = ""
    switch: str = ""
    columns: int = 0
    """Many small ones of one kind: shown as a table of so many columns, headed by the labels of its first row."""


class SetupPage(Struct, frozen=True):
    """One page: its place in the address, and what it is for."""

    name: str
    title: str
    explains: str
    groups: tuple[QuestionGroup, ...] = ()

    @property
    def questions(self) -> Iterator[Question]:
        """All of the page, in order."""
        return (question for group in self.groups for question in group.questions)


def matters(question: Question, texts: Texts) -> bool:
    """Whether the question is asked, by what else is answered."""
    name, _, wanted = question.only_if.partition("=")
    return not name or texts.get(name, "") == (wanted or YES)
