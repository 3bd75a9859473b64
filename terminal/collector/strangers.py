"""What people who have shown nothing tried: counted by kind and address, with the newest examples, in bounded room.

A sender can name any terminal number, as often as it likes. Such attempts are kept apart from alarms about our own
terminals and cards, so that no amount of them pushes one of those out, and are not written down one by one: they are
added up in memory and kept every few seconds.

At most `ADDRESSES` addresses of a kind and `EXAMPLES` examples of an address are kept apart, those seen last; what is
older is added to the line of its address, or to the line of all other addresses, without losing count.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import groupby
from typing import Final, NamedTuple

from terminal.collector.alarms import AlarmCause, AlarmKind, detail_words
from terminal.fault_texts import ENGLISH

ADDRESSES: Final = 200
EXAMPLES: Final = 4
HELD: Final = 20_000
"""Different attempts added up in memory before they are reduced to what is kept."""
ELSEWHERE: Final = "elsewhere"
"""Stands for all addresses that are not kept apart."""
STRANGE_KINDS: Final = (
    AlarmKind.UNKNOWN_TERMINAL,
    AlarmKind.BAD_SIGNATURE,
    AlarmKind.WRONG_CERTIFICATE,
    AlarmKind.ENROLMENT_REFUSED,
)
"""What a sender can cause without a good signature."""

SCHEMA: Final = """
CREATE TABLE stranger (
    kind TEXT NOT NULL, address TEXT NOT NULL, terminal INTEGER NOT NULL, detail TEXT NOT NULL,
    times INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, address, terminal, detail)
) WITHOUT ROWID"""


class StrangerCount(NamedTuple):
    """What was tried `times` from `address`, in the name of `terminal` (0 for several); `detail` as of alarms."""

    kind: str
    address: str
    terminal: int
    detail: str
    times: int
    first_at_ms: int
    last_at_ms: int

    def says(self, language: str = ENGLISH) -> str:
        """The detail in words."""
        return detail_words(self.detail, language)


_Key = tuple[str, str, int, str]


class Strangers:
    """Attempts since they were last taken. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Key, StrangerCount] = {}

    def note(self, kind: AlarmKind, address: str, terminal: int, detail: str, at_ms: int) -> None:
        """Count one attempt."""
        self.put_back([StrangerCount(kind.value, address, terminal, detail, 1, at_ms, at_ms)])

    def take(self) -> list[StrangerCount]:
        """What was counted; the counting begins anew."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return reduced(counts.values())

    def put_back(self, counts: Iterable[StrangerCount]) -> None:
        """Count again what was taken and could not be kept."""
        with self._lock:
            for count in counts:
                _add(self._counts, count)
            if len(self._counts) > HELD:
                self._counts = {_key(count): count for count in reduced(self._counts.values())}


def reduced(counts: Iterable[StrangerCount]) -> list[StrangerCount]:
    """`counts` as they are kept: equal ones added up, the newest addresses and examples apart, the sum unchanged."""
    kept: dict[_Key, StrangerCount] = {}
    for count in counts:
        _add(kept, count)
    found: dict[_Key, StrangerCount] = {}
    for _, same_kind in groupby(sorted(kept.values()), lambda count: count.kind):
        addresses = [list(group) for _, group in groupby(same_kind, lambda count: count.address)]
        addresses.sort(
            key=lambda group: (group[0].address != ELSEWHERE, max(each.last_at_ms for each in group))
        )
        beyond = len(addresses) - ADDRESSES
        for place, group in enumerate(addresses):
            for count in _few(group, ELSEWHERE if place < beyond else group[0].address):
                _add(found, count)
    return sorted(found.values(), key=lambda count: (-count.last_at_ms, count))


def _few(group: list[StrangerCount], address: str) -> Iterable[StrangerCount]:
    """The newest examples of one address as they are, the others as one line; all as one where it is not its own."""
    newest = sorted(
        group, key=lambda count: (count.detail != AlarmCause.MANY_MORE, count.last_at_ms), reverse=True
    )
    apart = 0 if address == ELSEWHERE else EXAMPLES
    yield from newest[:apart]
    for count in newest[apart:]:
        yield count._replace(address=address, terminal=0, detail=AlarmCause.MANY_MORE.value)


def _add(counts: dict[_Key, StrangerCount], count: StrangerCount) -> None:
    key = _key(count)
    held = counts.get(key)
    if held is not None:
        count = held._replace(
            times=held.times + count.times,
            first_at_ms=min(held.first_at_ms, count.first_at_ms),
            last_at_ms=max(held.last_at_ms, count.last_at_ms),
        )
    counts[key] = count


def _key(count: StrangerCount) -> _Key:
    return count[:4]
