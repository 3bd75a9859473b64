"""The runner itself: it reads what others may write, and fails on what it cannot vouch for."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cardproto.errors import CardError
from tests.vectors.by_hand import entry
from tests.vectors.conftest import OWN_FILE
from tests.vectors.test_vectors import test_vector as check

ROOT = Path(__file__).parents[2]
Vector = dict[str, Any]
WAYS = [
    {
        "mode": mode,
        "frame": frame,
        "reader_id": reader_id,
        "answered": answered,
        "iso_chained": frame == 0,
        "read_all": all_,
    }
    for mode, frame, reader_id, answered, all_ in product(
        ("Plain", "MAC", "Full"), (0, 47), *[(True, False)] * 3
    )
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(f"{value}" for value in way.values()))
def test_a_session_written_by_hand_is_read_back(way: dict[str, Any]) -> None:
    check(entry(**way))


@pytest.mark.parametrize("name", sorted(entry()["expected"]))
def test_every_figure_of_a_transaction_is_compared(name: str) -> None:
    vector = entry()
    right = vector["expected"][name]
    vector["expected"][name] = right + 1 if isinstance(right, int) else flipped(right)
    with pytest.raises(AssertionError):
        check(vector)


def test_fields_may_be_missing_or_written_otherwise() -> None:
    vector = entry()
    expected = vector["expected"]
    for name in list(expected):
        fewer = copy.deepcopy(vector)
        del fewer["expected"][name]
        check(fewer)
    vector["expected"] = {name.upper(): expected[name] for name in reversed(expected)} | {"TMC": "2A000000"}
    vector["inputs"] = {name.title().replace("_", ""): value for name, value in vector["inputs"].items()}
    check(vector)


@pytest.mark.parametrize("at", range(len(entry()["inputs"]["apdus"])))
@pytest.mark.parametrize("side", [0, 1])
def test_a_changed_exchange_is_noticed(at: int, side: int) -> None:
    """A bit in the middle of any message; the very first command only names the key."""
    vector = entry(mode="Full")
    message = vector["inputs"]["apdus"][at][side]
    middle = 10 if at == side == 0 else len(message) // 4 * 2
    vector["inputs"]["apdus"][at][side] = message[:middle] + flipped(message[middle:])
    with pytest.raises((AssertionError, CardError)):
        check(vector)


def flipped(text: str) -> str:
    return f"{int(text[:2], 16) ^ 0x10:02X}" + text[2:]


def plain_vector(**changes: Any) -> Vector:
    vectors = json.loads(OWN_FILE.read_text("utf-8"))["vectors"]
    vector: Vector = next(v for v in vectors if v["kind"] == "aes_cmac")
    return {"kind": vector["kind"], "inputs": vector["inputs"], "expected": vector["expected"]} | changes


def run(path: Path) -> str:
    """What pytest says in the end about a file given on the command line."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/vectors/test_vectors.py",
    ]
    result = subprocess.run(
        [*command, "--vectors", str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"{result.returncode}: {result.stdout.splitlines()[-1]}"


def test_a_file_is_found_by_its_relative_path(tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text(json.dumps({"vectors": [plain_vector()]}), "utf-8")
    up = Path("../" * len(ROOT.parts[1:]))
    assert run(up / tmp_path.relative_to("/") / "given.json").startswith("0: 1 passed")


def test_what_nobody_vouches_for_fails(tmp_path: Path) -> None:
    """An unknown kind, a figure that nobody computes, a wrong figure; the sound entry beside them passes."""
    expected = plain_vector()["expected"]
    vectors = [
        plain_vector(),
        plain_vector(kind="ev9_telepathy"),
        plain_vector(expected=expected | {"mood": "00"}),
        plain_vector(expected=expected | {"cmac": flipped(expected["cmac"])}),
    ]
    (tmp_path / "given.json").write_text(json.dumps({"vectors": vectors}), "utf-8")
    assert run(tmp_path / "given.json").startswith("1: 3 failed, 1 passed")
