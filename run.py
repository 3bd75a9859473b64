#!/usr/bin/env python3
"""Every command of this project, for machines with and without make: the Makefile calls this file.

    python3 run.py demo | desk | test | explore | mutants | check | bench | docs | texts | screenshots | lock
    python3 run.py clean | setup | deb

Further arguments are passed on. Needs nothing but Python 3.11 or newer; set-up is in `setup_env.py` and
happens by itself. This file keeps to what Python 3.6 can parse, so that an old Python answers in one line.
"""

import os
import subprocess
import sys

OLDEST = (3, 11)
NEWER_PYTHONS = (
    ["python3.14"],
    ["python3.13"],
    ["python3.12"],
    ["python3.11"],
    ["uv", "run", "--quiet", "--no-project", "--python", ">=3.11", "python"],
)


def hand_over() -> None:
    """This Python is too old: run the command with a newer one if there is any, else say what to install."""
    for python in NEWER_PYTHONS:
        try:
            works = subprocess.call([*python, "-c", ""], stderr=subprocess.DEVNULL) == 0
        except OSError:
            continue
        if works:
            os.execvp(python[0], python + sys.argv)
    have = ".".join(map(str, sys.version_info[:2]))
    needed = "Python 3.11 or newer is needed, this is " + have
    sys.exit(needed + ". Install python3.11 or newer, or uv, and run this again.")


if sys.version_info < OLDEST:
    hand_over()

import secrets
import shutil
import time
from collections.abc import Callable
from typing import NoReturn

from setup_env import PYTHON, ROOT, VENV, lock, prepare, stop

CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",), ("lint-imports",))
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis")
SEED = "--hypothesis-seed="
CARD_LAYOUT = ROOT / "docs" / "card-layout.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
REGIONS = ROOT / "terminal" / "policy" / "regions"
TARIFF_AUTHOR = ROOT / "docs" / "tariff-author.md"


def become(tool: str, *arguments: str) -> NoReturn:
    """End as `tool` of the environment: its output, its signals and its exit code are ours."""
    program = str(VENV / "bin" / tool)
    os.execv(program, [program, *arguments])


def demo(*arguments: str) -> None:
    """Residents tap a bus validator and a canteen terminal; ends by itself."""
    prepare(development=False)
    become("terminal", "demo", *arguments)


def desk(*arguments: str) -> None:
    """Simulated cards on simulated terminals, in the browser; Ctrl-C closes it."""
    prepare(development=False)
    become("terminal", "desk", *arguments)


def test(*arguments: str) -> None:
    """All tests, on two processes more than there are cores; `-n 0`: in this one, for a debugger.

    Many of them wait for processes that they started. Four at most.
    """
    prepare(development=True)
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # images of containers set it: each process would compile all
    workers = str(min(4, (os.cpu_count() or 1) + 2))
    become("pytest", "-n", workers, "--dist", "loadscope", *arguments)


def live(*arguments: str) -> None:
    """All supplied scenarios on terminals that run, and again while power and sources fail; some minutes."""
    prepare(development=False)
    regions = arguments or tuple(sorted(path.stem for path in REGIONS.glob("*.toml")))
    failed = [
        f"{region}{' with restarts' if how else ''}"
        for how in ((), ("--restarts",))
        for region in regions
        if not played(region, *how)
    ]
    if failed:
        stop("live: otherwise on a running terminal: " + ", ".join(failed))


def played(region: str, *how: str) -> bool:
    print(f"live: {region} {' '.join(how)}".rstrip(), flush=True)
    program = VENV / "bin" / "terminal"
    return subprocess.run([program, "policy", "run", region, "--live", *how], check=False).returncode == 0


def explore(*arguments: str) -> None:
    """The property tests with ten times the examples and a new seed; `--hypothesis-seed=N` looks there again."""
    prepare(development=True)
    if not any(argument.startswith(SEED) for argument in arguments):
        arguments = (f"{SEED}{secrets.randbelow(2**32)}", *arguments)
    print(f"explore: to look there again: python3 run.py explore {' '.join(arguments)}")
    print("explore: keep what is found as an @example of its test, then mend it", flush=True)
    test("-m", "hypothesis", "--hypothesis-profile=explore", *arguments)


def mutants(*arguments: str) -> None:
    """Change the lines that hold money, rights, proof and access, and see whether tests notice; up to two hours.

    `--sample 50 --seed 7` tries fifty, `--module caps` one module, `--planted` the mistakes that were once missed.
    """
    prepare(development=True)
    become("python", "-m", "tests.mutants", *arguments)


def check() -> None:
    """Lint, format, types and import rules; details only of what failed."""
    prepare(development=True)
    failed = [" ".join(command) for command in CHECKS if not passes(*command)]
    if failed:
        stop("check: failed: " + ", ".join(failed))
    print("check: all passed")


def passes(tool: str, *arguments: str) -> bool:
    print(f"check: {' '.join((tool, *arguments))} ...", end="", flush=True)
    began = time.monotonic()
    done = output_of(tool, *arguments)
    if tool == "mypy" and done.returncode != 0:  # its cache does not notice a module added since: look afresh
        done = output_of(tool, *arguments, "--no-incremental")
    passed = done.returncode == 0
    print(f" {'passed' if passed else 'FAILED'} ({time.monotonic() - began:.1f} s)")
    if not passed:
        print(done.stdout + done.stderr)
    return passed


def output_of(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([VENV / "bin" / tool, *arguments], capture_output=True, text=True, check=False)


def bench(*arguments: str) -> None:
    """What was reached next to each goal, as JSON lines."""
    prepare(development=True)
    become("python", "-m", "bench", *arguments)


def docs() -> None:
    """Write docs/card-layout.md again from the card map, and what docs say of the types."""
    prepare(development=False)
    text = subprocess.check_output([PYTHON, "-m", "cardproto.resident.document"])
    CARD_LAYOUT.write_bytes(text)
    print(f"docs: wrote {CARD_LAYOUT.relative_to(ROOT)}")
    subprocess.check_call([PYTHON, "-m", "terminal.scenario.reference", TARIFF_AUTHOR])
    print(f"docs: wrote the reference in {TARIFF_AUTHOR.relative_to(ROOT)}")
    subprocess.check_call([PYTHON, "-m", "terminal.app.config.write", CONFIGURATION])
    print(f"docs: wrote the keys in {CONFIGURATION.relative_to(ROOT)}")
    become("terminal", "policy", "schema", "--write", str(ROOT / "docs" / "schema"))


def texts(*arguments: str) -> None:
    """Collect texts from code and templates, update and compile the catalogues of all languages."""
    prepare(development=True)
    become("python", "make_texts.py", *arguments)


def screenshots(*arguments: str) -> None:
    """Take every picture of README and docs anew; needs Chromium. With names only those."""
    prepare(development=True)
    become("python", "-m", "pictures", *arguments)


def deb(*arguments: str) -> None:
    """Build wheel, source archive and Debian packages in dist, with bills of materials and SHA256SUMS.

    On the Debian they are for; docs/install.md names the packages that it needs.
    """
    prepare(development=True)
    become("python", "-m", "release", *arguments)


def clean() -> None:
    """Remove what the other commands made, the environment included."""
    for name in (VENV.name, "var", "dist", *CACHES):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for cache in ROOT.rglob("__pycache__"):
        shutil.rmtree(cache)


def setup(*arguments: str) -> None:
    """Only make the environment to run in; `--development` adds what tests and checks need.

    `--retry-readers` builds pyscard again after a failure.
    """
    unknown = set(arguments) - {"--development", "--retry-readers"}
    if unknown:
        stop(
            f"setup: there is no option {', '.join(sorted(unknown))}; there are --development and --retry-readers"
        )
    prepare(development="--development" in arguments, retry_readers="--retry-readers" in arguments)


COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command
    for command in (
        demo,
        desk,
        test,
        live,
        explore,
        mutants,
        check,
        bench,
        docs,
        texts,
        screenshots,
        deb,
        lock,
        clean,
        setup,
    )
}


def usage() -> str:
    lines = (f"  {name:<11} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items())
    return "\n".join(("usage: python3 run.py COMMAND [ARGUMENTS]   or   make COMMAND", *lines))


def main() -> None:
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("help", [])
    if name == "help":
        print(usage())
        return
    if name not in COMMANDS:
        stop(f"run.py: there is no command {name!r}\n{usage()}")
    os.chdir(ROOT)
    COMMANDS[name](*arguments)


if __name__ == "__main__":
    main()
