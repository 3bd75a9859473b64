"""The facts of a tap besides the card and the policy, in small frozen parts.

`Trip` is what a rule may look at: `trip.place.stop`, `trip.clock.suspect`, `trip.inspection`. A part that is left out
says what a terminal assumes without it. `terminal.trip.build` makes the trip of a running terminal; who supplies each
field stands in `terminal.trip.producers`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from terminal.trip.pupil import NO_CANTEEN, CanteenContext


class PlaceQuality(StrEnum):
    """How far what is known of a place can be relied on."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    """Its source called it an estimate, or the vehicle has left its route."""
    CONTRADICTED = "contradicted"
    """What the vehicle says is not on the route it runs: stop, zone and mark are not stated."""


class PlaceSource(StrEnum):
    """Who stated where the vehicle is."""

    UNKNOWN = "unknown"
    HAND = "hand"
    """The driver or conductor entered it (T-61)."""
    VEHICLE = "vehicle"
    """The on-board computer."""


class Spot(Struct, frozen=True):
    """A point of the network in the three ways fares ask for it.

    `stop` is a stop's number and `zone` the number the region document gives a zone, 0 where unknown. `mark_m` is the
    distance on the route beyond the city boundary in metres, 0 inside the city, None where unknown.
    """

    stop: int = 0
    zone: int = 0
    mark_m: int | None = None


NOWHERE: Final = Spot()


class Place(Struct, frozen=True):
    """Where the tap is taken: stop, zone and mark as of a `Spot`, who stated them, how long ago, and how well.

    `coming`: the stop the vehicle comes to next, and `arriving` whether it is all but there: a rider who leaves now
    leaves there. `origin` and `terminus` are the ends of the vehicle's turn, `destination` where the rider said the
    ride goes.
    """

    stop: int = 0
    zone: int = 0
    mark_m: int | None = None
    source: PlaceSource = PlaceSource.UNKNOWN
    quality: PlaceQuality = PlaceQuality.EXACT
    age_s: int = 0
    coming: Spot = NOWHERE
    arriving: bool = False
    origin: Spot = NOWHERE
    terminus: Spot = NOWHERE
    destination: Spot = NOWHERE

    @property
    def by_hand(self) -> bool:
        """Whether a person entered the place (T-61)."""
        return self.source is PlaceSource.HAND


UNKNOWN_PLACE: Final = Place()


class ClockState(Struct, frozen=True):
    """What is known of the terminal's clock (O-05).

    `suspect`: it cannot be believed. `confirmed`: a service card has let the terminal sell in spite of that; the
    card's period does not follow such a clock all the same. `authenticated`: its time was signed by another party
    recently enough, and it is not suspect.
    """

    suspect: bool = False
    confirmed: bool = False
    authenticated: bool = False


class Freshness(Struct, frozen=True):
    """Ages in seconds, 0 where there is nothing whose age counts: of the deny list, the list of grants and the region
    document (O-03), and of the list of bank cards (T-43). `bundles_age_s`: of the newest set of signed bundles, once it
    is too old for something (O-14).
    """

    deny_list_age_s: int = 0
    grants_age_s: int = 0
    document_age_s: int = 0
    bank_list_age_s: int = 0
    bundles_age_s: int = 0

    @property
    def lists_age_s(self) -> int:
        """The older of deny list and list of grants: what of a holder may be out of date."""
        deny_list, grants = self.deny_list_age_s, self.grants_age_s
        return deny_list if deny_list > grants else grants

    def lists_older_than(self, age_s: int) -> bool:
        """Whether one of them is older than `age_s`."""
        return self.deny_list_age_s > age_s or self.grants_age_s > age_s


class Inspection(Struct, frozen=True):
    """An inspector asks whether the ride is paid; nothing is written (T-70).

    `misuse`: the inspector reports a concession card in the wrong hands (T-71). `heard`: the vehicle's own terminal is
    heard over the link; `said_at`: when, in Unix seconds, it took a ride of this card on this run, 0 for none.
    """

    misuse: bool = False
    heard: bool = False
    said_at: int = 0


class AskedBy(StrEnum):
    """Who said before the tap with whom, and where, the ride goes."""

    NOT_ASKED = "not_asked"
    CREW = "crew"
    """Driver or conductor, at the console."""
    RIDER = "rider"
    """The passenger, by touch on the display."""


class RideAsked(Struct, frozen=True):
    """What crew or rider said of the next tap before it: further persons who ride with it, and where the ride goes."""

    companions: int = 0
    destination: Spot = NOWHERE
    by: AskedBy = AskedBy.NOT_ASKED


class BankFacts(Struct, frozen=True):
    """What this terminal has already taken today from this bank card (T-43)."""

    taps_today: int = 0
    sum_today_minor: int = 0


TRUSTED_CLOCK: Final = ClockState()
FRESH: Final = Freshness()
NOTHING_ASKED: Final = RideAsked()
NOTHING_TAKEN: Final = BankFacts()


class Trip(Struct, frozen=True):
    """What a tap is part of.

    `sequence` is the journal number the event will carry (T-63). `shift` and `turn` are 0 while none is open; `route`
    and `direction` describe the vehicle's turn and are 0 in a canteen. `mode` is one of the region document's modes
    ("bus", "tram", "metro", ...). `companions` are further persons counted with this tap (T-20, T-34); `asked_by` says
    who counted them or named the destination. `on_break`: the crew has declared a break (T-68).
    `reader_ok`: staff have not taken the terminal out of service (T-64). `razzia`: the vehicle says that an inspection
    is under way.
    """

    profile: str
    terminal: int
    sequence: int
    shift: int = 0
    turn: int = 0
    route: int = 0
    direction: int = 0
    mode: str = "bus"
    companions: int = 0
    asked_by: AskedBy = AskedBy.NOT_ASKED
    on_break: bool = False
    reader_ok: bool = True
    place: Place = UNKNOWN_PLACE
    clock: ClockState = TRUSTED_CLOCK
    freshness: Freshness = FRESH
    inspection: Inspection | None = None
    razzia: bool = False
    bank: BankFacts = NOTHING_TAKEN
    canteen: CanteenContext = NO_CANTEEN

    @property
    def shift_open(self) -> bool:
        """Whether anything may be sold (T-60)."""
        return self.shift > 0
