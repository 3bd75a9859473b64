"""Who supplies each fact of a trip in a running terminal.

`PRODUCERS` names, for every fact, the code whose act or knowledge it is; `terminal.trip.build.trip_of` puts them
together. `NO_LIVE_PRODUCER` lists the facts that no running terminal supplies yet, with the rule that waits: they come
from scenarios and tests only. A test holds that both together are exactly the fields of `Trip`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CONFIGURED: Final = "terminal.app.station:station_of"
_SHIFT: Final = "terminal.trip.shifts:open_shift"
_ROUTES: Final = "terminal.policy.routes:load_routes"
_PLACE: Final = "terminal.screen.console.bus.pages:do_place"
_AGES: Final = "terminal.trip.ages:freshness_of"
_INSPECTOR: Final = "terminal.screen.console.inspector:do_start"
_CANTEEN: Final = "terminal.canteen.counter:CanteenCounter.context"
_ROSTER: Final = "terminal.canteen.facts:Known.pupil"

PRODUCERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "profile": _CONFIGURED,
        "terminal": _CONFIGURED,
        "sequence": "terminal.journal.journal:Journal.begin",
        "shift": _SHIFT,
        "turn": "terminal.trip.shifts:start_turn",
        "route": _SHIFT,
        "direction": _SHIFT,
        "reader_ok": "terminal.screen.console.areas:do_declare",
        "place.stop": _PLACE,
        "place.zone": _PLACE,
        "place.mark_m": _PLACE,
        "place.source": _PLACE,
        "mode": _ROUTES,
        "place.origin.stop": _ROUTES,
        "place.origin.zone": _ROUTES,
        "place.origin.mark_m": _ROUTES,
        "place.terminus.stop": _ROUTES,
        "place.terminus.zone": _ROUTES,
        "place.terminus.mark_m": _ROUTES,
        "clock.suspect": "terminal.trip.clock_watch:ClockWatch.look",
        "clock.confirmed": "terminal.screen.console.console:Console.service_card",
        "clock.authenticated": "terminal.sync.client:SyncClient.sync_once",
        "freshness.deny_list_age_s": _AGES,
        "freshness.grants_age_s": _AGES,
        "freshness.document_age_s": _AGES,
        "inspection": _INSPECTOR,
        "inspection.misuse": _INSPECTOR,
        "canteen.school": _CANTEEN,
        "canteen.serving": _CONFIGURED,
        "canteen.day_closed": _CANTEEN,
        "canteen.paid_stopped": _CANTEEN,
        "canteen.roster": _CANTEEN,
        "canteen.pupil": _CANTEEN,
        "canteen.pupil.ref": _CANTEEN,
        "canteen.pupil.listed": _CANTEEN,
        "canteen.pupil.served": _CANTEEN,
        "canteen.pupil.annulled": _CANTEEN,
    }
    | {
        f"canteen.pupil.{name}": _ROSTER
        for name in (
            "school",
            "class_id",
            "grade",
            "shift",
            "home_schooled",
            "grants",
            "hot",
            "hot.balance_minor",
            "hot.uncertain",
            "buffet",
            "buffet.balance_minor",
            "buffet.uncertain",
            "spent_hot_minor",
            "spent_buffet_minor",
            "limits.day_minor",
            "limits.buffet_minor",
            "forbidden",
            "orders",
            "absent",
            "cards_since",
            "age",
        )
    }
)
"""Fact to the `module:name` that supplies it."""

NO_LIVE_PRODUCER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "companions": "T-20, T-34: no control lets a conductor count companions with a card",
        "place.quality": "T-07: the vehicle's own port is being built",
        "place.age_s": "T-07: the vehicle's own port is being built",
        "place.coming.stop": "T-07: the vehicle's own port is being built",
        "place.coming.zone": "T-07: the vehicle's own port is being built",
        "place.coming.mark_m": "T-07: the vehicle's own port is being built",
        "place.arriving": "T-07: the vehicle's own port is being built",
        "razzia": "T-70: the vehicle's own port is being built",
        "place.destination.stop": "T-01: a card tap names no destination",
        "place.destination.zone": "T-01: a card tap names no destination; a cash sale does",
        "place.destination.mark_m": "T-01: a card tap names no destination",
        "freshness.bank_list_age_s": "T-43: a running terminal takes no bank cards",
        "inspection.vehicle": "T-70: a terminal does not know the other validators of its vehicle",
        "counts": "O-04: the collector returns no counts to a terminal",
        "bank.taps_today": "T-43: a running terminal takes no bank cards",
        "bank.sum_today_minor": "T-43: a running terminal takes no bank cards",
    }
)
"""Fact to the rule that waits for it and why it is missing."""
