"""What `terminal keys show` says of a key file: everything but the keys, of which only check values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from terminal.errors import KeyFileError
from terminal.files import readable_by_others
from terminal.keys.check_values import check_value
from terminal.keys.kept import is_handed_over
from terminal.keys.signed import CUT_AGAIN, KeyHeader, verified


class ShownKeys(Struct, frozen=True):
    """A signed key file without its keys. `kept`: credential, file, or open_file where other users may read it;
    `checks` are check values by the keys' places."""

    path: str
    kept: str
    header: KeyHeader
    checks: dict[str, str]
    limits: dict[str, Any]


def shown(tables: Mapping[str, object], path: Path) -> ShownKeys:
    """Raises `KeyFileError`, also for a laboratory's file that is not signed."""
    if "form" not in tables:
        raise KeyFileError(f"key file {path} is a laboratory's, not signed by an office", CUT_AGAIN)
    document = verified(tables, path)
    kept = "credential" if is_handed_over(path) else "open_file" if readable_by_others(path) else "file"
    checks = {name: check_value(key) for name, key in document.named_keys()}
    return ShownKeys(str(path), kept, document.header(), checks, msgspec.to_builtins(document.limits))


def as_data(found: ShownKeys) -> dict[str, Any]:
    """For `--json`."""
    return {"path": found.path, "kept": found.kept, **msgspec.to_builtins(found.header)} | {
        "checks": found.checks,
        "limits": found.limits,
    }


def as_lines(found: ShownKeys) -> Iterator[str]:
    """For people."""
    header = found.header
    terminal = f", terminal {header.terminal}" if header.terminal else ""
    yield f"{found.path}: {header.environment} keys, role {header.role}, region {header.region}{terminal}"
    yield f"key version {header.key_version}, made on {header.made_on}, to be rolled by {header.until or 'no set day'}"
    yield f"signed by office {header.office}; kept as {found.kept.replace('_', ' ')}"
    for name, check in found.checks.items():
        yield f"{name:<24} {check}"
    for table, names in found.limits.items():
        for name, ceiling in names.items():
            yield f"limits.{table}.{name}: {ceiling['per_minute']} a minute, {ceiling['per_day']} a day"
