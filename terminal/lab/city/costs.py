"""What one look for signed bundles costs, counted between a running terminal and a running collector: bytes that TCP
carries both ways without TLS. `tests/city/test_costs.py` counts again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terminal.updates.bundle.newer import LONGEST_WAIT_S


class LookCost(NamedTuple):
    """Of one look, on one connection, without the content of files that are new."""

    requests: int
    up_bytes: int
    down_bytes: int
    server_ms: float
    """CPU time of the collector: measured once, over 1 500 looks in turns, on two loaded cores."""

    @property
    def size(self) -> int:
        return self.up_bytes + self.down_bytes


QUIET: Final = LookCost(requests=2, up_bytes=288, down_bytes=456, server_ms=0.9)
"""Nothing is new: the next root, which is not there, and the timestamp."""
CHANGED: Final = LookCost(requests=2, up_bytes=320, down_bytes=1076, server_ms=1.8)
"""A role that one key signs has one new file, answered at once as a held request (docs/sizing.md)."""
HELD_BYTES: Final = 212
"""One held request that nothing comes of, question and answer; asked anew each `HELD_S`."""
HELD_S: Final = float(LONGEST_WAIT_S)
ENTRY_BYTES: Final = 8
"""Of a list: `terminal.policy.deny_list`."""
