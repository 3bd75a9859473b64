"""Commands as processes, as in the tests of the commands."""

from tests.terminal.cli.conftest import run, start

__all__ = ["run", "start"]
