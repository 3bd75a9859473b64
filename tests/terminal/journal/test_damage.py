"""A seeded slice of the damages that `python -m tests.terminal.journal.damage` does by the ten thousand."""

from __future__ import annotations

from collections import Counter

from tests.terminal.journal.damage import damages


def test_whatever_is_damaged_every_row_is_there_or_named_and_no_number_comes_twice():
    came = Counter(result for _, result in damages(200, seed=15, worlds=12))
    refused = sum(times for result, times in came.items() if result.startswith("refused"))
    assert sum(came.values()) == 200
    assert refused <= 8, (
        came
    )  # both copies of the key were hit: the rows are there, and readable with a key brought back
    assert min(came["whole"], came["skipped"], came["named"]) > 10, came
