"""One PostgreSQL and one NATS server for all tests here; a database and streams of its own for each."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.terminal.fleet.servers import NatsServer, Postgres, free_ports, postgres_program
from tests.terminal.fleet.town import Town

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    if postgres_program("initdb") is None:
        reason = "needs PostgreSQL's initdb (Debian: postgresql; installed by .ci/run)"
        for item in items:
            if "postgres" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory):
    server = NatsServer(tmp_path_factory.mktemp("nats"), "single", free_ports(1)[0])
    server.start()
    yield server
    server.kill()


@pytest.fixture
def town(postgres, nats_server, tmp_path):
    """A fleet's back end, empty: streams on one server, a database with its tables."""
    town = Town(tmp_path, (nats_server.url,), postgres.new_database(), f"TEST{next(_numbers)}", replicas=1)
    asyncio.run(town.prepare())
    yield town
    town.end_processes()
