"""A file that a browser sends with a form (`multipart/form-data`): one file and a few short fields, within limits."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from starlette.requests import Request

from terminal.screen.console.visit import FormFields

KIND: Final = "multipart/form-data"
MOST_PARTS: Final = 32
MOST_HEADER_BYTES: Final = 2_000
MOST_FIELD_BYTES: Final = 2_000
ROOM_BYTES: Final = 64 * 1024
"""For everything but the file."""
_BOUNDARY: Final = re.compile(r'boundary="?([!-~]{1,70}?)"?(?:;|$)')
_NAME: Final = re.compile(r'[; ]name="([^"\r\n]*)"')
_FILE_NAME: Final = re.compile(r'[; ]filename="([^"\r\n]*)"')


class UploadedFile(Struct, frozen=True):
    """One file as the browser named it. It has no `repr`: lists hold names."""

    name: str
    content: bytes

    def __repr__(self) -> str:
        return f"UploadedFile({len(self.content)} bytes)"


async def uploaded(request: Request, most_bytes: int) -> tuple[FormFields, UploadedFile] | None:
    """The form and the file in the request; None for anything else, and for a file that is too large."""
    kind = request.headers.get("content-type", "")
    boundary = _BOUNDARY.search(kind)
    if kind.partition(";")[0].strip().lower() != KIND or boundary is None:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes + ROOM_BYTES:
            return None
    return parse_upload(bytes(body), boundary[1].encode("ascii"))


def parse_upload(body: bytes, boundary: bytes) -> tuple[FormFields, UploadedFile] | None:
    """The fields and the one file of a body; None where it is not such a body (RFC 7578)."""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not 3 <= len(parts) <= MOST_PARTS or parts[0] or parts[-1][:2] != b"--":
        return None
    fields: dict[str, list[str]] = {}
    file: UploadedFile | None = None
    for part in parts[1:-1]:
        head, divides, content = part.partition(b"\r\n\r\n")
        if not divides or len(head) > MOST_HEADER_BYTES:
            return None
        said = head.decode("utf-8", "replace")
        name, file_name = _NAME.search(said), _FILE_NAME.search(said)
        if name is None:
            return None
        if file_name is not None:
            file = UploadedFile(file_name[1], content)
        elif len(content) <= MOST_FIELD_BYTES:
            fields.setdefault(name[1], []).append(content.decode("utf-8", "replace"))
    return None if file is None else (FormFields(fields), file)
