"""A routes document as the TOML file that terminals read: what people may edit afterwards, one stop a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from terminal.policy.routes import LineRoute, RoutesDocument, RouteStop


def as_toml(document: RoutesDocument) -> str:
    """The document as `terminal.policy.routes` reads it."""
    header = document.header
    lines = [
        "[header]",
        f"id = {_text(header.id)}",
        f"version = {header.version}",
        f"region = {header.region}",
    ]
    lines += [f"issued_at = {header.issued_at.isoformat(timespec='seconds')}"]
    if header.valid_from is not None:
        lines.append(f"valid_from = {header.valid_from.isoformat(timespec='seconds')}")
    if document.zones:
        lines += ["", "[zones]", *(f"{_text(name)} = {number}" for name, number in document.zones.items())]
    for route in document.routes:
        lines += ["", *_route_lines(route)]
    return "\n".join(lines) + "\n"


def _route_lines(route: LineRoute) -> Iterator[str]:
    yield "[[routes]]"
    yield f"number = {route.number}"
    yield f"name = {_text(route.name)}"
    if route.mode is not None:
        yield f"mode = {_text(route.mode)}"
    yield f"lines = [{', '.join(map(_text, route.lines))}]"
    for direction in route.directions:
        yield ""
        yield "[[routes.directions]]"
        yield f"name = {_text(direction.name)}"
        if direction.stops:
            yield "stops = ["
            yield from (f"  {_stop_line(stop)}," for stop in direction.stops)
            yield "]"
        if direction.shape:
            yield f"shape = [{', '.join(f'[{lat!r}, {lon!r}]' for lat, lon in direction.shape)}]"


def _stop_line(stop: RouteStop) -> str:
    parts = [f"number = {stop.number}", f"name = {_text(stop.name)}"]
    parts += [f"zone = {stop.zone}"] if stop.zone else []
    parts.append(f"refs = [{', '.join(map(_text, stop.refs))}]")
    if stop.lat is not None and stop.lon is not None:
        parts.append(f"lat = {stop.lat!r}, lon = {stop.lon!r}")
    return f"{{ {', '.join(parts)} }}"


def _text(text: str) -> str:
    """A basic string of TOML, which is JSON's except for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
