"""What docs/fleet.md tells to configure works: the server takes it, and its users may do what they must and no more."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from terminal.collector.fleet.server import prepare_stream
from terminal.collector.fleet.settings import DEFAULT_STREAM
from terminal.collector.fleet.stream import FleetStream
from terminal.errors import CollectorError
from tests.terminal.fleet.servers import NatsServer, free_ports
from tests.terminal.fleet.town import QUICK, Town, plain, through

DOCUMENT = Path(__file__).parents[3] / "docs" / "fleet.md"
PASSWORDS = {"GATEWAY_PASSWORD": "g", "CONSUMER_PASSWORD": "c"}


@pytest.fixture
def config() -> str:
    (block,) = re.findall(r"```\n( *# nats\.conf\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return block


def test_the_server_takes_the_configuration(config, tmp_path):
    path = tmp_path / "nats.conf"
    path.write_text(config.replace("/var/lib/nats", str(tmp_path)))
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
    done = subprocess.run(
        [program, "-t", "-c", path], capture_output=True, text=True, env=PASSWORDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in config


def test_a_gateway_may_do_what_it_must_and_no_more(config, tmp_path, postgres):
    users = config[config.index("authorization") :]
    for name, password in PASSWORDS.items():
        users = users.replace(f"${name}", password)
    server = NatsServer(tmp_path, "guarded", free_ports(1)[0], users)
    server.start()
    urls = [
        server.url.replace("//", f"//{user}:{password}@")
        for user, password in (("gateway", "g"), ("consumer", "c"))
    ]
    chain = plain(7, 10)
    town = Town(tmp_path, (urls[1],), postgres.new_database(), DEFAULT_STREAM, replicas=1)
    town.enrol(chain)

    async def play():
        await town.prepare()
        mighty, town.stream = town.stream, replace(town.stream, servers=(urls[0],), answer_s=1.0)
        async with town.gateways(2) as gateways:
            for first, last in ((1, 4), (5, 8), (1, 4), (9, 10)):
                for gateway in gateways:
                    assert through(await gateway.take(chain.batch(first, last)), town, chain) >= last
            with pytest.raises(CollectorError):
                await prepare_stream(town.stream, QUICK, 1, 64 << 20)
            guest = await FleetStream.open(town.stream)
            with pytest.raises(CollectorError):
                await guest.trim(7, 3)
            await guest.close()
        town.stream = mighty
        await town.consume()

    try:
        asyncio.run(asyncio.wait_for(play(), 60))
    finally:
        server.kill()
    assert town.stored() == chain.records()
