"""From the office to a proven tap: keys made, cut and handed over as systemd does, by the product's own commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec

from tests.terminal.cli.conftest import ENVIRONMENT, command

PATIENCE_S = 60.0


def said(folder: Path, *words: object, credentials: str = "", code: int = 0) -> str:
    """What `terminal …` prints in `folder`, ending with `code`."""
    handed = {"CREDENTIALS_DIRECTORY": str(folder / credentials)} if credentials else {}
    done = subprocess.run(
        command(words),
        cwd=folder,
        env=ENVIRONMENT | handed,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def office(folder: Path) -> None:
    """Keys of region 34 and the files of three roles."""
    said(folder, "keys", "init", "--role=office", "--region=34", "--out=office.keys")
    said(folder, "keys", "init", "--role=bus", "--terminal=7")
    said(folder, "keys", "init", "--role=issue")
    said(folder, "keys", "init", "--role=collector")
    for name, keys in (("bus", "7"), ("books", "collector")):
        (folder / name).mkdir()
        (folder / name / "terminal-keys").write_bytes((folder / f"keys/{keys}.keys").read_bytes())


def test_a_card_of_production_keys_taps_and_its_proof_is_verified(tmp_path: Path) -> None:
    office(tmp_path)
    (tmp_path / "orders.csv").write_text("label,profile\na,adult_purse\n", "utf-8")
    issue = ("card", "issue-batch", "orders.csv", "--folder=cards", "--keys=keys/issue.keys")
    assert "--production-keys" in said(tmp_path, *issue, code=11)
    said(tmp_path, *issue, "--production-keys")
    assert (tmp_path / "cards/card-registry.json").read_bytes().startswith(b"resident-card-registry-1\n")
    (tmp_path / "sealed").write_bytes(b"Whxqht+dQJax1aZeCGLxmiAAAAABAAAA")
    (tmp_path / "terminal.toml").write_text(
        '[terminal]\nnumber = 7\nprofile = "bus"\nstate = "state"\nregion = "demo"\n'
        '[reader]\nname = "sim:cards/a.json"\n[keys]\ncredential = "sealed"\n[shift]\noperator = "driver-7"\n',
        "utf-8",
    )
    at = ("--config", "terminal.toml")
    assert "systemd" in said(tmp_path, "run", *at, code=11)  # no credential was handed over
    assert "admission" in said(tmp_path, "run", *at, "--json", credentials="bus")
    assert "key file" in said(tmp_path, "health", *at, credentials="bus", code=2)  # it has stopped
    assert said(tmp_path, "journal", "show", *at, credentials="bus").count("Committed") == 1

    process = subprocess.Popen(
        command(
            ("collector", "--folder", "col", "--port", 0, "--json", "--registry", "cards/card-registry.json")
        ),
        cwd=tmp_path,
        env=ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(tmp_path / "books")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = msgspec.json.decode(process.stdout.readline())["url"]
        code = re.search(
            r"\b[A-Z0-9]{4}(-[A-Z0-9]{4})+\b", said(tmp_path, "collector", "enrol", 7, "--folder=col")
        )
        assert code is not None
        (tmp_path / "code").write_text(code[0], "utf-8")
        said(tmp_path, "enrol", *at, f"--collector={url}", "--code-file=code", credentials="bus")
        said(tmp_path, "sync", *at, f"--collector={url}", credentials="bus")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    report = said(tmp_path, "collector", "report", "--folder=col", "--by=proof", "--csv")
    assert re.search(r"^proven,", report, re.MULTILINE) or "proven" in report.splitlines()[1]
