"""How much one sender may ask of the collector, and when all senders are asked to wait."""

from __future__ import annotations

import math
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT_BUCKETS: Final = 20_000
KNOWN_S: Final = 24 * 3600.0
LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests per second and how many at once: for an address, less while nothing good has come from it, and for a
    terminal (whose signature was good); how many uploads may be in the store's hands and how many bodies on their way;
    how long a body may take, and how slow it may be after its first seconds; how much room the disk must keep.
    """

    address_per_s: float = 500.0
    address_burst: int = 2_000
    stranger_per_s: float = 20.0
    stranger_burst: int = 200
    terminal_per_s: float = 100.0
    terminal_burst: int = 1_000
    in_hand: int = 64
    bodies: int = 384
    body_s: float = 20.0
    body_free_s: float = 5.0
    body_per_s: int = 1_024
    free_bytes: int = 512 << 20
    full_wait_s: int = 60


class TokenBuckets:
    """A bucket per name, filled at a steady rate: who empties his waits. Remembers a bounded number of names."""

    def __init__(self, per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: Hashable) -> int:
        """Take one token; return 0, or how many whole seconds to wait first."""
        with self._lock:
            now = self._monotonic()
            left, since = self._buckets.pop(name, (float(self._burst), now))
            left = min(self._burst, left + (now - since) * self._per_s)
            granted = left >= 1.0
            self._buckets[name] = (left - granted, now)
            while len(self._buckets) > KEPT_BUCKETS:
                self._buckets.popitem(last=False)
            return 0 if granted else max(1, math.ceil((1.0 - left) / self._per_s))


class KnownAddresses:
    """The addresses good signatures came from, each for a day after the last; a bounded number of them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._met: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._met)

    def __contains__(self, address: str) -> bool:
        met = self._met.get(address)
        return met is not None and self._monotonic() - met < KNOWN_S

    def meet(self, address: str) -> None:
        """Something good has come from `address`."""
        self._met[address] = self._monotonic()
        self._met.move_to_end(address)
        while len(self._met) > KEPT_BUCKETS:
            self._met.popitem(last=False)


class DiskRoom:
    """Whether the disk under `folder` has room for more; looks at most once a second."""

    def __init__(self, folder: Path, free_bytes: int, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._free_bytes = free_bytes
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._enough = True

    @property
    def enough(self) -> bool:
        now = self._monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_S:
            self._looked_at = now
            try:
                self._enough = shutil.disk_usage(self._folder).free >= self._free_bytes
            except OSError:
                self._enough = False
        return self._enough
