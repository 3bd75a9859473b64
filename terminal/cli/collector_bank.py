"""`terminal collector bank` and `statement`: the money behind bank cards, in the one process that has its keys."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from terminal.cli.fleet_options import DatabasePassword, dsn_of, needs_extra, without_password
from terminal.cli.office_acts import TokenFile, checked, said_of, token_in
from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    CollectorFolder,
    Json,
    ShownLang,
    with_groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terminal.collector.bank.proofs import OfficeKeys
    from terminal.collector.bank.settle import BankRun, DenyPort
    from terminal.collector.bank.sources import RideSource
    from terminal.collector.users import Who
    from terminal.keys.file import FileKeys

MOST_NAMED: Final = 20
"""Files that are no answers, in one line."""
MOST_NUMBER: Final = 10**18
"""Of a charge, and of a sum: what a database holds."""

app = typer.Typer(
    help="Bank cards: prove rides, charge them, deny who does not pay, give back. No scheme has certified it.",
    no_args_is_help=True,
)

Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="Key file of the role bank.",
        show_default="systemd's credential terminal-keys, else the laboratory's",
    ),
]
CardToken = Annotated[
    str,
    typer.Option("--token", metavar="HEX", help="The card's token, as rows have it (card_ref): 32 digits."),
]


class SettleOptions(NamedTuple):
    """What the back office works with."""

    keys: Keys = None
    before: Annotated[
        list[Path] | None,
        typer.Option("--keys-before", help="An earlier key file whose records still come; repeat for each."),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            help="CA keys of the schemes (JSON).",
            show_default="with the laboratory's keys, the laboratory's",
        ),
    ] = None
    documents: Annotated[
        Path | None,
        typer.Option(help="Region documents by SHA-256.", show_default="documents in the collector's folder"),
    ] = None
    every: Annotated[
        int | None,
        typer.Option(
            min=1, max=86_400, help="Go on, every so many seconds, until SIGTERM.", show_default="once"
        ),
    ] = None


class RuleOptions(NamedTuple):
    """The agreement with the acquirer, as `ChargeRules`."""

    close_h: Annotated[
        int, typer.Option(min=0, max=240, help="Hours after a service day's end until it is charged.")
    ] = 6
    sum_minor: Annotated[
        int | None,
        typer.Option(
            "--sum",
            min=1,
            help="Charge as soon as rides come to so much, in minor units.",
            show_default="once a day",
        ),
    ] = None
    longest_days: Annotated[
        int,
        typer.Option(min=1, max=90, help="With --sum: charge rides that are so old whatever they come to."),
    ] = 7
    first_minor: Annotated[
        int, typer.Option(min=0, help="Sum of a first authorisation; 0 verifies the account.")
    ] = 0
    authorise_days: Annotated[
        int, typer.Option(min=1, max=365, help="Days for which an authorisation holds.")
    ] = 14
    pause_h: Annotated[
        int,
        typer.Option(min=0, max=240, help="Hours until a denied card that is presented is asked for again."),
    ] = 1


class DenyOptions(NamedTuple):
    """Where cards that owe are denied."""

    deny: Annotated[
        Path | None, typer.Option("--deny", help="Folder of the deny register (`terminal deny`).")
    ] = None
    deny_out: Annotated[
        Path | None,
        typer.Option(
            help="Folder that terminals look in: each run puts the increment there.",
            show_default="`terminal deny issue` makes it",
        ),
    ] = None
    region: Annotated[int, typer.Option(min=0, max=0xFFFF, help="With --deny-out: the region's number.")] = 0


class FleetOptions(NamedTuple):
    """Where a fleet keeps its rides."""

    database: Annotated[
        str | None,
        typer.Option(
            envvar="FLEET_DATABASE",
            callback=without_password,
            help="A fleet's PostgreSQL, without password: its rides are settled; ledger and office are in --folder.",
            show_default="the rides of the collector in --folder",
        ),
    ] = None
    database_password_file: DatabasePassword = None


@app.command()
def key(
    out: Annotated[Path, typer.Option(help="File to write: it is copied to terminals.")] = Path(
        "bank-office.pub"
    ),
    keys: Keys = None,
) -> None:
    """Write the public key that taps of bank cards are sealed to. `terminal keys init --role bank` makes the pair."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from terminal.errors import KeyFileError
    from terminal.files import SHARED, replace_file

    public = _file_keys(keys).record_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    try:
        replace_file(out, f"{public.hex()}\n".encode(), SHARED)
    except OSError as error:
        raise KeyFileError(f"{out} cannot be written: {error.strerror}", "Give another --out.") from error
    print(f"wrote {out}")


@app.command()
@with_groups
def settle(
    asked: SettleOptions,
    rules: RuleOptions,
    denials: DenyOptions,
    fleet: FleetOptions,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
) -> None:
    """Prove, decide, charge and deny what has come since the last time.

    The order files for the acquirer hold numbers of cards: FOLDER/bank/acquirer/out.
    """
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    from terminal.app.output import print_json
    from terminal.clock import SystemClock, unix_ms
    from terminal.collector.bank import settle as work
    from terminal.collector.bank.charging import ChargeRules
    from terminal.recompute import DOCUMENTS_FOLDER

    clock, stop = SystemClock(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    file_keys = _file_keys(asked.keys)
    office_keys = _office_keys(asked, file_keys)
    documents = asked.documents or folder / DOCUMENTS_FOLDER

    def said(run: BankRun) -> None:
        if json:
            print_json({"run": run})
        else:
            print(_line(run), flush=True)

    with (
        _deny_port(denials, file_keys) as port,
        _fleet_rides(fleet) as rides,
        work.lone(folder, office_keys, documents, ChargeRules(*rules), port, rides) as office,
    ):
        work.settle(
            office,
            lambda: unix_ms(clock.now()),
            pause=lambda: asked.every is not None and not stop.wait(asked.every),
            said=said,
            failed=lambda error: print(error, file=sys.stderr, flush=True),
        )


@app.command()
def show(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False) -> None:
    """Show rides that are not proven, rides that wait, and what fits nothing. Unproven rides are never charged."""
    from terminal.app.output import print_json
    from terminal.collector.bank.ledger import open_ledger
    from terminal.collector.bank.rides import RideState
    from terminal.collector.watch import as_time

    with open_ledger(folder, reading=True) as ledger:
        rides = ledger.rides
        counts = {state.value: rides.count(state) for state in RideState}
        unproven = rides.in_state(RideState.UNPROVEN, 1_000) + rides.in_state(RideState.WAITING, 1_000)
        doubts = ledger.demands.doubts()
    if json:
        shown = [(one.terminal, one.sequence, one.at_ms, one.shown_minor, one.why) for one in unproven]
        print_json({"rides": counts, "unproven": shown, "doubts": doubts})
        return
    print(", ".join(f"{state} {count}" for state, count in counts.items()))
    for one in unproven:
        print(f"{as_time(one.at_ms)}  {one.terminal}:{one.sequence}  {one.why or one.state.value}")
    for at_ms, number, why in doubts:
        about = f"request {-number}" if number < 0 else f"order {number}"
        print(f"{as_time(at_ms)}  {about}  {why}")


@app.command()
def recover(
    card: CardToken,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask for what a card owes once more, because its holder wants it; the next run asks the acquirer. Role: money."""
    from terminal.clock import SystemClock, unix_ms
    from terminal.collector.bank.charging import debts
    from terminal.collector.bank.ledger import open_ledger
    from terminal.errors import CollectorError

    _require_money(folder, token_file)
    with open_ledger(folder) as ledger:
        known = ledger.cards.by_token(_token(card))
        if not known or not debts(ledger.demands.of_card(known)):
            raise CollectorError("this card owes nothing", "See `terminal collector statement --token`.")
        with ledger.changing():
            ledger.cards.note_asked(known, unix_ms(SystemClock().now()))
    print("the next run asks for it again")


@app.command()
def refund(
    charge: Annotated[int, typer.Argument(min=1, max=MOST_NUMBER, help="Charge number, from the statement.")],
    minor: Annotated[int, typer.Option(min=1, help="Sum to give back, in minor units.")],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that a charge is given back, or a part of it; a second person confirms. Role: money."""
    from terminal.collector.bank.charging import refund_subject, refundable
    from terminal.collector.bank.ledger import open_ledger
    from terminal.collector.office import office_at
    from terminal.errors import CollectorError

    reason = checked(comment)
    with open_ledger(folder, reading=True) as ledger:
        left_minor = refundable(ledger, charge)
    if left_minor is None or minor > left_minor:
        left = "it was not paid" if left_minor is None else f"{left_minor} can still be given back"
        raise CollectorError(f"charge {charge} cannot be given back so: {left}", "See the card's statement.")
    with office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        answer = office.refund(who, refund_subject(charge, minor), reason)
    print(said_of(answer, f"request {answer.number} confirmed; the next run asks the acquirer"))


@app.command()
def acquirer(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    decline: Annotated[
        list[str] | None, typer.Option(help="Decline cards whose number ends with these digits; repeat.")
    ] = None,
    most: Annotated[int | None, typer.Option(min=0, help="Decline sums above this, in minor units.")] = None,
    delay: Annotated[int, typer.Option(min=0, help="Pass each file over so many times.")] = 0,
    silent: Annotated[bool, typer.Option("--silent", help="Take orders and answer nothing.")] = False,
    twice: Annotated[bool, typer.Option("--twice", help="Give each answer twice.")] = False,
) -> None:
    """A stand-in for an acquirer, for laboratories: answer the orders that lie there. No bank is asked."""
    from terminal.collector.bank.stand_in import StandIn, StandInRules

    stand_in = StandIn(folder)
    answered = stand_in.work(StandInRules(tuple(decline or ()), most, delay, silent, twice))
    print(f"{answered} orders answered; taken in all: {stand_in.memory().taken_minor} minor units")


def statement(
    card: CardToken,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    language: ShownLang = "en",
    json: Json = False,
    token_file: TokenFile = None,
) -> None:
    """Show what was charged to a bank card: each charge by its rides, each ride by the rules behind it. Role: money."""
    from terminal.app.output import print_json
    from terminal.collector.bank.ledger import open_ledger
    from terminal.collector.bank.statement import statement_of

    _require_money(folder, token_file)
    with open_ledger(folder, reading=True) as ledger:
        found = statement_of(ledger, _token(card))
    if json:
        print_json(found.as_json())
        return
    for line in found.says(language):
        print(line)


def _line(run: BankRun) -> str:
    from terminal.devices import one_line

    parts = {
        "rides proven": run.proven,
        "decided": run.decided,
        "orders asked": run.asked,
        "written": run.sent,
        "refunds": run.refunds,
        "cards denied": run.denied,
        "released": run.released,
        "waiting": run.waiting,
        "undecided": run.undecided,
        "unproven": run.unproven,
    }
    named = [one_line(name) for name in run.unreadable[:MOST_NAMED]]
    more = len(run.unreadable) - len(named)
    unreadable = "".join(f"; {name} is no whole file of answers" for name in named)
    unreadable += f"; {more} more are none" if more else ""
    return ", ".join(f"{what} {count}" for what, count in parts.items()) + unreadable


def _file_keys(keys: Path | None) -> FileKeys:
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys, require_private
    from terminal.keys.kept import credential_file
    from terminal.keys.limits import UNLIMITED
    from terminal.keys.roles import KeyRole

    path = keys or credential_file()
    if path is not None:
        require_private(path)
    found = load_file_keys(path or laboratory_keys(), UNLIMITED)
    if found.header is not None:
        found.require_for(KeyRole.BANK, found.header.region)
    return found


def _office_keys(asked: SettleOptions, file_keys: FileKeys) -> OfficeKeys:
    from terminal.app.simulated import laboratory_bank_ca
    from terminal.collector.bank.proofs import OfficeKeys
    from terminal.errors import KeyFileError
    from terminal.keys.bank_ca import load_bank_ca
    from terminal.keys.file import LABORATORY

    if asked.ca is None and file_keys.environment != LABORATORY:
        raise KeyFileError(
            "no CA keys of the schemes are named", "Give --ca FILE, the file that terminals have, too."
        )
    ca = laboratory_bank_ca() if asked.ca is None else load_bank_ca(asked.ca)
    private = (file_keys.record_key(), *(_file_keys(path).record_key() for path in asked.before or ()))
    return OfficeKeys(private, file_keys.bank_card_key(), file_keys.bank_tokens, ca.trust)


@contextmanager
def _deny_port(denials: DenyOptions, file_keys: FileKeys) -> Iterator[DenyPort | None]:
    from terminal.clock import SystemClock
    from terminal.publish.deny.bank import BankDenials

    if denials.deny is None:
        if denials.deny_out is not None:
            raise typer.BadParameter("--deny-out needs --deny, the register that increments are made of")
        yield None
        return
    list_key = file_keys.list_key("deny") if denials.deny_out is not None else None
    clock = SystemClock()
    with closing(BankDenials(denials.deny, denials.region, list_key, denials.deny_out, clock.now)) as port:
        yield port


@contextmanager
def _fleet_rides(fleet: FleetOptions) -> Iterator[RideSource | None]:
    """The rides of the fleet that is named; None where none is."""
    if fleet.database is None:
        yield None
        return
    needs_extra()
    from terminal.collector.fleet.bank_rides import FleetRides

    with closing(FleetRides(dsn_of(fleet.database, fleet.database_password_file))) as rides:
        yield rides


def _require_money(folder: Path, token_file: Path | None) -> Who:
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.collector.users import OfficeRole, Users

    who = Users(folder).at_the_machine(token_in(token_file))
    if OfficeRole.MONEY not in who.roles:
        raise refusal(OfficeCode.NOT_FOR_ROLE)
    return who


def _token(written: str) -> bytes:
    try:
        return bytes.fromhex(written)
    except ValueError:
        raise typer.BadParameter("--token is hexadecimal digits, as a row's card_ref") from None
