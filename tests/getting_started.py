"""`python -m tests.getting_started`: the commands of docs/getting-started.md, as printed, each part in a fresh clone.

With `--linked` the clone uses the environment of this one, and its `make setup` is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "getting-started.md"
SETUP: Final = "make setup"
PATIENCE_S: Final = 600.0


def parts() -> dict[str, list[str]]:
    """Heading to the lines to be typed under it."""
    found = {}
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        found[heading] = [line for block in blocks for line in block.splitlines()]
    return found


def played(part: str, folder: Path, *, linked: bool) -> Iterator[tuple[str, str]]:
    """Each line of a part and what it printed, in a clone in `folder`; raises `AssertionError` where one fails."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    if linked:
        (clone / ".venv").symlink_to(ROOT / ".venv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for line in parts()[part]:
        if linked and line.startswith(SETUP):
            continue
        done = subprocess.run(
            line,
            shell=True,
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{line}\nended with {done.returncode}:\n{done.stdout}"
        yield line, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.getting_started", description=__doc__)
    parser.add_argument("--linked", action="store_true")
    asked = parser.parse_args()
    for part in parts():
        began = monotonic()
        with TemporaryDirectory() as folder:
            for line, printed in played(part, Path(folder), linked=asked.linked):
                print(f"$ {line}\n{printed}", flush=True)
        print(f"getting started: {part}: {monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
