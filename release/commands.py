"""Commands of other programs, with one error that shows what they said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

DEADLINE_S: Final = 600.0
KEPT: Final = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "PIP_CERT", "PIP_CONFIG_FILE", "PIP_CACHE_DIR")
"""What the shell's settings may say here; all else is ours, or two builds would differ."""
SAID_BYTES: Final = 4_000


class ReleaseError(Exception):
    """Nothing was handed out. `advice` says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what, self.advice = what, advice


def run(
    command: Iterable[object], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Standard output of `command`; raises `ReleaseError` with the end of what it said when it fails."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    words = [str(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 the commands are ours
            words,
            env={**kept, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ReleaseError(
            f"{words[0]} is missing", "Install it; docs/install.md names its package."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(
            f"{words[0]} did not end in {DEADLINE_S:.0f} s", "Look at network and load."
        ) from error
    if done.returncode:
        said = (done.stdout + done.stderr)[-SAID_BYTES:]
        raise ReleaseError(f"{' '.join(words)} ended with {done.returncode}:\n{said}", "Mend what it names.")
    return done.stdout
