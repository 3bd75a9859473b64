"""Questions to a version of the product about golden files, and whether an answer still says what it said.

An answer of JSON may say more than before: what it said then must be in it, unchanged. Any other must be the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
GOLDEN: Final = Path(__file__).parent
TERMINAL, SIM = "terminal.cli.app", "sim.cli.app"
BUS, COUNTER, BUNDLED, OPENED = 7, 8, 9, 10
REGION: Final = 34
DAY: Final = "2026-09-15"
STATE: Final = "var/terminal"
BINARY: Final = ".bin"
PATIENCE_S: Final = 60.0
COLLECTOR: Final = ("--folder", "collector")


class Question(NamedTuple):
    """A command in a folder of a copy of the golden files, and the restoring of a backup that comes before it."""

    words: tuple[str, ...]
    program: str = TERMINAL
    at: str = "."
    before: tuple[str, ...] = ()
    moment: frozenset[str] = frozenset()
    """Fields that say when and by what the question was answered."""


QUESTIONS: Final[Mapping[str, Question]] = {
    "bus-rows": Question(("journal", "show", "--json"), at="bus"),
    "bus-verified": Question(("journal", "verify", "--json"), at="bus"),
    "bus-recomputed": Question(("journal", "recompute", "--json"), at="bus"),
    "bus-restored": Question(
        ("journal", "show", "--json", "--state", "restored"),
        at="bus",
        before=("restore", "../bus.backup", "--state", "restored"),
        moment=frozenset({"at_ms", "stated_ms", "version"}),
    ),
    "bus-opened": Question(
        ("journal", "recompute", "--json", "--keys", "../office/laboratory.toml"), at="bus"
    ),
    "school-rows": Question(("journal", "show", "--json"), at="school"),
    "school-verified": Question(("journal", "verify", "--json"), at="school"),
    "school-staff": Question(("staff", "list", "--json"), at="school"),
    "school-roster": Question(("canteen", "roster", "show"), at="school"),
    "card-purse": Question(("card", "show", "bus/adult_purse.json", "--json"), SIM),
    "card-pass": Question(("card", "show", "bus/month_pass.json", "--json"), SIM),
    "card-pupil": Question(("card", "show", "school/payer.json", "--json"), SIM),
    "region-checked": Question(("policy", "check", "school/region.toml", "--json")),
    "collector-day": Question(("collector", "report", "--day", DAY, "--json", *COLLECTOR)),
    "collector-alarms": Question(("collector", "alarms", "--json", *COLLECTOR)),
    "collector-verdicts": Question(("collector", "verdicts", "--json", *COLLECTOR)),
    "collector-documents": Question(("collector", "documents", "list", "--json", *COLLECTOR)),
    "audit-verified": Question(
        ("audit", "verify", "day.dossier", "--collector", "collector/collector.pub", "--json")
    ),
    **{
        f"keys-{role}": Question(("keys", "show", f"{role}.keys", "--json"), at="office")
        for role in ("office", "issue", "bus", "canteen", "collector")
    },
    "audit-sealed": Question(
        (
            *("collector", "audit", DAY, "--registry", "office/registry.sealed"),
            *("--registry-keys", "office/collector.keys", "--json", *COLLECTOR),
        ),
        moment=frozenset({"made_at_ms", "signature"}),
    ),
    "card-bank": Question(("card", "emv", "show", "office/resident_bank.json", "--json"), SIM),
    "transcript": Question(("transcript", "show", "bus/taps.transcript", "--json"), SIM),
    "deny-why": Question(
        ("deny", "why", "--card", "04000000000001", "--json", "--folder", "deny"), at="office"
    ),
    "bundles-log": Question(("publish", "log", "--json"), at="office"),
    "bundled-rows": Question(("journal", "show", "--json"), at="bundled"),
    "bundled-verified": Question(("journal", "verify", "--json"), at="bundled"),
    "tables-checked": Question(("policy", "check", "office/small.toml", "--json")),
    "tables-played": Question(("policy", "run", "small.toml", "scenarios.toml", "--json"), at="office"),
    "fares-exported": Question(("export", "tides", "--collector", "collector", "--region", "demo")),
}


class Version(NamedTuple):
    """A checkout of the product, whose commands are run."""

    root: Path = ROOT

    def command(self, *words: object, program: str = TERMINAL) -> list[str]:
        return [sys.executable, "-m", program, *map(str, words)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.root), "NO_COLOR": "1", "COLUMNS": "200"}

    def run(self, folder: Path, *words: object, program: str = TERMINAL) -> str:
        """What the command prints; raises `AssertionError` with what it says when it fails."""
        done = subprocess.run(
            self.command(*words, program=program),
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr or done.stdout}"
        return done.stdout

    def _restore(self, folder: Path, question: Question) -> None:
        """On a new machine: the first attempt makes its key, which the collector then takes in place of the old one."""
        at, own = folder / question.at, folder / question.at / "restored/terminal.pub"
        with listening(folder, self) as url:
            with suppress(AssertionError):
                self.run(at, *question.before, "--collector", url)
            self.run(folder, "collector", "enrol", BUS, "--key", own, *COLLECTOR)
            self.run(at, *question.before, "--collector", url)

    def ask(self, folder: Path, question: Question) -> Any:
        if question.before:
            self._restore(folder, question)
        return parsed(self.run(folder / question.at, *question.words, program=question.program))


@contextmanager
def listening(folder: Path, collector: Version) -> Iterator[str]:
    """The address of the collector in `folder`, while it runs."""
    process = subprocess.Popen(
        collector.command("collector", *COLLECTOR, "--port", 0, "--json", "--any-clock"),
        cwd=folder,
        env=collector.environment(),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield str(msgspec.json.decode(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def parsed(printed: str) -> Any:
    """JSON, lines of JSON, or the text itself."""
    try:
        return msgspec.json.decode(printed)
    except msgspec.DecodeError:
        pass
    try:
        return [msgspec.json.decode(line) for line in printed.splitlines()]
    except msgspec.DecodeError:
        return printed


def differences(said: Any, says: Any, moment: frozenset[str] = frozenset(), at: str = "") -> list[str]:
    """Where `says` no longer says what was `said`; what it says besides is its own."""
    if isinstance(said, dict) and isinstance(says, dict):
        return [
            found
            for name, value in said.items()
            if name not in moment
            for found in (
                differences(value, says[name], moment, f"{at}.{name}")
                if name in says
                else [f"{at}.{name}: missing"]
            )
        ]
    if isinstance(said, list) and isinstance(says, list) and len(said) == len(says):
        pairs = enumerate(zip(said, says, strict=True))
        return [found for number, pair in pairs for found in differences(*pair, moment, f"{at}[{number}]")]
    return [] if said == says else [f"{at}: {said!r} became {says!r}"]


def copied(version: str, folder: Path) -> Path:
    """A working copy, under the names that the product gave; keys get the rights of files that git does not keep."""
    made = folder / version
    shutil.copytree(GOLDEN / version, made)
    for path in sorted(made.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if path.suffix == BINARY:
            path.rename(path.with_suffix(""))
    return made
