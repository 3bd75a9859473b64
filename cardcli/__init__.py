"""What the two programs, `terminal` and `sim`, share around a command: a version, and output that can be read."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "resident-card-terminal"
VERSION: Final = "0.1.0"
SOFTWARE: Final = f"{DISTRIBUTION} {VERSION}"
"""As records, backups and metrics name what wrote them."""


def version_line(program: str) -> str:
    """The answer to `--version`."""
    return f"{program} ({DISTRIBUTION}) {VERSION}"
