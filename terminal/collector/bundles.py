"""The repository of signed bundles, served as it lies: `metadata/` and `targets/` below /v1/bundles/, nothing else.

Whatever it holds is signed, so it needs no certificate; what is personal in it is sealed. A name is taken apart before
the disk is asked: no part begins with a dot, none is a link, and the office's own folder has no address. Names with a
version or a hash never change and may be kept for a year; the timestamp is asked for again each time.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from terminal.collector.enrolment import Enrolment
from terminal.collector.gate import Gate, respond
from terminal.collector.intake import refuse
from terminal.collector.newer import NewerFiles
from terminal.decoding import TooManyBytes, read_within
from terminal.errors import CollectorError
from terminal.sync.enrolment import code_with_root
from terminal.sync.trust import BUNDLES_PATH
from terminal.sync.wire import RefusalCode
from terminal.updates.bundle.newer import NEWER
from terminal.updates.bundle.roles import METADATA_FOLDER, ROOT_RULE, TARGETS_FOLDER

DEFAULT_FOLDER: Final = "bundles"
"""In the collector's folder."""
MOST_NAME: Final = 400
MOST_DEPTH: Final = 5
T = TypeVar("T")
AT_ONCE: Final = 64
"""Files that are on their way; who comes then is asked to come again."""
PIECE_BYTES: Final = 64 << 10
READ_THREADS: Final = 4
LASTING: Final = "public, max-age=31536000, immutable"
CHECKED: Final = "no-cache"
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ROOT: Final = re.compile(r"([1-9][0-9]{0,9})\.root\.json")


class BundleFiles:
    """The files of one repository. They may come and be replaced while they are served."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self._folder = folder
        self._threads = anyio.CapacityLimiter(READ_THREADS)
        self._newer = NewerFiles(folder, gate, self._threads)
        self._open = 0

    def routes(self) -> tuple[Route, Route]:
        return (
            Route(f"{BUNDLES_PATH}{NEWER}", self._newer.answer, methods=["GET"]),
            Route(f"{BUNDLES_PATH}{{name:path}}", self.file, methods=["GET"]),
        )

    async def file(self, request: Request) -> Response:
        """The file of that name, or 304 where the sender has it."""
        name = request.path_params["name"]
        if self._open >= AT_ONCE:
            return respond(
                refuse(RefusalCode.UNAVAILABLE, "The collector has its hands full.", retry_after_s=1)
            )
        found = await self._thread(partial(_opened, self._folder, name))
        if found is None:
            return Response(status_code=404)
        file, tag = found
        headers = {"etag": tag, "cache-control": CHECKED if name.endswith("timestamp.json") else LASTING}
        if _has(request.headers, tag):
            file.close()
            return Response(status_code=304, headers=headers)
        length = os.fstat(file.fileno()).st_size
        self._open += 1
        return StreamingResponse(
            self._pieces(file, length),
            headers={**headers, "content-length": str(length)},
            media_type="application/octet-stream",
        )

    async def _pieces(self, file: BinaryIO, length: int) -> AsyncIterator[bytes]:
        """As much as was announced: a published file never changes, and one that is replaced is another file."""
        try:
            left = length
            while left and (piece := await self._thread(partial(file.read, min(PIECE_BYTES, left)))):
                left -= len(piece)
                yield piece
        finally:
            self._open -= 1
            file.close()

    async def _thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)


def newest_root(folder: Path) -> bytes:
    """The SHA-256 of the newest root in a repository: what a terminal that enrols pins. Raises `CollectorError`."""
    metadata = folder / METADATA_FOLDER
    try:
        versions = [int(match[1]) for path in metadata.iterdir() if (match := _ROOT.fullmatch(path.name))]
        if versions:
            content = read_within(metadata / f"{max(versions)}.root.json", ROOT_RULE.most_bytes)
            return sha256(content).digest()
    except (OSError, TooManyBytes) as error:
        raise CollectorError(
            f"the bundles in {folder} cannot be read: {error}", "Check the folder and its rights."
        ) from error
    raise CollectorError(f"{folder} has no root", "Release the repository first: `terminal publish release`.")


def carried_code(enrolment: Enrolment, terminal: int, now_ms: int, bundles: Path | None) -> str:
    """A new code as it is carried to a terminal: with the root of the bundles it will take, where there are any. May
    raise `CollectorError`; then there is no new code.
    """
    root = None if bundles is None else newest_root(bundles)
    code = enrolment.make_code(terminal, now_ms)
    return code if root is None else code_with_root(code, root)


def bundles_of(collector: Path, stated: Path | None) -> Path | None:
    """The repository that is stated, else `bundles` in the collector's folder where there is one."""
    usual = collector / DEFAULT_FOLDER
    if stated is not None and not (stated / METADATA_FOLDER).is_dir():
        raise CollectorError(
            f"{stated} is no repository of bundles", "Give the folder that metadata and targets lie in."
        )
    return stated or (usual if (usual / METADATA_FOLDER).is_dir() else None)


def _opened(folder: Path, name: str) -> tuple[BinaryIO, str] | None:
    """The file of that name and its tag; None for whatever is none."""
    parts = name.split("/")
    if (
        len(name) > MOST_NAME
        or not 2 <= len(parts) <= MOST_DEPTH
        or parts[0] not in (METADATA_FOLDER, TARGETS_FOLDER)
        or not all(map(_PART.fullmatch, parts))
    ):
        return None
    handle = _walked(folder, parts)
    if handle is None:
        return None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        return None
    return os.fdopen(handle, "rb"), f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'


def _walked(folder: Path, parts: Sequence[str]) -> int | None:
    """A descriptor of the file, folder by folder, none of which may be a link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    for part in parts:
        before = handle
        try:
            handle = os.open(part, flags, dir_fd=before)
        except OSError:
            return None
        finally:
            os.close(before)
    return handle


def _has(headers: Mapping[str, str], tag: str) -> bool:
    return tag in (one.strip() for one in headers.get("if-none-match", "").split(","))
