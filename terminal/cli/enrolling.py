"""Enrolling and revoking terminals, as the commands of a collector and of a fleet do it alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.cli.office_acts import token_in
from terminal.clock import unix_ms

if TYPE_CHECKING:
    from terminal.collector.enrolment import Enrolment
    from terminal.collector.store import Operation, OperationCode
    from terminal.collector.users import Users

Numbered = Annotated[int, typer.Argument(min=1, max=LARGEST_TERMINAL, help="Terminal number.")]


@dataclass(frozen=True, slots=True)
class EnrolmentOffice:
    """The records of terminals, where it is kept what was done about them, and who does it. `bundles`: a repository of
    signed bundles, whose root codes carry.
    """

    enrolment: Enrolment
    keep: Callable[[Operation], None]
    by: str
    bundles: Path | None = None

    def note(self, at_ms: int, terminal: int, code: OperationCode, key: str = "") -> None:
        """Keep what was done."""
        from terminal.collector.store import Operation

        self.keep(Operation(at_ms, terminal, code, key, self.by))


def who_operates(users: Users, token_file: Path | None) -> str:
    """The staff number of the user whose token is in the file, or the machine while there are no users. Raises
    `StaffError`, or `OfficeRefused` for a user who may not enrol and revoke.
    """
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.collector.users import OfficeRole

    who = users.at_the_machine(token_in(token_file))
    if OfficeRole.OPERATE not in who.roles:
        raise refusal(OfficeCode.NOT_FOR_ROLE)
    return who.ref


def enrol_by_key(office: EnrolmentOffice, terminal: int, key: Path, *, json: bool) -> None:
    """Register a public signing key that was carried here. Raises `KeyFileError` or `CollectorError`."""
    from terminal.collector.enrolment import short_of
    from terminal.collector.store import OperationCode
    from terminal.sync.identity import read_public_key

    public, now_ms = read_public_key(key), _now_ms()
    name, replaced = short_of(public), office.enrolment.key_of(terminal) is not None
    office.enrolment.enrol(terminal, public, now_ms)
    office.note(now_ms, terminal, OperationCode.KEY_REPLACED if replaced else OperationCode.ENROLLED, name)
    done = {"terminal": terminal, "key": name, "replaced": replaced}
    _say(done, f"terminal {terminal} may upload with key {name}", json=json)


def enrol_by_code(office: EnrolmentOffice, terminal: int, *, json: bool) -> None:
    """Make a one-time code and print it. Raises `CollectorError`."""
    from terminal.collector.bundles import carried_code
    from terminal.collector.store import OperationCode

    now_ms = _now_ms()
    code = carried_code(office.enrolment, terminal, now_ms, office.bundles)
    office.note(now_ms, terminal, OperationCode.CODE_MADE)
    text = (
        f"{code}\nValid once, for one day. At the terminal: terminal enrol --number {terminal} --collector URL\n"
        "(URL is where terminals reach this collector; leave it out where terminal.toml names it)"
    )
    _say({"terminal": terminal, "code": code}, text, json=json)


def revoke_terminal(office: EnrolmentOffice, terminal: int) -> None:
    """End all keys of a terminal. Raises `CollectorError` where it has none."""
    from terminal.collector.store import OperationCode
    from terminal.errors import CollectorError

    now_ms = _now_ms()
    if not office.enrolment.revoke(terminal, now_ms):
        raise CollectorError(f"terminal {terminal} is not enrolled", "Check the number.")
    office.note(now_ms, terminal, OperationCode.REVOKED)
    print(f"terminal {terminal} is revoked")


def _now_ms() -> int:
    from terminal.clock import SystemClock

    return unix_ms(SystemClock().now())


def _say(done: dict[str, object], text: str, *, json: bool) -> None:
    from terminal.app.output import print_json

    if json:
        print_json(done)
    else:
        print(text)
