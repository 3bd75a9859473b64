"""What a terminal went by at one tap besides card and document: each fact, who stated it, and how old it was.

    known(entry, language, policy)      # of the row that holds the decision, in words

A row holds what differs from what a terminal assumes; the few facts that one always wants to see are shown with what
was assumed. Who states a fact is looked up in `terminal.trip.producers`; where there are several, the row says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from terminal.journal.records import Intent, Unwritten
from terminal.lab.desk.tap import FinishedTap
from terminal.money import money
from terminal.policy.base import Mode
from terminal.policy.document.journeys import VehicleRules
from terminal.policy.policy import Policy
from terminal.policy.routes import RouteBook
from terminal.texts import NP_, translator
from terminal.trip.facts import AskedBy, Place, PlaceQuality, PlaceSource
from terminal.trip.producers import PRODUCERS, FactSource
from terminal.trip.stated import Fact

FACT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "route": NP_("fact", "Route"),
        "direction": NP_("fact", "Direction"),
        "mode": NP_("fact", "Kind of transport"),
        "place.stop": NP_("fact", "Stop"),
        "place.zone": NP_("fact", "Zone"),
        "place.mark_m": NP_("fact", "Distance beyond the boundary"),
        "place.quality": NP_("fact", "Quality of the place"),
        "place.coming.stop": NP_("fact", "Next stop"),
        "place.coming.zone": NP_("fact", "Zone of the next stop"),
        "place.coming.mark_m": NP_("fact", "Distance of the next stop"),
        "place.arriving": NP_("fact", "About to arrive"),
        "place.origin.stop": NP_("fact", "First stop"),
        "place.origin.zone": NP_("fact", "Zone of the first stop"),
        "place.origin.mark_m": NP_("fact", "Distance of the first stop"),
        "place.terminus.stop": NP_("fact", "Terminus"),
        "place.terminus.zone": NP_("fact", "Zone of the terminus"),
        "place.terminus.mark_m": NP_("fact", "Distance of the terminus"),
        "place.destination.stop": NP_("fact", "Stop asked for"),
        "place.destination.zone": NP_("fact", "Zone asked for"),
        "place.destination.mark_m": NP_("fact", "Distance asked for"),
        "companions": NP_("fact", "Companions"),
        "clock.suspect": NP_("fact", "Clock in doubt"),
        "clock.confirmed": NP_("fact", "Clock confirmed"),
        "clock.authenticated": NP_("fact", "Time signed by the collector"),
        "freshness.deny_list_age_s": NP_("fact", "Age of the deny list"),
        "freshness.grants_age_s": NP_("fact", "Age of the list of concessions"),
        "freshness.document_age_s": NP_("fact", "Age of the region document"),
        "freshness.bank_list_age_s": NP_("fact", "Age of the deny list for bank cards"),
        "bank.taps_today": NP_("fact", "Rides of this bank card today"),
        "bank.sum_today_minor": NP_("fact", "To be charged to it today"),
        "freshness.bundles_age_s": NP_("fact", "Age of the signed bundles"),
        "razzia": NP_("fact", "Inspection announced by the vehicle"),
        "reader_ok": NP_("fact", "In service, by staff"),
        "canteen.roster": NP_("fact", "List of pupils"),
        "canteen.school": NP_("fact", "School"),
        "canteen.serving": NP_("fact", "Meal served"),
        "canteen.day_closed": NP_("fact", "Day closed"),
        "canteen.paid_stopped": NP_("fact", "Paid meals stopped"),
        "canteen.only_read": NP_("fact", "Card only read"),
        "canteen.elsewhere": NP_("fact", "Meals served by other terminals"),
        "canteen.lost_since": NP_("fact", "Card lost since"),
    }
)
"""The facts that a tap at the desk may have, in the order in which they are shown."""
ALWAYS: Final[Mapping[str, Mapping[str, Fact]]] = MappingProxyType(
    {
        "bus": {"mode": Mode.BUS, "clock.suspect": False, "freshness.deny_list_age_s": 0},
        "canteen": {"clock.suspect": False, "freshness.deny_list_age_s": 0},
    }
)
"""Facts that are shown although the row leaves them out, by profile, with what that means."""
SOURCE_WORDS: Final[Mapping[FactSource, str]] = MappingProxyType(
    {
        FactSource.CONFIGURATION: NP_("source", "configuration"),
        FactSource.JOURNAL: NP_("source", "journal"),
        FactSource.CREW: NP_("source", "driver or conductor"),
        FactSource.RIDER: NP_("source", "passenger, by touch"),
        FactSource.INSPECTOR: NP_("source", "inspector"),
        FactSource.VEHICLE: NP_("source", "vehicle"),
        FactSource.ROUTES: NP_("source", "routes document"),
        FactSource.LISTS: NP_("source", "lists"),
        FactSource.DOCUMENT: NP_("source", "region document"),
        FactSource.CLOCK: NP_("source", "watch over the clock"),
        FactSource.COLLECTOR: NP_("source", "collector"),
        FactSource.CANTEEN: NP_("source", "canteen"),
        FactSource.ROSTER: NP_("source", "roster"),
        FactSource.BUNDLES: NP_("source", "signed bundles"),
        FactSource.PEERS: NP_("source", "other terminals of the place"),
    }
)
VALUE_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        Mode.BUS: ("mode", NP_("mode", "bus")),
        Mode.TROLLEYBUS: ("mode", NP_("mode", "trolleybus")),
        Mode.TRAM: ("mode", NP_("mode", "tram")),
        Mode.MINIBUS: ("mode", NP_("mode", "minibus")),
        Mode.SUBURBAN_BUS: ("mode", NP_("mode", "suburban bus")),
        Mode.INTERCITY_BUS: ("mode", NP_("mode", "intercity bus")),
        Mode.METRO: ("mode", NP_("mode", "metro")),
        Mode.TRAIN: ("mode", NP_("mode", "train")),
        Mode.FERRY: ("mode", NP_("mode", "ferry")),
        Mode.CABLE_CAR: ("mode", NP_("mode", "cable car")),
        PlaceQuality.EXACT: ("quality", NP_("quality", "exact")),
        PlaceQuality.ESTIMATED: ("quality", NP_("quality", "an estimate")),
        PlaceQuality.CONTRADICTED: ("quality", NP_("quality", "contradicts the route")),
    }
)
YES: Final = NP_("yes or no", "yes")
NO: Final = NP_("yes or no", "no")
NOT_JUDGED: Final = NP_("fact", "not judged while the clock is in doubt")
KILOMETRES: Final = NP_("distance", "{km} km")
SPANS: Final = (
    (86_400, NP_("duration", "{n} d")),
    (3_600, NP_("duration", "{n} h")),
    (60, NP_("duration", "{n} min")),
    (1, NP_("duration", "{n} s")),
)
TWO: Final = 2


@dataclass(frozen=True, slots=True)
class KnownFact:
    """One fact of a tap in words; `age` is empty where a fact has none, and `source` where it was assumed."""

    fact: str
    name: str
    value: str
    source: str
    age: str


def known(entry: FinishedTap, language: str, policy: Policy) -> list[KnownFact]:
    """Empty for a tap that came to no decision."""
    row = entry.decided
    if row is None or (not row.trip and not row.reasons):
        return []
    return list(_RowInWords(row, entry.routes, policy, language).facts())


def worth(place: Place, rules: VehicleRules) -> str:
    """What a place is worth to a decision, as a key of the page's words."""
    if place.source is PlaceSource.HAND:
        return "place_by_hand"
    if place.source is PlaceSource.UNKNOWN:
        return "place_missing"
    if place.quality is PlaceQuality.CONTRADICTED:
        return "place_contradicted"
    if place.age_s > rules.stale_s:
        return "place_missing"
    return "place_stale" if place.age_s > rules.fresh_s else "place_fresh"


def span(seconds: int, language: str) -> str:
    """A duration by its two largest units: "2 min 40 s"."""
    say, left, parts = translator(language), seconds, []
    for unit_s, words in SPANS:
        count, rest = divmod(left, unit_s)
        if count:
            parts.append(say.pgettext("duration", words).format(n=count))
            left = rest
    return " ".join(parts[:TWO]) or say.pgettext("duration", SPANS[-1][1]).format(n=0)


class _RowInWords:
    """The facts of one row in one language."""

    def __init__(self, row: Intent | Unwritten, routes: RouteBook, policy: Policy, language: str) -> None:
        self._row = row
        self._routes = routes
        self._policy = policy
        self._language = language
        run: dict[str, Fact] = {"route": row.route, "direction": row.direction} if row.route else {}
        self._facts: dict[str, Fact] = {**run, **ALWAYS.get(row.profile, {}), **row.trip}

    def facts(self) -> Iterator[KnownFact]:
        for fact, words in FACT_WORDS.items():
            if fact in self._facts:
                source = self._source(fact)
                yield KnownFact(
                    fact,
                    self._say("fact", words),
                    self._value(fact, self._facts[fact]),
                    "" if source is None else self._say("source", SOURCE_WORDS[source]),
                    self._age(fact),
                )

    def _source(self, fact: str) -> FactSource | None:
        """Who stated it; the row says which of several. None for a kind of transport that no routes document states."""
        sources = PRODUCERS[fact]
        if fact == "mode" and self._routes.get(self._row.route) is None:
            return None
        if FactSource.RIDER in sources:
            by_rider = self._facts.get("asked_by") == AskedBy.RIDER
            return FactSource.RIDER if by_rider else FactSource.CREW
        if FactSource.VEHICLE in sources:
            by_hand = self._facts.get("place.source") == PlaceSource.HAND
            return FactSource.CREW if by_hand else FactSource.VEHICLE
        return sources[0]

    def _age(self, fact: str) -> str:
        """How old what the vehicle or the driver said of the place was."""
        if not fact.startswith("place.") or FactSource.VEHICLE not in PRODUCERS[fact]:
            return ""
        return span(int(self._facts.get("place.age_s", 0)), self._language)

    def _value(self, fact: str, value: Fact) -> str:
        if isinstance(value, bool):
            return self._say("yes or no", YES if value else NO)
        if isinstance(value, int):
            return self._number(fact.rpartition(".")[2], value)
        context, words = VALUE_WORDS.get(value, ("", ""))
        return self._say(context, words) if words else value

    def _number(self, kind: str, value: int) -> str:
        if kind == "direction":
            return self._direction(value)
        if kind == "mark_m":
            return self._say("distance", KILOMETRES).format(km=f"{value / 1000:g}")
        if kind.endswith("_minor"):
            return money(value, self._policy.currency, self._language)
        if kind.endswith("_age_s"):
            judged = not self._facts.get("clock.suspect", False)
            return span(value, self._language) if judged else self._say("fact", NOT_JUDGED)
        name = self._named(kind, value)
        return f"{name} ({value})" if name else str(value)

    def _named(self, kind: str, number: int) -> str:
        """The name of that stop or zone; empty where it has none."""
        line = self._routes.get(self._row.route)
        if kind == "stop" and line is not None:
            return next((stop.name for stop in line.stops(0) + line.stops(1) if stop.number == number), "")
        if kind == "zone":
            return next((one.name for one in self._policy.document.zones if one.number == number), "")
        return ""

    def _direction(self, direction: int) -> str:
        line = self._routes.get(self._row.route)
        names = () if line is None else tuple(one.name for one in line.directions)
        return names[direction] if direction < len(names) else ("→", "←")[direction]

    def _say(self, context: str, words: str) -> str:
        return translator(self._language).pgettext(context, words)
