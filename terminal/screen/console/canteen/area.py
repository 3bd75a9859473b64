"""The canteen's part of the console: pages and actions, for cashier, teacher and meal officer."""

from __future__ import annotations

from terminal.screen.console.canteen.actions import CanteenDeeds
from terminal.screen.console.canteen.pages import CanteenPages
from terminal.screen.console.visit import Area


def canteen_area() -> Area:
    """For `console_app`; one for each console."""
    deeds = CanteenDeeds()
    return Area("canteen", CanteenPages(deeds.results).pages(), deeds.actions())
