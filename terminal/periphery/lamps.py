"""Lamps and buzzer: one colour, one shape of sound for each result, so that no rider depends on colour alone.

A thread of their own shows results. A newer one cuts the older short: no rider hears the sound of another.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from terminal.messages import Colour, colour
from terminal.signals import DeviceWorker

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.decision.outcome import Outcome
    from terminal.periphery.port import OutputLines

LOW: Final = "low"
HIGH: Final = "high"


class Tone(Struct, frozen=True):
    """`pitch` is low, high or pause."""

    pitch: str
    ms: int


def tone_of(text: str) -> Tone:
    """The tone that terminal.toml writes as "low:100"."""
    pitch, _, ms = text.partition(":")
    return Tone(pitch, int(ms))


class LampLayout(Struct, frozen=True):
    """Which line is which lamp and tone; what is None does not exist."""

    ready: str | None
    colours: Mapping[Colour, str | None]
    low: str | None
    high: str | None
    tones: Mapping[Colour, tuple[Tone, ...]]
    show_ms: int

    @property
    def lamps(self) -> tuple[str, ...]:
        """Every lamp there is."""
        return tuple(line for line in (self.ready, *self.colours.values()) if line is not None)

    @property
    def any(self) -> bool:
        """Whether there is a lamp or a buzzer."""
        return bool(self.lamps) or self.low is not None

    def tone_line(self, pitch: str) -> str | None:
        """The line of a tone; a buzzer with one tone has it for both."""
        return {LOW: self.low, HIGH: self.high or self.low}.get(pitch)


class _Light(Struct, frozen=True):
    """What is to be seen next: a result's colour, or None for the rest between two."""

    number: int
    colour: Colour | None


class Lamps:
    """Shows each result on `lines`; `outcome` and `serves` return at once."""

    def __init__(self, lines: OutputLines, layout: LampLayout, clock: Clock) -> None:
        self._lines = lines
        self._layout = layout
        self._newest = self._over = 0
        self._serves = False
        self._change = threading.Condition()
        self.worker: Final = DeviceWorker("periphery:lamps", self._show, self._dark, clock, waiting=1)

    def outcome(self, outcome: Outcome) -> None:
        """A result, to be shown now."""
        with self._change:
            self._newest += 1
            self._change.notify_all()
            self.worker.pass_on(_Light(self._newest, colour(outcome.message)))

    def serves(self, serves: bool) -> None:
        """Whether cards are served: the lamp that invites is lit only then. A result that is shown stays to its end."""
        with self._change:
            if serves is self._serves:
                return
            self._serves = serves
            if self._over == self._newest:
                self.worker.pass_on(_Light(self._newest, None))

    def _show(self, light: _Light) -> None:
        """On the worker's thread, until the time is over or a newer result has come."""
        try:
            if light.colour is not None and self._shown(light, light.colour):
                return
        finally:
            with self._change:
                self._over = light.number
        self._light_up(None)

    def _shown(self, light: _Light, shown: Colour) -> bool:
        """Whether a newer result has cut it short."""
        self._light_up(shown)
        left_ms = self._layout.show_ms
        for tone in self._layout.tones[shown]:
            if self._sound(tone, light.number):
                return True
            left_ms -= tone.ms
        return self._overtaken(light.number, left_ms)

    def _light_up(self, shown: Colour | None) -> None:
        wanted = self._layout.ready if shown is None and self._serves else None
        if shown is not None:
            wanted = self._layout.colours[shown]
        for line in self._layout.lamps:
            self._lines.set(line, line == wanted)

    def _sound(self, tone: Tone, number: int) -> bool:
        """Whether a newer result has cut it short."""
        line = self._layout.tone_line(tone.pitch)
        if line is None:
            return self._overtaken(number, tone.ms)
        self._lines.set(line, True)
        try:
            return self._overtaken(number, tone.ms)
        finally:
            self._lines.set(line, False)

    def _overtaken(self, number: int, wait_ms: int) -> bool:
        with self._change:
            return self._change.wait_for(lambda: self._newest != number, max(0, wait_ms) / 1000)

    def stop(self) -> None:
        """Dark, as soon as what is shown may be cut short."""
        with self._change:
            self._newest += 1
            self._change.notify_all()
        self.worker.close()

    def _dark(self) -> None:
        for line in (*self._layout.lamps, self._layout.low, self._layout.high):
            if line is not None:
                self._lines.set(line, False)
