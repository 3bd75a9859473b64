"""A region's GTFS fares made ready for deciding: the index, what the document adds to the feed, and the card's bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, field

from terminal.policy.gtfs.card import CardLayout, layout_of
from terminal.policy.gtfs.index import REMEMBERED, Index, Rider
from terminal.policy.gtfs.matching import places_of_leg
from terminal.policy.gtfs.section import Destination, Fallback, GtfsFares
from terminal.policy.gtfs.state import LegPlaces


class FeedFares(Struct, frozen=True):
    """Make one with `FeedFares.of`; it never changes."""

    index: Index
    card: CardLayout
    destination: Destination
    longest_change_s: int
    fallback_minor: int | None
    """What a ride of unknown fare costs; None: it is refused."""
    ordinary: Rider
    categories: Mapping[int, str]
    media: Mapping[str, str | None]
    card_medium: str | None
    """The feed's id of the resident card as a medium."""
    start_matters: bool
    """Whether the fare of some ride depends on where it begins."""
    route_ids: Mapping[str, str]
    stop_ids: Mapping[str, str]
    _routes: Mapping[int, str]
    _stops: Mapping[int, str]
    _riders: Mapping[int, Rider]
    """What the holder of one concession may pay as."""
    _places: dict[tuple[int, int, int], LegPlaces] = field(default_factory=dict)

    @classmethod
    def of(cls, section: GtfsFares) -> FeedFares:
        """Index a checked section whose tables are loaded (see `section.section_with_tables`)."""
        index, unknown, media = section.index, section.unknown_fare, section.media
        ordinary = () if section.ordinary_category is None else (section.ordinary_category,)
        return cls(
            index=index,
            card=layout_of(index, section.destination, section.longest_change_s),
            destination=section.destination,
            longest_change_s=section.longest_change_s,
            fallback_minor=unknown.price_minor if isinstance(unknown, Fallback) else None,
            ordinary=ordinary,
            categories=MappingProxyType({row.concession: row.rider_category for row in section.concessions}),
            media=MappingProxyType(
                {"transport_card": media.transport_card, "bank_card": media.bank_card, "cash": media.cash}
            ),
            card_medium=media.transport_card,
            start_matters=len(index.places.origins) > 1,
            route_ids=MappingProxyType(dict(section.route_ids)),
            stop_ids=MappingProxyType(dict(section.stop_ids)),
            _routes=_by_number(section.route_ids),
            _stops=_by_number(section.stop_ids),
            _riders={row.concession: (*ordinary, row.rider_category) for row in section.concessions},
        )

    def route_id(self, number: int) -> str:
        """The feed's id of the route a terminal calls by `number`: the same digits unless the document says so."""
        named = self._routes.get(number)
        return str(number) if named is None else named

    def stop_id(self, number: int) -> str | None:
        """The feed's id of a stop; None for 0, the unknown stop."""
        if number == 0:
            return None
        named = self._stops.get(number)
        return str(number) if named is None else named

    def stop_known(self, number: int) -> bool:
        """Whether the feed has the stop a terminal calls by `number`."""
        return self.stop_id(number) in self.index.places.numbers

    def places(self, route: int, stop: int, to_stop: int) -> LegPlaces:
        """Where a leg goes, by the numbers a terminal has for route and stops. Raises `UnknownPlace`.

        It is remembered: a vehicle asks for few of them, again and again.
        """
        asked = route, stop, to_stop
        known = self._places.get(asked)
        if known is None:
            known = places_of_leg(self.index, self.route_id(route), self.stop_id(stop), self.stop_id(to_stop))
            if len(self._places) == REMEMBERED:
                self._places.clear()
            self._places[asked] = known
        return known

    def rider(self, concessions: Sequence[int] = ()) -> Rider:
        """What the holder of these concessions may pay as: his categories, and the ordinary one."""
        if not concessions:
            return self.ordinary
        if len(concessions) == 1:
            return self._riders.get(concessions[0], self.ordinary)
        held = {self.categories[code] for code in concessions if code in self.categories}
        return (*self.ordinary, *sorted(held))

    def medium(self, name: str) -> str | None:
        """The feed's id of a medium by its name in region documents."""
        return self.media[name]


def _by_number(ids: Mapping[str, str]) -> Mapping[int, str]:
    """The feed's ids by the numbers a terminal knows, which a document writes without zeros before them."""
    return {
        int(number): named
        for number, named in ids.items()
        if number.isdecimal() and str(int(number)) == number
    }
