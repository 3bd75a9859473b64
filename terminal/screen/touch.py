"""What a passenger may say of the next ride by touch on the display: how many ride, and where to (T-20, T-34, T-01).

The document in force says what is offered (`profiles.bus.passenger_asks`); without it there is nothing to touch, and
the address of the form does not exist. Everything works without scripts: buttons are forms, and the answer is the
display's own page. What the crew has said is shown and cannot be changed here.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import Struct, field

from terminal.clock import Clock
from terminal.policy.document.schema import PassengerAsk
from terminal.tap import Terminal
from terminal.texts import N_, translator
from terminal.trip.asked import Goal, goals, places_asked
from terminal.trip.facts import NOWHERE, AskedBy, RideAsked

MOST_BODY_BYTES: Final = 1024
MOST_FIELDS: Final = 8
MOST_BY_TOUCH: Final = 6
"""Companions that a passenger counts; a larger group is a matter of the crew."""
BURST: Final = 20
PER_S: Final = 2.0
"""So many presses at once, and so many a second after that: more than a hurried person, less than a stuck screen."""

NOT_AHEAD: Final = N_("The vehicle does not come there on this trip. Choose another place.")
TOO_FAST: Final = N_("Too many presses. Wait a moment.")
OF_THE_CREW: Final = N_("The driver has set this. Ask the driver to change it.")
OUT_OF_DATE: Final = N_("This page was out of date. Choose again.")


class TouchRefused(Exception):
    """A press changes nothing; `text` is the message id of what the passenger reads, `status` that of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Pace(Struct):
    """Presses that are still free; any thread."""

    clock: Clock
    free: float = BURST
    at_s: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def take(self) -> bool:
        """Whether one more is free now."""
        with self.lock:
            now_s = self.clock.monotonic()
            self.free = min(BURST, self.free + PER_S * (now_s - self.at_s))
            self.at_s = now_s
            if self.free < 1:
                return False
            self.free -= 1
            return True


class PassengerTouch:
    """The touch of one terminal's display. Any thread."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._token = secrets.token_urlsafe(16)
        self._pace = _Pace(terminal.clock, at_s=terminal.clock.monotonic())

    @property
    def offered(self) -> frozenset[PassengerAsk]:
        """What may be asked for now: nothing while nothing is sold, nor by a document that does not allow it."""
        terminal = self._terminal
        if terminal.journal.open_shift is None or terminal.inspecting is not None:
            return frozenset()
        return frozenset(terminal.policy.document.profiles.bus.passenger_asks)

    def shown(self, languages: tuple[str, ...]) -> dict[str, Any]:
        """What the page shows, its lines in each of `languages`."""
        asked, left_s = self._terminal.next_ride.ride, self._terminal.next_ride.left_s
        offered, ahead = self.offered, self._goals()
        by_crew = asked.by is AskedBy.CREW
        goal = next((one for one in ahead if one.spot == asked.destination), None)
        return {
            "token": self._token,
            "companions": asked.companions,
            "most": MOST_BY_TOUCH,
            "counts": PassengerAsk.COMPANIONS in offered and not by_crew,
            "goals": ahead if PassengerAsk.DESTINATION in offered and not by_crew else (),
            "goal": goal,
            "set": asked.by is not AskedBy.NOT_ASKED,
            "clears": asked.by is AskedBy.RIDER and bool(offered),
            "left_s": left_s,
            "charged": [_charged(asked, goal, language) for language in languages],
            "labels": {name: [translator(one).gettext(text) for one in languages] for name, text in LABELS},
        }

    def take(self, body: bytes) -> None:
        """Do what one press asks for. Raises `TouchRefused`."""
        form = _form(body)
        if not hmac.compare_digest(form.get("token", "").encode(), self._token.encode()):
            raise TouchRefused(403, OUT_OF_DATE)
        if not self._pace.take():
            raise TouchRefused(429, TOO_FAST)
        next_ride = self._terminal.next_ride
        if next_ride.ride.by is AskedBy.CREW:
            raise TouchRefused(409, OF_THE_CREW)
        if "clear" in form:
            next_ride.forget()
        elif "more" in form:
            self._count(form)
        else:
            self._go_to(form.get("to", ""))

    def _count(self, form: Mapping[str, str]) -> None:
        """One more or one fewer than the page showed; a press that came twice, or too late, counts once or not."""
        if PassengerAsk.COMPANIONS not in self.offered or form["more"] not in ("1", "-1"):
            raise TouchRefused(409, OUT_OF_DATE)
        next_ride = self._terminal.next_ride
        if form.get("was") != str(next_ride.ride.companions):
            return  # the page that answers shows how many it is now
        if next_ride.ride.companions + int(form["more"]) <= MOST_BY_TOUCH:
            next_ride.count(int(form["more"]), AskedBy.RIDER)

    def _go_to(self, key: str) -> None:
        if PassengerAsk.DESTINATION not in self.offered:
            raise TouchRefused(409, OUT_OF_DATE)
        spot = next((goal.spot for goal in self._goals() if goal.key == key), None) if key else NOWHERE
        if spot is None:
            raise TouchRefused(409, NOT_AHEAD)
        self._terminal.next_ride.go_to(spot, AskedBy.RIDER)

    def _goals(self) -> tuple[Goal, ...]:
        terminal, trip = self._terminal, self._terminal.trip()
        stops = terminal.routes.stops(trip.route, trip.direction)
        return goals(places_asked(terminal.policy), stops, trip)


LABELS: Final = (
    ("group", N_("Your ride")),
    ("fewer", N_("One person less")),
    ("more", N_("One person more")),
    ("where", N_("Where to?")),
    ("back", N_("Back")),
    ("unstated", N_("Not stated")),
    ("cancel", N_("Cancel")),
)


def _charged(asked: RideAsked, goal: Goal | None, language: str) -> str:
    """For whom the next card pays, and how far."""
    t, persons = translator(language), 1 + asked.companions
    who = t.ngettext("The card pays for {n} person", "The card pays for {n} persons", persons).format(
        n=persons
    )
    if goal is not None:
        return t.gettext("{who}, to {place}").format(who=who, place=goal.name)
    if asked.destination.mark_m is not None:
        return t.gettext("{who}, to km {km}").format(who=who, km=f"{asked.destination.mark_m / 1000:g}")
    return who


def _form(body: bytes) -> dict[str, str]:
    """The fields of a small form; raises `TouchRefused` for anything else."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise TouchRefused(400, OUT_OF_DATE) from error
