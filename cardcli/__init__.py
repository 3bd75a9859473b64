"""What the two programs, `terminal` and `sim`, share around a command: a version, and output that can be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

DISTRIBUTION: Final = "resident-card-terminal"
VERSION: Final = "0.1.0"
MADE_AT: Final = datetime(2026, 9, 1, tzinfo=UTC)
"""Set by hand with `VERSION`, to a day on which that version existed: a clock before it is wrong. Too early a day only
makes that check weaker; a time taken from files would follow the clock of the machine that installs them."""
SOFTWARE: Final = f"{DISTRIBUTION} {VERSION}"
"""As records, backups and metrics name what wrote them."""


def version_line(program: str) -> str:
    """The answer to `--version`."""
    return f"{program} ({DISTRIBUTION}) {VERSION}"
