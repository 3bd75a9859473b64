"""The air time of a tap as a picture: one bar for each exchange, from the command's first bit to the answer's last.

Shapes carry class names and colours of their own, so that the picture stands alone and a page's style may still
repaint it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from sim.desk.trace import Traced

WIDTH: Final = 720
NAMES: Final = 218
RIGHT: Final = 58
ROW: Final = 22
TOP: Final = 26
MOST_ROWS: Final = 80
TICKS: Final = 5
NICE_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000)
PARTS: Final = (("up", "#3b82f6"), ("compute", "#f59e0b"), ("down", "#10b981"), ("waited", "#a1a1aa"))
INK: Final = "#52525b"


def waterfall(rows: Sequence[Traced], title: str) -> str:
    """An SVG document; more than `MOST_ROWS` exchanges are cut off and counted in the last line."""
    on_air = [row for row in rows if row.number]
    shown = on_air[:MOST_ROWS]
    left_out = len(on_air) - len(shown)
    end_ms = max((row.sent_ms + row.took_ms for row in shown), default=1.0) or 1.0
    height = TOP + ROW * (len(shown) + bool(left_out)) + 8
    scale = (WIDTH - NAMES - RIGHT) / end_ms
    body = "".join((*_axis(end_ms, scale, height), *_bars(shown, scale)))
    if left_out:
        body += _text(0, height - 14, f"and {left_out} more exchanges", "more")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" class="waterfall" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{escape(title)}</title>{body}</svg>'
    )


def _axis(end_ms: float, scale: float, height: int) -> Iterator[str]:
    step = next((nice for nice in NICE_MS if end_ms / nice <= TICKS), NICE_MS[-1])
    for number in range(int(end_ms // step) + 1):
        x = NAMES + number * step * scale
        yield (
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 4}" '
            f'stroke="{INK}" stroke-opacity=".22"/>'
        )
        yield _text(x, 12, f"{number * step} ms", "axis", "middle" if number else "start")


def _bars(rows: Sequence[Traced], scale: float) -> Iterator[str]:
    for index, row in enumerate(rows):
        y = TOP + index * ROW
        yield _text(0, y + 13, f"{row.number}  {row.name}", "name")
        x = NAMES + row.sent_ms * scale
        for (part, colour), length in zip(PARTS, _lengths(row), strict=True):
            width = length * scale
            if width > 0:
                yield (
                    f'<rect class="{part}" x="{x:.2f}" y="{y + 3}" width="{max(width, 0.6):.2f}" '
                    f'height="{ROW - 9}" rx="1.5" fill="{colour}"/>'
                )
            x += width
        if row.lost is not None:
            yield f'<path class="lost" d="M{x + 3:.1f} {y + 4}l9 11m0-11l-9 11" stroke="#e11d48" stroke-width="2.2"/>'
            x += 14
        words = f"{row.took_ms:.1f}" if row.lost is None else row.lost
        yield _text(x + 5, y + 13, words, "took")


def _lengths(row: Traced) -> tuple[float, float, float, float]:
    return row.up_ms, row.card_ms, row.down_ms, row.waited_ms


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    short = words if len(words) <= 38 else words[:37] + "…"
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{escape(short)}</text>'
