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
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import Struct

from cardproto.resident.limits import LONGEST_AGE_S, MOST_TRANSFERS
from terminal.policy.gtfs.index import Index
from terminal.policy.gtfs.places import MIXED
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.state import NOTHING, Journey, JourneyState, OpenRide, second_of
from terminal.policy.gtfs.tables import LimitType, TransferType

EDITION_BITS: Final = 6
ARRIVAL_LIMITS: Final = (LimitType.ARRIVAL_TO_DEPARTURE, LimitType.ARRIVAL_TO_ARRIVAL)
JOURNEY_FIELDS: Final = ("group", "product", "total", "credit", "run", "departed", "arrived", "run_arrived")
RIDE_FIELDS: Final = (
    "ride",
    "ride_mixed",
    "ride_origin",
    "ride_departed",
    "ride_charged",
    "ride_end",
    "ride_arrived",
)
"""What a card may keep of the journey and of the open ride, in the order in which they lie."""


class JourneyOnCard(Struct, frozen=True):
    """What an event record holds of a journey. `journey_age_s` None: no journey is settled."""

    bits: int
    journey_age_s: int | None
    transfers: int


EMPTY: Final = JourneyOnCard(0, None, 0)


class Written(Struct, frozen=True):
    """The event a `JourneyOnCard` is read from: when, on which route of the feed, and what it took."""

    at: datetime
    route: str
    amount_minor: int


class KeptField(NamedTuple):
    """Where a field lies: its place in `JOURNEY_FIELDS` or `RIDE_FIELDS`, the bits below it, its largest value."""

    number: int
    below: int
    most: int


class CardLayout(Struct, frozen=True):
    """Fields of a `JourneyState` in the order in which they lie in the bits, with their widths. Made by `layout_of`."""

    edition: int
    widths: tuple[tuple[str, int], ...]
    kept: frozenset[str]
    """The names of all fields."""
    journey_fields: tuple[KeptField, ...]
    ride_fields: tuple[KeptField, ...]
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
        now, unit_minor = second_of(at), self.unit_minor
        bits = self.edition << self.bits - EDITION_BITS
        if ride is not None:
            bits |= _packed(
                self.ride_fields,
                (
                    1,
                    ride.network == MIXED,
                    ride.origin,
                    now - ride.departed,
                    ride.charged_minor // unit_minor,
                    ride.end,
                    0 if ride.arrived is None else now - ride.arrived,
                ),
            )
        if journey is None:
            return JourneyOnCard(bits, None, 0)
        bits |= _packed(
            self.journey_fields,
            (
                journey.group,
                journey.product,
                journey.total_minor // unit_minor,
                (journey.paid_minor - journey.total_minor) // unit_minor,
                journey.run,
                now - journey.departed,
                now - journey.arrived,
                now - journey.run_arrived,
            ),
        )
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
        at = second_of(event.at if event.at < now else now)
        journey_age_s = card.journey_age_s
        journey = None if journey_age_s is None else self._journey(bits, journey_age_s, card.transfers, at)
        return JourneyState(journey, self._ride(bits, event, at))

    def _journey(self, bits: int, journey_age_s: int, transfers: int, at: int) -> Journey:
        kept, run_departed = self.kept, at - journey_age_s
        group, product, total, credit, run, since_departed, since_arrived, since_run_arrived = _unpacked(
            self.journey_fields, bits, JOURNEY_FIELDS
        )
        departed = at if run and self.last_tap_departs else run_departed
        departed = at - since_departed if "departed" in kept else departed
        arrived = at - since_arrived if "arrived" in kept else departed
        run_arrived = run_departed if run else arrived
        return Journey(
            group,
            product,
            total * self.unit_minor,
            (total + credit) * self.unit_minor,
            departed,
            arrived,
            run_departed,
            at - since_run_arrived if "run_arrived" in kept else run_arrived,
            transfers,
            run,
        )

    def _ride(self, bits: int, event: Written, at: int) -> OpenRide | None:
        is_open, mixed, origin, since_departed, charged, end, since_arrived = _unpacked(
            self.ride_fields, bits, RIDE_FIELDS
        )
        last_network = self.networks.get(event.route) if is_open else None
        if last_network is None:
            return None
        return OpenRide(
            MIXED if mixed else last_network,
            last_network,
            origin,
            at - since_departed,
            at,
            end,
            at - since_arrived if end else None,
            charged * self.unit_minor if "ride_charged" in self.kept else event.amount_minor,
        )


def _packed(fields: tuple[KeptField, ...], values: tuple[int, ...]) -> int:
    """`values`, by their numbers, in the bits of `fields`; of one that does not fit, the nearest."""
    bits = 0
    for number, below, most in fields:
        value = values[number]
        if value > 0:
            bits |= (value if value < most else most) << below
    return bits


def _unpacked(fields: tuple[KeptField, ...], bits: int, names: tuple[str, ...]) -> list[int]:
    """The value of each of `names`, 0 for one that no bits are kept for."""
    values = [0] * len(names)
    for number, below, most in fields:
        values[number] = bits >> below & most
    return values


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
    return CardLayout(
        edition=zlib.crc32(repr(numbering).encode()) % ((1 << EDITION_BITS) - 1) + 1,
        widths=tuple((name, width) for name, width in widths.items() if width),
        kept=frozenset(name for name, width in widths.items() if width),
        journey_fields=tuple(_fields(JOURNEY_FIELDS, widths, bits)),
        ride_fields=tuple(_fields(RIDE_FIELDS, widths, bits)),
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


def _fields(names: tuple[str, ...], widths: Mapping[str, int], bits: int) -> Iterator[KeptField]:
    """Those of `names` that a card has bits for."""
    below = bits
    for name, width in widths.items():
        below -= width
        if width and name in names:
            yield KeptField(names.index(name), below, (1 << width) - 1)


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
