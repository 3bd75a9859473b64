"""Every text people read, in every language there is a catalogue for.

    t = translator("ru")
    t.gettext("Open shift")                                  # Открыть смену
    t.ngettext("{n} trip", "{n} trips", 5).format(n=5)       # 5 поездок
    t.pgettext("sum format", "RUB {sign}{major}.{minor}")    # one English text with two meanings

The English text is the message id. A language is a folder `LANGUAGE/LC_MESSAGES` with a .po file for each
room (decision, passenger, canteen, console, operations, desk, common) and, compiled from all of them, `terminal.mo`: in
`terminal/locale`, or in a folder named by the environment variable TERMINAL_LOCALE.
What a third language lacks is said in Russian, the first of them.
`make texts` collects message ids from code and templates, brings the catalogues up to date and compiles them.

In code, name the function `_` or call `gettext`, `ngettext`, `pgettext` on a translator; mark a text that is translated
later with `N_`.
"""

from __future__ import annotations

import gettext
import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from terminal.errors import TerminalError

DOMAIN: Final = "terminal"
LOCALE: Final = Path(__file__).parent / "locale"
LOCALE_VARIABLE: Final = "TERMINAL_LOCALE"
FIRST: Final = ("ru", "en")
"""Offered before others."""

Translator = gettext.NullTranslations
"""gettext, ngettext, pgettext, npgettext."""


def N_(message: str) -> str:  # noqa: N802 the name every gettext tool knows
    """Marks `message` for `make texts` where it is only translated later."""
    return message


def NP_(context: str, message: str) -> str:  # noqa: ARG001, N802
    """Like `N_` for `pgettext`; returns the message."""
    return message


def languages() -> tuple[str, ...]:
    """Every language there is a catalogue for, in the order in which they are offered."""
    found = {
        path.parent.parent.name for folder in _folders() for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    }
    rank = {language: place for place, language in enumerate(FIRST)}
    return tuple(sorted(found, key=lambda language: (rank.get(language, len(rank)), language)))


def translator(language: str) -> Translator:
    """The texts of `language`; raises `TerminalError` when there is no catalogue for it."""
    return _load(language, _folders())


@lru_cache
def _load(language: str, folders: tuple[Path, ...]) -> Translator:
    for folder in folders:
        path = folder / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
        if path.is_file():
            with path.open("rb") as file:
                found = gettext.GNUTranslations(file)
            if (
                language not in FIRST
            ):  # what a region's third language lacks is said in its own, and never in English
                found.add_fallback(_load(FIRST[0], folders))
            return found
    known = " or ".join(languages())
    raise TerminalError(f"no texts in language {language!r}", f"Use {known}.")


def _folders() -> tuple[Path, ...]:
    """A folder of the region's own comes first, so that it may also word a supplied language its own way."""
    return _folders_in(os.environ.get(LOCALE_VARIABLE, ""))


@lru_cache
def _folders_in(own: str) -> tuple[Path, ...]:
    return (*(Path(name) for name in own.split(os.pathsep) if name), LOCALE)
