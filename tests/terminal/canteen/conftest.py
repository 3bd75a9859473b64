"""`canteen(child(1, 10), …)` opens a counter for these pupils; it is closed when the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from terminal.canteen.documents import RosterPupil
from tests.terminal.canteen.school import Canteen, open_canteen

OpenCanteen = Callable[..., Canteen]


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[OpenCanteen]:
    with ExitStack() as stack:

        def open_one(*pupils: RosterPupil, **fields: Any) -> Canteen:
            return stack.enter_context(open_canteen(tmp_path, *pupils, **fields))

        yield open_one
