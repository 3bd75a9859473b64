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
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import fields as fields_of
from msgspec.structs import replace

from cardproto.resident.limits import LONGEST_AGE_S, MOST_TRANSFERS
from terminal.policy.gtfs.index import Index
from terminal.policy.gtfs.places import MIXED
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.state import NOTHING, Journey, JourneyState, OpenRide
from terminal.policy.gtfs.tables import LimitType, TransferType

EDITION_BITS: Final = 6
ARRIVAL_LIMITS: Final = (LimitType.ARRIVAL_TO_DEPARTURE, LimitType.ARRIVAL_TO_ARRIVAL)
LOOKING_BACK: Final = ("product", "total", "credit", "arrived", "run_arrived")


class JourneyOnCard(Struct, frozen=True, gc=False):
    """What an event record holds of a journey. `journey_age_s` None: no journey is settled."""

    bits: int
    journey_age_s: int | None
    transfers: int


EMPTY: Final = JourneyOnCard(0, None, 0)


class Written(Struct, frozen=True, gc=False):
    """The event a `JourneyOnCard` is read from: when, on which route of the feed, and what it took."""

    at: int
    route: str
    amount_minor: int


class KeptField(Struct, frozen=True):
    """Where a field lies: the bits below it and its largest value, 0 where these tables need none of it."""

    below: int = 0
    most: int = 0

    def of(self, bits: int) -> int:
        """Its value in `bits`."""
        return bits >> self.below & self.most

    def holding(self, value: int) -> int:
        """The bits that hold `value`, or of what does not fit the nearest."""
        return 0 if value < 0 else (value if value < self.most else self.most) << self.below


class JourneyFields(Struct, frozen=True):
    """What is kept of a journey. Of each: `group`, `run` and `departed`; of the others only what some rule asks for."""

    group: KeptField
    run: KeptField
    departed: KeptField
    product: KeptField
    total: KeptField
    credit: KeptField
    arrived: KeptField
    run_arrived: KeptField


class RideFields(Struct, frozen=True):
    """What is kept of the open ride: that there is one, and where it began; the rest of one that a leg may join."""

    ride: KeptField
    ride_origin: KeptField
    ride_mixed: KeptField
    ride_departed: KeptField
    ride_charged: KeptField
    ride_end: KeptField
    ride_arrived: KeptField


class CardLayout(Struct, frozen=True):
    """The fields of a `JourneyState` with their bits. Made by `layout_of`."""

    edition: int
    widths: tuple[tuple[str, int], ...]
    """Of each field that is kept, in the order in which they lie in the bits."""
    bits: int
    """How many of the event's counter bits a journey takes."""
    journey: JourneyFields
    ride: RideFields
    joins: bool
    """Whether a leg may join the open ride."""
    looks_back: bool
    """Whether more is kept of a journey than its group, its run and when its last leg departed."""
    networks: Mapping[str, int]
    unit_minor: int
    """In which steps money is kept: what every amount of the feed is a multiple of."""
    last_tap_departs: bool
    """The newest event is a departure: there are no tap-offs, and no ride stays open."""

    def write(self, state: JourneyState, now: int) -> JourneyOnCard:
        """What the event of the tap in the second `now` has to hold of `state`."""
        journey, ride = state.journey, state.ride
        if journey is None and ride is None:
            return EMPTY
        bits = self.edition << self.bits - EDITION_BITS
        if ride is not None:
            bits |= self._of_ride(ride, now)
        if journey is None:
            return JourneyOnCard(bits, None, 0)
        bits |= self._of_journey(journey, now)
        age_s, transfers = now - journey.run_departed, journey.transfers
        if not 0 <= age_s <= LONGEST_AGE_S:
            age_s = 0 if age_s < 0 else LONGEST_AGE_S
        return JourneyOnCard(bits, age_s, transfers if transfers < MOST_TRANSFERS else MOST_TRANSFERS)

    def _of_ride(self, ride: OpenRide, now: int) -> int:
        fields = self.ride
        bits = fields.ride.most << fields.ride.below | fields.ride_origin.holding(ride.origin)
        if not self.joins:
            return bits
        arrived_s = 0 if ride.arrived is None else now - ride.arrived
        return (
            bits
            | fields.ride_mixed.holding(ride.network == MIXED)
            | fields.ride_departed.holding(now - ride.departed)
            | fields.ride_charged.holding(ride.charged_minor // self.unit_minor)
            | fields.ride_end.holding(ride.end)
            | fields.ride_arrived.holding(arrived_s)
        )

    def _of_journey(self, journey: Journey, now: int) -> int:
        fields, unit_minor = self.journey, self.unit_minor
        bits = journey.group << fields.group.below | fields.departed.holding(now - journey.departed)
        if journey.run:
            bits |= fields.run.holding(journey.run)
        if not self.looks_back:
            return bits
        return (
            bits
            | fields.product.holding(journey.product)
            | fields.total.holding(journey.total_minor // unit_minor)
            | fields.credit.holding((journey.paid_minor - journey.total_minor) // unit_minor)
            | fields.arrived.holding(now - journey.arrived)
            | fields.run_arrived.holding(now - journey.run_arrived)
        )

    def read(self, card: JourneyOnCard, event: Written, now: int) -> JourneyState:
        """The state an event holds; `NOTHING` where it was written under other tables.

        An event a little ahead of `now`, as clocks differ, counts as happening now.
        """
        bits, at, age_s = card.bits, event.at if event.at < now else now, card.journey_age_s
        if bits >> self.bits - EDITION_BITS != self.edition:
            return NOTHING
        journey = None if age_s is None else self._journey(bits, at, at - age_s, card.transfers)
        return JourneyState(journey, self._ride(bits, event, at))

    def _journey(self, bits: int, at: int, run_departed: int, transfers: int) -> Journey:
        fields = self.journey
        run = fields.run.of(bits)
        departed = at if run and self.last_tap_departs else run_departed
        if fields.departed.most:
            departed = at - fields.departed.of(bits)
        journey = Journey(
            fields.group.of(bits),
            0,
            0,
            0,
            departed,
            departed,
            run_departed,
            run_departed if run else departed,
            transfers,
            run,
        )
        return self._looking_back(journey, bits, at) if self.looks_back else journey

    def _looking_back(self, journey: Journey, bits: int, at: int) -> Journey:
        """`journey` with what only some rules ask for."""
        fields, unit_minor = self.journey, self.unit_minor
        total_minor = fields.total.of(bits) * unit_minor
        arrived = at - fields.arrived.of(bits) if fields.arrived.most else journey.arrived
        run_arrived = journey.run_arrived if journey.run else arrived
        return replace(
            journey,
            product=fields.product.of(bits),
            total_minor=total_minor,
            paid_minor=total_minor + fields.credit.of(bits) * unit_minor,
            arrived=arrived,
            run_arrived=at - fields.run_arrived.of(bits) if fields.run_arrived.most else run_arrived,
        )

    def _ride(self, bits: int, event: Written, at: int) -> OpenRide | None:
        fields = self.ride
        if not bits >> fields.ride.below & fields.ride.most:
            return None
        network = self.networks.get(event.route)
        if network is None:
            return None
        origin = fields.ride_origin.of(bits)
        if not self.joins:
            return OpenRide(network, network, origin, at, at, charged_minor=event.amount_minor)
        end = fields.ride_end.of(bits)
        return OpenRide(
            MIXED if fields.ride_mixed.of(bits) else network,
            network,
            origin,
            at - fields.ride_departed.of(bits),
            at,
            end,
            at - fields.ride_arrived.of(bits) if end else None,
            fields.ride_charged.of(bits) * self.unit_minor
            if fields.ride_charged.most
            else event.amount_minor,
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
    places = defaultdict(KeptField, _places(widths, bits))
    return CardLayout(
        edition=zlib.crc32(repr(numbering).encode()) % ((1 << EDITION_BITS) - 1) + 1,
        widths=tuple((name, width) for name, width in widths.items() if width),
        bits=bits,
        journey=JourneyFields(**{field.name: places[field.name] for field in fields_of(JourneyFields)}),
        ride=RideFields(**{field.name: places[field.name] for field in fields_of(RideFields)}),
        joins=joins,
        looks_back=any(widths.get(name) for name in LOOKING_BACK),
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


def _places(widths: Mapping[str, int], bits: int) -> Iterator[tuple[str, KeptField]]:
    below = bits
    for name, width in widths.items():
        below -= width
        yield name, KeptField(below, (1 << width) - 1)


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
