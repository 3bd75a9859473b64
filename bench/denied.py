"""A deny list of ten million entries with a day's increments: its size, a search in it, and the night's merge."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.result import Result, at_most
from terminal.policy.deny_changes import (
    NONE_BEFORE,
    ChangedDenyList,
    DenyBase,
    DenyChanges,
    changes_bytes,
    followed,
    merge_changes,
    next_increment,
    unchanged,
)
from terminal.policy.deny_list import MARKS, DenyKind, DenyList, DenyListFile, build_deny_list, load_deny_list
from terminal.policy.keyed_file import HEADER, ListIssue

LISTED = 10_000_000
FEW = 200_000
"""A small list beside it: a machine that is slow is so with both."""
ISSUES = 288
CHANGED_A_DAY = 10_000
"""Added, and as many removed."""
ASKED = 20_000
STEP = 7_919_363
"""Between the cards that are asked for: no page is asked for twice in a row."""
BYTES = {DenyKind.CARD: 7, DenyKind.BANK_CARD: 16}
KEY = b"key of the deny list in bench"
ISSUED_AT = datetime(2026, 9, 15, tzinfo=UTC)


def deny() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        small, base = (_built(Path(folder, str(listed)), listed) for listed in (FEW, LISTED))
        day = _day_of(base)
        yield at_most("deny list of 10 M entries", base.path.stat().st_size / 1e6, "MB", 100)
        note = f"{ISSUES} increments"
        yield at_most("changes of a day, 10 000 each way", len(changes_bytes(day)) / 1e3, "kB", 200, note)
        few_us, all_us = _slow_us(small, FEW), _slow_us(ChangedDenyList(base, day), LISTED)
        note = f"CPU, 99 of 100 searches; {few_us:.1f} us in 200 000"
        yield at_most("search in 10 M with a day's changes", all_us, "us", 8, note)
        yield at_most("search in 10 M with changes, against 200 000 without", all_us / few_us, "times", 3)
        yield from _merging(Path(folder), base, day)


def tokens() -> Iterator[Result]:
    """Bank cards, each asked for by the token it is known by."""
    with tempfile.TemporaryDirectory() as folder:
        listed = _built(Path(folder, "tokens"), LISTED, DenyKind.BANK_CARD)
        took_us = _slow_us(listed, LISTED, DenyKind.BANK_CARD)
        yield at_most("search for a bank card's token in 10 M", took_us, "us", 8, "CPU, 99 of 100 searches")


def _built(path: Path, listed: int, kind: DenyKind = DenyKind.CARD) -> DenyListFile:
    cards = ((kind, number.to_bytes(BYTES[kind], "big")) for number in range(listed))
    build_deny_list(path, KEY, ListIssue(1, 34, ISSUED_AT), cards)
    return load_deny_list(path, KEY)


def _day_of(base: DenyListFile) -> DenyChanges:
    whole = unchanged(DenyBase.of(base), ISSUED_AT)
    for number in range(ISSUES):
        part = range(number * CHANGED_A_DAY // ISSUES, (number + 1) * CHANGED_A_DAY // ISSUES)
        at = ISSUED_AT + timedelta(minutes=5 * number)
        added, removed = (
            [base.hash_of(MARKS[DenyKind.CARD] + (first + one).to_bytes(7, "big")) for one in part]
            for first in (LISTED, 0)
        )
        whole = followed(whole, next_increment(whole, NONE_BEFORE, at, added, removed))
    return whole


def _slow_us(listed: DenyList, entries: int, kind: DenyKind = DenyKind.CARD) -> float:
    """CPU of the search that one of a hundred is slower than; half of what is asked for is there."""
    spent, idle = [], []
    for number in range(ASKED):
        card = (number * STEP % (2 * entries)).to_bytes(BYTES[kind], "big")
        begun = time.thread_time_ns()
        listed.contains(kind, card)
        spent.append(time.thread_time_ns() - begun)
        begun = time.thread_time_ns()
        idle.append(time.thread_time_ns() - begun)
    return (sorted(spent)[ASKED * 99 // 100] - sorted(idle)[ASKED // 2]) / 1000


def _merging(folder: Path, base: DenyListFile, day: DenyChanges) -> Iterator[Result]:
    """There, and back again by the opposite changes: then it is what it was."""
    there, back = folder / "there", folder / "back"
    begun = time.process_time()
    merge_changes(base, day, ListIssue(2, 34, ISSUED_AT), there)
    merging_s = time.process_time() - begun
    begun = time.process_time()
    back.write_bytes(base.path.read_bytes())
    copying_s = time.process_time() - begun
    yield at_most("night's merge of 10 M entries", merging_s, "s CPU", 2, f"a copy alone {copying_s:.2f} s")
    merged = load_deny_list(there, KEY)
    undo = next_increment(
        unchanged(DenyBase.of(merged), ISSUED_AT), NONE_BEFORE, ISSUED_AT, day.removed, day.added
    )
    merge_changes(merged, undo, ListIssue(1, 34, ISSUED_AT), back)
    same = back.read_bytes()[HEADER.size :] == base.path.read_bytes()[HEADER.size :]
    yield at_most("lists that are not the same after the opposite changes", 1 - same, "", 0)
