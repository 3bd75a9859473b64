"""What office users do at the collector's own machine: terminals, alarms, roll-outs, and the second person's word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.cli.enrolling import (
    EnrolmentOffice,
    Numbered,
    enrol_by_code,
    enrol_by_key,
    revoke_terminal,
    who_operates,
)
from terminal.cli.office_acts import TokenFile, checked, said_of, token_in
from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    Bundles,
    CollectorFolder,
    Json,
)

if TYPE_CHECKING:
    from terminal.collector.office import Office

RequestNumber = Annotated[
    int, typer.Argument(min=1, help="Request number, from `terminal collector requests`.")
]


def enrol(
    terminal: Numbered,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Register this public key (terminal.pub) at once, without a code."),
    ] = None,
    token_file: TokenFile = None,
    bundles: Bundles = None,
    json: Json = False,
) -> None:
    """Enrol a terminal: print a one-time code for it, or register its public key. Role: operate.

    Where bundles are published, the code carries the SHA-256 of their root. An existing key is replaced; the terminal's
    records are kept.
    """
    from terminal.collector.office import office_at

    with office_at(folder, bundles, make=True) as office:
        at = _enrolling(office, token_file)
        if key is not None:
            enrol_by_key(at, terminal, key, json=json)
        else:
            enrol_by_code(at, terminal, json=json)


def revoke(
    terminal: Numbered,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Revoke a terminal at once. Its records are kept. Role: operate."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        revoke_terminal(_enrolling(office, token_file), terminal)


def ack(
    alarm: Annotated[int, typer.Argument(help="Alarm number, from `terminal collector alarms`.")],
    comment: Annotated[str, typer.Option(help="Finding and action taken.")] = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Acknowledge an alarm: role operate, or money, which a second person confirms. It reopens if it occurs again."""
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode
    from terminal.errors import CollectorError

    finding = checked(comment)
    with office_at(folder) as office:
        answer = office.acknowledge(office.users.at_the_machine(token_in(token_file)), alarm, finding)
    if answer.says is OfficeCode.NOT_FOUND:
        raise CollectorError(f"there is no alarm {alarm}", "See `terminal collector alarms --all`.")
    print(said_of(answer, f"alarm {alarm} acknowledged"))


def roll_out(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, token_file: TokenFile = None) -> None:
    """Ask that terminals are served what `staged` in the folder holds; a second person confirms. Role: publish."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        who, found = office.users.at_the_machine(token_in(token_file)), office.staged()
        said = said_of(office.roll_out(who), "served to terminals")
    for change in () if found is None else found.changes:
        print(change)
    print(said)


def requests(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False) -> None:
    """List what waits for a second person."""
    from terminal.app.output import print_json
    from terminal.collector.office import office_at
    from terminal.collector.watch import as_time

    with office_at(folder) as office:
        found = office.waiting()
    if json:
        print_json({"requests": [one._asdict() for one in found]})
        return
    if not found:
        print("nothing waits for a second person")
    for one in found:
        said = f": {one.comment}" if one.comment else ""
        print(f"{one.id:>5}  {as_time(one.at_ms)}  {one.what} {one.subject[:16]} by {one.by}{said}")


def confirm(
    request: RequestNumber, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, token_file: TokenFile = None
) -> None:
    """Confirm, as the second person, what another user asked for."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        answer = office.confirm(office.users.at_the_machine(token_in(token_file)), request)
    print(said_of(answer, f"request {request} confirmed and done"))


def reject(
    request: RequestNumber, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, token_file: TokenFile = None
) -> None:
    """Reject what another user asked for, or take your own request back."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        answer = office.reject(office.users.at_the_machine(token_in(token_file)), request)
    print(said_of(answer, f"request {request} rejected"))


def operations(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    terminal: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_TERMINAL, help="Only what is about this terminal.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    json: Json = False,
) -> None:
    """List what was done, when, and by which user."""
    from terminal.app.output import print_json
    from terminal.collector.office import office_at
    from terminal.collector.watch import as_time

    with office_at(folder) as office:
        found = office.store.operations(terminal, limit)
    if json:
        print_json({"operations": [one._asdict() for one in found]})
        return
    for one in found:
        place = f" terminal {one.terminal}" if one.terminal else ""
        print(f"{as_time(one.at_ms)}  {one.by:<16}  {one.code}{place} {one.about}".rstrip())


def _enrolling(office: Office, token_file: Path | None) -> EnrolmentOffice:
    """The records of terminals, for a user who may change them."""
    return EnrolmentOffice(
        office.enrolment, office.store.note, who_operates(office.users, token_file), office.published
    )
