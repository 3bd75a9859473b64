"""How a command says no inside the software card: an exception that never leaves it."""

from __future__ import annotations

from cardproto.apdu import SW
from cardproto.desfire.status import Status


class DesfireRefusal(Exception):
    """A native or wrapped command is refused with `status`; the session and pending changes end with it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class IsoRefusal(Exception):
    """An ISO 7816-4 command (CLA 00) is refused with `sw`."""

    def __init__(self, sw: SW) -> None:
        super().__init__(sw.name)
        self.sw = sw
