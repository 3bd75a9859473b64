"""How a deny entry reaches the city, and how many rides its card still makes on terminals that do not know it.

Nothing is stepped through: each terminal's next look is an event, and the collector answers one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop
from math import ceil
from random import Random
from statistics import fmean, median
from typing import Final, NamedTuple

from terminal.lab.city.contact import Contact
from terminal.lab.city.costs import CHANGED
from terminal.lab.city.timetable import DAY_S, Timetable

PARTS: Final = (0.5, 0.9, 0.99, 1.0)
CURVE: Final = tuple(part / 50 for part in range(1, 51))


class Spread(NamedTuple):
    """Of entries made at several moments: seconds until each of `PARTS` of all terminals knows it (the median of the
    entries), the same for those in contact when it was published, and the rides of its card until then (the mean).
    `curve_s` are the seconds of each of `CURVE` for the first entry.
    """

    all_s: tuple[float, ...]
    in_contact_s: tuple[float, ...]
    lost_rides: float
    curve_s: tuple[float, ...]


def known_at(
    city: Sequence[Timetable], contact: Contact, published: float, random: Random, answer_s: float
) -> list[float]:
    """When each terminal knows what is published at `published`; the collector takes `answer_s` for each."""
    looks = [(contact.hears_at(one, published, random), number) for number, one in enumerate(city)]
    heapify(looks)
    known, free = [0.0] * len(city), published
    while looks:
        asked, number = heappop(looks)
        free = max(asked, free) + answer_s
        known[number] = free
    return known


def spread_of(
    city: Sequence[Timetable],
    contact: Contact,
    entered: Sequence[float],
    issue_every_s: float,
    rides_a_day: float,
    cores: float,
    seed: int,
) -> Spread:
    """Of entries made at `entered`, each published with the next issue: after half of the time between two, as it is
    on average. The collector has so many cores.
    """
    random = Random(f"spread {contact.name} {seed}")  # noqa: S311 a seeded city is the same again
    answer_s = CHANGED.server_ms / 1000 / cores
    serving = sum(one.serving_s(0, DAY_S) for one in city)
    curve: tuple[float, ...] = ()
    everywhere, near, lost = [], [], []
    for moment in entered:
        published = moment + issue_every_s / 2
        known = known_at(city, contact, published, random, answer_s)
        pairs = list(zip(city, known, strict=True))
        everywhere.append(_until(PARTS, known, moment))
        near.append(_until(PARTS, [at for one, at in pairs if one.is_heard(published)], moment))
        lost.append(rides_a_day * sum(one.serving_s(moment, at) for one, at in pairs) / serving)
        curve = curve or _until(CURVE, known, moment)
    return Spread(_medians(everywhere), _medians(near), fmean(lost), curve)


def _until(parts: Sequence[float], known: Sequence[float], since: float) -> tuple[float, ...]:
    """When each of `parts` knows; empty where there is no terminal."""
    ordered = sorted(known)
    return tuple(ordered[ceil(part * len(ordered)) - 1] - since for part in parts) if ordered else ()


def _medians(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(map(median, zip(*filter(None, rows), strict=True)))
