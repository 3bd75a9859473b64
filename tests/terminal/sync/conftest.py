from __future__ import annotations

import pytest

from tests.terminal.sync.station import Collector, Station


@pytest.fixture
def collector(tmp_path):
    made = Collector(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def station(tmp_path, collector):
    made = Station(tmp_path, collector, batch_records=10)
    yield made
    made.journal.close()
