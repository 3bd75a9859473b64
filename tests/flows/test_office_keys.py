"""The office's commands as pasted: components, masters made elsewhere, limits, rolling; and what is refused."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest

from terminal.errors import KeyFileError
from terminal.keys.check_values import check_value
from terminal.keys.file import require_private
from tests.flows.test_production_keys import (
    FARE_MINOR,
    PATIENCE_S,
    Said,
    configured,
    hand_over,
    issued,
    office,
    ran,
    said,
    started,
)
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT

__all__ = ["said"]
PAGE = ROOT / "docs" / "keys.md"
MADE_ELSEWHERE = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
"""The AES-128 key of the examples of SP 800-38B; its check value is 7AD386 by OpenSSL."""
KILLED = """
import os, signal, sys
from terminal import files
from terminal.cli import app

def killed(file):
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

files.sync = killed
app.main()
"""
"""The program, killed after it wrote and before the file has its name."""


def pasted() -> Iterator[list[str]]:
    """The commands of the page's first block, word by word."""
    block = re.search(r"```sh\n(terminal keys .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        yield shlex.split(line)


def checks(said: Said, file: str) -> dict[str, str]:
    found: dict[str, str] = msgspec.json.decode(said("keys", "show", file, "--json"))["checks"]
    return found


def test_the_pages_commands_run_as_they_stand_there(said: Said, tmp_path: Path) -> None:
    lines = list(pasted())
    for program, *words in lines:
        assert program == "terminal"
        told = said(*words)
    assert len(lines) == 6
    assert re.search(r"production keys, role bus, region 34, terminal 70001$", told, re.MULTILINE)
    assert "to be rolled by 2029-12-31" in told
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    parts = {f"office-component-{number}.txt" for number in (1, 2, 3)}
    roles = {f"keys/{name}.keys" for name in ("70001", "70002", "issue", "collector", "bank")}
    assert made == {"office.keys", *parts, *roles}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in made} == {0o600}


def test_custodians_make_the_office_again_also_after_a_roll(said: Said, tmp_path: Path) -> None:
    said("keys", "init", "--role=office", "--region=34", "--out=office.keys", "--components=2")
    said("keys", "roll", "office.keys", "--ahead=2")
    parts = [f"--component=office-component-{number}.txt" for number in (1, 2)]
    assert "component 2 of 2 is missing" in said("keys", "import", parts[0], "--out=again.keys", code=11)
    said("keys", "import", *parts, "--out=again.keys", "--key-version=2", "--ahead=2")
    assert checks(said, "again.keys") == checks(said, "office.keys")
    assert "exists already" in said("keys", "import", *parts, "--out=again.keys", code=11)
    assert "region 34, not 35" in said("keys", "import", *parts, "--region=35", "--out=b.keys", code=11)


def test_masters_made_elsewhere_and_limits_reach_the_terminals_file(said: Said, tmp_path: Path) -> None:
    given = tmp_path / "masters.toml"
    key = MADE_ELSEWHERE.hex()
    given.write_text(f'[masters]\nvalidate = {{ 1 = "{key}" }}\n[check]\nvalidate = {{ 1 = "000000" }}\n')
    given.chmod(0o600)
    (tmp_path / "limits.toml").write_text("[limits]\nauthentications = { validate = { per_minute = 2 } }\n")
    words = ("keys", "import", "--masters=masters.toml", "--region=34", "--limits=limits.toml")
    told = said(*words, "--out=office.keys", code=11)
    assert "has the check value 7AD386, not 000000" in told
    assert key not in told.lower()
    given.write_text(given.read_text().replace("000000", "7AD386"))
    given.chmod(0o644)
    assert "other users may read" in said(*words, "--out=office.keys", code=11)
    given.chmod(0o600)
    assert key not in said(*words, "--out=office.keys")
    said("keys", "init", "--role=bus", "--terminal=7")
    assert checks(said, "keys/7.keys")["masters.validate.1"] == check_value(MADE_ELSEWHERE) == "7AD386"
    assert "limits.authentications.validate: 2 a minute" in said("keys", "show", "keys/7.keys")


def test_terminals_of_one_office_open_each_their_own_journal(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    said("keys", "init", "--role=bus", "--terminal=8")
    hand_over(tmp_path, "keys/8.keys", "other")
    seven, eight = checks(said, "keys/7.keys"), checks(said, "keys/8.keys")
    assert {name for name in seven if seven[name] != eight[name]} == {"storage.journal", "storage.backup"}
    issued(said, tmp_path, "a")
    at = configured(tmp_path)
    assert "terminal 8, not 7" in said("run", *at, credentials="other", code=11)
    said("run", *at, credentials="bus")
    refused = said("journal", "show", *at, credentials="other", code=25)
    assert "Committed" not in refused
    assert said("journal", "show", *at, credentials="bus").count("Committed") == 1


def test_after_a_roll_old_and_new_cards_tap_and_the_journal_goes_on(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    issued(said, tmp_path, "a", "old")
    at = configured(tmp_path)
    said("run", *at, credentials="bus")
    said("keys", "roll", "office.keys", "--tokens")
    said("keys", "roll", "office.keys")
    said("keys", "init", "--role=bus", "--terminal=7", "--replace")
    assert "bank_2" in said("keys", "show", "keys/7.keys"), "the next epoch of tokens came along"
    said("keys", "init", "--role=issue", "--replace")
    issued(said, tmp_path, "b", folder="newer")
    hand_over(tmp_path, "keys/7.keys", "bus")
    for card in ("cards/old.json", "newer/b.json"):
        tap = ran(tmp_path, "run", *configured(tmp_path, card=card), "--json", credentials="bus")
        assert msgspec.json.decode(tap)["charge_minor"] == FARE_MINOR
    rows = said("journal", "show", *at, "--json", credentials="bus").splitlines()
    taps = [row for row in map(msgspec.json.decode, rows) if row["kind"] == "Intent"]
    assert [row["key_version"] for row in taps] == [1, 1, 2]


def test_a_last_day_that_is_past_is_refused(said: Said, tmp_path: Path) -> None:
    words = ("keys", "init", "--role=office", "--region=34", "--out=office.keys")
    assert "--until 2026-01-31 is past" in said(*words, "--until=2026-01-31", code=2)
    assert not (tmp_path / "office.keys").exists()


def test_a_card_of_the_next_generation_taps_where_it_is_prepared(said: Said, tmp_path: Path) -> None:
    """A terminal that was not cut anew serves cards that are issued after the roll."""
    office(said, tmp_path)
    said("keys", "roll", "office.keys")
    said("keys", "init", "--role=issue", "--replace")
    issued(said, tmp_path, "b")
    at = configured(tmp_path, card="cards/b.json")
    tap = ran(tmp_path, "run", *at, "--json", credentials="bus")
    assert msgspec.json.decode(tap)["charge_minor"] == FARE_MINOR


@pytest.mark.parametrize("words", [("roll", "office.keys"), ("init", "--role=issue", "--replace")])
def test_a_write_that_is_cut_short_leaves_the_file_as_it_was(
    said: Said, tmp_path: Path, words: tuple[str, ...]
) -> None:
    office(said, tmp_path)
    path = tmp_path / ("office.keys" if words[0] == "roll" else "keys/issue.keys")
    before = path.read_bytes()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "keys", *words],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    left = path.with_name(f"{path.name}.new")
    assert left.stat().st_mode & 0o777 == 0o600
    said("keys", *words)
    assert not left.exists()


def test_files_that_others_may_read_or_that_cannot_be_written(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    issued(said, tmp_path, "a")
    at = configured(tmp_path)
    for name, words in (
        ("office.keys", ("keys", "roll", "office.keys")),
        ("keys/7.keys", ("run", *at, "--keys=keys/7.keys")),
        ("keys/issue.keys", ("keys", "seal-registry", "x", "--keys=keys/issue.keys", "--out=y")),
    ):
        (tmp_path / name).chmod(0o640)
        told = said(*words, code=11)
        assert f"other users may read {name}" in told
        assert f"chmod 600 {name}" in told
        (tmp_path / name).chmod(0o600)
    (tmp_path / "taken").write_text("a file")
    told = said("keys", "init", "--role=issue", "--folder=taken", code=11)
    assert "cannot be written" in told
    assert "cannot be written" in said("keys", "init", "--role=office", "--region=34", "--out=.", code=11)
    (tmp_path / "keys/8.keys").write_text("of before")
    told = said("keys", "init", "--role=bus", "--terminal=9", "--terminal=8", code=11)
    assert "keys/8.keys exists already" in told
    assert not (tmp_path / "keys/9.keys").exists(), "all or none"
    said("keys", "init", "--role=bus", "--terminal=9", "--terminal=9")


def test_a_file_of_another_user_is_judged_by_what_all_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its group may be the service's, as `install -g` makes it; everybody is not."""
    path = tmp_path / "7.keys"
    path.touch()
    me = os.geteuid()
    for mode, own, refused in ((0o640, True, True), (0o640, False, False), (0o644, False, True)):
        path.chmod(mode)
        monkeypatch.setattr(os, "geteuid", lambda user=me if own else me + 1: user)
        with pytest.raises(KeyFileError, match="other users may read") if refused else nullcontext():
            require_private(path)


def test_a_registry_made_elsewhere_is_sealed_before_it_serves(said: Said, tmp_path: Path) -> None:
    office(said, tmp_path)
    said("keys", "init", "--role=audit")
    card = f'{{"card_ref": "00ff", "uid": "{"04" * 7}", "transaction_mac_key": "{MADE_ELSEWHERE.hex()}"}}'
    plain = tmp_path / "plain.json"
    plain.write_text(f'{{"environment": "production", "cards": [{card}]}}')
    plain.chmod(0o600)
    serve = ("audit", "serve", "--folder=answers", "--port=0", "--registry")
    assert "in the clear" in said(*serve, "plain.json", "--registry-keys=keys/audit.keys", code=11)
    seal = ("keys", "seal-registry", "plain.json", "--out=sealed")
    assert "file of a role that has it" in said(*seal, "--keys=keys/7.keys", code=11)
    told = said(*seal, "--keys=keys/issue.keys")
    assert "1 card references sealed; now delete plain.json" in told
    content = (tmp_path / "sealed").read_bytes()
    assert MADE_ELSEWHERE.hex().encode() not in content
    assert (tmp_path / "sealed").stat().st_mode & 0o777 == 0o600
    assert "is sealed already" in said(
        "keys", "seal-registry", "sealed", "--keys=keys/issue.keys", "--out=twice", code=11
    )
    assert "no keys are at hand" in said(*serve, "sealed", code=11)
    for part in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        (tmp_path / "broken").write_bytes(part)
        (tmp_path / "broken").chmod(0o600)
        assert "damaged" in said(*serve, "broken", "--registry-keys=keys/audit.keys", code=11)
    process = started(tmp_path, *serve, "sealed", "--registry-keys=keys/audit.keys", "--json")
    try:
        assert process.stdout is not None
        assert "url" in msgspec.json.decode(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
