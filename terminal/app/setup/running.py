"""`terminal setup` while it serves: the code on the display, the pages beside it, until the terminal is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from terminal.app.setup.making import SchoolMaker, SetupPlace
from terminal.clock import Clock
from terminal.screen.server import ScreenServer
from terminal.screen.setup.code import SetupCode
from terminal.screen.setup.code_page import code_app
from terminal.screen.setup.draft import DraftKeeper
from terminal.screen.setup.web import SetupWeb

LOOK_S: Final = 1.0
"""How often it is looked whether the terminal was set up by another way."""
PATIENCE_S: Final = 20.0
"""How long the last page may take to load what it needs, before the terminal takes its address."""


def first_run(
    place: SetupPlace,
    maker: SchoolMaker,
    fixed: Mapping[str, str],
    language: str,
    clock: Clock,
    say: Callable[[str], None],
) -> None:
    """Serve the pages until the terminal is set up; `say` where they are, and each code. Raises `ConfigError`,
    `PortInUse`.
    """
    place.require_new()
    keeper = DraftKeeper(place.draft, fixed, language, clock.now().date())
    display = ScreenServer.made_later(
        lambda: code_app(code, lambda: keeper.language, f"{pages.url}/"), port=place.screen_port
    )
    code = SetupCode(clock, lambda digits: say(f"one-time code: {digits}"))
    web = SetupWeb(keeper, code, maker, f"{display.url}/")
    pages = ScreenServer.made_later(web.app, port=place.console_port)
    say(f"set-up pages: {pages.url}/, display: {display.url}/")
    with display, pages:
        while not web.finished.wait(LOOK_S):
            if place.is_set_up:
                return
        web.taken_over.wait(PATIENCE_S)
