from __future__ import annotations

import pytest

from tests.terminal.sync.station import Collector


@pytest.fixture
def collector(tmp_path):
    made = Collector(tmp_path)
    yield made
    made.store.close()
