"""One journey's money over its legs: whole minor units, and never one more or less than was taken.

Shares are rounded down; what is left over goes, a unit each, to the legs with the largest remainders, of equal ones to
the earlier. So the same journey always comes out the same.
"""

from __future__ import annotations

from collections.abc import Sequence


def divided(sum_minor: int, weights: Sequence[int]) -> list[int]:
    """`sum_minor` (minor units, also negative) in parts by `weights`, which are above 0."""
    whole = sum(weights)
    shares = [abs(sum_minor) * weight // whole for weight in weights]
    left = [abs(sum_minor) * weight % whole for weight in weights]
    order = sorted(range(len(shares)), key=lambda place: (-left[place], place))
    for place in order[: abs(sum_minor) - sum(shares)]:
        shares[place] += 1
    return shares if sum_minor > 0 else [-share for share in shares]
