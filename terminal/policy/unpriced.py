"""Rides inside a document's own network that it has no fare for, or that it refuses where a place is not known.

A sound document prices every ride whose ends are known, or it takes its fares from a feed, where that is the feed's to
say. What is left is what the document refuses itself: `policy check` lists it, so that its author hears of it before a
rider does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice, product
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from terminal.policy.document.fares import AnyFareRule, FareSource, FareStep, FlatFare, ZoneFares
from terminal.policy.document.journeys import UnknownBoarding
from terminal.policy.document.schema import RegionDocument, UnknownFare
from terminal.policy.fares.checks import tables
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.index import Prices
from terminal.policy.gtfs.places import Keys
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.services import Service, ServiceWindow
from terminal.policy.gtfs.settling import settle
from terminal.policy.gtfs.state import Journey, OpenRide

ANY: Final = "*"
"""Whatever route, mode, place or time it is, known or not."""
NOT_KNOWN: Final = "?"
"""No place is named, or the vehicle does not say where it is."""
MOST_LISTED: Final = 100
WEEK_DAYS: Final = 7
MOST_LOOKED_AT: Final = 100_000
"""Rides of a feed: it takes some seconds."""


class UnpricedRide(NamedTuple):
    """Rides refused with "fare unknown". `route` is a route, or a network of a feed; `begins` and `ends` name a zone of
    the document or areas of the feed; `when` is a timeframe, "!" before it: outside it, or a time at which it is so;
    before that of a feed ">" with a leg group: as a transfer from a ride of that group.
    """

    route: str
    mode: str
    begins: str
    ends: str
    when: str

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {
            "route": self.route,
            "mode": self.mode,
            "from": self.begins,
            "to": self.ends,
            "when": self.when,
        }


class UnpricedRides(NamedTuple):
    """The first of them; `more`: there are others, or the feed is too large for all its rides to be looked at."""

    rides: tuple[UnpricedRide, ...]
    more: bool


def unpriced(document: RegionDocument) -> UnpricedRides:
    """Every kind of ride in the document's own network that is refused for want of a fare."""
    found = list(islice(_unpriced(document), MOST_LISTED + 1))
    unseen = _LOOK_FURTHER in found
    rides = tuple(ride for ride in found if ride != _LOOK_FURTHER)[:MOST_LISTED]
    return UnpricedRides(rides, unseen or len(found) > MOST_LISTED)


_LOOK_FURTHER: Final = UnpricedRide("", "", "", "", "")
"""Stands for the rides that were not looked at."""


def _unpriced(document: RegionDocument) -> Iterator[UnpricedRide]:
    match document.fares.source:
        case FareSource.GTFS:
            yield from _of_feed(document)
        case FareSource.DOCUMENT:
            yield from _of_rules(document)
        case FareSource.NONE:
            return


# fares of the document: a place that is not known


def _of_rules(document: RegionDocument) -> Iterator[UnpricedRide]:
    for _, table in tables(document):
        since = f"{table.valid_from} " if isinstance(table, FareStep) else ""
        for rule in table.rules:
            if isinstance(rule, FlatFare):
                continue
            of_rule = product(
                rule.routes or (ANY,), rule.modes or (ANY,), _ends(document, _zones(rule, document))
            )
            for route, mode, (begins, ends) in of_rule:
                yield UnpricedRide(str(route), str(mode), begins, ends, since + _when(rule))


def _ends(document: RegionDocument, zones: str) -> list[tuple[str, str]]:
    """Between what places a ride under a rule about `zones` is refused."""
    if document.profiles.bus.unknown_fare is UnknownFare.REFUSE:
        ends = [(zones, NOT_KNOWN), (NOT_KNOWN, zones)]
        return ends if zones == ANY else [*ends, (NOT_KNOWN, NOT_KNOWN)]
    held = document.checkin is not None
    return [(NOT_KNOWN, ANY)] if held and document.vehicle.unknown_place is UnknownBoarding.REFUSE else []


def _zones(rule: AnyFareRule, document: RegionDocument) -> str:
    if not isinstance(rule, ZoneFares) or set(rule.zones) >= {zone.name for zone in document.zones}:
        return ANY
    return " ".join(rule.zones)


def _when(rule: AnyFareRule) -> str:
    excluded = () if rule.except_when is None else (f"!{rule.except_when}",)
    return " ".join((*(() if rule.when is None else (rule.when,)), *excluded)) or ANY


# fares of a feed: legs no rule is about, at some time of some day


def _of_feed(document: RegionDocument) -> Iterator[UnpricedRide]:
    section = document.gtfs
    assert section is not None, "a checked document has the section its fares come from"
    fares = FeedFares.of(section)
    if fares.fallback_minor is not None:
        return
    media = {fares.medium(name) for name in document.profiles.bus.media}
    prices = [fares.index.prices_of(fares.rider(), medium) for medium in media]
    header = document.header
    moments = _moments(fares, header.valid_from, header.valid_to)
    changes = list(_changes(fares))
    looked = 0
    for ride, names in _rides(fares):
        for moment, when in moments:
            looked += 1 + len(changes)
            if looked > MOST_LOOKED_AT:
                yield _LOOK_FURTHER
                return
            after = _refused(fares, prices, ride, moment, changes)
            if after is not None:
                yield names._replace(when=" ".join(filter(None, (after, when * (len(moments) > 1)))) or ANY)
                break


def _refused(
    fares: FeedFares, prices: Sequence[Prices], ride: _FeedRide, moment: int, changes: Sequence[_FeedChange]
) -> str | None:
    """Of a ride at this moment, after what it has no fare for some medium: "" alone, ">G" after a ride of group G;
    None: it always has one.
    """
    begun = OpenRide(ride.network, ride.network, ride.origin, moment, moment, ride.end)
    if any(settle(fares, of, None, begun) is None for of in prices):
        return ""
    for change in changes:
        before = Journey(change.group, change.product, 0, 0, moment, moment, moment, moment)
        if any(settle(fares, of, before, begun) is None for of in prices):
            return change.name
    return None


class _FeedChange(NamedTuple):
    group: int
    product: int
    name: str


def _changes(fares: FeedFares) -> Iterator[_FeedChange]:
    """After what rides a leg rule for transfers alone may take the place of those that are for every ride."""
    index = fares.index
    rules = [rule for bucket in index.leg_rules.values() for rule in bucket]
    if not any(rule.transfer_only for rule in rules):
        return
    legs = {(rule.group, rule.product) for rule in rules}
    for group, sold in sorted(legs):
        if index.transfers_from(group):
            yield _FeedChange(group, sold, f">{index.groups[group]}")


class _FeedRide(NamedTuple):
    network: int
    origin: int
    end: int


def _rides(fares: FeedFares) -> Iterator[tuple[_FeedRide, UnpricedRide]]:
    """A ride of each kind that rules may tell apart, first those whose rider does not say how far he goes."""
    places = fares.index.places
    networks = sorted(set(places.networks.values()))
    ends: dict[Keys, int] = {}
    for number, stop in enumerate(places.stops[1:], 1):
        ends.setdefault(stop.to_keys, number)
    named = ends if fares.destination is Destination.DEAREST else {}
    for end, network, origin in product((0, *named.values()), networks, range(len(places.origins))):
        begins = (
            _areas(fares, places.origins[origin].keys)
            if origin
            else NOT_KNOWN
            if fares.start_matters
            else ANY
        )
        to = _areas(fares, places.stops[end].to_keys) if end else NOT_KNOWN
        route = ANY if len(networks) == 1 else places.network_name(network)
        yield _FeedRide(network, origin, end), UnpricedRide(route, ANY, begins, to, ANY)


def _areas(fares: FeedFares, keys: Keys) -> str:
    names = fares.index.area_names
    return " ".join(names[key - 1] for key in keys if key) or ANY


def _moments(fares: FeedFares, valid_from: datetime, valid_to: datetime) -> Sequence[tuple[int, str]]:
    """A moment of each stretch of time that the feed's timeframes tell apart while the document holds, and its name."""
    windows = [window for frame in fares.index.timeframes for window in frame]
    found: dict[int, str] = {}
    for zone in {origin.zone for origin in fares.index.places.origins}:
        first, last = valid_from.astimezone(zone).date(), valid_to.astimezone(zone).date()
        seen: set[tuple[ServiceWindow, ...]] = set()
        for day in _days(windows, first, last):
            held = tuple(window for window in windows if window.service.runs_on(day))
            if held not in seen:
                seen.add(held)
                found |= dict(_moment(day, second, zone) for second in _borders(held))
    return sorted(found.items())


def _days(windows: Iterable[ServiceWindow], first: date, last: date) -> list[date]:
    """Of the days from `first` to `last` one at least of every kind: each date on which a service begins, has ended or
    has an exception, with the week after it. Until the next such date all weeks are alike.
    """
    edges = {first.toordinal()}
    for service in {window.service for window in windows}:
        edges |= _edges(service)
    days = {edge + offset for edge in edges for offset in range(WEEK_DAYS + 1)}
    return [date.fromordinal(day) for day in sorted(days) if first.toordinal() <= day <= last.toordinal()]


def _edges(service: Service) -> set[int]:
    dates = (service.first, *service.added, *service.removed)
    own = {*(day.toordinal() for day in dates), service.last.toordinal() + 1}
    return own if service.also is None else own | _edges(service.also)


def _borders(held: Sequence[ServiceWindow]) -> list[int]:
    return sorted({0, *(edge for window in held for edge in window[:2] if edge < _DAY_S)})


_DAY_S: Final = 24 * 3600


def _moment(day: date, second: int, zone: ZoneInfo) -> tuple[int, str]:
    local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=second)
    return int(local.timestamp()), f"{local:%Y-%m-%d %H:%M}"
