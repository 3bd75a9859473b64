"""The town of the flow tests, and commands as their users run them."""

from tests.flows.conftest import any_terminal, town_of
from tests.terminal.cli.conftest import run

__all__ = ["any_terminal", "run", "town_of"]
