from tests.terminal.cli.conftest import run
from tests.terminal.publish.conftest import office

__all__ = ["office", "run"]
