"""`terminal receipt sell|send`: cash on the driver's terminal, and receipt requests for what was sold."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from terminal.cli.options import (
    Config,
    Json,
    Keys,
    Number,
    Region,
    State,
    station_config,
)
from terminal.codes import TicketKind
from terminal.policy.base import Mode

if TYPE_CHECKING:
    from terminal.policy.document.schema import Receipts, RegionDocument
    from terminal.policy.policy import Policy

app = typer.Typer(help="Tickets and receipt requests (T-50 to T-53).", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Option("--to", help="Folder for requests and tickets (file adapter)."),
]
Vehicle = Annotated[str, typer.Option(help="Vehicle name for receipts.")]
Printer = Annotated[bool, typer.Option("--printer", help="The terminal has a printer.")]
Display = Annotated[bool, typer.Option("--display", help="The terminal shows a QR at the moment of payment.")]

DEFAULT_FOLDER = Path("var/receipts")


@app.command()
def sell(
    persons: Annotated[int, typer.Option(min=1, max=99, help="Number of persons, or pieces.")] = 1,
    kind: Annotated[TicketKind, typer.Option(help="Kind of ticket (T-55).")] = TicketKind.FULL,
    mode: Annotated[Mode, typer.Option(help="Mode of transport.")] = Mode.BUS,
    zone: Annotated[int, typer.Option(min=0, help="Zone of boarding; 0: unknown.")] = 0,
    to_zone: Annotated[int, typer.Option(min=0, help="Zone of destination; 0: unknown.")] = 0,
    vehicle: Vehicle = "",
    to: Folder = DEFAULT_FOLDER,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Sell rides for cash in the open shift; the sale is recorded first, and a ticket is always issued (T-53)."""
    from terminal.app.output import print_json
    from terminal.app.station import open_journal
    from terminal.clock import SystemClock
    from terminal.money import money
    from terminal.policy.load import load_region, require_in_force
    from terminal.policy.policy import Policy
    from terminal.receipt.counter import sell_for_cash
    from terminal.receipt.folder import ReceiptFolder
    from terminal.receipt.hand_over import hand_over
    from terminal.receipt.request import Means
    from terminal.trail_words import ENGLISH
    from terminal.trip.build import trip_of
    from terminal.trip.facts import PlaceSource, Spot

    now = SystemClock().now()
    at = station_config(config, state=state, number=number, region=region, keys=keys)
    document = load_region(at.terminal.region_or_demo)
    require_in_force(document, now)
    receipts, adapter = _receipts(document), ReceiptFolder(to)
    with open_journal(at.terminal.state, at.terminal.number, at.keys.file) as journal:
        trip = trip_of(journal, "bus", at.terminal.number)
        if zone or to_zone:
            place = replace(trip.place, zone=zone, destination=Spot(zone=to_zone), source=PlaceSource.HAND)
            trip = replace(trip, place=place)
        trip = replace(trip, mode=mode.value)
        policy, called = Policy.of(document), vehicle or at.vehicle.name
        sold = sell_for_cash(journal, policy, trip, persons, now, called, kind)
    hand_over(adapter, sold, receipts, Means(printer=True))
    if json:
        print_json(
            {
                "ticket": sold.ticket_id,
                "kind": sold.kind.value,
                "persons": persons,
                "sum_minor": sold.sum_minor,
                "currency": sold.currency,
            }
        )
    else:
        what = "cash fare" if kind is TicketKind.FULL else f"{kind.value} ticket"
        print(f"ticket {sold.ticket_id}: {persons} × {what}, {money(sold.sum_minor, sold.currency, ENGLISH)}")


@app.command()
def send(
    to: Folder = DEFAULT_FOLDER,
    vehicle: Vehicle = "",
    printer: Printer = False,
    display: Display = False,
    config: Config = None,
    state: State = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Hand over receipt requests for sales that have none yet. Safe to repeat."""
    from terminal.app.output import print_json
    from terminal.app.station import journal_reader
    from terminal.clock import SystemClock
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy
    from terminal.receipt.folder import ReceiptFolder
    from terminal.receipt.hand_over import hand_over
    from terminal.receipt.request import Means
    from terminal.receipt.sales import sales

    at = station_config(config, state=state, region=region, keys=keys)
    document = load_region(at.terminal.region_or_demo)
    receipts, adapter = _receipts(document), ReceiptFolder(to)
    policy, today = Policy.of(document), SystemClock().now()
    means = Means(printer=printer, display=display)
    counts = {"sales": 0, "requests": 0, "new": 0, "late": 0}
    with journal_reader(at.terminal.state, at.keys.file) as reader:
        rows = ((row.sequence, row.record) for row in reader.all_rows())
        for sale in sales(reader.state().terminal, rows, vehicle or at.vehicle.name):
            counts["sales"] += 1
            accepted = hand_over(adapter, sale, receipts, means)
            counts["requests"] += accepted is not None
            if accepted is not None and accepted.new:
                counts["new"] += 1
                counts["late"] += _day(sale.at, policy) < _day(today, policy)
    if json:
        print_json(counts)
    else:
        print(f"{counts['sales']} sales, {counts['requests']} receipt requests, {counts['new']} of them new")
    if counts["late"]:
        print(f"{counts['late']} requests are later than the day of the ride (T-50)", file=sys.stderr)


def _day(at: datetime, policy: Policy) -> date:
    return at.astimezone(policy.zone).date()


def _receipts(document: RegionDocument) -> Receipts:
    from terminal.errors import RegionDocumentError

    if document.receipts is None:
        raise RegionDocumentError(f"region document {document.header.id} has no [receipts] table", "Add one.")
    return document.receipts
