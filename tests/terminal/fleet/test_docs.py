"""docs/fleet.md as its readers use it: its blocks are pasted into bash, in their order, on three NATS servers and a
PostgreSQL with passwords. Only the block that is said to be the reader's own has other values.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.server import prepare_stream
from terminal.collector.fleet.settings import DEFAULT_STREAM, StreamSettings, server_alone
from terminal.collector.fleet.stream import FleetStream
from terminal.errors import CollectorError
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH, parse_ack
from tests.terminal.fleet.servers import Postgres, free_ports, until
from tests.terminal.fleet.town import QUICK, plain

DOCUMENT = Path(__file__).parents[3] / "docs" / "fleet.md"
SECRET = "correct-horse"
NAMES = re.compile(r"(?:^|\s)(?:export )?([A-Z_]+)=", re.MULTILINE)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


def block(words: str) -> str:
    """The one that has these words."""
    (found,) = [one for one in blocks() if words in one]
    return found


@dataclass
class Desk:
    """Where the blocks are pasted."""

    folder: Path
    values: dict[str, str]
    begun: list[int] = field(default_factory=list)

    def paste(self, *pasted: str, apart: bool = False, **changes: str) -> str:
        """Paste blocks into a shell; what they leave running is known by its number, and writes to the same file.

        `apart`: into a file of its own.
        """
        values = self.values | changes
        assert set(NAMES.findall(blocks()[0])) == set(values)
        lines = [f"export {name}='{value}'" for name, value in values.items()]
        # With `-m` each program that is left running has a group of its own, of whose members none is forgotten.
        script = "\n".join(("set -eum", *lines, *pasted, 'jobs -p > "$HERE/jobs"'))
        log = self.folder / ("answered" if apart else "said")
        with log.open("w") as said:
            done = subprocess.run(
                ["bash", "-c", script],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=self.environment,
                check=False,
            )
        text = log.read_text()
        self.begun += map(int, (self.folder / "jobs").read_text().split())
        assert done.returncode == 0, text
        return text

    @property
    def environment(self) -> dict[str, str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        home = self.values["FLEET_DATABASE"].split()[0].removeprefix("host=")
        return {"PATH": programs, "HERE": str(self.folder), "PGHOST": home, "HOME": str(self.folder)}

    def end(self) -> None:
        for process in self.begun:
            os.killpg(process, signal.SIGKILL)


@pytest.fixture
def desk(tmp_path: Path, postgres: Postgres) -> Iterator[Desk]:
    clients, routes, (web,) = free_ports(3), free_ports(3), free_ports(1)
    values = {
        "FLEET": str(tmp_path / "fleet"),
        "FLEET_NATS": " ".join(f"nats://127.0.0.1:{port}" for port in clients),
        "FLEET_DATABASE": f"host={postgres.folder} dbname=resident user=resident",
        "NODE": "",
        "NODE_LISTENS": "",
        "NODES_MEET": "",
        "NODE_STORE": "",
        "NODE_ROUTES": ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes),
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(web),
    }
    made = Desk(tmp_path, values)
    try:
        made.paste(block("od -An"))
        for number, (client, route) in enumerate(zip(clients, routes, strict=True), 1):
            node = tmp_path / f"n{number}"
            shutil.copytree(tmp_path / "fleet", node)
            said = made.paste(
                block("cat > nats.conf"),
                f'nats-server -c "$FLEET/nats.conf" > {node}.log 2>&1 &',
                FLEET=str(node),
                NODE=node.name,
                NODE_LISTENS=f"127.0.0.1:{client}",
                NODES_MEET=f"127.0.0.1:{route}",
                NODE_STORE=str(node / "store"),
            )
            assert "configuration file" in said
        postgres.demand_password("resident")
        made.paste(block("CREATE ROLE"))
        yield made
    finally:
        made.end()
        postgres.forget("resident")


def test_the_fleet_runs_as_the_document_says(desk: Desk) -> None:
    health = f"http://127.0.0.1:{desk.values['GATEWAY_PORT']}/v1/health"
    desk.paste(block("fleet gateway"))
    gateway = desk.begun[-1]
    until("the gateway says what is lacking", lambda: lacks(health, "fleet prepare", "leader"))
    prepared = until("the cluster has a leader", lambda: tried(desk, block("fleet prepare")), every_s=0.5)
    assert "stream RESIDENT on 3 servers" in prepared
    desk.paste(block("fleet consumer"))
    assert '"status":"ok"' in desk.paste(block("curl"))
    chain = plain(7, 10)
    terminals = Path(desk.values["FLEET"]) / "gateway" / "terminals"
    Enrolment(terminals).enrol(chain.terminal, chain.key.public_key())
    for batch in chain.batches():
        reply = httpx.post(
            health.replace("/v1/health", BATCHES_PATH), content=batch, headers={"content-type": BATCH_TYPE}
        )
        assert reply.status_code == 200, reply.text
    assert parse_ack(reply.content).through == 10
    until("everything is stored", lambda: reported(desk)["total"]["records"] == 10, every_s=0.5)
    code, *said = desk.paste(block("fleet enrol"), apart=True).splitlines()
    assert (re.fullmatch(r"(\w{4}-){3}\w{4}", code) is not None, "terminal enrol --number 7" in said[0]) == (
        True,
        True,
    )
    passwords = [path.read_text() for path in Path(desk.values["FLEET"]).glob("*.password")]
    assert len(passwords) == len(set(passwords)) == 3
    for process in (gateway, desk.begun[-1]):
        shown = Path(f"/proc/{process}/cmdline").read_bytes().decode()
        assert "fleet" in shown
        assert not any(password in shown for password in passwords)
    asyncio.run(asyncio.wait_for(only_what_it_must(desk), 60))


async def only_what_it_must(desk: Desk) -> None:
    """A gateway's user may neither make streams nor remove what is in them, and is said to be forbidden to."""
    fleet = Path(desk.values["FLEET"])
    where = StreamSettings(
        tuple(desk.values["FLEET_NATS"].split()),
        DEFAULT_STREAM,
        user="gateway",
        password=(fleet / "gateway.password").read_text(),
        answer_s=1.0,
    )
    with pytest.raises(CollectorError, match="ermissions"):
        await prepare_stream(where, QUICK, 3, 64 << 20)
    guest = await FleetStream.open(where)
    with pytest.raises(CollectorError, match="ermissions"):
        await guest.trim(7, 3)
    await guest.close()
    begun = time.monotonic()
    with pytest.raises(CollectorError, match="refuses gateway: authorization failed"):
        await FleetStream.open(replace(where, password=SECRET))
    assert time.monotonic() - begun < where.connect_s / 2


def lacks(url: str, *words: str) -> bool:
    """Whether a gateway says one of these; before the servers have met it says that they do not answer."""
    answer = answer_of(url)
    if answer is None:
        return False
    assert answer.status_code == 503
    return any(word in answer.text for word in words)


def answer_of(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=60)
    except httpx.TransportError:
        return None


def tried(desk: Desk, pasted: str) -> str:
    try:
        return desk.paste(pasted)
    except AssertionError:
        return ""


def reported(desk: Desk) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(desk.paste(block("fleet report"), apart=True))
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("consumer", "--nats", f"nats://consumer:{SECRET}@127.0.0.1:9"),
        ("consumer", "--nats", "nats://127.0.0.1:9", "--nats", f"nats://{SECRET}@127.0.0.1:9"),
        ("report", "--database", f"host=/nonexistent password={SECRET}"),
        ("report", "--database", f"postgresql://resident:{SECRET}@127.0.0.1:9/resident"),
        ("report", "--database", f"postgresql//resident:{SECRET}"),
    ],
)
def test_a_password_on_a_command_line_is_refused_and_not_repeated(arguments: tuple[str, ...]) -> None:
    done = fleet(*arguments)
    assert done.returncode != 0
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_in_the_environment_is_taken_and_never_printed() -> None:
    for variable, value, command in (
        ("FLEET_DATABASE", f"postgresql://resident:{SECRET}@127.0.0.1:9/resident", "report"),
        ("FLEET_DATABASE", f"postgresql//resident:{SECRET}", "report"),
    ):
        done = fleet(command, **{variable: value})
        assert done.returncode == 40
        assert SECRET not in done.stdout + done.stderr
        assert done.stderr.count("\n") == 1
    assert server_alone(f"nats://consumer:{SECRET}@127.0.0.1:9") == "nats://127.0.0.1:9"


def fleet(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "terminal.cli.app", "fleet", *arguments],
        env={
            **os.environ,
            "FLEET_NATS": "nats://127.0.0.1:9",
            "FLEET_DATABASE": "host=/nonexistent",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
