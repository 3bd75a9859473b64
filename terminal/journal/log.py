"""The write-ahead log of a journal as bytes: what SQLite drops without a word.

SQLite reads a log up to its first frame that does not fit and forgets the rest, committed or not. Each frame carries
the checksum of everything before it, so a frame behind a broken one can still be proven: by the checksum its
predecessor states. Frames of an earlier use of the file have other salts; they were folded into the database long ago.

    header   magic, version, page size, sequence, salts (8), checksum (8)                              32 bytes
    frame    page number, pages of the database after a commit or 0, salts (8), checksum (8), page     24 and page
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, NamedTuple

from cardproto.resident.limits import LARGEST_SEQUENCE

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_MAGIC: Final = 0x377F0682
_VERSION: Final = 3_007_000
_PAGE_SIZES: Final = frozenset(1 << bits for bits in range(9, 17))
_MASK: Final = 0xFFFFFFFF
_TABLE_LEAF: Final = 0x0D
_FRAMES_READ_AT: Final = 16

Sums = tuple[int, int]


class Frame(NamedTuple):
    """One slot of the log. `pages` is 0 but at the end of a commit; `intact` when its checksum fits."""

    page: int
    pages: int
    salts: bytes
    content: bytes
    intact: bool


class WriteAheadLog(NamedTuple):
    """The slots of this use of the file, in order, up to the last one that differs from older ones; `sound_header`
    is False when SQLite takes the log for empty whatever is in it."""

    sound_header: bool
    page_bytes: int
    frames: tuple[Frame, ...]

    def commits(self, behind: int = 0) -> int:
        """How many intact ends of a commit stand behind the first `behind` slots."""
        return sum(frame.intact and frame.pages > 0 for frame in self.frames[behind:])

    def newest_row(self, behind: int = 0) -> int:
        """The highest row number on an intact leaf behind the first `behind` slots, 0 without one.

        In a journal no other table has higher numbers: they are of acknowledged rows, or count batches of rows.
        """
        return max((_last_row(f.content) for f in self.frames[behind:] if f.intact), default=0)


def read_log(path: Path, page_bytes: int, proven: int = 0) -> WriteAheadLog:
    """The log at `path` of a database with pages of `page_bytes`; SQLite itself has proven the first frames. Raises
    OSError.
    """
    data = path.read_bytes()
    header, order = data[:HEADER_BYTES], "<"
    sound = len(header) == HEADER_BYTES
    salts, sums = header[16:24], (0, 0)
    if sound:
        magic, version, size = struct.unpack(">III", header[:12])
        order = ">" if magic & 1 else "<"
        sums = struct.unpack(">II", header[24:])
        sound = magic & ~1 == _MAGIC and version == _VERSION and size == page_bytes
        sound = sound and _sums(order, (0, 0), header[:24]) == sums
    if not sound:
        salts, order = _salts_of(data, page_bytes), "<"
    return WriteAheadLog(sound, page_bytes, _frames(data, page_bytes, salts, sums, order, proven))


def frames_read(database: Path) -> int:
    """How many frames of its log SQLite takes for good; asked while a connection has the database open."""
    with database.with_name(database.name + "-shm").open("rb") as index:
        (frames,) = struct.unpack("=I", index.read(64)[_FRAMES_READ_AT : _FRAMES_READ_AT + 4])
    return int(frames)


def page_bytes_of(database: Path) -> int:
    """The size of its pages; 4096, which journals have, where its header does not say. Raises OSError."""
    with database.open("rb") as file:
        header = file.read(18)
    size = int.from_bytes(header[16:18], "big")
    return size if size in _PAGE_SIZES else 4_096


def _salts_of(data: bytes, page_bytes: int) -> bytes:
    """Of the newest use of a file whose header is lost: the first salt counts up with each."""
    step = FRAME_HEADER_BYTES + page_bytes
    found = {data[at + 8 : at + 16] for at in range(HEADER_BYTES, len(data) - step + 1, step)}
    return max(found, default=b"", key=lambda salts: salts[:4])


def _frames(
    data: bytes, page_bytes: int, salts: bytes, sums: Sums, order: str, proven: int
) -> tuple[Frame, ...]:
    step = FRAME_HEADER_BYTES + page_bytes
    frames: list[Frame] = []
    seeds: set[Sums] = {sums}
    for at in range(HEADER_BYTES, len(data) - step + 1, step):
        header = data[at : at + FRAME_HEADER_BYTES]
        content = data[at + FRAME_HEADER_BYTES : at + step]
        page, pages = struct.unpack(">II", header[:8])
        stated: Sums = struct.unpack(">II", header[16:24])
        ours, known = header[8:16] == salts, len(frames) < proven
        computed: set[Sums] = set()
        if ours and not known:
            computed = {_sums(order, _sums(order, seed, header[:8]), content) for seed in seeds}
        intact = ours and page > 0 and (known or stated in computed)
        frames.append(Frame(page, pages, header[8:16], content, intact))
        # Behind a broken frame either its statement or its content may be what is broken.
        seeds = {stated} if intact or not ours else {stated, *sorted(computed)[:3]}
    last = max((n for n, frame in enumerate(frames, 1) if frame.salts == salts), default=0)
    return tuple(frames[:last])


def _sums(order: str, seed: Sums, data: bytes) -> Sums:
    """SQLite's checksum over `data`, going on from `seed`."""
    first, second = seed
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second


def _last_row(page: bytes) -> int:
    """The number of the last row of a table's leaf, 0 for any other page."""
    if page[0] != _TABLE_LEAF:
        return 0
    cells = int.from_bytes(page[3:5], "big")
    if not cells or 8 + 2 * cells > len(page):
        return 0
    at = int.from_bytes(page[6 + 2 * cells : 8 + 2 * cells], "big")
    _, at = _varint(page, at)
    row, _ = _varint(page, at)
    return row if row <= LARGEST_SEQUENCE else 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number as SQLite writes it, and where the next one begins."""
    value = 0
    for count in range(9):
        byte = data[at + count] if at + count < len(data) else 0
        if count == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + count + 1
    raise AssertionError("nine bytes at most")
