"""The renewals of a terminal's keys as it asked for them, each approved with the keys before: kept, so that a collector
that was restored from an older backup can follow from the keys it knows to those in use, without a new code.

They hold no secret: public keys and signatures. The file is written before new keys are taken into use; one that is
damaged or gone costs a code, as an enrolment does, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from terminal.decoding import decode_json, read_within
from terminal.errors import KeyFileError
from terminal.files import replace_file
from terminal.sync.enrolment import RenewalRequest

LINEAGE_FILE: Final = "renewals.json"
MOST_LINKS: Final = 40
"""More than a backup is followed back: a certificate that ended longer ago is not renewed."""
MOST_BYTES: Final = MOST_LINKS * 4_096


def read_lineage(folder: Path) -> tuple[RenewalRequest, ...]:
    """The renewals, the oldest first; none where the file is not there or damaged."""
    try:
        content = read_within(folder / LINEAGE_FILE, MOST_BYTES)
        return decode_json(content, tuple[RenewalRequest, ...], MOST_BYTES)
    except (OSError, msgspec.DecodeError):
        return ()


def keep_link(folder: Path, link: RenewalRequest) -> None:
    """Add a renewal that was granted. Raises `KeyFileError`."""
    before = [one for one in read_lineage(folder) if one.keys.signing != link.keys.signing]
    _write(folder, (*before, link)[-MOST_LINKS:])


def forget_lineage(folder: Path) -> None:
    """Keys that were enrolled with a code follow from none. Raises `KeyFileError`."""
    if (folder / LINEAGE_FILE).exists():
        _write(folder, ())


def _write(folder: Path, links: tuple[RenewalRequest, ...]) -> None:
    path = folder / LINEAGE_FILE
    try:
        replace_file(path, msgspec.json.encode(links))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}", "Check the directory's rights.") from error
