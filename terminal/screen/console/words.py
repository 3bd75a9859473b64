"""Words that code puts together, in the operator's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from terminal.texts import translator

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S


def worded(message: str, values: Mapping[str, str | int], language: str) -> str:
    """The translation of `message` with its values; a number called `wait` is a time in seconds."""
    shown = {name: span(int(value), language) if name == "wait" else value for name, value in values.items()}
    translated = translator(language).gettext(message)
    return translated.format(**shown) if shown else translated


def span(seconds: int, language: str) -> str:
    """A length of time in its largest unit, rounded up: «5 минут»."""
    ngettext = translator(language).ngettext
    if seconds < MINUTE_S:
        return ngettext("{n} second", "{n} seconds", seconds).format(n=seconds)
    if seconds < HOUR_S:
        minutes = -(-seconds // MINUTE_S)
        return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)
    if seconds < DAY_S:
        hours = -(-seconds // HOUR_S)
        return ngettext("{n} hour", "{n} hours", hours).format(n=hours)
    days = -(-seconds // DAY_S)
    return ngettext("{n} day", "{n} days", days).format(n=days)
