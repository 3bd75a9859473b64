"""The supply fails at any exchange of a tap: it ends within its time, is charged once, and its ride is on record."""

from __future__ import annotations

import threading

import pytest

from cardproto.connection import CardConnection
from sim.air import VirtualClock
from terminal.journal.taps import End
from terminal.lab.town import Town
from terminal.periphery.power import CUT_S, Power
from terminal.tap import take_tap
from tests.flows.conftest import FRONT, OpenTown
from tests.flows.test_torn_taps import Ledger

EXCHANGES = 8
FARE_MINOR = 2400


class FailingAt:
    """A card during whose `exchange`th answer the supply fails, and which is slow from then on."""

    def __init__(self, card: CardConnection, power: Power, clock: VirtualClock, exchange: int) -> None:
        self._card, self._power, self._clock, self._left = card, power, clock, exchange
        self.failed_s: float | None = None

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self._left -= 1
        if self._left == 0:
            self.failed_s = self._clock.monotonic()
            threading.Thread(target=self._power.supply, args=(True,)).start()
            while not self._power.failing:
                pass
        if self.failed_s is not None:
            self._clock.advance(0.12)
        return answer


def tap(town: Town, exchange: int) -> tuple[End, float]:
    """How a tap ends whose supply fails at that exchange, and how long after; the card is taken away then."""
    terminal, reader = town.terminals[FRONT.number], town.readers[FRONT.number]
    lock = threading.Lock()
    checkpointed = threading.Event()

    def checkpoint() -> None:
        terminal.journal.checkpoint()
        checkpointed.set()

    power = Power(town.clock, lock, checkpoint, lambda: None)
    reader.present(town.cards["adult_purse"])
    card = reader.wait_for_card(0)
    assert card is not None
    failing = FailingAt(card, power, town.clock, exchange)
    with lock:
        report = take_tap(power.guarded(failing), terminal)
        ended_s = town.clock.monotonic()
        assert not checkpointed.is_set()
    assert checkpointed.wait(10)
    reader.release()
    reader.remove()
    assert failing.failed_s is not None
    return report.end, ended_s - failing.failed_s


@pytest.mark.parametrize("exchange", range(1, EXCHANGES + 1))
def test_a_tap_is_charged_once_whenever_the_supply_fails(town_of: OpenTown, exchange: int) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        before_minor = town.purses_minor()
        end, took_s = tap(town, exchange)
        assert took_s <= CUT_S + 0.13  # the exchange that had begun ends
        town.clock.advance(1)
        again = town.tap(FRONT.number, "adult_purse").report
        assert again.outcome.accepted
        assert before_minor - town.purses_minor() == FARE_MINOR
        ledger = Ledger.of(town)
        assert len(ledger.written) == 1
        expected = {1: End.NOTHING_WRITTEN, EXCHANGES: End.COMMITTED}
        assert end is expected.get(exchange, end)
