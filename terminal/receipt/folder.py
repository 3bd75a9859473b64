"""A stand-in for a fiscal adapter: requests and tickets as JSON files in a folder. It makes no fiscal document."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.errors import ReceiptError
from terminal.files import SHARED, create_file
from terminal.receipt.adapter import Accepted
from terminal.receipt.request import ReceiptRequest, Ticket

REQUESTS: Final = "requests"
TICKETS: Final = "tickets"


class ReceiptFolder:
    """One file for each request and each ticket, named by its id."""

    def __init__(self, folder: Path) -> None:
        """Raises `ReceiptError` when the folder cannot be made."""
        self._folder = folder
        try:
            for name in (REQUESTS, TICKETS):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def request(self, request: ReceiptRequest) -> Accepted:
        """Keep the request; the same sale again is not new and its first `way` stands; another sale is refused."""
        path = self._folder / REQUESTS / f"{request.id}.json"
        try:
            new = create_file(path, _json(request), SHARED)
            if not new and replace(_kept(path), way=request.way) != request:
                raise ReceiptError(
                    f"request {request.id} differs from the one in {path}",
                    "One sale has one receipt: look at the journal row of that number.",
                )
        except OSError as error:
            raise self._unusable(error) from error
        return Accepted(request.id, new)

    def print_ticket(self, ticket: Ticket) -> None:
        """Keep the ticket; a second print of it changes nothing."""
        try:
            create_file(self._folder / TICKETS / f"{ticket.id}.json", _json(ticket), SHARED)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> ReceiptError:
        return ReceiptError(
            f"receipt folder {self._folder} cannot be used: {error.strerror}", "Give a folder you may write."
        )


def _json(value: ReceiptRequest | Ticket) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _kept(path: Path) -> ReceiptRequest:
    try:
        return decode_json(read_within(path, SMALL_BYTES), ReceiptRequest)
    except msgspec.DecodeError as error:
        raise ReceiptError(f"{path} is no receipt request: {error}", "Move that file away.") from error
