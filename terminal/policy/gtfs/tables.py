"""The tables of GTFS-Fares v2 as types: names and meaning of the specification, only what a fare needs.

Money is in minor units of the currency (`amount_minor`), times of day in seconds after local midnight. A blank cell
is None. What types cannot say is in `terminal.policy.gtfs.checks`.
"""

from __future__ import annotations

import datetime as dt
from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

TABLES_FORMAT: Final = 2
FORMAT_UNSTATED: Final = 1
"""A file states the format that it has; a default would be left out of it."""
DAY_S: Final = 24 * 3600
UNLIMITED: Final = -1

Id = Annotated[str, Meta(min_length=1)]
SecondOfDay = Annotated[int, Meta(ge=0, le=DAY_S)]


class FeedRow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Base of every row: immutable, compact when written, an unknown key is an error."""


class LocationType(IntEnum):
    """What a row of stops.txt is."""

    PLATFORM = 0
    STATION = 1
    ENTRANCE = 2
    NODE = 3
    BOARDING_AREA = 4


class MediaType(IntEnum):
    """What holds a fare product."""

    NONE = 0
    PAPER = 1
    TRANSIT_CARD = 2
    BANK_CARD = 3
    APP = 4


class Exceptional(IntEnum):
    """What calendar_dates.txt does with a date."""

    ADDED = 1
    REMOVED = 2


class LimitType(IntEnum):
    """From which moment of the first leg to which moment of the last a duration limit runs."""

    DEPARTURE_TO_ARRIVAL = 0
    DEPARTURE_TO_DEPARTURE = 1
    ARRIVAL_TO_DEPARTURE = 2
    ARRIVAL_TO_ARRIVAL = 3


class TransferType(IntEnum):
    """What a transfer from A to B costs in all: A + AB, A + AB + B, or AB alone."""

    FROM_AND_TRANSFER = 0
    FROM_TRANSFER_AND_TO = 1
    TRANSFER_ONLY = 2


class Stop(FeedRow, frozen=True):
    """A stop, a station, or a location inside one; its time zone is its station's."""

    stop_id: Id
    location_type: LocationType = LocationType.PLATFORM
    parent_station: Id | None = None
    stop_timezone: str | None = None


class Route(FeedRow, frozen=True):
    """A route; `network_id` only where networks have no files of their own."""

    route_id: Id
    network_id: Id | None = None


class Network(FeedRow, frozen=True):
    """A group of routes that fares depend on."""

    network_id: Id
    network_name: str | None = None


class RouteNetwork(FeedRow, frozen=True):
    """The network of a route."""

    network_id: Id
    route_id: Id


class FeedArea(FeedRow, frozen=True):
    """A group of stops that fares depend on."""

    area_id: Id
    area_name: str | None = None


class StopArea(FeedRow, frozen=True):
    """A stop in an area; a station brings its platforms along unless they have areas of their own."""

    area_id: Id
    stop_id: Id


class FeedCalendar(FeedRow, frozen=True):
    """Days of the week on which a service runs, from `start_date` to `end_date`, both included."""

    service_id: Id
    monday: bool
    tuesday: bool
    wednesday: bool
    thursday: bool
    friday: bool
    saturday: bool
    sunday: bool
    start_date: dt.date
    end_date: dt.date


class CalendarDate(FeedRow, frozen=True):
    """A day added to a service or removed from it, whatever the week says."""

    service_id: Id
    date: dt.date
    exception_type: Exceptional


class FeedTimeframe(FeedRow, frozen=True):
    """[start_s, end_s) on the days of a service, on the local calendar day of the tap."""

    timeframe_group_id: Id
    service_id: Id
    start_s: SecondOfDay = 0
    end_s: SecondOfDay = DAY_S


class RiderCategory(FeedRow, frozen=True):
    """Who pays. `is_default_fare_category` is for display: who a rider is comes from the card."""

    rider_category_id: Id
    rider_category_name: str | None = None
    is_default_fare_category: bool = False


class FareMedia(FeedRow, frozen=True):
    """What holds a ticket or pays."""

    fare_media_id: Id
    fare_media_type: MediaType
    fare_media_name: str | None = None


class FareProduct(FeedRow, frozen=True):
    """One price; the key is (product, category, medium). A blank category is anybody, a blank medium any."""

    fare_product_id: Id
    amount_minor: int
    currency: str
    fare_product_name: str | None = None
    rider_category_id: Id | None = None
    fare_media_id: Id | None = None


class FareLegRule(FeedRow, frozen=True):
    """Which product a leg costs. What a blank cell means, `uses_rule_priority` of the tables says.

    `service_id`: it holds on days of this service. `transfer_only`: it holds for a leg that some transfer rule leads
    to, never for the first of a journey. `left_out`: a condition of the row is not known, so it has no price; it stays
    in the table because blank cells of other rules mean what is listed nowhere, and because no rule of a lower
    priority may take its place.
    """

    fare_product_id: Id
    leg_group_id: Id | None = None
    network_id: Id | None = None
    from_area_id: Id | None = None
    to_area_id: Id | None = None
    from_timeframe_group_id: Id | None = None
    to_timeframe_group_id: Id | None = None
    rule_priority: Annotated[int, Meta(ge=0)] | None = None
    service_id: Id | None = None
    transfer_only: bool = False
    left_out: bool = False


class FareLegJoinRule(FeedRow, frozen=True):
    """Two legs in a row that count as one. Blank networks: any; blank stops: a change within one station."""

    from_network_id: Id | None = None
    to_network_id: Id | None = None
    from_stop_id: Id | None = None
    to_stop_id: Id | None = None


class FareTransferRule(FeedRow, frozen=True):
    """`duration_limit` in seconds; `transfer_count` -1 is unlimited; a blank product costs nothing.

    `filter_fare_product_id`: only after a leg that was ridden with this product. `same_product`: only where both legs
    have the same one. `left_out`: as of a leg rule; it never applies.
    """

    fare_transfer_type: TransferType
    from_leg_group_id: Id | None = None
    to_leg_group_id: Id | None = None
    transfer_count: int | None = None
    duration_limit: Annotated[int, Meta(ge=1)] | None = None
    duration_limit_type: LimitType | None = None
    fare_product_id: Id | None = None
    filter_fare_product_id: Id | None = None
    same_product: bool = False
    left_out: bool = False


class GtfsTables(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One feed's fares. `uses_rule_priority`: fare_leg_rules.txt has the column, which decides what blank means.

    `calendar` and `calendar_dates` hold the services that timeframes and leg rules name; those of trips are left out.
    """

    time_zone: str
    uses_rule_priority: bool
    fare_products: tuple[FareProduct, ...]
    fare_leg_rules: tuple[FareLegRule, ...]
    format: int = FORMAT_UNSTATED
    feed_version: str | None = None
    stops: tuple[Stop, ...] = ()
    routes: tuple[Route, ...] = ()
    networks: tuple[Network, ...] = ()
    route_networks: tuple[RouteNetwork, ...] = ()
    areas: tuple[FeedArea, ...] = ()
    stop_areas: tuple[StopArea, ...] = ()
    calendar: tuple[FeedCalendar, ...] = ()
    calendar_dates: tuple[CalendarDate, ...] = ()
    timeframes: tuple[FeedTimeframe, ...] = ()
    rider_categories: tuple[RiderCategory, ...] = ()
    fare_media: tuple[FareMedia, ...] = ()
    fare_leg_join_rules: tuple[FareLegJoinRule, ...] = ()
    fare_transfer_rules: tuple[FareTransferRule, ...] = ()

    @property
    def currency(self) -> str:
        """The one currency of every product."""
        return self.fare_products[0].currency if self.fare_products else ""

    @property
    def network_ids(self) -> frozenset[str]:
        """Every network there is: those of networks.txt, or those routes.txt names."""
        declared = frozenset(network.network_id for network in self.networks)
        return declared or frozenset(
            route.network_id for route in self.routes if route.network_id is not None
        )
