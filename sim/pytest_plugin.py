"""pytest fixtures for building a terminal without hardware.

In a project's conftest.py:

    pytest_plugins = ["sim.pytest_plugin"]

    def test_my_terminal(resident_card, tap):
        done = tap(resident_card("adult_purse"), my_terminal.serve)
        assert done.exchanges <= 8

`my_terminal.serve` is any function that takes a connection (`transmit(bytes) -> bytes`) and serves the card.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Generic, Protocol, TypeVar

import pytest

from sim.air import AirModel, VirtualClock
from sim.card.port import SimCard
from sim.faults import FaultPlan
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.reader import SimConnection, SimReader

REGION = 34
DAY = date(2026, 9, 15)
MORNING = datetime(2026, 9, 15, 4, 40, tzinfo=UTC)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Tapped(Generic[Result]):
    """One presentation: what the terminal returned, or the exception that ended it, and what the card cost."""

    result: Result | None
    error: Exception | None
    exchanges: int
    apdu_bytes: int
    air_ms: float


class TapFixture(Protocol):
    """The `tap` fixture: `faults` go wrong on the way, errors come back unless `raises` asks for them."""

    def __call__(
        self,
        card: SimCard,
        serve: Callable[[SimConnection], Result],
        faults: FaultPlan | None = None,
        *,
        raises: bool = True,
    ) -> Tapped[Result]: ...


@pytest.fixture
def sim_clock() -> VirtualClock:
    """Time that passes only when moved, or when an exchange takes some: a school day in September, early."""
    return VirtualClock(MORNING)


@pytest.fixture
def sim_reader(sim_clock: VirtualClock) -> SimReader:
    """A simulated reader with air time at 106 kbit/s: `present`, `remove`, and the terminal's reader port."""
    return SimReader("simulated reader", sim_clock, AirModel())


@pytest.fixture
def resident_card() -> Callable[[str], SimCard]:
    """`resident_card("adult_purse")` issues the card of a resident; see `sim profiles`. The same bytes every run."""
    rng = random.Random(0)  # noqa: S311 repeatable on purpose
    masters = load_lab_keys()
    return lambda profile: issue(load_profile(profile), masters, REGION, DAY, rng.randbytes)


@pytest.fixture
def tap(sim_reader: SimReader) -> TapFixture:
    """`tap(card, serve)` presents a card, lets `serve(connection)` talk to it, and takes it away."""

    def one(
        card: SimCard,
        serve: Callable[[SimConnection], Result],
        faults: FaultPlan | None = None,
        *,
        raises: bool = True,
    ) -> Tapped[Result]:
        sim_reader.present(card, faults)
        connection = sim_reader.wait_for_card(0)
        assert connection is not None, "a card has just been presented"
        result, error = None, None
        try:
            result = serve(connection)
        except Exception as raised:
            if raises:
                raise
            error = raised
        finally:
            sim_reader.release()
            sim_reader.remove()
        last = sim_reader.last
        assert last is not None
        return Tapped(result, error, last.exchanges, last.apdu_bytes, last.air_ms)

    return one
