"""How a command fails: one line that says what happened and what to do, and a distinct exit code."""

from __future__ import annotations

import sys

from terminal.errors import TerminalError


def explain(error: TerminalError) -> int:
    """Print the error on stderr; return its exit code (the table is in `terminal.errors`)."""
    print(f"terminal: {error.what}. {error.advice}", file=sys.stderr)
    return error.exit_code
