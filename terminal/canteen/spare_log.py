"""O-06: where an entitled meal is written down when the journal cannot take it.

One line per meal, flushed before the child eats, each naming the hash of the line before it. As soon as a journal
works again the meals are brought into it, once each: a line is known by its own hash.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from terminal.errors import JournalDamaged, JournalError
from terminal.files import open_own, sync
from terminal.journal.canteen_records import MealServed
from terminal.journal.records import UnreadableRecord, build_record, parse_record

SPARE_FILE: Final = "spare.log"
_START: Final = hashlib.sha256(b"resident-canteen-spare-1").digest()
_NUMBER_BYTES: Final = 7


class SpareMeal(Struct, frozen=True):
    """`number` names the line for ever; it is never 0."""

    number: int
    meal: MealServed


class SpareLog:
    """The file of one terminal; created at the first meal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, meal: MealServed) -> SpareMeal:
        """Write `meal` down durably. Raises `JournalError` when this disk takes nothing either."""
        body = build_record(meal)
        digest = _link(self._head(), body)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(open_own(self._path), "r+b") as file:
                file.truncate(file.read().rfind(b"\n") + 1)  # what a power cut left of a line
                file.seek(0, os.SEEK_END)
                file.write(f"{digest.hex()} {body.hex()}\n".encode())
                sync(file)
        except OSError as error:
            raise JournalError(
                f"the spare log {self._path} cannot be written ({error.strerror})",
                "Note the meal on paper and tell the operator.",
            ) from error
        return SpareMeal(_number(digest), meal)

    def meals(self) -> list[SpareMeal]:
        """Every meal in it, in order; a last line that a power cut left unfinished is not one.

        Raises `JournalDamaged` when a line does not follow from the one before, `JournalError` when it cannot be read.
        """
        return [spare for _, spare in self._lines()]

    def clear(self) -> None:
        """Remove the file: everything in it is in the journal."""
        self._path.unlink(missing_ok=True)

    def _head(self) -> bytes:
        lines = self._lines()
        return lines[-1][0] if lines else _START

    def _lines(self) -> list[tuple[bytes, SpareMeal]]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(
                f"the spare log {self._path} cannot be read ({error.strerror})", "Note the meals on paper."
            ) from error
        found: list[tuple[bytes, SpareMeal]] = []
        head = _START
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            head, meal = self._line(number, line, head)
            found.append((head, SpareMeal(_number(head), meal)))
        return found

    def _line(self, number: int, line: bytes, head: bytes) -> tuple[bytes, MealServed]:
        stated, _, body = line.partition(b" ")
        try:
            digest, record = bytes.fromhex(stated.decode()), bytes.fromhex(body.decode())
            meal = parse_record(record)
        except (ValueError, UnreadableRecord):
            digest, record, meal = b"", b"", None
        if not isinstance(meal, MealServed) or digest != _link(head, record):
            raise JournalDamaged(
                f"line {number} of {self._path} was changed",
                "Keep the file for the auditor and move it away.",
            )
        return digest, meal


def _link(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(head + body).digest()


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:_NUMBER_BYTES], "big") | 1
