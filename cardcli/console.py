"""Tables for people: as wide as the window, and aligned in every encoding."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from cardcli.characters import visible
from cardcli.output import readable, styled


class ReadableConsole(Console):
    """Standard output for rich tables. Texts are spelled before they are measured, so that columns stay columns."""

    def __init__(self, wide: int) -> None:
        """`wide` columns where neither COLUMNS nor a terminal says how many there are."""
        super().__init__()
        if "COLUMNS" not in os.environ and not any(map(os.isatty, range(3))):
            self.width = wide

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(readable(visible(text), self.encoding), **options)


def progress_console() -> Console:
    """Where progress is shown: standard error, whose lines are moved over."""
    return Console(file=styled(sys.stderr))
