"""Every fact of a trip comes from its source into the row of a tap, in a terminal that runs as it does in service.

Each test starts `terminal run --config`, changes one source after the other, and reads the facts back from the rows of
the taps between. What it holds of a source is a constant here; a fact or a source that stands in none of them fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from terminal.screen.console.roles import Role
from terminal.trip.producers import FactSource
from tests.flows.live import ROUTES, LiveTerminal, live_terminal

Claims = Mapping[FactSource, frozenset[str]]

SPOT: Final = ("stop", "zone", "mark_m")
BUS: Final[Claims] = {
    FactSource.CREW: frozenset({"shift", "turn", "route", "direction", "reader_ok", "place.source"})
    | {f"place.{name}" for name in SPOT},
    FactSource.ROUTES: frozenset({"mode"})
    | {f"place.{end}.{name}" for end in ("origin", "terminus") for name in SPOT},
    FactSource.INSPECTOR: frozenset({"inspection", "inspection.misuse", "route", "direction"}),
}


class Watched:
    """The facts of a terminal's newest tap, and which a source has changed so far."""

    def __init__(self, terminal: LiveTerminal) -> None:
        self.terminal = terminal
        self.facts = terminal.facts()
        self.changed: dict[FactSource, set[str]] = {}

    def look(self, *sources: FactSource) -> dict[str, Any]:
        """The facts of the next tap, after these sources changed."""
        before, self.facts = self.facts, self.terminal.facts()
        names = before.keys() | self.facts.keys()
        differing = {name for name in names if before.get(name) != self.facts.get(name)}
        parts = {name.rpartition(".")[0] for name in differing} - {""}
        for source in sources:
            self.changed.setdefault(source, set()).update(differing | parts)
        return self.facts

    def proves(self, claims: Claims) -> None:
        """Fail where a source did not change what is claimed of it."""
        missing = {source: facts - self.changed.get(source, set()) for source, facts in claims.items()}
        assert not any(missing.values()), {source: facts for source, facts in missing.items() if facts}


def test_a_bus_its_routes_its_crew_and_an_inspector(tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text(ROUTES)
    with live_terminal(
        tmp_path,
        terminal={"profile": "bus", "number": 7, "region": "demo"},
        reader={"name": "sim:adult_purse", "pace_s": 0.2},
        lists={"routes": "routes.toml"},
        console={"enabled": True, "port": 0, "typed_sign_in": True},
    ) as bus:
        watched = Watched(bus)
        bus.sign_in(Role.CONDUCTOR)
        bus.act("/shift", "/shift/open", route=15, direction=0)
        there = watched.look(FactSource.CREW, FactSource.ROUTES)
        bus.act("/shift", "/shift/turn", route=15, direction=1)
        bus.act("/shift", "/shift/place", stop=1502, zone=4, km=7)
        back = watched.look(FactSource.CREW)
        bus.act("/state", "/state/order", in_order=0)
        watched.look(FactSource.CREW)
        bus.sign_in(Role.INSPECTOR)
        bus.act("/inspection", "/inspection/start", route=16, direction=0, misuse=1)
        watched.look(FactSource.INSPECTOR)
        watched.proves(BUS)
    assert (there["mode"], there["place.origin.stop"], there["place.terminus.mark_m"]) == ("tram", 1501, 4000)
    assert (back["place.terminus.stop"], back["place.zone"], back["place.mark_m"]) == (1501, 4, 7000)
