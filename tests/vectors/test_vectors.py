"""Independent figures against our public functions: nothing here was produced by our own encoder.

A kind's function computes what the entry expects; every expected figure must be computed and equal, so a
figure nobody checks fails the test just as a wrong one does, and so does a kind nobody knows.
"""

from __future__ import annotations

from typing import Any

from tests.vectors.fields import Fields, comparable, plain
from tests.vectors.kinds import KINDS


def test_vector(vector: dict[str, Any]) -> None:
    assert vector["kind"] in KINDS, f"no check for kind {vector['kind']!r}"
    expected = vector["expected"]
    computed = KINDS[vector["kind"]](Fields(vector["inputs"]), Fields(expected))
    by_name = {plain(name): value for name, value in computed.items()}
    told = {name: comparable(by_name.get(plain(name), "not computed")) for name in expected}
    assert told == {name: comparable(value) for name, value in expected.items()}
