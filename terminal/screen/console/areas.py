"""All the pages there are; each console takes those that fit its terminal."""

from __future__ import annotations

from terminal.screen.console.bus.pages import BUS
from terminal.screen.console.canteen.area import canteen_area
from terminal.screen.console.inspector import INSPECTIONS
from terminal.screen.console.state import STATE
from terminal.screen.console.visit import Area


def areas() -> tuple[Area, ...]:
    """For `console_app`; made anew for each console."""
    return BUS, INSPECTIONS, canteen_area(), STATE
