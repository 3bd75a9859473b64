"""From the office to a proven tap: keys made, cut and handed over as systemd does, by the product's own commands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from terminal.keys.kept import DIRECTORY
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.inside import runner

PATIENCE_S = 60.0
FARE_MINOR = 2400
"""What an adult's purse pays in the region `demo`."""
Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Said:
    """`said("keys", "show", …)`: what `terminal keys show …` prints in the test's folder, ending with `code`;
    `credentials` is the folder that stands for what systemd handed over."""
    run = runner(tmp_path, monkeypatch, capfd)

    def say(*words: object, credentials: str = "", code: int = 0) -> str:
        with monkeypatch.context() as patch:
            patch.delenv(DIRECTORY, raising=False)
            if credentials:
                patch.setenv(DIRECTORY, str(tmp_path / credentials))
            done = run(*words)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return say


def started(folder: Path, *words: object, credentials: str = "") -> subprocess.Popen[str]:
    """`terminal …` as a process of its own."""
    return subprocess.Popen(
        command(words),
        cwd=folder,
        env=ENVIRONMENT | ({DIRECTORY: str(folder / credentials)} if credentials else {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(folder: Path, *words: object, credentials: str) -> str:
    """The same to its good end."""
    out, error = started(folder, *words, credentials=credentials).communicate(timeout=PATIENCE_S)
    assert '"error"' not in out, out + error
    return out


@contextmanager
def collector(folder: Path) -> Iterator[str]:
    """The address of a collector with the sealed registry and the key that opens it."""
    registry = ("--registry", "cards/card-registry.json")
    process = started(
        folder,
        *("collector", "--folder=col", "--port=0", "--json", *registry),
        credentials="books",
    )
    try:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def hand_over(folder: Path, keys: str, to: str) -> None:
    """As systemd does with what it unsealed."""
    (folder / to).mkdir(exist_ok=True)
    (folder / to / "terminal-keys").write_bytes((folder / keys).read_bytes())


def office(said: Said, folder: Path) -> None:
    """Keys of region 34 and the files of three roles."""
    said("keys", "init", "--role=office", "--region=34", "--out=office.keys")
    said("keys", "init", "--role=bus", "--terminal=7")
    said("keys", "init", "--role=issue")
    said("keys", "init", "--role=collector")
    hand_over(folder, "keys/7.keys", "bus")
    hand_over(folder, "keys/collector.keys", "books")


def configured(folder: Path, number: int = 7, card: str = "cards/a.json") -> tuple[str, str]:
    """The option that names the configuration of a bus whose reader sees `card`."""
    (folder / "sealed").write_bytes(b"Whxqht+dQJax1aZeCGLxmiAAAAABAAAA")
    path = folder / f"terminal-{number}.toml"
    path.write_text(
        f'[terminal]\nnumber = {number}\nprofile = "bus"\nstate = "state-{number}"\nregion = "demo"\n'
        f'[reader]\nname = "sim:{card}"\n[keys]\ncredential = "sealed"\n[shift]\noperator = "driver-7"\n',
        "utf-8",
    )
    return ("--config", path.name)


def issued(said: Said, at: Path, *labels: str, folder: str = "cards") -> None:
    """A card for each label, under production keys."""
    rows = "".join(f"{label},adult_purse\n" for label in labels)
    (at / "orders.csv").write_text(f"label,profile\n{rows}", "utf-8")
    issue = ("card", "issue-batch", "orders.csv", f"--folder={folder}", "--keys=keys/issue.keys")
    said(*issue, "--production-keys")


def proofs(said: Said) -> dict[str, tuple[int, int]]:
    """Rides and kopecks that were proven or not, as the collector's books have them."""
    found = msgspec.json.decode(said("collector", "report", "--folder=col", "--by=proof", "--json"))
    return {line["name"]: (line["rides"], line["counted_minor"]) for line in found["lines"]}


def day(said: Said) -> str:
    """The newest service day in the collector's books."""
    found: str = msgspec.json.decode(said("collector", "report", "--folder=col", "--json"))["day"]
    return found


def test_a_card_of_production_keys_taps_and_its_proof_is_verified(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    (tmp_path / "orders.csv").write_text("label,profile\na,adult_purse\n", "utf-8")
    issue = ("card", "issue-batch", "orders.csv", "--folder=cards", "--keys=keys/issue.keys")
    assert "--production-keys" in said(*issue, code=11)
    issued(said, tmp_path, "a")
    assert (tmp_path / "cards/card-registry.json").read_bytes().startswith(b"resident-card-registry-1\n")
    at = configured(tmp_path)
    assert "systemd" in said("run", *at, code=11)  # no credential was handed over
    tap = ran(tmp_path, "run", *at, "--json", credentials="bus")
    assert msgspec.json.decode(tap)["charge_minor"] == FARE_MINOR
    assert "this machine's key file: no TPM" in said(
        "health", *at, credentials="bus", code=2
    )  # it has stopped
    assert said("journal", "show", *at, credentials="bus").count("Committed") == 1
    with collector(tmp_path) as url:
        told = said("collector", "enrol", 7, "--folder=col")
        code = re.search(r"\b[A-Z0-9]{4}(-[A-Z0-9]{4})+\b", told)
        assert code is not None
        (tmp_path / "code").write_text(code[0], "utf-8")
        said("enrol", *at, f"--collector={url}", "--code-file=code", credentials="bus")
        said("sync", *at, f"--collector={url}", credentials="bus")
    assert proofs(said) == {"proven": (1, FARE_MINOR)}
    said("keys", "init", "--role=audit")
    audit = ("collector", "audit", day(said), "--folder=col", "--registry=cards/card-registry.json", "--json")
    assert "no keys are at hand" in said(*audit, code=11)
    audited = msgspec.json.decode(said(*audit, "--registry-keys=keys/audit.keys"))
    (line,) = audited["statement"]["lines"]
    assert line["proof"] == {"proven": {"facts": 1, "sum_minor": FARE_MINOR}}


def test_a_running_terminal_says_how_its_keys_are_kept(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    at = configured(tmp_path, card="")
    process = started(tmp_path, "run", *at, credentials="bus")
    try:
        assert process.stderr is not None
        next(line for line in process.stderr if ": ready: " in line)
        told = msgspec.json.decode(said("health", *at, "--json", code=0))
        assert told["checks"]["process"]["says"].startswith(f"process {process.pid}, up for")
        assert told["checks"]["keys"]["code"] == "keys:host"
        (tmp_path / "sealed").write_bytes(b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAA")  # moved to a machine with TPM
        assert msgspec.json.decode(said("health", *at, "--json"))["checks"]["keys"]["code"] == "keys:tpm"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_a_plain_file_is_said_also_where_a_credential_is_configured(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    issued(said, tmp_path, "a")
    at = configured(tmp_path)
    said("run", *at, "--keys=keys/7.keys")
    assert "production keys in a plain file, sealed to nothing" in said("health", *at, code=2)
    path = tmp_path / at[1]
    path.write_text(path.read_text("utf-8").replace("[keys]", '[keys]\nfile = "keys/7.keys"'), "utf-8")
    assert "[keys] names a file, too" in said("config", "check", *at, code=15)
