"""Pictures for docs/getting-started.md: the lines of a part as they are typed, and what each of them printed."""

from __future__ import annotations

from html import escape
from typing import Final

from pictures.studio import Shot, Studio
from tests.getting_started import parts, played

WIDTH: Final = 1000
STYLE: Final = """
body { margin: 0; padding: 14px 18px; background: #1d2430; color: #d9dee7; font: 13px/1.45 monospace; }
pre { margin: 0 0 9px; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
b { color: #fff; }
"""


def part(number: int) -> Shot:
    """The picture of that part of the page, the first being 0."""

    def take(studio: Studio) -> None:
        heading = list(parts())[number]
        folder = studio.work / f"start-{number}"
        folder.mkdir()
        lines = "".join(
            f"<pre><b>$ {escape(line)}</b>\n{escape(printed.rstrip())}</pre>"
            for line, printed in played(heading, folder, linked=True)
        )
        with studio.page(WIDTH, 200) as page:
            page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{lines}")
            studio.keep(page, NAMES[number], full_page=True)

    return take


NAMES: Final = ("start-bus", "start-canteen", "start-software")
