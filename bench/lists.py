"""Lists of keyed hashes: lookup, loading and memory of a list of grants with a million holders."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

from bench.result import Result, at_most, median_us
from cardproto.resident.records.rights import Concession
from terminal.policy.grants import LocalGrants, build_grants, load_grants
from terminal.policy.keyed_file import ListIssue

HOLDERS = 1_000_000
KEY = b"key of the list of grants in bench"
ISSUE = ListIssue(1, 34, datetime(2026, 9, 15, tzinfo=UTC))
GRANTED = LocalGrants(date(2026, 9, 1), (Concession(2, 0, date(2026, 9, 1), date(2027, 8, 31)), None, None))


def grants() -> Iterator[Result]:
    """Half of the holders asked for are on the list, each another one: no page is asked for twice in a row. Every
    second holder is a bank card.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grants"
        build_grants(path, KEY, ISSUE, ((_holder(n), GRANTED) for n in range(HOLDERS)))
        begun = time.process_time()
        load_grants(path, KEY).close()
        loading_s = time.process_time() - begun
        tracemalloc.start()
        listed = load_grants(path, KEY)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        asked = (number * 7919 % (2 * HOLDERS) for number in count())
        lookup_us = median_us(lambda: listed.of(_holder(next(asked) & ~1)))
        token_us = median_us(lambda: listed.of(_holder(next(asked) | 1)))
        listed.close()
    yield at_most("lookup in a list of 1 M grants", lookup_us, "us", 25)
    yield at_most("the same by a bank card's token", token_us, "us", 25)
    yield at_most("loading a list of 1 M grants", loading_s, "s", 1.0, "the order of every record is checked")
    yield at_most("memory of a list of 1 M grants", kept / 1024, "kB", 256, "pages are mapped, not loaded")


def _holder(number: int) -> bytes:
    """A pseudonym, or a bank card's token."""
    return number.to_bytes(16 if number % 2 else 8, "big")
