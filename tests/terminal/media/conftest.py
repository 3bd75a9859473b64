"""Commands as their users run them."""

from tests.terminal.cli.conftest import run

__all__ = ["run"]
