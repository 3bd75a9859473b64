"""What of the published repository is newer than what a terminal has, in one answer, held back until there is something
where the terminal asks for that (`terminal.updates.bundle.newer`).

The repository is looked at by one task for all that wait. Who waits holds a connection and no thread; connections of
strangers that wait are given up first when there is no more room (`terminal.collector.callers`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import anyio
import anyio.to_thread
import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from terminal.collector.gate import Gate
from terminal.decoding import decode_json, read_within
from terminal.updates.bundle.newer import LONGEST_WAIT_S, MOST_BYTES, WAIT, packed
from terminal.updates.bundle.roles import (
    DENY_CHANGES_FILE,
    DENY_FILE,
    DENY_MERGE_FILE,
    METADATA_FOLDER,
    MOST_ROLES,
    TARGETS_FOLDER,
)
from terminal.updates.watch import FileMark, mark_of

LOOK_S: Final = 0.2
"""Between two looks at the timestamp while terminals wait."""
MOST_TARGET_BYTES: Final = 4 << 10
"""Of a file that comes along; longer ones are asked for by themselves."""
MOST_METADATA_BYTES: Final = 1 << 20
MOST_KEPT: Final = 64
"""Answers that are kept: terminals of one fleet mostly have the same."""
APART: Final = frozenset({DENY_FILE, DENY_CHANGES_FILE, DENY_MERGE_FILE})
"""Files of which a terminal that followed the increments needs none."""
_ROLE: Final = re.compile(r"[a-z]{1,20}(\.[a-z0-9-]{1,64})?")
_VERSION: Final = re.compile(r"[0-9]{1,16}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TARGET: Final = re.compile(r"[a-z]+(/[A-Za-z0-9][A-Za-z0-9._-]{0,100}){2,3}")

Versions = Mapping[str, int]


class _RoleVersion(Struct):
    version: Annotated[int, Meta(ge=0)]


class _Listing(Struct):
    version: int
    meta: dict[str, _RoleVersion] = {}


class _ListingFile(Struct):
    signed: _Listing


class _Target(Struct):
    length: int
    hashes: dict[str, str]


class _Targets(Struct):
    targets: dict[str, _Target] = {}


class _TargetsFile(Struct):
    signed: _Targets


class NewerFiles:
    """The answers of one repository."""

    def __init__(self, folder: Path, gate: Gate, threads: anyio.CapacityLimiter) -> None:
        self._folder = folder
        self._gate = gate
        self._threads = threads
        self._mark: FileMark | None = None
        self._changed = asyncio.Event()
        self._waiting = 0
        self._watching: asyncio.Task[None] | None = None
        self._kept: dict[tuple[tuple[str, int], ...], tuple[bool, bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """What is newer; 204 where nothing came in the time that was asked for, 400 for no such question."""
        asked = _asked(request)
        if asked is None:
            return Response(status_code=400)
        have, wait_s = asked
        changed = self._changed  # before the look: what comes during it is heard, too
        mark, is_newer, body = await self._found(have)
        if wait_s and not is_newer:
            if await self._came(request, wait_s, changed, mark):
                _mark, is_newer, body = await self._found(have)
            if not is_newer:
                return Response(status_code=204)
        return Response(body, media_type="application/octet-stream", headers={"cache-control": "no-store"})

    async def _found(self, have: Versions) -> tuple[FileMark | None, bool, bytes]:
        mark = await anyio.to_thread.run_sync(partial(_mark_in, self._folder), limiter=self._threads)
        if mark != self._mark:
            self._mark = mark
            self._kept.clear()
        key = tuple(sorted(have.items()))
        if key not in self._kept:
            found = await anyio.to_thread.run_sync(partial(newer, self._folder, have), limiter=self._threads)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return mark, *self._kept[key]

    async def _came(self, request: Request, wait_s: int, event: asyncio.Event, mark: FileMark | None) -> bool:
        """Whether the repository changed since `mark` before the time was over and the sender gone."""
        self._waiting += 1
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(mark))
        changed = asyncio.create_task(event.wait())
        gone = asyncio.create_task(_gone(request))
        try:
            with self._gate.held(request.scope):
                await asyncio.wait((changed, gone), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            return changed.done()
        finally:
            self._waiting -= 1
            changed.cancel()
            gone.cancel()

    async def _watch(self, seen: FileMark | None) -> None:
        """As long as anything waits."""
        try:
            while self._waiting:
                await asyncio.sleep(LOOK_S)
                mark = await anyio.to_thread.run_sync(partial(_mark_in, self._folder), limiter=self._threads)
                if mark != seen:
                    seen = mark
                    event, self._changed = self._changed, asyncio.Event()
                    event.set()
        finally:
            self._watching = None


def newer(folder: Path, have: Versions) -> tuple[bool, bytes]:
    """Whether anything is newer than the versions that a terminal has, and the answer. A repository that cannot be read
    has nothing: the terminal then asks for each file, and hears what is wrong with it.
    """
    files: dict[str, bytes] = {}
    is_newer, size = False, 0
    with suppress(OSError, ValueError, msgspec.DecodeError):
        for name, content, counts in _newer(folder, have):
            size += len(name) + len(content)
            if size > MOST_BYTES - 4_096:
                break
            files[name] = content
            is_newer = is_newer or counts
    return is_newer, packed(files)


def _newer(folder: Path, have: Versions) -> Iterator[tuple[str, bytes, bool]]:
    """Names and contents, and whether it is news that there are such."""
    metadata = folder / METADATA_FOLDER
    if "root" in have:
        name = f"{have['root'] + 1}.root.json"
        there = (metadata / name).exists()
        yield f"{METADATA_FOLDER}/{name}", _read(metadata / name) if there else b"", there
    content = _read(metadata / "timestamp.json")
    timestamp = decode_json(content, _ListingFile, MOST_METADATA_BYTES).signed
    yield f"{METADATA_FOLDER}/timestamp.json", content, timestamp.version != have.get("timestamp")
    version = timestamp.meta["snapshot.json"].version if "snapshot.json" in timestamp.meta else 0
    if not version or version == have.get("snapshot"):
        return
    content = _read(metadata / f"{version}.snapshot.json")
    yield f"{METADATA_FOLDER}/{version}.snapshot.json", content, True
    listed = decode_json(content, _ListingFile, MOST_METADATA_BYTES).signed.meta
    for file, meta in listed.items():
        role = file.removesuffix(".json")
        if _ROLE.fullmatch(role) and role in have and meta.version != have[role]:
            yield from _role(folder, role, have[role], meta.version)


def _role(folder: Path, role: str, before: int, version: int) -> Iterator[tuple[str, bytes, bool]]:
    """Its metadata, and the small files that they name and those before did not."""
    metadata = folder / METADATA_FOLDER
    content = _read(metadata / f"{version}.{role}.json")
    yield f"{METADATA_FOLDER}/{version}.{role}.json", content, True
    old = metadata / f"{before}.{role}.json"
    known = set(_targets(_read(old)).values()) if old.exists() else set[str]()
    for name, digest in _targets(content).items():
        place, _, file = name.rpartition("/")
        if digest not in known and file not in APART:
            path = f"{TARGETS_FOLDER}/{place}/{digest}.{file}"
            with suppress(ValueError, OSError):  # a long one is asked for by itself
                yield path, _read(folder / path, MOST_TARGET_BYTES), True


def _targets(content: bytes) -> dict[str, str]:
    """The hash of each target."""
    found = decode_json(content, _TargetsFile, MOST_METADATA_BYTES).signed.targets
    return {
        name: target.hashes["sha256"]
        for name, target in found.items()
        if _TARGET.fullmatch(name) and _HASH.fullmatch(target.hashes.get("sha256", ""))
    }


def _read(path: Path, most_bytes: int = MOST_METADATA_BYTES) -> bytes:
    if path.is_symlink():
        raise ValueError("a link")
    return read_within(path, most_bytes)


def _mark_in(folder: Path) -> FileMark | None:
    return mark_of(folder / METADATA_FOLDER / "timestamp.json")


async def _gone(request: Request) -> None:
    """Until the sender is."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _asked(request: Request) -> tuple[Versions, int] | None:
    """Versions by role, and how long to wait; None for no such question."""
    have: dict[str, int] = {}
    wait_s = 0
    asked = request.query_params.multi_items()
    if len(asked) > 2 * MOST_ROLES + 5:
        return None
    for name, value in asked:
        if _VERSION.fullmatch(value) is None or not value.isascii():
            return None
        if name == WAIT:
            wait_s = min(int(value), LONGEST_WAIT_S)
        elif _ROLE.fullmatch(name):
            have[name] = int(value)
        else:
            return None
    return have, wait_s
