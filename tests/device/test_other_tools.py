"""Programs that know nothing of us take the software card for a real one.

    libfreefare's tools     as Debian ships them, on a reader of their own (Debian's libnfc knows no PC/SC)
    python-desfire, emv     from PyPI, through pyscard, pcscd and the virtual reader

What of python-desfire 0.1.5 does not work is its own doing: it sends the wrong half of the CMAC when it writes in MAC
mode, appends one to DeleteFile, leaves the MAC on what it reads in plain mode, and loses count after that and Format.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.key_types import KeyType
from sim.card.virtual import VirtualCard
from sim.emv.personalise import lab_number
from sim.profile import load_profile
from tests.device.conftest import PutIn, reader_name
from tests.device.daemon import Daemon
from tests.device.pn532 import Pn532

UID = bytes.fromhex("04A1B2C3D4E5F6")
RANDOM = random.Random(1).randbytes
NDEF_NAME = bytes.fromhex("D2760000850101")
NDEF_FILE = 0xE104
MESSAGE = bytes(range(256)) * 2
ROOT = Path(__file__).parents[2]
GENERATIONS = ["EV1", "EV2", "EV3"]
TOOL_TIMEOUT_S = 30
RunTool = Callable[..., str]


def factory_card(generation: str) -> VirtualCard:
    return VirtualCard(UID, RANDOM, generation=generation, key_type=KeyType.DES)


@pytest.fixture(params=GENERATIONS)
def card(request: pytest.FixtureRequest) -> VirtualCard:
    return factory_card(request.param)


@pytest.fixture
def tool(card: VirtualCard) -> Iterator[RunTool]:
    """`tool("info", …)` runs mifare-desfire-info on a reader with the card; returns what it printed."""
    with Pn532(card) as reader:
        environment = os.environ | {"LIBNFC_DEVICE": reader.port, "LIBNFC_AUTO_SCAN": "false"}

        def run(name: str, *arguments: str) -> str:
            path = shutil.which(f"mifare-desfire-{name}")
            if path is None:
                pytest.skip("no mifare-desfire-info: install libfreefare-bin (Debian, Ubuntu)")
            result = subprocess.run(
                [path, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TOOL_TIMEOUT_S,
                check=False,
            )
            assert result.returncode == 0, f"{name}: {result.stdout}{result.stderr}"
            return result.stdout

        yield run


def applications(card: VirtualCard) -> Any:
    found = card.image()["applications"]
    assert isinstance(found, dict)
    return found


def test_libfreefare_reads_who_the_card_is(tool: RunTool, card: VirtualCard) -> None:
    told = tool("info")
    assert f"0x{UID.hex()}" in told
    assert "Free memory: 8192 bytes" in told
    assert "Use random UID: no" in told
    major = {"EV1": "Version:              1.0", "EV2": "18.0", "EV3": "51.0"}[card.generation]
    assert major in told


def test_libfreefare_authenticates_creates_writes_and_reads_enciphered(
    tool: RunTool, card: VirtualCard
) -> None:
    """It formats the card in the end; a D40 authentication, CreateApplication, enciphered WriteData, ReadData."""
    tool("access")
    assert list(applications(card)) == ["000000"]


def test_libfreefare_makes_an_ndef_tag_that_iso_commands_read(
    tool: RunTool, card: VirtualCard, tmp_path: Path
) -> None:
    message = tmp_path / "message.ndef"
    message.write_bytes(MESSAGE)
    tool("create-ndef", "-y")
    tool("write-ndef", "-y", "-i", str(message))
    tool("read-ndef", "-y", "-o", str(tmp_path / "read.ndef"))
    assert (tmp_path / "read.ndef").read_bytes() == MESSAGE
    card.power_on()
    phone = DesfireCard(DesfireChannel(card))
    phone.iso_select_name(NDEF_NAME)
    phone.iso_select_id(NDEF_FILE)
    assert phone.iso_read_binary(0, 2) == len(MESSAGE).to_bytes(2, "big")
    assert phone.iso_read_binary(2, 250) + phone.iso_read_binary(252, 250) == MESSAGE[:500]


def test_libfreefare_configures_and_formats(tool: RunTool, card: VirtualCard) -> None:
    tool("ev1-configure-default-key", "-y")
    tool("ev1-configure-ats", "-y")
    tool("ev1-configure-random-uid", "-y")
    assert "Use random UID: yes" in tool("info")
    tool("format", "-y")
    assert list(applications(card)) == ["000000"]


Job = Callable[[str], dict[str, Any]]


@pytest.fixture
def client(card: VirtualCard, bridge: PutIn) -> Job:
    """`client(job)` runs one of python-desfire's jobs on the card, through pcscd."""
    for package in ("desfire", "smartcard"):
        if find_spec(package) is None:
            pytest.skip(f"no Python package {package}: run `make setup` where winscard.h is installed")
    bridge(card)

    def run(job: str) -> dict[str, Any]:
        result = subprocess.run(
            [sys.executable, "-m", "tests.device.python_desfire", reader_name(0), job],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def test_python_desfire_takes_the_card_for_a_real_one(client: Job, card: VirtualCard) -> None:
    """Native unwrapped framing, ISO and AES authentication, CMACs and checksums, keys, files, all over PC/SC."""
    found = client("files")
    assert found["shown_uid"] == found["real_uid"] == UID.hex()
    assert found["version"] == 7
    written = (bytes(3) + b"written by somebody else").ljust(40, b"\0").hex()
    assert found["PLAIN"] == found["ENCRYPTED"] == written
    assert found["CMAC"] == bytes(40).hex()
    assert found["files"] == [1, 2, 3]
    assert applications(card)["030201"]["key_settings"] == 0x03


def test_python_desfire_changes_the_card_key_and_empties_it(client: Job, card: VirtualCard) -> None:
    assert client("master") == {"before": [[1, 2, 3]], "after": []}
    assert applications(card)["000000"]["key_type"] == "AES"


def test_what_python_desfire_does_otherwise_the_card_refuses(client: Job) -> None:
    """A card that took these would be wrong, not helpful."""
    assert client("refused") == {"write": "ST_IntegrityError", "delete": "ST_WrongCommandLen"}


BANK_CARDS = ["bank_cda_19", "bank_static_only", "bank_contacts", "resident_bank"]
"""It does not fill a PDOL, so cards for fDDA are not for it."""


@pytest.fixture
def bank_card(request: pytest.FixtureRequest, pcscd: Daemon) -> Iterator[str]:
    """A bank card that the product's own command has put into the virtual reader."""
    command = [sys.executable, "-m", "sim.cli.app", "vpcd", "--profile", request.param, "--seed", "3"]
    for package in ("emv", "smartcard"):
        if find_spec(package) is None:
            pytest.skip(f"no Python package {package}: run `make setup` where winscard.h is installed")
    process = subprocess.Popen(
        [*command, "--issued-on", "2026-09-15"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "is in virtual reader 0" in process.stdout.readline()
        yield request.param
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TOOL_TIMEOUT_S)


@pytest.mark.parametrize("bank_card", BANK_CARDS, indirect=True)
def test_the_package_emv_reads_a_bank_card_through_the_service(bank_card: str) -> None:
    """Directory, selection, options of both formats, records, counters: what it reads is what the profile says."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.device.python_emv", reader_name(0)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found, bank = json.loads(result.stdout), load_profile(bank_card).bank
    assert bank is not None
    data, number = found["data"], lab_number(bank.digits, bank.account)
    assert len(found["applications"]) == bank.applications
    assert found["afl"] == "080101001001010118010300"
    assert data["5a"].rstrip("f") == data["57"].partition("d")[0] == number
    assert data["5f24"] == "300731"
    assert len(data["90"]) == 2 * {"longest": 248}.get(
        bank.chain, 176 if bank.chain in ("short", "small") else 248
    )
    assert ("93" in data, "9f46" in data) == (bank.method == "static", bank.method != "static")
    assert found["counters"]["atc"] == 1
    assert ("pin_retries" in found["counters"]) == (bank.interface == "contacts")
