"""The passenger displays of the desk's terminals: the very pages a terminal serves, one for each place and language."""

from __future__ import annotations

import threading
from typing import Final

from starlette.routing import BaseRoute, Mount

from terminal.clock import SystemClock
from terminal.decision.outcome import Outcome
from terminal.lab.desk.town import PLACES
from terminal.lab.desk.words import LANGUAGES
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes

BEAT_S: Final = 0.5


class Passengers:
    """Displays by place. They run on the real clock: people read in real time, whatever the desk's clock says."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.displays: Final = {place.key: Display(clock) for place in PLACES}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="desk displays", daemon=True)

    @property
    def routes(self) -> list[BaseRoute]:
        """`/LANGUAGE/PLACE/`."""
        return [
            Mount(
                f"/{language}/{place.key}",
                routes=display_routes(
                    self.displays[place.key],
                    DisplaySettings(language, discreet=place.profile == "canteen"),
                ),
            )
            for language in LANGUAGES
            for place in PLACES
        ]

    def tell(self, place: str, outcome: Outcome) -> None:
        """The result for the rider at `place`; the card leaves at once, as it does at the desk."""
        display = self.displays[place]
        display.card()
        display.outcome(outcome)
        display.removed()

    def razzia_is(self, razzia: bool) -> None:
        """An inspection on the bus begins or ends."""
        for place in PLACES:
            if place.on_bus:
                self.displays[place.key].razzia_is(razzia)

    def start(self) -> None:
        """Let the displays know that their terminals are alive."""
        self._thread.start()

    def stop(self) -> None:
        """End that; displays show *out of order* soon after."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            for display in self.displays.values():
                display.beat()
