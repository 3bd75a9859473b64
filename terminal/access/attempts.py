"""Wrong PINs and passwords: each one makes the next try wait longer, whatever happens to the program meanwhile.

    wrong in a row   1, 2   3     4      5       6       7 to 39   40 and more
    then wait        -      5 s   15 s   1 min   5 min   15 min    4 h
    a long secret    -      5 s   15 s   1 min   5 min from then on

A try counts as wrong before it is checked, so pulling the plug gains nothing. What a stranger can do without the secret
is bounded: with and without the service card are counted apart, and so are tries of a **long** secret (a PIN of six
digits or more, a password) and of a short one. So wrong PINs typed for a staff number never keep out the holder of the
card, and who has a long PIN waits 5 minutes at most, whatever strangers type. Who has a short one waits 15 minutes in
the morning after a night of it; another member of staff, with his own PIN, lets him try at once, three times in a row:
a colleague who guesses gains three tries and is on record.

    short   39 tries in eight hours, then 6 a day: of 9 976 PINs of four digits 0.4 % in a night, then 0.06 % a day
    long    6 tries in six and a half minutes, then 288 a day: of a million PINs of six digits 0.03 % a day

No lock is permanent: every wait ends by itself, the right PIN starts over, and `terminal staff unlock` ends a wait at
once (in the office `terminal collector users unlock`).
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from terminal.decoding import DOCUMENT_BYTES, decode_json, read_within
from terminal.errors import StaffError
from terminal.files import replace_file

ATTEMPTS_FILE: Final = "attempts.json"
WAITS_S: Final = (0, 0, 0, 5, 15, 60, 300, 900)
MANY_WRONG: Final = 40
"""In a row, of a short secret: no one mistypes so often, and no one may go on at that pace."""
MANY_WAIT_S: Final = 14_400
MOST_LIFTS: Final = 3
"""Waits in a row that another member of staff ends."""
PIN_WAYS: Final = ("card", "typed", "second")
"""How a PIN is given: with the service card, with a typed number, as the second person of an action."""
PAGE_WAY: Final = "page"
"""A password at the office's page, which is always long."""
LONG_FROM: Final = 6
"""Digits of a long PIN."""
LONG_WAIT_S: Final = 300
_LONG: Final = "-long"
WAYS: Final = (*PIN_WAYS, *(f"{way}{_LONG}" for way in PIN_WAYS), PAGE_WAY)
LOCKED_FROM: Final = 7
"""From so many wrong ones in a row on the journal says so."""


class _Wrong(msgspec.Struct, frozen=True):
    count: int
    until_ms: int
    lifted: int = 0


class Attempts:
    """Wrong PINs in a row by what was tried ("card:77", "typed:77", see `WAYS`), kept in a file."""

    def __init__(self, folder: Path) -> None:
        """Raises `StaffError` when what is there cannot be read: it must not begin anew."""
        self._path = folder / ATTEMPTS_FILE
        self._lock = Lock()
        self._seen: tuple[int, int, int] | None = None
        self._wrong: dict[str, _Wrong] = {}
        self._refresh()

    def wait_s(self, key: str, now_ms: int) -> int:
        """How many seconds `key` still has to wait; 0: may try. A clock put back makes it no longer than the wait."""
        with self._lock:
            self._refresh()
            wrong = self._wrong.get(key)
        if wrong is None:
            return 0
        left_ms = min(wrong.until_ms - now_ms, wait_after(wrong.count, key) * 1000)
        return max(0, -(-left_ms // 1000))

    def begin(self, key: str, now_ms: int) -> int:
        """Note a try of `key` as wrong, durably; return its number in a row. Raises `StaffError`."""
        with self._lock:
            self._refresh()
            before = self._wrong.get(key)
            count, lifted = (1 + before.count, before.lifted) if before else (1, 0)
            tried = _Wrong(count, now_ms + wait_after(count, key) * 1000, lifted)
            self._keep(self._wrong | {key: tried})
            return count

    def lift(self, key: str) -> bool:
        """Another member of staff stands by: `key` may be tried once at once, and what was wrong still counts. False
        where that was done `MOST_LIFTS` times since it was right. Raises `StaffError`.
        """
        with self._lock:
            self._refresh()
            wrong = self._wrong.get(key)
            if wrong is None:
                return True
            if wrong.lifted >= MOST_LIFTS:
                return False
            self._keep(self._wrong | {key: _Wrong(wrong.count, 0, wrong.lifted + 1)})
            return True

    def wrong_of(self, ref: str) -> int:
        """How many wrong ones in a row there were of this member, given in any way."""
        with self._lock:
            self._refresh()
            return sum(self._wrong[key].count for way in WAYS if (key := f"{way}:{ref}") in self._wrong)

    def right(self, key: str) -> None:
        """The PIN fitted: start over."""
        self._forget({key})

    def unchecked(self, key: str) -> None:
        """The PIN of the try begun last could not be looked at: it does not count. Raises `StaffError`."""
        with self._lock:
            self._refresh()
            wrong = self._wrong.get(key)
            if wrong is not None:  # an administrator may have ended the wait meanwhile
                left = {name: other for name, other in self._wrong.items() if name != key}
                self._keep(
                    left | ({key: _Wrong(wrong.count - 1, 0, wrong.lifted)} if wrong.count > 1 else {})
                )

    def unlock(self, ref: str) -> bool:
        """An administrator ends every wait for this member's PIN; False when there was none."""
        return self._forget({f"{how}:{ref}" for how in WAYS})

    def _forget(self, keys: set[str]) -> bool:
        with self._lock:
            self._refresh()
            left = {name: wrong for name, wrong in self._wrong.items() if name not in keys}
            found = len(left) < len(self._wrong)
            if found:
                self._keep(left)
            return found

    def _keep(self, wrong: dict[str, _Wrong]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(wrong))
        except OSError as error:
            raise StaffError(
                f"{self._path} cannot be written ({error.strerror})", "Check its rights."
            ) from error
        self._wrong, self._seen = wrong, self._status()

    def _refresh(self) -> None:
        """Take over what another process wrote: `terminal staff unlock`."""
        try:
            seen = self._status()
            if seen != self._seen:
                self._wrong = decode_json(read_within(self._path, DOCUMENT_BYTES), dict[str, _Wrong])
                self._seen = seen
        except FileNotFoundError:
            self._wrong, self._seen = {}, None
        except (OSError, msgspec.DecodeError) as error:
            raise StaffError(
                f"{self._path} cannot be read ({error})",
                "Remove it: that also ends every wait for a PIN or password.",
            ) from error

    def _status(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size


def key_of(way: str, ref: str, secret: str = "") -> str:
    """Under what a try is counted: by the way the secret is given, and by whether it is a long one."""
    is_long = way in PIN_WAYS and len(secret) >= LONG_FROM
    return f"{way}{_LONG if is_long else ''}:{ref}"


def wait_after(count: int, key: str) -> int:
    """Seconds to wait after so many wrong ones in a row under `key`."""
    wait_s = WAITS_S[min(count, len(WAITS_S) - 1)]
    way = key.partition(":")[0]
    if way == PAGE_WAY or way.endswith(_LONG):
        return min(wait_s, LONG_WAIT_S)
    return wait_s if count < MANY_WRONG else MANY_WAIT_S
