"""The product and a sample extension as their users install them: from wheels, into an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).with_name("package")
CLEAN = {
    name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "RESIDENT_"))
}


@dataclass(frozen=True)
class Installed:
    """A fresh environment; nothing in it comes from this tree."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def terminal(self) -> Path:
        return self.folder / "bin" / "terminal"


def build(source: Path, wheels: Path) -> Path:
    """The wheel of the project in `source`, made by the builder its pyproject.toml names."""
    before = {*wheels.glob("*.whl")}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(command, cwd=source, env=CLEAN, check=True, capture_output=True, timeout=120)
    (made,) = {*wheels.glob("*.whl")} - before
    return made


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Both wheels in an environment that asks no index; dependencies are those of the environment of the tests."""
    folder = tmp_path_factory.mktemp("fresh")
    wheels = folder / "wheels"
    wheels.mkdir()
    environment = Installed(folder / "venv")
    subprocess.run([sys.executable, "-m", "venv", environment.folder], env=CLEAN, check=True, timeout=120)
    made = [build(ROOT, wheels), build(SAMPLE, wheels)]
    pip = [environment.python, "-m", "pip", "install", "--no-index", "--no-deps", *made]
    subprocess.run(pip, env=CLEAN, check=True, capture_output=True, timeout=120)
    (own,) = environment.folder.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment
