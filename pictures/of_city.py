"""The city: how a deny entry spreads."""

from __future__ import annotations

from typing import Final

from pictures.studio import Studio
from terminal.lab.city.picture import HEIGHT, WIDTH, picture
from terminal.lab.city.run import CityPlan, play_city

PLAN: Final = CityPlan(terminals=10_000)


def city(studio: Studio) -> None:
    """What `terminal city --picture` draws."""
    drawn = studio.work / "city.svg"
    drawn.write_text(picture(play_city(PLAN)), "utf-8")
    with studio.page(WIDTH, HEIGHT) as page:
        page.goto(drawn.as_uri())
        studio.keep(page, "city")
