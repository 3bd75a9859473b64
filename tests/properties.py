"""How hard a property test tries. The profiles of a run are in `tests/conftest.py`.

@examples(25)
@given(...)
def test_something(...): ...
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings

USUAL: Final = 100
"""What a test tries that states no number of its own."""


def examples(number: int, **options: Any) -> settings:
    """`number` examples in the run that all take part in, as many times more as an exploring profile asks for."""
    return settings(max_examples=number * settings().max_examples // USUAL, **options)
