"""The town of the flow tests, for media."""

from tests.flows.conftest import any_terminal, town_of

__all__ = ["any_terminal", "town_of"]
