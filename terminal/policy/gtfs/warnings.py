"""What a feed may say and what has no effect, or not the one it seems to have: reported with file and lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from terminal.money import amount_text
from terminal.policy.gtfs.conditions import At, Covering
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
        yield FeedProblem(
            "rider_categories.txt",
            "no category is the default one",
            "Only displays need it: fares do not change.",
        )
    yield from _media_without_fares(tables, at)
    yield from _negative_legs(tables, at)
    yield from _transfers(tables, at)


def _foreign_currency(tables: GtfsTables, at: At, currency: str) -> Iterator[FeedProblem]:
    for row, product in enumerate(tables.fare_products):
        if product.currency != currency:
            what = f"{product.currency}: a region document in {currency} refuses this feed"
            yield at("fare_products", row, "currency", what, f'State header.currency = "{product.currency}".')


def _negative_legs(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    legs = {rule.fare_product_id for rule in tables.fare_leg_rules}
    for row, product in enumerate(tables.fare_products):
        if product.amount_minor < 0 and product.fare_product_id in legs:
            what = "a leg costs less than nothing: nothing is charged for it"
            yield at("fare_products", row, "amount", what, "Negative amounts are for transfers.")


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
        what, advice = _never(column, getattr(rule, column))
        yield at("fare_leg_rules", row, column, f"{what}: the rule can never apply", advice)
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
    advice = "Add leg rules, or let gtfs.unknown_fare say what such a ride costs."
    for network in sorted(set(places.networks.values())):
        keys = places.network_keys[network]
        found = {
            origin
            for origin in starts
            if any((key, start) in begin for key in keys for start in places.origins[origin].keys)
        }
        served |= found
        if starts and not found:
            where = f"in network {places.network_name(network)!r}" if network else "on routes in no network"
            yield FeedProblem("fare_leg_rules.txt", f"no ride {where} has a fare", advice)
    lost = [stop for origin, stops in starts.items() if origin not in served for stop in stops]
    if lost and served:
        every = sum(map(len, starts.values()))
        what = f"no ride from {len(lost)} of {every} stops has a fare: {lost[0]!r} is the first"
        yield FeedProblem("fare_leg_rules.txt", what, advice)


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


def _never(column: str, name: str | None) -> tuple[str, str]:
    if name is None:
        one = "route is in a network" if column == "network_id" else "stop is in an area"
        return f"is blank, and every {one} that the column lists", "Remove the rule, or name what it is for."
    if column == "network_id":
        return f"no route is in network {name!r}", "Add its routes to route_networks.txt or routes.txt."
    return f"no stop is in area {name!r}", "Add its stops to stop_areas.txt."


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
            place = at("fare_leg_rules", over, "", "", "").line
            what = f"line {place} holds wherever this rule does and has the higher priority: it never applies"
            yield at("fare_leg_rules", row, "rule_priority", what, "Remove it, or raise its priority.")


def _priority(rule: FareLegRule) -> int:
    return rule.rule_priority or 0


def _networks_without_routes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.network_id for row in tables.route_networks} | {row.network_id for row in tables.routes}
    for row, network in enumerate(tables.networks):
        if network.network_id not in served:
            what = f"no route is in network {network.network_id!r}"
            yield at("networks", row, "network_id", what, "Add its routes to route_networks.txt.")


def _idle_timeframes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    services = services_of(tables.calendar, tables.calendar_dates)
    idle = {name for name in {frame.service_id for frame in tables.timeframes} if services[name].never_runs}
    for row, frame in enumerate(tables.timeframes):
        if frame.service_id in idle:
            yield at(
                "timeframes",
                row,
                "service_id",
                f"service {frame.service_id!r} runs on no day: the timeframe never holds",
                "Give the service days in calendar.txt or calendar_dates.txt.",
            )


# media without a fare


def _media_without_fares(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """Media that a rule leaves without a fare, although another rule that it takes the place of has one for them."""
    sold = _media_of(tables)
    every = frozenset(row.fare_media_id for row in tables.fare_media)
    used = {medium for media in sold.values() for medium in media if medium is not None}
    for row, medium in enumerate(tables.fare_media):
        if medium.fare_media_id not in used and not any(None in media for media in sold.values()):
            what = "no leg can be paid with this medium"
            yield at("fare_media", row, "fare_media_id", what, "Give it prices in fare_products.txt.")
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
                line = at("fare_leg_rules", under, "", "", "").line
                what = (
                    f"takes the place of line {line} and leaves {', '.join(map(repr, lost))} without a fare"
                )
                advice = f"Add prices of {rule.fare_product_id!r} for them, or lower the priority."
                yield at("fare_leg_rules", row, "rule_priority", what, advice)
                break


# transfers


def _transfers(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    for row, rule in enumerate(tables.fare_transfer_rules):
        if rule.duration_limit is None:
            yield at(
                "fare_transfer_rules",
                row,
                "duration_limit",
                "is blank: only the document's longest_change_s ends such a journey",
                "State gtfs.longest_change_s.",
            )
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
            what = "is blank, and the column lists every group: the rule can never apply"
            yield at("fare_transfer_rules", row, blank, what, "Remove the rule, or name its group.")


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
                what = (
                    f"the change costs {amount_text(more, tables.currency)}, {_instead(rule)} at most "
                    f"{amount_text(apart, tables.currency)}{_who(buyer)}"
                )
                advice = "Lower it, or remove the rule: riders cannot choose two rides instead."
                yield at("fare_transfer_rules", row, "fare_product_id", what, advice)
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


def _instead(rule: FareTransferRule) -> str:
    if rule.fare_transfer_type is TransferType.FROM_TRANSFER_AND_TO:
        return "both legs are paid beside it, which otherwise cost"
    if rule.fare_transfer_type is TransferType.FROM_AND_TRANSFER:
        return "the leg itself"
    return "the two legs"


def _who(buyer: Buyer) -> str:
    category, medium = buyer
    who = "" if category is None else f" for {category!r}"
    return who + ("" if medium is None else f" with {medium!r}")
