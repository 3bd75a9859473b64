"""What a feed may say and what has no effect, or not the one it seems to have: reported with file and lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from terminal.money import amount_text
from terminal.policy.gtfs.conditions import At, Covering
from terminal.policy.gtfs.feed_findings import FeedWarning
from terminal.policy.gtfs.files import FeedProblem
from terminal.policy.gtfs.places import BLANK, Keys, Places, places_of
from terminal.policy.gtfs.services import services_of
from terminal.policy.gtfs.tables import FareLegRule, FareTransferRule, GtfsTables, LocationType, TransferType

Buyer = tuple[str | None, str | None]
"""A rider category and a medium of fare_products.txt; None: any."""


def feed_warnings(tables: GtfsTables, at: At, currency: str) -> Iterator[FeedProblem]:
    """Everything of `tables` that an author should look at; `currency` is the region document's."""
    yield from _foreign_currency(tables, at, currency)
    yield from _rules_without_rides(tables, at)
    yield from _networks_without_routes(tables, at)
    yield from _idle_timeframes(tables, at)
    default = any(row.is_default_fare_category for row in tables.rider_categories)
    if tables.rider_categories and not default:
        yield FeedProblem("rider_categories.txt", FeedWarning.NO_DEFAULT)
    yield from _media_without_fares(tables, at)
    yield from _negative_legs(tables, at)
    yield from _transfers(tables, at)


def _foreign_currency(tables: GtfsTables, at: At, currency: str) -> Iterator[FeedProblem]:
    for row, product in enumerate(tables.fare_products):
        if product.currency != currency:
            both = {"feed": product.currency, "document": currency}
            yield at("fare_products", row, "currency", FeedWarning.FOREIGN, **both)


def _negative_legs(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    legs = {rule.fare_product_id for rule in tables.fare_leg_rules}
    for row, product in enumerate(tables.fare_products):
        if product.amount_minor < 0 and product.fare_product_id in legs:
            yield at("fare_products", row, "amount", FeedWarning.NEGATIVE)


# rules that never hold


def _rules_without_rides(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Leg rules that no route, no start or no end follows."""
    places = places_of(tables)
    areas = {number: area.area_id for number, area in enumerate(tables.areas, 1)}
    names = dict(enumerate(places.network_names, 1))
    networks = _named(names, (places.network_keys[number] for number in set(places.networks.values())))
    starts = _named(
        areas, (places.origins[number].keys for number in {stop.origin for stop in places.stops[1:]})
    )
    ends = _named(areas, {stop.to_keys for stop in places.stops[1:]})
    columns = (("network_id", networks), ("from_area_id", starts), ("to_area_id", ends))
    for row, rule in enumerate(tables.fare_leg_rules):
        if rule.network_id in networks and rule.from_area_id in starts and rule.to_area_id in ends:
            continue
        column = next(column for column, known in columns if getattr(rule, column) not in known)
        code, values = _never(column, getattr(rule, column))
        yield at("fare_leg_rules", row, column, code, **values)
    yield from _never_chosen(tables, at)
    yield from _rides_without_rules(tables, places)


def _rides_without_rules(tables: GtfsTables, places: Places) -> Iterator[FeedProblem]:
    """Networks and stops where no leg rule is for a first ride, wherever it goes. At which stops the routes of a
    network call is in timetables, which are not read.
    """
    begin = _begin(tables, places)
    starts: defaultdict[int, list[str]] = defaultdict(list)
    for stop, place in zip(tables.stops, places.stops[1:], strict=True):
        if stop.location_type in BOARDED:
            starts[place.origin].append(stop.stop_id)
    served: set[int] = set()
    for network in sorted(set(places.networks.values())):
        keys = places.network_keys[network]
        found = {
            origin
            for origin in starts
            if any((key, start) in begin for key in keys for start in places.origins[origin].keys)
        }
        served |= found
        if starts and not found:
            named = {"network": places.network_name(network)} if network else {}
            code = FeedWarning.NETWORK_UNPRICED if network else FeedWarning.ROUTES_UNPRICED
            yield FeedProblem("fare_leg_rules.txt", code, named)
    lost = [stop for origin, stops in starts.items() if origin not in served for stop in stops]
    if lost and served:
        counted: dict[str, int | str] = {
            "lost": len(lost),
            "every": sum(map(len, starts.values())),
            "first": lost[0],
        }
        yield FeedProblem("fare_leg_rules.txt", FeedWarning.STOPS_UNPRICED, counted)


def _begin(tables: GtfsTables, places: Places) -> set[tuple[int, int]]:
    """Keys of the network and of the start of every leg rule that a first ride may follow."""
    networks = {name: number for number, name in enumerate(places.network_names, 1)}
    areas = {area.area_id: number for number, area in enumerate(tables.areas, 1)}
    return {
        (networks.get(rule.network_id or "", BLANK), areas.get(rule.from_area_id or "", BLANK))
        for rule in tables.fare_leg_rules
        if not rule.left_out and not rule.transfer_only
    }


BOARDED: Final = (LocationType.PLATFORM, LocationType.BOARDING_AREA)


def _named(names: Mapping[int, str], keys: Iterable[Keys]) -> set[str | None]:
    """What a cell may say to hold for any of `keys`; None: it may be blank."""
    return {None if key == BLANK else names[key] for each in keys for key in each}


def _never(column: str, name: str | None) -> tuple[FeedWarning, dict[str, str]]:
    if name is None:
        return FeedWarning.BLANK_NETWORK if column == "network_id" else FeedWarning.BLANK_AREA, {}
    return FeedWarning.EMPTY_NETWORK if column == "network_id" else FeedWarning.EMPTY_AREA, {"id": name}


def _never_chosen(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Leg rules that another of a higher priority takes every ride of."""
    if not tables.uses_rule_priority:
        return
    rules = tables.fare_leg_rules
    holding = Covering(rules, wide=True)
    for row, rule in enumerate(rules):
        over = next(
            (other for other in holding.wherever(rule) if _priority(rules[other]) > _priority(rule)), None
        )
        if over is not None:
            by = at("fare_leg_rules", over, "", FeedWarning.NEVER_CHOSEN).line or 0
            yield at("fare_leg_rules", row, "rule_priority", FeedWarning.NEVER_CHOSEN, by=by)


def _priority(rule: FareLegRule) -> int:
    return rule.rule_priority or 0


def _networks_without_routes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.network_id for row in tables.route_networks} | {row.network_id for row in tables.routes}
    for row, network in enumerate(tables.networks):
        if network.network_id not in served:
            yield at("networks", row, "network_id", FeedWarning.NO_ROUTE, id=network.network_id)


def _idle_timeframes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    services = services_of(tables.calendar, tables.calendar_dates)
    idle = {name for name in {frame.service_id for frame in tables.timeframes} if services[name].never_runs}
    for row, frame in enumerate(tables.timeframes):
        if frame.service_id in idle:
            yield at("timeframes", row, "service_id", FeedWarning.NEVER_RUNS, service=frame.service_id)


# media without a fare


def _media_without_fares(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Media that a rule leaves without a fare, although another rule that it takes the place of has one for them."""
    sold = _media_of(tables)
    every = frozenset(row.fare_media_id for row in tables.fare_media)
    used = {medium for media in sold.values() for medium in media if medium is not None}
    for row, medium in enumerate(tables.fare_media):
        if medium.fare_media_id not in used and not any(None in media for media in sold.values()):
            yield at("fare_media", row, "fare_media_id", FeedWarning.NOT_SOLD)
    if tables.uses_rule_priority:
        yield from _media_passed_over(tables, at, sold, every)


def _media_of(tables: GtfsTables) -> dict[str, frozenset[str | None]]:
    """With which media each product of a leg can be bought; None among them: with any."""
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    legs = {rule.fare_product_id for rule in tables.fare_leg_rules if not rule.left_out}
    for product in tables.fare_products:
        if product.fare_product_id in legs:
            found[product.fare_product_id].add(product.fare_media_id)
    return {product: frozenset(media) for product, media in found.items()}


def _media_passed_over(
    tables: GtfsTables, at: At, sold: Mapping[str, frozenset[str | None]], every: frozenset[str]
) -> Iterator[FeedProblem]:
    rules = tables.fare_leg_rules
    holding = Covering(rules, wide=True)
    for row, rule in enumerate(rules):
        own = sold.get(rule.fare_product_id, frozenset()) if not rule.left_out else frozenset[str | None]()
        if rule.left_out or None in own or every <= own:
            continue
        others = [(other, rules[other]) for other in holding.wherever(rule)]
        missing = every - own
        for _, beside in others:
            if _priority(beside) >= _priority(rule):
                offers = sold.get(beside.fare_product_id, frozenset())
                missing = frozenset() if None in offers else missing - offers
        for under, lower in others:
            offers = sold.get(lower.fare_product_id, frozenset())
            lost = sorted(medium for medium in missing if None in offers or medium in offers)
            if lost and _priority(lower) < _priority(rule):
                values: dict[str, int | str] = {
                    "under": at("fare_leg_rules", under, "", FeedWarning.MEDIA_LOST).line or 0,
                    "media": ", ".join(map(repr, lost)),
                    "product": rule.fare_product_id,
                }
                yield at("fare_leg_rules", row, "rule_priority", FeedWarning.MEDIA_LOST, **values)
                break


# transfers


def _transfers(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    for row, rule in enumerate(tables.fare_transfer_rules):
        if rule.duration_limit is None:
            yield at("fare_transfer_rules", row, "duration_limit", FeedWarning.NO_LIMIT)
    yield from _never_transferred(tables, at)
    yield from _dear_transfers(tables, at)


def _never_transferred(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Rules with a blank group where every group is listed."""
    groups = {rule.leg_group_id for rule in tables.fare_leg_rules if rule.leg_group_id is not None}
    rules = tables.fare_transfer_rules
    columns = ("from_leg_group_id", "to_leg_group_id")
    full = [column for column in columns if groups <= {getattr(rule, column) for rule in rules}]
    for row, rule in enumerate(rules if full else ()):
        blank = next((column for column in full if getattr(rule, column) is None), None)
        if blank is not None:
            yield at("fare_transfer_rules", row, blank, FeedWarning.BLANK_GROUP)


def _dear_transfers(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Changes that cost more than the two legs do as rides of their own, for some category and medium."""
    prices: dict[str, dict[Buyer, int]] = {}
    for product in tables.fare_products:
        buyer = (product.rider_category_id, product.fare_media_id)
        prices.setdefault(product.fare_product_id, {})[buyer] = product.amount_minor
    dearest = _dearest_legs(tables, prices)
    for row, rule in enumerate(tables.fare_transfer_rules):
        if rule.left_out or rule.fare_product_id is None:
            continue
        for buyer, more in prices.get(rule.fare_product_id, {}).items():
            apart = _apart(rule, buyer, dearest)
            if apart is not None and more > apart:
                values = {
                    "more": amount_text(more, tables.currency),
                    "most": amount_text(apart, tables.currency),
                    "buyer": _who(buyer),
                }
                yield at(
                    "fare_transfer_rules", row, "fare_product_id", _DEAR[rule.fare_transfer_type], **values
                )
                break


def _dearest_legs(
    tables: GtfsTables, prices: Mapping[str, Mapping[Buyer, int]]
) -> dict[str | None, dict[Buyer, int]]:
    """The dearest price of each leg group for each buyer; under None that of any group."""
    found: dict[str | None, dict[Buyer, int]] = {None: {}}
    for group, product in {(rule.leg_group_id, rule.fare_product_id) for rule in tables.fare_leg_rules}:
        for buyer, amount_minor in prices.get(product, {}).items():
            for key in {group, None}:
                legs = found.setdefault(key, {})
                legs[buyer] = max(legs.get(buyer, amount_minor), amount_minor)
    return found


def _apart(
    rule: FareTransferRule, buyer: Buyer, dearest: Mapping[str | None, Mapping[Buyer, int]]
) -> int | None:
    """What the change may cost beside what it replaces, at most; None: unknown for this buyer."""
    after = _of_buyer(dearest.get(rule.to_leg_group_id, {}), buyer)
    before = _of_buyer(dearest.get(rule.from_leg_group_id, {}), buyer)
    if rule.fare_transfer_type is TransferType.FROM_TRANSFER_AND_TO:
        return 0
    if rule.fare_transfer_type is TransferType.FROM_AND_TRANSFER:
        return after
    return None if after is None or before is None else before + after


def _of_buyer(legs: Mapping[Buyer, int], buyer: Buyer) -> int | None:
    """The dearest leg this buyer may have: those of his category and medium, and those for any."""
    category, medium = buyer
    amounts = [
        amount
        for (who, how), amount in legs.items()
        if (category is None or who in (None, category)) and (medium is None or how in (None, medium))
    ]
    return max(amounts, default=None)


_DEAR: Final = {
    TransferType.FROM_TRANSFER_AND_TO: FeedWarning.DEAR_BESIDE,
    TransferType.FROM_AND_TRANSFER: FeedWarning.DEAR_LEG,
    TransferType.TRANSFER_ONLY: FeedWarning.DEAR_LEGS,
}
"""What the legs are paid by beside a transfer, or instead."""


def _who(buyer: Buyer) -> str:
    """By the cells of the price: no language has to know them."""
    category, medium = buyer
    return f"rider_category_id {category or '*'}, fare_media_id {medium or '*'}"
