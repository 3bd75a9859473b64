"""A stick with bundles: put in beside a running terminal, on a file system mounted as the package's unit mounts it."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal.updates.bundle.repository import Publisher
from tests.terminal.updates.published import region
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live import MANY

UNIT = Path(__file__).parents[4] / "packaging/systemd/run-validator-stick.mount"
SIZE = 16 << 20


def options() -> str:
    """How the unit mounts."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit["Mount"]["Options"]


@contextmanager
def mounted(content: Path, at: Path, image: Path) -> Iterator[None]:
    """An ext4 file system that holds a copy of `content`, mounted with the unit's options; skips where that is not
    allowed.
    """
    tools = [shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount")]
    if os.geteuid() != 0 or None in tools:
        pytest.skip("to mount a file system takes root, and mkfs.ext4")
    image.write_bytes(b"")
    os.truncate(image, SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-L", "BUNDLES", "-d", content, image], check=True, timeout=60)
    command = ["mount", "-o", f"loop,{options()}", image, at]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if found.returncode:
        pytest.skip(f"no loop device here: {found.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True, timeout=60)


def test_the_unit_lets_nothing_of_a_stick_run_and_writes_nothing() -> None:
    assert set(options().split(",")) == {"ro", "nosuid", "nodev", "noexec"}
    assert "Where=/run/validator/stick" in UNIT.read_text().splitlines()


def test_a_stick_that_is_put_in_counts_and_its_going_takes_nothing_away(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2, fare_minor=3100)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    stick = tmp_path / "stick"
    stick.mkdir()
    with serving(tmp_path, MANY, terminal={"region": "demo"}, bundles={"stick": stick}) as served:
        served.tap()
        with mounted(publisher.folder, stick, tmp_path / "image"):
            served.said("in_force", kind="region", edition="demo:2")
        served.tap(lambda tap: tap["charge_minor"] == 3100)
        publisher.put("tariff", "city", {"region.toml": region(3, fare_minor=3200)})
        publisher.publish()
        with mounted(publisher.folder, stick, tmp_path / "second"):
            served.said("in_force", kind="region", edition="demo:3")
        assert served.process.poll() is None
