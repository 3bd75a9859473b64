"""Where a running terminal has each fact of a trip from.

`PRODUCERS` gives the sources of every fact; `terminal.trip.build.trip_of` puts together what they say. It is worked
out from `fact_names()`: the sources of a part are those of its fields, unless a field has sources of its own.
`NO_LIVE_PRODUCER` lists the facts that no running terminal has: they come from scenarios only, and the rule that needs
one waits. tests/flows/test_live_facts.py holds that each source does change each of its facts in a terminal that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from terminal.trip.stated import fact_names


class FactSource(StrEnum):
    """Who or what states a fact in a running terminal."""

    CONFIGURATION = "configuration"
    """terminal.toml."""
    JOURNAL = "journal"
    """The terminal's own records."""
    CREW = "crew"
    """Driver or conductor, at the console or by a service card."""
    RIDER = "rider"
    """The passenger, by touch on the display."""
    INSPECTOR = "inspector"
    """At the console."""
    VEHICLE = "vehicle"
    """The on-board computer, a position on the route, or an extension."""
    ROUTES = "routes"
    """The routes document, by the route and direction of the run."""
    LISTS = "lists"
    """Deny list and list of grants, by their time of issue."""
    BUNDLES = "bundles"
    """Signed bundles, by when the newest accepted set was signed."""
    DOCUMENT = "document"
    """The region document, by its own."""
    CLOCK = "clock"
    """The watch over the terminal's clock."""
    COLLECTOR = "collector"
    """Time that the collector has signed."""
    CANTEEN = "canteen"
    """What the canteen's staff did, and its records."""
    PEERS = "peers"
    """What other terminals of the place say they did ([link])."""
    ROSTER = "roster"
    """The school's list of pupils."""


_CREW: Final = (FactSource.CREW,)
_ROUTES: Final = (FactSource.ROUTES,)
_CREW_OR_RIDER: Final = (FactSource.CREW, FactSource.RIDER)
_CREW_OR_VEHICLE: Final = (FactSource.CREW, FactSource.VEHICLE)
_CREW_OR_INSPECTOR: Final = (FactSource.CREW, FactSource.INSPECTOR)
_SOURCES: Final[Mapping[str, tuple[FactSource, ...]]] = {
    "profile": (FactSource.CONFIGURATION,),
    "terminal": (FactSource.CONFIGURATION,),
    "sequence": (FactSource.JOURNAL,),
    "shift": _CREW,
    "turn": _CREW,
    "route": _CREW_OR_INSPECTOR,
    "direction": _CREW_OR_INSPECTOR,
    "on_break": _CREW,
    "reader_ok": _CREW,
    "mode": _ROUTES,
    "place": (FactSource.VEHICLE,),
    "place.stop": _CREW_OR_VEHICLE,
    "place.zone": _CREW_OR_VEHICLE,
    "place.mark_m": _CREW_OR_VEHICLE,
    "place.source": _CREW_OR_VEHICLE,
    "place.age_s": _CREW_OR_VEHICLE,
    "place.origin": _ROUTES,
    "place.destination": _CREW_OR_RIDER,
    "companions": _CREW_OR_RIDER,
    "asked_by": _CREW_OR_RIDER,
    "place.terminus": _ROUTES,
    "clock.suspect": (FactSource.CLOCK,),
    "clock.confirmed": _CREW,
    "clock.authenticated": (FactSource.COLLECTOR,),
    "freshness": (FactSource.LISTS,),
    "freshness.document_age_s": (FactSource.DOCUMENT,),
    "freshness.bundles_age_s": (FactSource.BUNDLES,),
    "bank": (FactSource.JOURNAL,),
    "inspection": (FactSource.INSPECTOR,),
    "inspection.heard": (FactSource.PEERS,),
    "inspection.said_at": (FactSource.PEERS,),
    "razzia": (FactSource.VEHICLE,),
    "canteen": (FactSource.CANTEEN,),
    "canteen.serving": (FactSource.CONFIGURATION,),
    "canteen.school": (FactSource.ROSTER,),
    "canteen.roster": (FactSource.ROSTER,),
    "canteen.elsewhere": (FactSource.PEERS,),
    "canteen.pupil": (FactSource.ROSTER,),
    "canteen.pupil.ref": (FactSource.ROSTER, FactSource.CANTEEN),
    "canteen.pupil.hot.uncertain": (FactSource.JOURNAL,),
    "canteen.pupil.buffet.uncertain": (FactSource.JOURNAL,),
    "canteen.pupil.served": (FactSource.CANTEEN,),
    "canteen.pupil.annulled": (FactSource.CANTEEN,),
    "canteen.pupil.absent": (FactSource.CANTEEN,),
    "canteen.pupil.spent_hot_minor": (FactSource.CANTEEN,),
    "canteen.pupil.spent_buffet_minor": (FactSource.CANTEEN,),
}
"""Sources by fact, or by part where they are those of all its fields."""

NO_LIVE_PRODUCER: Final[Mapping[str, str]] = MappingProxyType({})
"""Fact to the rule that waits for it and why it is missing."""


def _sources_of(fact: str) -> tuple[FactSource, ...]:
    """Those of the fact itself, else of the nearest part it is in; none where nothing is stated of them."""
    name = fact
    while name and name not in _SOURCES:
        name = name.rpartition(".")[0]
    return _SOURCES.get(name, ())


PRODUCERS: Final[Mapping[str, tuple[FactSource, ...]]] = MappingProxyType(
    {fact: _sources_of(fact) for fact in sorted(fact_names() - NO_LIVE_PRODUCER.keys())}
)
"""Fact to its sources; a fact that has none is one that a test finds."""
