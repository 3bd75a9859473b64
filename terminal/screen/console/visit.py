"""What a page and an action are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Struct, field

from terminal.access.sessions import OperatorSession
from terminal.money import AmountRefused, amount_text, typed_amount
from terminal.screen.console.actions import Written
from terminal.screen.console.console import ActionRefused, Console, TapsAre
from terminal.screen.console.roles import Role
from terminal.texts import N_, translator

MOST_FIELDS: Final = 2_000
MOST_MINOR: Final = 10**9
ONCE: Final = "once"
"""The field of an address that names the deed it stands for."""


class FormFields:
    """The fields of a form or of an address; a missing or invalid one raises `ActionRefused`."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    @classmethod
    def parse(cls, text: str) -> FormFields:
        """Of `application/x-www-form-urlencoded`; raises ValueError for too many fields."""
        fields: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS):
            fields.setdefault(name, []).append(value)
        return cls(fields)

    def with_fields(self, fields: Mapping[str, list[str]]) -> FormFields:
        """This form with these fields in place of its own."""
        return FormFields({**self._fields, **fields})

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every field with each of its values."""
        return ((name, value) for name, values in self._fields.items() for value in values)

    def text(self, name: str, default: str = "") -> str:
        """The field's first value, without blanks around it."""
        values = self._fields.get(name)
        return values[0].strip() if values else default

    def has(self, name: str) -> bool:
        """Whether the form has the field at all, empty or not."""
        return name in self._fields

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field: of ticked boxes."""
        return tuple(self._fields.get(name, ()))

    def number(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in the range."""
        said = self.text(name)
        if not said and default is not None:
            return default
        if not (
            said.isascii() and said.lstrip("-").isdecimal() and len(said) < 12 and low <= int(said) <= high
        ):
            raise ActionRefused(N_("Enter a number from {low} to {high}."), {"low": low, "high": high})
        return int(said)

    def amount(self, name: str, currency: str) -> int:
        """A sum of money as people type it, in minor units; not negative."""
        try:
            minor = typed_amount(self.text(name), currency)
        except AmountRefused as refused:
            raise ActionRefused(N_("Enter a sum such as {example}."), {"example": refused.instead}) from None
        if not 0 <= minor <= MOST_MINOR:
            raise ActionRefused(N_("Enter a sum such as {example}."), {"example": amount_text(250, currency)})
        return minor


class Visit(Struct, frozen=True):
    """One request of a signed-in member of staff. `query` is what stands in the address."""

    console: Console
    who: OperatorSession
    language: str
    query: FormFields

    @property
    def once(self) -> str:
        """The id of the deed this page's address stands for; empty for none."""
        return self.query.text(ONCE)

    def text(self, message: str, **values: str | int) -> str:
        """`message` in the operator's language, `{name}` filled."""
        translated = translator(self.language).gettext(message)
        return translated.format(**values) if values else translated


class View(Struct, frozen=True):
    """A template of the console with its values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


class Attachment(Struct, frozen=True):
    """A file to be saved, instead of a page."""

    name: str
    media_type: str
    content: bytes


Show: TypeAlias = Callable[[Visit], View | Attachment]
Deed: TypeAlias = Callable[[Visit, FormFields, Written], None]
Answer: TypeAlias = Callable[[Visit, FormFields, Written], str]
Receive: TypeAlias = Callable[[Visit, str, bytes], None]
Check: TypeAlias = Callable[[Visit, FormFields], None]
Again: TypeAlias = Callable[[Visit, FormFields], View]


class Page(Struct, frozen=True):
    """Something to look at; `show` reads and changes nothing. `menu`: its name in the menu (a message id), if any.

    `once` is the path of an action that this page leads to and that could be done again by coming back to the page: the
    action's id then stands in the page's address, so that the same address is the same deed (`Visit.once`). `taps` is
    what cards are presented for while the page is in use at a canteen's counter.
    """

    path: str
    roles: frozenset[Role]
    show: Show
    menu: str = ""
    once: str = ""
    taps: TapsAre = TapsAre.MEAL


class Action(Struct, frozen=True):
    """Something to do, once.

    `do` runs under the terminal's lock: short, and everything it is to be remembered by is appended to the journal
    in there. It is not called when the action has rows already, unless it `resumes`: then it is given them and does
    the rest (several rows, one for each pupil). `result` runs after it, every time the form arrives, outside the lock:
    from the action's rows it says which page shows the result, and may hand over papers that are the same paper when
    handed over again.
    `first` runs before `do`, outside the lock, as often as `do`: for what takes long, a second person's PIN.
    `again` is the page that is shown with the reason when it was refused, with what was filled in; without one the
    operator begins anew.
    `reads`: the form brings a file of at most `most_bytes`, and this takes it, outside every lock, so that nothing
    waits while it is read; it may run twice for one form, and has to come to the same.
    """

    path: str
    roles: frozenset[Role]
    do: Deed
    result: Answer
    resumes: bool = False
    first: Check | None = None
    again: Again | None = None
    reads: Receive | None = None
    most_bytes: int = 0


class ConsoleArea(Struct, frozen=True):
    """The pages and actions for one kind of terminal; `profile` empty: for every kind."""

    profile: str
    pages: tuple[Page, ...]
    actions: tuple[Action, ...]
