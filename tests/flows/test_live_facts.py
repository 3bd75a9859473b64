"""Every fact of a trip comes from its source into the row of a tap, in a terminal that runs as it does in service.

Each test starts `terminal run --config`, changes one source after the other, and reads the facts back from the rows of
the taps between. What it holds of a source is a constant here; a fact or a source that stands in none of them fails.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

from terminal.clock import SystemClock
from terminal.policy.grants import COLUMNS
from terminal.policy.load import DEMO_REGION
from terminal.screen.console.roles import Role
from terminal.trip.producers import PRODUCERS, FactSource
from tests.by_hand import BY_HAND, SOCKET
from tests.flows.live import PATIENCE_S, ROUTES, STATE, LiveTerminal, collector, facts_of, live_terminal, run
from tests.flows.test_inspector import INSPECTED
from tests.flows.test_link import PEERS
from tests.flows.test_live_canteen import CANTEEN
from tests.flows.test_recomputed import in_force, until
from tests.terminal.media.test_bank_live import BANK_FACTS
from tests.terminal.screen.console.test_bus_console import ZONES
from tests.terminal.updates.bundle.repository import ROLES, Publisher
from tests.terminal.updates.bundle.test_live_bundles import lab_issuers_toml
from tests.terminal.updates.published import region

Claims = Mapping[FactSource, frozenset[str]]

SPOT: Final = ("stop", "zone", "mark_m")
CONSOLE: Final = {"enabled": True, "port": 0, "typed_sign_in": True}
BUS: Final[Claims] = {
    FactSource.CREW: frozenset({"shift", "turn", "route", "direction", "on_break", "reader_ok"})
    | {"place.source", "place.age_s"}
    | {f"place.{name}" for name in SPOT},
    FactSource.ROUTES: frozenset({"mode"})
    | {f"place.{end}.{name}" for end in ("origin", "terminus") for name in SPOT},
    FactSource.INSPECTOR: frozenset({"inspection", "inspection.misuse", "route", "direction"}),
    FactSource.JOURNAL: frozenset({"sequence"}),
}
CLOCK: Final[Claims] = {
    FactSource.CLOCK: frozenset({"clock.suspect"}),
    FactSource.CREW: frozenset({"clock.confirmed"}),
}
VEHICLE: Final[Claims] = {
    FactSource.VEHICLE: frozenset(
        {"place.source", "place.quality", "place.age_s", "place.arriving", "razzia"}
    )
    | {f"place.{name}" for name in SPOT}
    | {f"place.coming.{name}" for name in SPOT},
}


LISTS: Final[Claims] = {
    FactSource.LISTS: frozenset({"freshness.deny_list_age_s", "freshness.grants_age_s"}),
    FactSource.DOCUMENT: frozenset({"freshness.document_age_s"}),
}
ASKED: Final = frozenset({"companions", "asked_by"} | {f"place.destination.{name}" for name in SPOT})
BY_CREW_AND_RIDER: Final[Claims] = {FactSource.CREW: ASKED, FactSource.RIDER: ASKED}
NEXT_STOP: Final = {
    "place.destination.stop": 1502,
    "place.destination.zone": 2,
    "place.destination.mark_m": 2000,
}


class Watched:
    """The facts of a terminal's newest tap of this card, and which a source has changed so far."""

    def __init__(self, terminal: LiveTerminal, card: str) -> None:
        self.terminal = terminal
        self.card = card
        self.facts = facts_of(terminal.tap(card))
        self.changed: dict[FactSource, set[str]] = {}

    def look(self, *sources: FactSource) -> dict[str, Any]:
        """The facts of the next tap, after these sources changed."""
        before, self.facts = self.facts, facts_of(self.terminal.tap(self.card))
        names = before.keys() | self.facts.keys()
        differing = {name for name in names if before.get(name) != self.facts.get(name)}
        parts = {name.rpartition(".")[0] for name in differing} - {""}
        for source in sources:
            self.changed.setdefault(source, set()).update(differing | parts)
        return self.facts

    def look_until(self, source: FactSource, **wanted: object) -> dict[str, Any]:
        """The facts of the first tap that has these of its place (None: not stated), after `source` changed."""
        while True:
            facts = self.look(source)
            if all(facts.get(f"place.{name}") == value for name, value in wanted.items()):
                return facts

    def proves(self, claims: Claims) -> None:
        """Fail where a source did not change what is claimed of it."""
        missing = {source: facts - self.changed.get(source, set()) for source, facts in claims.items()}
        assert not any(missing.values()), {source: facts for source, facts in missing.items() if facts}


def test_a_bus_its_routes_its_crew_and_an_inspector(tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text(ROUTES)
    with live_terminal(
        tmp_path,
        terminal={"profile": "bus", "number": 7, "region": "demo"},
        lists={"routes": "routes.toml"},
        console=CONSOLE,
    ) as bus:
        watched = Watched(bus, bus.card("adult_purse"))
        bus.sign_in(Role.CONDUCTOR)
        bus.act("/shift", "/shift/open", route=15, direction=0)
        there = watched.look(FactSource.CREW, FactSource.ROUTES, FactSource.JOURNAL)
        bus.act("/shift", "/shift/turn", route=15, direction=1)
        bus.act("/shift", "/shift/place", stop=1502, zone=4, km=7)
        back = watched.look(FactSource.CREW)
        bus.act("/shift", "/shift/break")
        watched.look(FactSource.CREW)
        bus.act("/shift", "/shift/break")
        bus.act("/state", "/state/order", in_order=0)
        watched.look(FactSource.CREW)
        bus.sign_in(Role.INSPECTOR)
        bus.act("/inspection", "/inspection/start", route=16, direction=0, misuse=1)
        watched.look(FactSource.INSPECTOR)
        watched.proves(BUS)
    assert (there["mode"], there["place.origin.stop"], there["place.terminus.mark_m"]) == ("tram", 1501, 4000)
    assert (back["place.terminus.stop"], back["place.zone"], back["place.mark_m"]) == (1501, 4, 7000)


def test_a_clock_that_jumps_and_who_confirms_it(tmp_path: Path) -> None:
    with live_terminal(
        tmp_path,
        terminal={"profile": "bus", "number": 7, "region": "demo"},
        shift={"operator": "driver-7", "route": 15},
        console=CONSOLE,
    ) as bus:
        watched = Watched(bus, bus.card("adult_purse"))
        bus.hand.say("clock", jump_s=-7200)
        watched.look(FactSource.CLOCK)
        bus.hand.tap(tmp_path / bus.card("driver_service"))
        watched.look(FactSource.CREW)
        watched.proves(CLOCK)


def test_a_bus_and_its_on_board_computer(tmp_path: Path) -> None:
    """The recording is a named pipe: what is written to it is heard at once."""
    (tmp_path / "routes.toml").write_text(ROUTES)
    os.mkfifo(tmp_path / "vehicle.jsonl")
    with (
        live_terminal(
            tmp_path,
            terminal={"profile": "bus", "number": 7, "region": "demo"},
            lists={"routes": "routes.toml"},
            shift={"operator": "driver-7", "route": 15},
            vehicle={"source": "replay", "replay": "vehicle.jsonl"},
        ) as bus,
        (tmp_path / "vehicle.jsonl").open("w", buffering=1) as vehicle,
    ):
        watched = Watched(bus, bus.card("adult_purse"))
        vehicle.write('{"line": "15", "stop_ref": "s2", "coming_ref": "s3"}\n')
        watched.look_until(FactSource.VEHICLE, stop=1502)
        watched.look(FactSource.VEHICLE)
        vehicle.write(
            '{"line": "15", "stop_ref": "s2", "coming_ref": "s3", "arriving": true, "razzia": true}\n'
        )
        watched.look_until(FactSource.VEHICLE, arriving=True)
        vehicle.write('{"line": "16", "stop_ref": "s2"}\n')
        contradicted = watched.look_until(FactSource.VEHICLE, quality="contradicted")
        watched.proves(VEHICLE)
    assert {"place.stop", "place.zone", "place.mark_m"}.isdisjoint(contradicted)


def test_a_bus_and_the_age_of_its_lists(tmp_path: Path) -> None:
    text = DEMO_REGION.read_text("utf-8")
    assert text.count("[ages]") == 1
    (tmp_path / "region.toml").write_text(
        text.replace("[ages]", "[ages]\ndocument_stale_days = 400"), "utf-8"
    )
    (tmp_path / "denied.csv").write_text("kind,identity\n", "utf-8")
    (tmp_path / "granted.csv").write_text(",".join(COLUMNS) + "\n", "utf-8")
    bus: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": "region.toml"},
        "shift": {"operator": "driver-7", "route": 15},
    }
    issue = ("--region", 34, "--version", 1, "--issued-at", "2026-09-15T07:00:00+03:00")
    with live_terminal(tmp_path, **bus) as terminal:
        card = terminal.card("adult_purse")
        before = facts_of(terminal.tap(card))
    run(tmp_path, "policy", "deny-list", "denied.csv", "--out", "deny", *issue)
    run(tmp_path, "policy", "grants-list", "granted.csv", "--out", "grants", *issue)
    with live_terminal(tmp_path, **bus, lists={"deny": "deny", "grants": "grants"}) as terminal:
        watched = Watched(terminal, card)
        terminal.hand.say("clock", step_s=3600)
        watched.look(FactSource.LISTS, FactSource.DOCUMENT)
        watched.proves(LISTS)
    assert "freshness.deny_list_age_s" not in before
    assert watched.facts["freshness.grants_age_s"] == 2 * 3600 + 10


BUNDLES: Final[Claims] = {FactSource.BUNDLES: frozenset({"freshness.bundles_age_s"})}


def test_a_bus_whose_signed_bundles_do_not_come(tmp_path: Path) -> None:
    """From the signed time of issue: nothing, then lower limits, then a bus that sells nothing, as its document
    says, until something newer comes. A grant by an issuer who does not count is believed as long as data are fresh.
    """
    issued = SystemClock().now().replace(microsecond=0) - timedelta(days=15)
    publisher = Publisher(tmp_path / "bundles", {**ROLES, "issuers": (2, 3)}, issued=issued)
    tariff = region(2).replace(b"[ages]", b"[ages]\nbundles_stop_days = 20")
    publisher.put("tariff", "city", {"region.toml": tariff})
    publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml("2098-01-01T00:00:00Z")})
    publisher.publish()
    publisher.pin(tmp_path / STATE)
    with live_terminal(
        tmp_path,
        terminal={"profile": "bus", "number": 7, "region": "demo", "language": "en", "state": STATE},
        shift={"operator": "driver-7", "route": 15},
        bundles={"folder": publisher.folder, "every_min": 0.01},
        laboratory={**BY_HAND, "starts_at": (issued + timedelta(hours=1)).isoformat()},
        console=CONSOLE,
    ) as bus:
        until(lambda: in_force(bus, 2))
        day = issued.date()
        pensioner, watched = (
            bus.card("free_pensioner", day=day),
            Watched(bus, bus.card("adult_purse", day=day)),
        )
        fresh = bus.tap(pensioner)
        bus.hand.say("clock", step_s=14 * 86_400)
        limited, believed = watched.look(FactSource.BUNDLES), bus.tap(pensioner)
        bus.sign_in(Role.TECHNICIAN)
        assert bus.console is not None
        page = bus.console.get("/state").text
        # By the machine's own clock, which is a day ahead of the terminal's: to health its loop hangs.
        found = json.loads(run(tmp_path, "health", "--json", exits=2))["checks"]["bundles"]
        bus.hand.say("clock", step_s=6 * 86_400)
        watched.look(FactSource.BUNDLES)
        stopped = bus.looked_at[-1]
        until(
            lambda: (
                bus.hand.say("clock", step_s=61)
                and [row for row in bus.rows() if row.get("code") == "bundle:stopped"]
            )
        )
        publisher.issued = issued + timedelta(days=15)
        publisher.publish("tariff")
        again = until(lambda: (row := bus.tap("adult_purse.json"))["message"] == "ok_paid" and row)
        watched.proves(BUNDLES)
        faults = [row["code"] for row in bus.rows() if row["kind"] == "Fault"]
    assert (fresh["message"], believed["message"]) == ("ok_benefit_unlimited", "credential_not_trusted")
    assert limited["freshness.bundles_age_s"] > 14 * 86_400
    rows = [row for row in bus.looked_at if "old_bundles" in row["flags"]]
    assert [row["message"] for row in rows][:2] == ["ok_paid", "credential_not_trusted"]
    assert (stopped["message"], "freshness.bundles_age_s" in facts_of(again)) == ("out_of_order", False)
    assert "the newest is 14 d old, and limits are lower" in page
    assert (found["code"], found["level"]) == ("bundles:limited", "look")
    assert faults == ["bundle:limited", "bundle:stopped"]


AUTHENTICATED: Final[Claims] = {FactSource.COLLECTOR: frozenset({"clock.authenticated"})}


def test_a_clock_that_the_collector_signs_for(tmp_path: Path) -> None:
    """Both run by the machine's clock, which stands still here: a signature is of now."""
    here = {"control": SOCKET, "clock": True}
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": "demo"},
        "shift": {"operator": "driver-7", "route": 15},
        "laboratory": here,
    }
    with live_terminal(tmp_path, **tables) as bus:
        before = facts_of(bus.tap(bus.card("adult_purse")))
    with collector(tmp_path) as url, live_terminal(tmp_path, **tables, collector={"url": url}) as bus:
        watched = Watched(bus, "adult_purse.json")
        watched.facts = before  # the signature may have come before that tap
        while "clock.authenticated" not in watched.look(FactSource.COLLECTOR):
            pass
    assert "clock.authenticated" not in before
    watched.proves(AUTHENTICATED)


def region_that_asks(passenger_asks: str, version: int = 1) -> str:
    """The demo region with fares by zone, and what its passengers may state."""
    asks = f"[profiles.bus]\npassenger_asks = {passenger_asks}"
    source = DEMO_REGION.read_text("utf-8").replace("[profiles.bus]", asks)
    return source.replace("version = 1\n", f"version = {version}\n", 1) + ZONES


def asked_bus(folder: Path, passenger_asks: str) -> AbstractContextManager[LiveTerminal]:
    """A bus with console and display, whose fares go by zone."""
    (folder / "region.toml").write_text(region_that_asks(passenger_asks), "utf-8")
    (folder / "routes.toml").write_text(ROUTES.replace("zone = 3", "zone = 2"), "utf-8")
    return live_terminal(
        folder,
        terminal={"profile": "bus", "number": 7, "region": "region.toml", "language": "en"},
        shift={"operator": "driver-7", "route": 15, "direction": 0},
        lists={"routes": "routes.toml"},
        console=CONSOLE,
        screen={"enabled": True, "port": 0},
    )


def test_with_whom_and_where_the_next_ride_goes_as_crew_and_rider_say(tmp_path: Path) -> None:
    with asked_bus(tmp_path, '["destination", "companions"]') as bus:
        bus.sign_in(Role.CONDUCTOR)
        bus.act("/shift", "/shift/place", stop=1501)
        watched = Watched(bus, bus.card("adult_purse"))
        for _ in range(2):
            bus.act("/shift", "/next/persons", more=1)
        bus.act("/shift", "/next/destination", to="stop-1502")
        crew = watched.look(FactSource.CREW)
        plain = watched.look(FactSource.CREW)
        assert bus.press(more=1).status_code == 303
        assert bus.press(to="stop-1502").status_code == 303
        assert bus.display is not None
        assert "The card pays for 2 persons, to Площадь" in bus.display.get("/").text
        rider = watched.look(FactSource.RIDER)
        watched.proves(BY_CREW_AND_RIDER)
        charged = [row["charge_minor"] for row in bus.looked_at if row["kind"] == "Intent"]
    asked = [{name: facts[name] for name in ASKED & facts.keys()} for facts in (crew, plain, rider)]
    assert asked == [
        {**NEXT_STOP, "companions": 2, "asked_by": "crew"},
        {},
        {**NEXT_STOP, "companions": 1, "asked_by": "rider"},
    ]
    assert charged == [3 * 4000, 2 * 4000]


def test_a_display_has_no_address_for_what_the_document_does_not_let_riders_say(tmp_path: Path) -> None:
    with asked_bus(tmp_path, "[]") as bus:
        assert bus.display is not None
        assert 'id="touch"' not in bus.display.get("/").text
        assert bus.press(more=1).status_code == 404
        draft = tmp_path / "draft.toml"
        draft.write_text(region_that_asks('["companions"]', version=2), "utf-8")
        draft.replace(tmp_path / "region.toml")
        deadline = monotonic() + PATIENCE_S
        while 'id="touch"' not in bus.display.get("/").text:
            assert monotonic() < deadline, "the next document never came into force"
        assert bus.press(more=1).status_code == 303


def test_every_fact_is_shown_of_each_of_its_sources() -> None:
    """Those of bank cards among them."""
    shown = [BUS, BUNDLES, CLOCK, VEHICLE, BY_CREW_AND_RIDER, LISTS, AUTHENTICATED, CANTEEN, PEERS, INSPECTED]
    shown.append(BANK_FACTS)
    by_fact: dict[str, set[FactSource]] = {}
    for claims in shown:
        for source, facts in claims.items():
            for fact in facts:
                by_fact.setdefault(fact, set()).add(source)
    assert {fact: set(sources) for fact, sources in PRODUCERS.items()} == by_fact
