"""What looking costs the collector and the network in a day: by arithmetic from the hours of each terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

from terminal.lab.city.contact import Contact
from terminal.lab.city.costs import CHANGED, HELD_BYTES, QUIET
from terminal.lab.city.timetable import DAY_S, Timetable

MINUTE_S: Final = 60.0
MINUTES: Final = int(DAY_S / MINUTE_S)


class DayLoad(NamedTuple):
    """Of all terminals on an average day. `peak_looks` a second in the busiest minute, held or begun; `burst` are the
    looks that one publication sets off at once; `content_bytes` is what new files add.
    """

    looks: float
    requests: float
    overhead_bytes: float
    content_bytes: float
    peak_looks: float
    burst: int
    cores: float
    """Of the collector, in the busiest minute, without TLS."""


def day_load(city: Sequence[Timetable], contact: Contact, issues: int, content: int) -> DayLoad:
    """`issues` a day, spread evenly over it; each brings a file of `content` bytes."""
    looks = requests = overhead = contents = 0.0
    for terminal in city:
        news = min(issues * terminal.hears.lasts / DAY_S + 1, issues) / terminal.every_days
        asked = terminal.looks_a_day(contact.every_s)
        changed = min(news, asked + news * contact.held)
        quiet = asked if contact.held else asked - changed
        looks += asked + changed * contact.held
        requests += quiet * (1 if contact.held else QUIET.requests) + changed * CHANGED.requests
        overhead += quiet * (HELD_BYTES if contact.held else QUIET.size) + changed * CHANGED.size
        contents += changed * content
    peak, present = _busiest(city, contact)
    cores = peak * QUIET.server_ms / 1000
    return DayLoad(looks, requests, overhead, contents, peak, present if contact.held else 0, cores)


def _busiest(city: Sequence[Timetable], contact: Contact) -> tuple[float, int]:
    """Looks a second in the busiest minute of an average day, and how many terminals are in contact at most."""
    begun, change, present = [0.0] * MINUTES, [0.0] * MINUTES, 0.0
    for terminal in city:
        share = 1 / terminal.every_days
        first = int(terminal.hears.begins % DAY_S / MINUTE_S)
        last = first + ceil(terminal.hears.lasts / MINUTE_S)
        begun[first] += share
        change[first] += share
        change[last % MINUTES] -= share
        present += share if last >= MINUTES else 0.0  # since before midnight
    peak = most = 0.0
    for starting, more in zip(begun, change, strict=True):
        present += more
        peak = max(peak, present / contact.every_s + starting / MINUTE_S)
        most = max(most, present)
    return peak, round(most)
