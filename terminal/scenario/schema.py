"""The shape of a scenario file: what a tariff author may write, as frozen types. docs/tariff-author.md explains it.

A scenario is one rider's story. It states the card he holds, the terminal he meets and his taps in order; each
tap states what must come of it. Nothing is remembered between scenarios; inside one, each tap finds the card as
the tap before left it.

Times without an offset are local to the region. Money is in minor units (`*_minor`), as in region documents.

The JSON Schema made of them is for editors that complete and check while one types.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from cardproto.resident.limits import LARGEST_ROUTE, LARGEST_TERMINAL, MOST_TRANSFERS
from cardproto.resident.records.rights import CONCESSION_SLOTS, CONTRACT_SLOTS
from terminal.codes import Admission, TicketKind
from terminal.decision.outcome import Message
from terminal.errors import TerminalError
from terminal.policy.base import Minor, Mode, Name, Section, Weekday
from terminal.policy.document.schema import RegionDocument
from terminal.trip.facts import AskedBy, PlaceQuality, PlaceSource

SCENARIO_SCHEMA: Final = 1
NEVER_ENDS: Final = date(2099, 12, 31)
LONG_AGO: Final = date(2020, 1, 1)

Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\n]*$")]
Count = Annotated[int, Meta(ge=0)]
Byte = Annotated[int, Meta(ge=0, le=255)]
Terminal = Annotated[int, Meta(ge=1, le=LARGEST_TERMINAL)]
Zone = Annotated[int, Meta(ge=0)]
Metres = Annotated[int, Meta(ge=0)]

Kind = Literal[
    "issue", "reload", "ride", "check_in", "check_out", "meal", "correction", "rights_change", "order"
]
"""What an event on the card is about, as `EventKind` names it."""
DenyEntry = Literal["none", "card", "person"]
"""What of a card is on the deny list: nothing, this card, or its holder with all cards."""
Payment = Literal[
    "nothing",
    "purse",
    "contract_a",
    "contract_b",
    "concession_a",
    "concession_b",
    "concession_c",
    "transfer",
    "budget",
    "grace",
    "bank",
]
"""What covered an event, as `PaidBy` names it."""


class Grant(Section, frozen=True, kw_only=True):
    """A concession on the card, both days included. `grade` and `shift` are a pupil's way to write `parameter`."""

    code: Annotated[int, Meta(ge=1, le=255)]
    valid_from: date
    valid_to: date
    parameter: Byte = 0
    grade: Annotated[int, Meta(ge=0, le=11)] = 0
    shift: Annotated[int, Meta(ge=0, le=2)] = 0


class Bought(Section, frozen=True, kw_only=True):
    """A pass (`trips` 0) or trip pack on the card, both days included; `product` as in the region document."""

    product: Annotated[int, Meta(ge=1, le=0xFFFF)]
    valid_from: date
    valid_to: date
    trips: Byte = 0


class LastEvent(Section, frozen=True, kw_only=True):
    """The newest event on the card before the first tap: running counters, meals of its day, the open journey."""

    at: datetime
    event: Kind = "ride"
    terminal: Terminal = 1
    route: Annotated[int, Meta(ge=0, le=LARGEST_ROUTE)] = 0
    direction: Annotated[int, Meta(ge=0, le=1)] = 0
    amount_minor: Minor = 0
    paid_by: Payment = "nothing"
    journey_age_s: Count | None = None
    transfers: Annotated[int, Meta(ge=0, le=MOST_TRANSFERS)] = 0
    meals: tuple[Name, ...] = ()
    period_ahead: Annotated[int, Meta(ge=-32, le=31)] = 0
    """Days from the service day of `at` to the day whose periods the counters belong to (O-05)."""
    inside: Annotated[int, Meta(ge=0, le=7)] = 0
    """Persons checked in with the card (T-07)."""
    counters: dict[Name, Count] = field(default_factory=dict)


class Listed(Section, frozen=True, kw_only=True):
    """What the terminal's own list says of the holder (O-02): it counts when issued after the card."""

    issued_on: date
    concessions: Annotated[tuple[Grant, ...], Meta(max_length=CONCESSION_SLOTS)] = ()


class Card(Section, frozen=True, kw_only=True):
    """A resident card. Without `last` it comes fresh from the issuing point, with every counter at 0.

    It was issued on `issued_on`, else on its first day; the issue date decides between card and list (O-02).
    """

    balance_minor: Minor = 0
    valid_from: date = LONG_AGO
    valid_to: date = NEVER_ENDS
    issued_on: date | None = None
    region: int | None = None
    """Whose card it is; without it the region of the document."""
    blocked: bool = False
    inactive: bool = False
    deny_listed: DenyEntry = "none"
    """What the deny list has: this card, or its holder with every card."""
    concessions: Annotated[tuple[Grant, ...], Meta(max_length=CONCESSION_SLOTS)] = ()
    contracts: Annotated[tuple[Bought, ...], Meta(max_length=CONTRACT_SLOTS)] = ()
    last: LastEvent | None = None
    listed: Listed | None = None


class BankCard(Section, frozen=True, kw_only=True):
    """A bank card as one tap knows it (T-40). Beside `card` it is the bank application of that card (K-02)."""

    expires_on: date = NEVER_ENDS
    readable: bool = True
    authenticated: bool = True
    deny_listed: bool = False
    listed: Listed | None = None
    """The concessions that the terminal's own list has under its token."""


class Cash(Section, frozen=True, kw_only=True):
    """No card: each tap is a sale for cash to the rider and his `companions` (T-53), each with a `ticket` of this kind,
    or of so many pieces of luggage (T-55).
    """

    ticket: TicketKind = TicketKind.FULL


class RosterFacts(Section, frozen=True, kw_only=True):
    """What the canteen's roster knows of a pupil. Without it the terminal knows what the card says.

    Balances and limits are the parents' accounts (M-01, M-02). `grants` stand in the roster, not on the card;
    `issued_on` of each is its first day.
    """

    school: str = ""
    class_id: str = ""
    grade: Annotated[int, Meta(ge=0, le=11)] = 0
    shift: Annotated[int, Meta(ge=0, le=2)] = 0
    home_schooled: bool = False
    absent: bool = False
    grants: tuple[Grant, ...] = ()
    hot_minor: int | None = None
    buffet_minor: int | None = None
    day_limit_minor: Count | None = None
    buffet_limit_minor: Count | None = None
    forbidden: tuple[str, ...] = ()
    orders: tuple[Name, ...] = ()
    age: Literal["fresh", "stale", "expired"] = "fresh"


class Where(Section, frozen=True, kw_only=True):
    """The terminal and what it knows. In a scenario's `terminal` it holds for all taps; a tap may say otherwise."""

    profile: Literal["bus", "canteen"] | None = None
    """What the terminal is; bus unless said otherwise."""
    terminal: Terminal | None = None
    """Its number; 1 unless said otherwise. Taps at different doors need different numbers."""
    mode: Mode | None = None
    """What is ridden; a bus unless said otherwise."""
    route: Annotated[int, Meta(ge=0, le=LARGEST_ROUTE)] | None = None
    """The route's number; 1 unless said otherwise."""
    direction: Annotated[int, Meta(ge=0, le=1)] | None = None
    stop: Count | None = None
    """The stop boarded at, for fares from a GTFS feed."""
    to_stop: Count | None = None
    """The stop ridden to, where the rider said so."""
    coming_stop: Count | None = None
    """The stop the vehicle comes to next, for fares from a GTFS feed."""
    origin_stop: Count | None = None
    """The stop where the vehicle's turn begins, for fares from a GTFS feed."""
    terminus_stop: Count | None = None
    """The stop where the vehicle's turn ends."""
    zone: Zone | None = None
    """The number of the zone boarded in; 0: unknown."""
    to_zone: Zone | None = None
    """The number of the zone ridden to, where the rider said so."""
    coming_zone: Zone | None = None
    """The number of the zone of the stop the vehicle comes to next."""
    origin_zone: Zone | None = None
    """The number of the zone where the vehicle's turn begins."""
    terminus_zone: Zone | None = None
    """The number of the zone where the vehicle's turn ends."""
    mark_m: Metres | None = None
    """The place on the route: metres beyond the city boundary, 0 inside the city."""
    to_mark_m: Metres | None = None
    """The place ridden to, where the rider said so."""
    coming_mark_m: Metres | None = None
    """The place of the stop the vehicle comes to next."""
    origin_mark_m: Metres | None = None
    """The place where the vehicle's turn begins."""
    terminus_mark_m: Metres | None = None
    """The place where the vehicle's turn ends."""
    place_source: PlaceSource | None = None
    """Who stated the place (T-61): "vehicle" for the on-board computer; not known unless said otherwise."""
    place_quality: PlaceQuality | None = None
    """How far its place can be relied on: "estimated" where the source says so, "contradicted" where it is not on the
    route (T-61)."""
    place_age_s: Count | None = None
    """How long ago the vehicle stated it (T-61)."""
    arriving: bool | None = None
    """The vehicle has all but come to the next stop (T-07)."""
    razzia: bool | None = None
    """The vehicle says that an inspection is under way; no decision depends on it (T-70)."""
    position_manual: bool | None = None
    """The driver entered the place by hand (T-61)."""
    asked_by: AskedBy | None = None
    """Who stated companions and destination before the tap (T-34): "crew" at the console, unless said otherwise, or
    "rider" on the display."""
    companions: Count | None = None
    """Further persons counted with this tap (T-20, T-34)."""
    inspection: bool | None = None
    """An inspector asks (T-70)."""
    misuse: bool | None = None
    """The inspector reports a card in the wrong hands (T-71)."""
    shift_open: bool | None = None
    """Whether a shift is open (T-60); yes unless said otherwise."""
    reader_ok: bool | None = None
    """Whether staff have it in service (T-64)."""
    clock_suspect: bool | None = None
    """The clock jumped (O-05)."""
    clock_confirmed: bool | None = None
    """A service card has confirmed the clock since."""
    clock_authenticated: bool | None = None
    """The clock's time was signed by another party recently (O-05)."""
    deny_list_age_s: Count | None = None
    """How old the terminal's deny list is (O-03)."""
    grants_age_s: Count | None = None
    """How old the terminal's own list of grants is (O-03)."""
    document_age_s: Count | None = None
    """How long ago this document was issued (O-03); as its header says unless said otherwise."""
    bank_list_age_s: Count | None = None
    """How old the terminal's list of bank cards is (T-43)."""
    bundles_age_s: Count | None = None
    """How long ago the newest signed bundles were signed, once that is too long for something (O-14)."""
    school: str | None = None
    """Whose canteen it is."""
    serving: Name | None = None
    """The meal the cashier serves, "by_shift" for each pupil's own; without it the one of the hour."""
    day_closed: bool | None = None
    """The canteen has closed its day."""
    paid_stopped: bool | None = None
    """The journal takes no more records, so nothing is sold (O-06)."""
    only_read: bool | None = None
    """Staff ask whose card it is: a tap gives no meal (M-30)."""
    served_elsewhere: tuple[Name, ...] | None = None
    """Meals that other terminals of the school say they gave to this pupil today (O-08): the cashier is asked."""


class IssuingPointVisit(Section, frozen=True, kw_only=True):
    """What an issuing or reload point did to the card before a tap. What is not named stays as it was."""

    at: datetime
    reload_minor: Minor = 0
    concessions: Annotated[tuple[Grant, ...], Meta(max_length=CONCESSION_SLOTS)] | None = None
    contracts: Annotated[tuple[Bought, ...], Meta(max_length=CONTRACT_SLOTS)] | None = None
    counters: dict[Name, Count] = field(default_factory=dict)
    """Counters set there, such as a debt that was paid."""
    blocked: bool | None = None
    deny_listed: DenyEntry | None = None


class Repeat(Section, frozen=True, kw_only=True):
    """The tap again and again: at each of `clock` on each of `weekdays`, from the tap's own moment on, `times` in all.

    The tap's own moment is the first of them.
    """

    times: Annotated[int, Meta(ge=2, le=1000)]
    clock: Annotated[tuple[time, ...], Meta(min_length=1)]
    weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1)] = tuple(Weekday)


class Expect(Section, frozen=True, kw_only=True):
    """What must come of a tap. What is not stated is not looked at, except the charge: silence means 0.

    `reasons` are rule ids ("T-30") or effects ("t-30:free_transfer") that stand in the trail in this order, with
    others between them or not; `flags` and `counters` are those named, others may be there.
    """

    message: Message
    charge_minor: Minor = 0
    admission: Admission | None = None
    """Whether a gate would open: only for `let_in`."""
    balance_minor: Minor | None = None
    paid_by: Payment | None = None
    counters: dict[Name, Count] = field(default_factory=dict)
    values: dict[Name, int | str] = field(default_factory=dict)
    meals: tuple[Name, ...] | None = None
    transfers: Count | None = None
    written: bool | None = None
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    sources: dict[Name, Count] | None = None
    """Who pays the portion, and how much each (M-01)."""
    meal_minor: Count | None = None
    """What the portion costs, from all sources."""
    hot_minor: int | None = None
    """The parents' hot-meal account after it."""


class TapStep(Where, frozen=True, kw_only=True):
    """One tap: at a moment, or so many seconds after the tap before it. `note` is for the reader."""

    expect: Expect
    at: datetime | None = None
    after_s: Count | None = None
    repeat: Repeat | None = None
    expect_last: Expect | None = None
    issuing_point: IssuingPointVisit | None = None
    note: Line | None = None


class Total(Section, frozen=True, kw_only=True):
    """What all taps of a scenario come to: paid by the rider, and served from all sources."""

    charge_minor: Count | None = None
    meals_minor: Count | None = None


class Scenario(Section, frozen=True, kw_only=True):
    """One rider's story. He has a resident card, written here or one of the file's `cards` by name, a bank card, one
    card that is both, or pays in cash.
    """

    name: Line
    rider: Line
    taps: Annotated[tuple[TapStep, ...], Meta(min_length=1)]
    card: Card | Name | None = None
    bank_card: BankCard | None = None
    cash: Cash | None = None
    total: Total | None = None
    pupil: RosterFacts | None = None
    terminal: Where = Where()
    rules: tuple[str, ...] = ()
    """Which rules it was written for, by their ids; for the reader."""


class SaleCase(Section, frozen=True, kw_only=True):
    """T-16: whether a product for the month of `month` is sold on the service day `on`, and at which price."""

    product: Annotated[int, Meta(ge=1, le=0xFFFF)]
    month: date
    on: date
    sold: bool
    price_minor: Minor | None = None
    note: Line | None = None


class ScenarioFile(Section, frozen=True, kw_only=True):
    """A file of scenarios and sales. `region` is the id of the region document they were written for."""

    schema: int
    region: Name
    about: Line
    scenarios: Annotated[tuple[Scenario, ...], Meta(min_length=1)]
    cards: dict[Name, Card] = field(default_factory=dict)
    sales: tuple[SaleCase, ...] = ()


SCHEMAS: Final[Mapping[str, type]] = MappingProxyType({"region": RegionDocument, "scenarios": ScenarioFile})
"""Name to what it describes; docs/schema holds one file of each."""


def schema_text(described: type) -> str:
    """The JSON Schema (2020-12) of `described` as indented JSON with a final newline."""
    found = msgspec.json.schema(described)
    stated = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
    return msgspec.json.format(msgspec.json.encode(stated), indent=2).decode() + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write one file of each into `folder`; raises `TerminalError` when that cannot be done."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, described in SCHEMAS.items():
            path = folder / f"{name}.schema.json"
            path.write_text(schema_text(described), encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise TerminalError(f"{folder} cannot be written: {error}", "Give another folder.") from error
    return paths
