"""The picture of a city: how a deny entry of ten in the morning spreads, as SVG that stands alone.

Lines differ by colour and by dashes, and each has its name in the legend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import log10
from typing import Final

from terminal.lab.city.run import CityResult
from terminal.lab.city.spread import CURVE

WIDTH: Final = 760
HEIGHT: Final = 420
LEFT: Final = 60
TOP: Final = 50
ROOM_X: Final = 500
ROOM_Y: Final = 310
SHORTEST_S: Final = 10.0
LONGEST_S: Final = 7 * 86_400.0
TICKS: Final = (
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3_600, "1 h"),
    (4 * 3_600, "4 h"),
    (86_400, "1 d"),
    (3 * 86_400, "3 d"),
)
LINES: Final = (("#0b57d0", ""), ("#1d6f42", ""), ("#b3261e", ""), ("#7b1fa2", "2 4"), ("#8a5a00", "8 4"))
STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#1c1c1c}.grid{stroke:#c8c8c8}.line{fill:none;stroke-width:2.5}"
)


def picture(result: CityResult) -> str:
    """A file of its own."""
    name = escape(f"Terminals that know a new deny entry, of {result.plan.terminals}")
    curves = [(one.contact.name, one.spread.curve_s) for one in result.contacts]
    parts = [*_grid(), *_curves(curves)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}"><title>{name}</title><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><text x="{LEFT}" y="26" font-weight="600">{name}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def _x(seconds: float) -> float:
    """On a scale of decades."""
    within = min(max(seconds, SHORTEST_S), LONGEST_S)
    return LEFT + ROOM_X * log10(within / SHORTEST_S) / log10(LONGEST_S / SHORTEST_S)


def _y(part: float) -> float:
    return TOP + ROOM_Y * (1 - part)


def _grid() -> Iterator[str]:
    for seconds, label in TICKS:
        x = _x(seconds)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{TOP + ROOM_Y}"/>'
        yield f'<text x="{x:.1f}" y="{TOP + ROOM_Y + 20}" text-anchor="middle">{label}</text>'
    for percent in range(0, 101, 25):
        y = _y(percent / 100)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{LEFT + ROOM_X}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent} %</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 14}">since the office made the entry, at 10:00</text>'


def _curves(curves: Sequence[tuple[str, Sequence[float]]]) -> Iterator[str]:
    for number, ((name, moments), (colour, dashes)) in enumerate(zip(curves, LINES, strict=True)):
        points = " ".join(f"{_x(at):.1f},{_y(part):.1f}" for at, part in zip(moments, CURVE, strict=True))
        look = f'stroke="{colour}" stroke-dasharray="{dashes or "none"}"'
        y = TOP + 20 + 26 * number
        yield f'<polyline class="line" {look} points="{points}"/>'
        yield f'<path class="line" {look} d="M{LEFT + ROOM_X + 20} {y - 4}h40"/>'
        yield f'<text x="{LEFT + ROOM_X + 70}" y="{y}">{escape(name)}</text>'
