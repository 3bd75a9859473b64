"""What was entered so far, on disk: a first run may be left at any moment and goes on where it was.

Texts as they were typed, right or wrong; PINs only as they are kept in a staff list. The file is its owner's alone and
is replaced whole at each change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from terminal.access.references import Reference
from terminal.decoding import SMALL_BYTES, decode_versioned, read_within
from terminal.errors import ConfigError
from terminal.files import replace_file
from terminal.screen.console.roles import Role
from terminal.screen.setup.asked import AnswerKind, SetupPage
from terminal.screen.setup.questions import defaults
from terminal.texts import translator

DRAFT_FILE: Final = "draft.json"
DRAFT_VERSION: Final = 1
MOST_DRAFT_BYTES: Final = 8 * SMALL_BYTES
LANGUAGE: Final = "terminal.language"
"""Where the language of terminal and pages stands among the answers."""
ROLES: Final = (Role.MEAL_OFFICER, Role.CASHIER, Role.TEACHER, Role.TECHNICIAN)
"""Who works in a canteen."""


class DraftStaff(msgspec.Struct, frozen=True):
    """A future member of staff. `keys` says with which keys the PIN was hashed: with others it opens nothing."""

    ref: Reference
    role: Role
    pin: str
    keys: str


class SetupDraft(msgspec.Struct, frozen=True, kw_only=True):
    """`texts` by question, `seen` are pages that were left once, `session` the hash of the one browser's token."""

    version: Annotated[int, Meta(ge=1, le=DRAFT_VERSION)] = DRAFT_VERSION
    texts: Mapping[str, str] = {}
    seen: tuple[str, ...] = ()
    staff: tuple[DraftStaff, ...] = ()
    session: str = ""

    def __repr__(self) -> str:
        return f"SetupDraft({len(self.texts)} answers)"


class DraftKeeper:
    """The draft in a folder. What a method returns is on disk."""

    def __init__(self, folder: Path, fixed: Mapping[str, str], language: str, today: date) -> None:
        """`fixed` are answers that options gave: they are not asked. Raises `ConfigError`."""
        self._path = folder / DRAFT_FILE
        self._changing = Lock()
        self.fixed: Final = dict(fixed)
        word = translator(language).gettext
        self._defaults = {**defaults(today, word), LANGUAGE: language}
        self._draft = self._read()

    @property
    def draft(self) -> SetupDraft:
        """As it is now."""
        return self._draft

    @property
    def texts(self) -> dict[str, str]:
        """Every answer: what was typed, else the default; what options gave counts first."""
        return {**self._defaults, **self._draft.texts, **self.fixed}

    @property
    def language(self) -> str:
        """Of pages and of the terminal that is set up."""
        return self.texts[LANGUAGE]

    def take(self, page: SetupPage, typed: Callable[[str], str], *, left: bool) -> None:
        """Keep what is typed on a page; `left`: and that its person has gone on. A box that is not ticked is empty."""
        answers = {
            one.name: typed(one.name)
            for one in page.questions
            if one.name not in self.fixed and not (one.kind is AnswerKind.FILE and not typed(one.name))
        }
        self._change(
            lambda draft: replace(
                draft,
                texts={**draft.texts, **answers},
                seen=tuple(dict.fromkeys((*draft.seen, page.name))) if left else draft.seen,
            )
        )

    def answer(self, name: str, text: str) -> None:
        """Keep one answer."""
        self._change(lambda draft: replace(draft, texts={**draft.texts, name: text}))

    def put_staff(self, member: DraftStaff) -> None:
        """Add a member of staff, or give him another role or PIN."""
        self._change(lambda draft: replace(draft, staff=(*_without(draft, member.ref), member)))

    def drop_staff(self, ref: str) -> None:
        """Take a member off again."""
        self._change(lambda draft: replace(draft, staff=_without(draft, ref)))

    def begin_session(self, token: str) -> None:
        """The browser with this token goes on; every other is out."""
        self._change(lambda draft: replace(draft, session=_hash(token)))

    def in_session(self, token: str) -> bool:
        """Whether it is that browser."""
        return bool(token) and compare_digest(_hash(token), self._draft.session)

    def _change(self, change: Callable[[SetupDraft], SetupDraft]) -> None:
        with self._changing:
            draft = change(self._draft)
            if draft == self._draft:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._path, msgspec.json.encode(draft))
            self._draft = draft

    def _read(self) -> SetupDraft:
        try:
            return decode_versioned(
                read_within(self._path, MOST_DRAFT_BYTES), SetupDraft, DRAFT_VERSION, MOST_DRAFT_BYTES
            )
        except FileNotFoundError:
            return SetupDraft()
        except (OSError, msgspec.DecodeError) as error:
            advice = "Put it aside to begin anew, or start the software that wrote it."
            raise ConfigError(f"{self._path} is no draft of a first run: {error}", advice) from error


def _without(draft: SetupDraft, ref: str) -> tuple[DraftStaff, ...]:
    return tuple(one for one in draft.staff if one.ref != ref)


def _hash(token: str) -> str:
    return sha256(b"setup " + token.encode()).hexdigest()
