"""The passenger display beside a running terminal: [screen] in terminal.toml."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from terminal.app.config.settings import CANTEEN
from terminal.app.serve import CardSource
from terminal.clock import Clock
from terminal.decision.outcome import Outcome

if TYPE_CHECKING:
    from terminal.screen.display import Display


@dataclass(frozen=True, slots=True)
class Passenger:
    """What the passenger sees and hears, or nothing where no screen was asked for."""

    display: Display | None

    def told(self, also: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
        """For `Terminal.signal`: the display first, then `also`."""
        display = self.display
        if display is None:
            return also

        def signal(outcome: Outcome) -> None:
            display.outcome(outcome)
            also(outcome)

        return signal

    def watched(self, cards: CardSource) -> CardSource:
        """`cards`, whose coming and going the display shows."""
        if self.display is None:
            return cards
        from terminal.screen.display import WatchedReader

        return replace(cards, port=WatchedReader(cards.port, self.display))


@contextmanager
def passenger_display(
    wanted: bool, port: int, languages: tuple[str, str], profile: str, clock: Clock
) -> Iterator[Passenger]:
    """Serve the display on loopback `port` (0: any free one) if `wanted`, and say on stderr where it is.

    `languages`: the main one, and one shown under it or "". Raises `PortInUse`, or `TerminalError` for a language
    without texts.
    """
    if not wanted:
        yield Passenger(None)
        return
    from starlette.applications import Starlette

    from terminal.screen.display import Display, DisplaySettings, display_routes
    from terminal.screen.server import ScreenServer

    display = Display(clock)
    settings = DisplaySettings(*languages, discreet=profile == CANTEEN)
    with ScreenServer(Starlette(routes=display_routes(display, settings)), port=port) as server:
        print(f"passenger display: {server.url}/", file=sys.stderr, flush=True)
        yield Passenger(display)
