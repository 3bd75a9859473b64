"""A fleet's database in the golden files, as PostgreSQL's own program writes it out, and what the fleet's report said.

The batches that both terminals had sent to their collector go through a gateway, NATS JetStream and a consumer.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec
import psycopg

from tests.golden.asked import Version
from tests.golden.wire import PATIENCE_S, kept
from tests.terminal.fleet.servers import NatsServer, Postgres, free_ports, postgres_program, until

DUMP: Final = "fleet.sql"
REPORT: Final = "fleet-report.json"
"""What the version said of it."""
STREAM: Final = "GOLDEN"
REGISTRY: Final = ("--registry", "office/registry.sealed", "--registry-keys", "office/collector.keys")
MOMENT: Final = frozenset({"id", "first_at_ms", "last_at_ms", "says"})
"""Of an alarm: when it was found, and its words."""


def make_fleet(folder: Path, terminals: Sequence[tuple[str, int]]) -> None:
    """Write `DUMP` in `folder`, whose `wire` has what these terminals sent."""
    with TemporaryDirectory() as name, ExitStack() as ended:
        work, database, nats = Path(name), Postgres(), NatsServer(Path(name), "golden", free_ports(1)[0])
        ended.callback(database.remove)
        ended.callback(nats.kill)
        database.start()
        nats.start()
        dsn = database.new_database()
        where = ("--nats", nats.url, "--stream", STREAM, "--database", dsn)
        Version().run(work, "fleet", "prepare", *where, "--replicas", 1, "--max-gib", 1)
        for terminal, number in terminals:
            Version().run(
                work, "fleet", "enrol", number, "--key", folder / terminal / "var/terminal/terminal.pub"
            )
        with _serving(work, "gateway", "--port", 0, *where) as said, _serving(work, "consumer", *where):
            rows = sum(_sent(str(said["url"]), folder / "wire", terminal) for terminal, _ in terminals)
            until("the consumer has stored every row", lambda: _rows(dsn) == rows)
        (folder / DUMP).write_text(_dumped(dsn), "utf-8")
        report = Version().run(folder, "fleet", "report", "--database", dsn, "--json", *REGISTRY)
        (folder / REPORT).write_bytes(msgspec.json.format(report.encode(), indent=1))


def _sent(url: str, wire: Path, terminal: str) -> int:
    """The newest row that the gateway acknowledges of what was recorded."""
    through = 0
    for recorded in kept(wire, terminal):
        headers = {"content-type": recorded.content_type}
        found = httpx.post(url + recorded.path, content=recorded.request, headers=headers, timeout=PATIENCE_S)
        assert found.status_code == recorded.status, found.content
        through = msgspec.msgpack.decode(found.content)[2]
    return through


def _rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM record").fetchone()
    return int(row[0]) if row else 0


def _dumped(dsn: str) -> str:
    """Statements alone, no commands of psql: any client of PostgreSQL restores it."""
    program = postgres_program("pg_dump")
    assert program, "PostgreSQL's pg_dump is not installed (Debian: postgresql-client)"
    command = [program, "--inserts", "--no-owner", "--no-privileges", "--dbname", dsn]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith(("\\", "--")) and line)


def restore(dsn: str, dump: Path) -> None:
    """What `DUMP` holds, in an empty database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(dump.read_bytes())


@contextmanager
def _serving(folder: Path, *words: object) -> Iterator[dict[str, object]]:
    """What this part of a fleet says once it serves."""
    process = subprocess.Popen(
        Version().command("fleet", *words, "--json"),
        cwd=folder,
        env=Version().environment(),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=60)
