"""How a journey fits on a card: a row of bits for the event's counters, as many as the tables make necessary.

The newest event already holds its own time, route and amount, the time since the first leg of the run
(`journey_age_s`) and the number of transfers; the rest are the bits laid out here, and only what some rule of these
tables can ask for. Times are seconds back from the event. Where a time lies further back than any limit of the
tables it is kept at the largest value, which is past every limit, too. The running total stays at the largest value
it can have: by then only its difference to what was paid matters, and that is exact. Money counts in the steps of the
feed's own amounts.

The first bits are a check on the numbering: when the tables change so that numbers mean something else, an old
journey is not read and a new one begins.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from cardproto.resident.limits import LONGEST_AGE_S, MOST_TRANSFERS
from terminal.policy.gtfs.index import Index
from terminal.policy.gtfs.places import MIXED
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.state import NOTHING, Journey, JourneyState, OpenRide
from terminal.policy.gtfs.tables import LimitType, TransferType

EDITION_BITS: Final = 6
ARRIVAL_LIMITS: Final = (LimitType.ARRIVAL_TO_DEPARTURE, LimitType.ARRIVAL_TO_ARRIVAL)
Values = Mapping[str, int]
_Kept = TypeVar("_Kept", Journey, OpenRide)


class JourneyOnCard(NamedTuple):
    """What an event record holds of a journey. `journey_age_s` None: no journey is settled."""

    bits: int
    journey_age_s: int | None
    transfers: int


EMPTY: Final = JourneyOnCard(0, None, 0)


class Written(NamedTuple):
    """The event a `JourneyOnCard` is read from: when, on which route of the feed, and what it took."""

    at: datetime
    route: str
    amount_minor: int


class CardLayout(Struct, frozen=True):
    """Fields of a `JourneyState` in the order in which they lie in the bits, with their widths. Made by `layout_of`."""

    edition: int
    widths: tuple[tuple[str, int], ...]
    journey_places: tuple[tuple[str, int, int], ...]
    ride_places: tuple[tuple[str, int, int], ...]
    """Of each field of the journey, and of the ride, the bits below it and its largest value."""
    journey_fields: tuple[tuple[int, int, Callable[[Journey, int, int], int]], ...]
    ride_fields: tuple[tuple[int, int, Callable[[OpenRide, int, int], int]], ...]
    bits: int
    """How many of the event's counter bits a journey takes."""
    networks: Mapping[str, int]
    unit_minor: int
    """In which steps money is kept: what every amount of the feed is a multiple of."""
    last_tap_departs: bool
    """The newest event is a departure: there are no tap-offs, and no ride stays open."""

    def write(self, state: JourneyState, at: datetime) -> JourneyOnCard:
        """What the event of the tap at `at` has to hold of `state`."""
        journey, ride = state.journey, state.ride
        if journey is None and ride is None:
            return EMPTY
        now, unit_minor = int(at.timestamp()), self.unit_minor
        bits = self.edition << self.bits - EDITION_BITS
        if ride is not None:
            for below, most, of_ride in self.ride_fields:
                value = of_ride(ride, now, unit_minor)
                if value > 0:
                    bits |= (value if value < most else most) << below
        if journey is None:
            return JourneyOnCard(bits, None, 0)
        for below, most, of_journey in self.journey_fields:
            value = of_journey(journey, now, unit_minor)
            if value > 0:
                bits |= (value if value < most else most) << below
        age_s, transfers = now - journey.run_departed, journey.transfers
        if not 0 <= age_s <= LONGEST_AGE_S:
            age_s = 0 if age_s < 0 else LONGEST_AGE_S
        return JourneyOnCard(bits, age_s, transfers if transfers < MOST_TRANSFERS else MOST_TRANSFERS)

    def read(self, card: JourneyOnCard, event: Written, now: datetime) -> JourneyState:
        """The state an event holds; `NOTHING` where it was written under other tables.

        An event a little ahead of `now`, as clocks differ, counts as happening now.
        """
        bits = card.bits
        if bits >> self.bits - EDITION_BITS != self.edition:
            return NOTHING
        at = int((event.at if event.at < now else now).timestamp())
        journey_age_s = card.journey_age_s
        journey = None if journey_age_s is None else self._journey(bits, journey_age_s, card.transfers, at)
        return JourneyState(journey, self._ride(bits, event, at))

    def _journey(self, bits: int, journey_age_s: int, transfers: int, at: int) -> Journey:
        values = {name: bits >> below & most for name, below, most in self.journey_places}
        run, run_departed = values.get("run", 0), at - journey_age_s
        total_minor = values.get("total", 0) * self.unit_minor
        paid_minor = total_minor + values.get("credit", 0) * self.unit_minor
        departed = at if run and self.last_tap_departs else run_departed
        departed = at - values["departed"] if "departed" in values else departed
        arrived = at - values["arrived"] if "arrived" in values else departed
        run_arrived = run_departed if run else arrived
        run_arrived = at - values["run_arrived"] if "run_arrived" in values else run_arrived
        return Journey(
            values.get("group", 0),
            values.get("product", 0),
            total_minor,
            paid_minor,
            departed,
            arrived,
            run_departed,
            run_arrived,
            transfers,
            run,
        )

    def _ride(self, bits: int, event: Written, at: int) -> OpenRide | None:
        values = {name: bits >> below & most for name, below, most in self.ride_places}
        if not values.get("ride"):
            return None
        last_network = self.networks.get(event.route)
        if last_network is None:
            return None
        network = MIXED if values.get("ride_mixed") else last_network
        origin, departed = values.get("ride_origin", 0), at - values.get("ride_departed", 0)
        end = values.get("ride_end", 0)
        arrived = at - values["ride_arrived"] if end else None
        return OpenRide(
            network, last_network, origin, departed, at, end, arrived, self._charged(values, event)
        )

    def _charged(self, values: Values, event: Written) -> int:
        kept = values.get("ride_charged")
        return event.amount_minor if kept is None else kept * self.unit_minor


JOURNEY_FIELDS: Final[Mapping[str, Callable[[Journey, int, int], int]]] = MappingProxyType(
    {
        "group": lambda journey, _, __: journey.group,
        "product": lambda journey, _, __: journey.product,
        "total": lambda journey, _, unit: journey.total_minor // unit,
        "credit": lambda journey, _, unit: (journey.paid_minor - journey.total_minor) // unit,
        "run": lambda journey, _, __: journey.run,
        "departed": lambda journey, now, _: now - journey.departed,
        "arrived": lambda journey, now, _: now - journey.arrived,
        "run_arrived": lambda journey, now, _: now - journey.run_arrived,
    }
)
"""What a field holds of a journey, by the time now and the step of money: of what does not fit, the nearest."""
RIDE_FIELDS: Final[Mapping[str, Callable[[OpenRide, int, int], int]]] = MappingProxyType(
    {
        "ride": lambda _, __, ___: 1,
        "ride_mixed": lambda ride, _, __: ride.network == MIXED,
        "ride_origin": lambda ride, _, __: ride.origin,
        "ride_departed": lambda ride, now, _: now - ride.departed,
        "ride_charged": lambda ride, _, unit: ride.charged_minor // unit,
        "ride_end": lambda ride, _, __: ride.end,
        "ride_arrived": lambda ride, now, _: 0 if ride.arrived is None else now - ride.arrived,
    }
)


def layout_of(index: Index, destination: Destination, longest_change_s: int) -> CardLayout:
    """The bits a journey under these tables needs on a card."""
    needs = _Needs.of(index)
    joins, taps_off = bool(index.join_rules), destination is Destination.DEAREST
    open_rides = taps_off or joins
    amounts = amounts_in_use(index)
    unit_minor = math.gcd(*amounts) or 1
    money = (2 * max(amounts, default=0) // unit_minor).bit_length()
    time = (longest_limit_s(index, longest_change_s) + 1).bit_length()
    widths = {
        "edition": EDITION_BITS,
        "group": (len(index.groups) - 1).bit_length(),
        "product": (len(index.products) - 1).bit_length() if needs.product else 0,
        "total": money if needs.total else 0,
        "credit": money if needs.credit or joins else 0,
        "run": needs.run.bit_length(),
    }
    if open_rides:
        widths |= {
            "departed": time if needs.departed or (needs.arrived and not taps_off) else 0,
            "arrived": time if needs.arrived and taps_off else 0,
            "run_arrived": time if needs.run_arrived and taps_off else 0,
            "ride": 1,
            "ride_mixed": int(joins),
            "ride_origin": (len(index.places.origins) - 1).bit_length(),
            "ride_departed": time if joins else 0,
            "ride_charged": money if joins else 0,
            "ride_end": (len(index.places.stops) - 1).bit_length() if joins and taps_off else 0,
            "ride_arrived": time if joins and taps_off else 0,
        }
    named = (index.groups, index.products, index.places.network_names, index.places.origins)
    numbering = (*named, widths, unit_minor)
    bits = sum(widths.values())
    places = tuple(_places(widths, bits))
    return CardLayout(
        edition=zlib.crc32(repr(numbering).encode()) % ((1 << EDITION_BITS) - 1) + 1,
        widths=tuple((name, width) for name, width in widths.items() if width),
        journey_places=tuple(place for place in places if place[0] in JOURNEY_FIELDS),
        ride_places=tuple(place for place in places if place[0] in RIDE_FIELDS),
        journey_fields=_fields(places, JOURNEY_FIELDS),
        ride_fields=_fields(places, RIDE_FIELDS),
        bits=bits,
        networks=index.places.networks,
        unit_minor=unit_minor,
        last_tap_departs=not open_rides,
    )


def amounts_in_use(index: Index) -> list[int]:
    """Every amount some ride or change can cost, without its sign."""
    rules = (rule for bucket in index.leg_rules.values() for rule in bucket)
    products = {rule.product for rule in rules} | {
        rule.product for rule in index.every_transfer_rule if rule.product is not None
    }
    return [abs(row.amount_minor) for product in products for _, row in index.rows_of(product)]


def _places(widths: Mapping[str, int], bits: int) -> Iterator[tuple[str, int, int]]:
    below = bits
    for name, width in widths.items():
        below -= width
        if width:
            yield name, below, (1 << width) - 1


def _fields(
    places: tuple[tuple[str, int, int], ...], holds: Mapping[str, Callable[[_Kept, int, int], int]]
) -> tuple[tuple[int, int, Callable[[_Kept, int, int], int]], ...]:
    """Those of `places` in which a journey or a ride stands, with what each holds of it."""
    return tuple((below, most, holds[name]) for name, below, most in places if name in holds)


def longest_limit_s(index: Index, longest_change_s: int) -> int:
    """The longest time any rule can look back."""
    limits = (rule.limit_s for rule in index.every_transfer_rule if rule.limit_s is not None)
    return max([longest_change_s, *limits])


class _Needs(Struct, frozen=True):
    """What the transfer rules can ask of a journey. `run` is the largest count that makes a difference."""

    run: int
    product: bool
    departed: bool
    arrived: bool
    run_arrived: bool
    total: bool
    credit: bool

    @classmethod
    def of(cls, index: Index) -> _Needs:
        rules = list(index.every_transfer_rule)
        repeating = [rule for rule in rules if rule.repeats]
        counts = [rule.most for rule in repeating if rule.most is not None]
        total = any(rule.kind is TransferType.TRANSFER_ONLY for rule in rules)
        return cls(
            run=max(counts, default=0) + any(rule.most is None for rule in repeating),
            product=any(rule.same_product or rule.only_after is not None for rule in rules),
            # while all rules are those of one run, its first leg is all they look back to
            departed=bool(repeating) and sum(map(len, index.transfer_rules.values())) > 1,
            arrived=any(rule.limit_s is None or rule.limit_type in ARRIVAL_LIMITS for rule in rules),
            run_arrived=any(rule.limit_type in ARRIVAL_LIMITS for rule in repeating),
            total=total,
            credit=total or any(row.amount_minor < 0 for row in index.every_price),
        )
