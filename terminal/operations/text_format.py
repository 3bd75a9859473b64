"""Prometheus' text format (exposition format 0.0.4), as much of it as counters, gauges and histograms need.

A few lines of our own instead of the client library: a terminal has some twenty numbers, all of them read when they
are asked for, and the library would cost more memory and start-up time than the rest of `terminal.operations`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Kind = Literal["counter", "gauge", "histogram"]
Labels = Mapping[str, str]
NO_LABELS: Final[Labels] = MappingProxyType({})


class Sample(NamedTuple):
    """One number. `suffix` only in histograms."""

    value: float
    labels: Labels = NO_LABELS
    suffix: str = ""


class Family(NamedTuple):
    """A metric with its samples. Counters are named `…_total`, every name carries its unit."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def counter(name: str, help: str, value: float | Mapping[str, float], label: str = "") -> Family:
    """A number that only grows, or one for each value of `label`."""
    return Family(name, "counter", help, _samples(value, label))


def gauge(name: str, help: str, value: float | Mapping[str, float], label: str = "") -> Family:
    """A number that goes up and down, or one for each value of `label`."""
    return Family(name, "gauge", help, _samples(value, label))


def info(name: str, help: str, **labels: str) -> Family:
    """A 1 that carries words."""
    return Family(name, "gauge", help, (Sample(1, labels),))


class Histogram:
    """Counts observations in fixed ranges; the caller sees to it that one thread at a time observes."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, help: str) -> Family:
        samples, total = [], 0
        for bound, count in zip((*map(_number, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            samples.append(Sample(total, {"le": bound}, "_bucket"))
        return Family(
            name,
            "histogram",
            help,
            (*samples, Sample(self._sum, suffix="_sum"), Sample(total, suffix="_count")),
        )


def render(families: Iterable[Family]) -> bytes:
    """The page that is scraped."""
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [
            f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples
        ]
    return ("\n".join(lines) + "\n").encode()


def _samples(value: float | Mapping[str, float], label: str) -> tuple[Sample, ...]:
    if isinstance(value, Mapping):
        return tuple(Sample(number, {label: name}) for name, number in sorted(value.items()))
    return (Sample(value),)


def _labels(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
