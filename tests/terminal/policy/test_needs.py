"""What a region document needs to be told, and which of it a terminal of some configuration can know."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.app.config.settings import (
    BundlesTable,
    CollectorTable,
    ConsoleTable,
    ListsTable,
    ScreenTable,
    StationConfig,
    TerminalTable,
    VehicleTable,
)
from terminal.app.knows import ADVICE, facts_known, require_known, unknown_here
from terminal.errors import RegionDocumentError
from terminal.policy.document.schema import PassengerAsk
from terminal.policy.load import REGIONS, load_region, parse_region
from terminal.policy.needs import NAMED, needs, unknown_to
from terminal.policy.routes import NO_ROUTES, RouteBook, parse_routes
from terminal.trip.producers import NO_LIVE_PRODUCER
from terminal.trip.stated import fact_names
from tests.terminal.decision.region import text_of
from tests.terminal.policy.test_fare_documents import (
    DAY,
    KEPT,
    MONTH,
    NO_DEFAULT,
    OPENS,
    ZONES,
    cap,
    concession,
    flat,
    transfer,
    zoned,
)

BUS = TerminalTable(profile="bus")
ALONE = StationConfig(terminal=BUS)
WITH_CONSOLE = StationConfig(terminal=BUS, console=ConsoleTable(enabled=True))
DEAREST = 'unknown_fare = "dearest"'
KM = (
    '[[fares.rules]]\nid = "km"\nkind = "distance"\nbase = "cash"\nlongest_m = 50000\nmodes = ["suburban_bus"]\n'
    "first = { transport_card = 1, bank_card = 1, cash = 1 }\n"
    "per_km = { transport_card = 1, bank_card = 1, cash = 1 }\n"
)
HELD = '[checkin]\nscope = [{{ routes = [{} ] }}]\nlongest_s = 7200\nreserve = "held"\nzone = "kept"\n'
COMPANIONS = 'companions = { most = 1, counter = "month" }'
LIMIT = 'limits = [{ kind = "trips", trips = 9, counter = "month", scope = [{ zones = ["a"] }] }]'


def needed(*parts: str, **options: str) -> set[tuple[str, str, str, bool]]:
    document = parse_region(text_of(*parts, **options), "region.toml")
    return {(need.fact, need.path, need.rule, need.answered) for need in needs(document)}


@pytest.mark.parametrize(
    ("parts", "options", "found"),
    [
        ((), {}, set()),
        ((flat("x", "routes = [5]"),), {}, set()),
        ((flat("x", "modes = ['tram']"),), {}, {("mode", "fares.rules[0].modes", "T-01", False)}),
        (
            (ZONES, zoned("z")),
            {"fares": NO_DEFAULT},
            {
                ("place.zone", "fares.rules[0]", "T-01", False),
                ("place.destination.zone", "fares.rules[0]", "T-01", False),
            },
        ),
        (
            (ZONES, zoned("z")),
            {"fares": NO_DEFAULT, "bus": DEAREST},
            {
                ("place.zone", "fares.rules[0]", "T-01", True),
                ("place.destination.zone", "fares.rules[0]", "T-01", True),
                ("place.terminus.zone", "fares.rules[0]", "T-01", True),
            },
        ),
        (
            (KM,),
            {},
            {
                ("mode", "fares.rules[0].modes", "T-01", False),
                ("place.mark_m", "fares.rules[0]", "T-06", False),
                ("place.destination.mark_m", "fares.rules[0]", "T-06", False),
            },
        ),
        (
            (ZONES, zoned("z", "routes = [5]"), HELD.format(5)),
            {"slots": KEPT},
            {
                ("place.zone", "fares.rules[0]", "T-01", True),
                ("place.terminus.zone", "fares.rules[0]", "T-07", True),
            },
        ),
        (
            (ZONES, zoned("z", "routes = [5]"), HELD.format(5), "[vehicle]\nunknown_place = 'refuse'"),
            {"slots": KEPT},
            {
                ("place.zone", "fares.rules[0]", "T-01", False),
                ("place.terminus.zone", "fares.rules[0]", "T-07", True),
            },
        ),
        (
            (concession("scope = [{ modes = ['tram'] }, { longest_m = 50 }]"),),
            {},
            {
                ("mode", "concessions[0].scope[0].modes", "T-17", False),
                ("place.mark_m", "concessions[0].scope[1].longest_m", "T-17", False),
                ("place.destination.mark_m", "concessions[0].scope[1].longest_m", "T-17", False),
            },
        ),
        (
            (ZONES, concession(f"{LIMIT}\n")),
            {"slots": MONTH},
            {("place.zone", "concessions[0].limits[0].scope[0]", "T-19", True)},
        ),
        (
            (concession(COMPANIONS),),
            {"slots": '{ name = "month", bits = 4, period = "service_day" },'},
            {("companions", "concessions[0].companions", "T-20", True)},
        ),
        (
            (transfer("modes = ['tram']"),),
            {"opens": OPENS},
            {("mode", "transfers[0].modes", "T-30", False)},
        ),
        (
            (ZONES, cap('tiers = [{ amount_minor = 20, scope = [{ touching = ["a"] }] }]')),
            {"slots": DAY},
            {("place.zone", "caps[0].tiers[0].scope[0]", "CAP", False)},
        ),
    ],
)
def test_what_a_document_looks_at_is_needed_and_named_with_its_rule(
    parts: tuple[str, ...], options: dict[str, str], found: set[tuple[str, str, str, bool]]
) -> None:
    assert needed(*parts, **options) == found


def test_a_window_with_modes_to_enter_once_needs_the_mode() -> None:
    assert {need.path for need in needs(load_region("st_petersburg"))} == {
        "fares.rules[0].modes",
        "transfers[0].once",
    }


def test_everything_that_may_be_needed_is_a_fact_with_words_and_advice() -> None:
    assert fact_names() >= NAMED.keys() == ADVICE.keys()
    regions = [load_region(path.stem) for path in REGIONS.glob("*.toml")]
    assert {need.fact for region in regions for need in needs(region)} <= NAMED.keys()


def routes_of(*modes: str | None, stop: str = ", zone = 1, mark_m = 500") -> RouteBook:
    """Routes 1, 2, … in these modes; their last stops have `stop`."""
    header = (
        '[header]\nid = "r"\nversion = 1\nregion = 34\nissued_at = 2026-01-01T00:00:00Z\n'
        "{}[[routes.directions]]\nname = 'there'\nstops = [{{ number = 1, name = 'a' }}, "
        "{{ number = 2, name = 'b'{} }}]\n"
    )
    routes = [
        f"[[routes]]\nnumber = {number}\nname = 'n'\n" + (f'mode = "{mode}"\n' if mode else "")
        for number, mode in enumerate(modes, start=1)
    ]
    return parse_routes(header.format("".join(routes), stop).encode(), "routes.toml")


def test_a_mode_is_known_where_every_route_states_one() -> None:
    assert "mode" not in facts_known(WITH_CONSOLE, NO_ROUTES)
    assert "mode" in facts_known(ALONE, routes_of("tram", "bus"))
    assert "mode" not in facts_known(ALONE, routes_of("tram", None))


def test_the_ends_of_a_way_are_known_as_far_as_stops_say_so() -> None:
    ends = {"place.terminus.stop", "place.terminus.zone", "place.terminus.mark_m"}
    assert facts_known(ALONE, routes_of("bus")) >= ends
    assert not ends & facts_known(WITH_CONSOLE, NO_ROUTES)
    assert ends & facts_known(ALONE, routes_of("bus", stop="")) == {"place.terminus.stop"}


def test_the_place_is_known_by_the_console_or_the_vehicle() -> None:
    place = {"place.stop", "place.zone", "place.mark_m"}
    assert not place & facts_known(ALONE, routes_of("bus"))
    assert place <= facts_known(WITH_CONSOLE, NO_ROUTES)
    extension = StationConfig(terminal=BUS, vehicle=VehicleTable(source="gps"))
    assert place <= facts_known(extension, NO_ROUTES)
    ours = StationConfig(terminal=BUS, vehicle=VehicleTable(source="vdv301"))
    assert not place & facts_known(ours, NO_ROUTES)
    assert place & facts_known(ours, routes_of("bus", stop="")) == {"place.stop"}
    assert place <= facts_known(ours, routes_of("bus"))


def test_what_riders_ask_for_is_known_by_the_console_or_the_display_as_far_as_the_document_lets_them() -> (
    None
):
    destination = {f"place.destination.{name}" for name in ("stop", "zone", "mark_m")}
    screen = StationConfig(terminal=BUS, screen=ScreenTable(enabled=True))
    assert {"companions", "asked_by"} | destination <= facts_known(WITH_CONSOLE, NO_ROUTES)
    assert not ({"companions"} | destination) & facts_known(screen, NO_ROUTES)
    by_touch = facts_known(screen, NO_ROUTES, (PassengerAsk.DESTINATION,))
    assert ({"companions"} | destination) & by_touch == destination
    assert "companions" in facts_known(screen, NO_ROUTES, (PassengerAsk.COMPANIONS,))
    assert not destination & facts_known(ALONE, NO_ROUTES, (PassengerAsk.DESTINATION,)), "no display"


def test_what_has_no_source_at_all_is_never_known() -> None:
    everything = StationConfig(
        terminal=BUS,
        console=ConsoleTable(enabled=True),
        vehicle=VehicleTable(source="gps"),
        collector=CollectorTable(url="http://127.0.0.1:1"),
        lists=ListsTable(deny=Path("deny"), grants=Path("grants")),
        bundles=BundlesTable(folder=Path("bundles")),
    )
    known = facts_known(everything, routes_of("bus"))
    assert known == fact_names() - NO_LIVE_PRODUCER.keys()
    assert "freshness.bundles_age_s" not in facts_known(ALONE, NO_ROUTES), "no signed bundles"
    assert {"shift", "route", "clock.suspect", "profile"} <= facts_known(ALONE, NO_ROUTES)
    unknown = {
        "clock.authenticated",
        "freshness.deny_list_age_s",
        "freshness.grants_age_s",
        "place.coming.stop",
    }
    assert not unknown & facts_known(WITH_CONSOLE, NO_ROUTES)


def test_a_rule_for_a_mode_the_vehicle_never_runs_in_needs_nothing() -> None:
    document = load_region("novosibirsk")
    assert unknown_to(document, facts_known(ALONE, NO_ROUTES))
    city = routes_of("bus", "tram")
    assert unknown_to(document, facts_known(ALONE, city), city) == []
    afar = routes_of("bus", "intercity_bus")
    found = {need.fact for need in unknown_to(document, facts_known(ALONE, afar), afar)}
    assert found == {"place.mark_m", "place.destination.mark_m"}


def test_a_terminal_refuses_what_it_cannot_know_and_says_what_to_do() -> None:
    with pytest.raises(RegionDocumentError) as refused:
        require_known(ALONE, load_region("st_petersburg"), NO_ROUTES)
    assert "fares.rules[0].modes depends on the mode of the vehicle (T-01)" in refused.value.what
    assert "(and 1 more)" in refused.value.what
    assert "`routes` under [lists]" in refused.value.advice
    require_known(ALONE, load_region("st_petersburg"), routes_of("metro"))
    require_known(ALONE, load_region("belgorod"), NO_ROUTES)
    assert all(need.answered for need in unknown_here(ALONE, load_region("belgorod"), NO_ROUTES))


def test_a_canteen_rides_nothing() -> None:
    school = StationConfig(terminal=TerminalTable(profile="canteen"))
    assert unknown_here(school, load_region("volgograd"), NO_ROUTES) == []
