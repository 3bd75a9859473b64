"""Words that code puts together, in the operator's language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from terminal.decision.outcome import Message
from terminal.messages import wording
from terminal.texts import N_, translator

UNITS: Final = ((86400, N_("{n} d")), (3600, N_("{n} h")), (60, N_("{n} min")), (1, N_("{n} s")))


def worded(message: str, values: Mapping[str, str | int], language: str) -> str:
    """The translation of `message` with its values; a number called `wait` is a time in seconds."""
    shown = {name: span(int(value), language) if name == "wait" else value for name, value in values.items()}
    translated = translator(language).gettext(message)
    return translated.format(**shown) if shown else translated


def span(seconds: int, language: str) -> str:
    """A length of time in its largest unit, rounded up: "5 min"."""
    unit, text = next((unit, text) for unit, text in UNITS if seconds >= unit or unit == 1)
    return translator(language).gettext(text).format(n=-(-seconds // unit))


SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        Message.OK_PAID: N_("Paid by card"),
        Message.OK_PASS: N_("Travel pass"),
        Message.OK_PACK: N_("Trip of a pack"),
        Message.OK_BENEFIT: N_("Concession trip"),
        Message.OK_BENEFIT_UNLIMITED: N_("Concession trip"),
        Message.OK_TRANSFER: N_("Transfer"),
        Message.OK_CHECKIN: N_("Checked in"),
        Message.OK_CHECKOUT: N_("Checked out"),
        Message.LIMIT_REACHED: N_("Full fare: no concession trips left"),
        Message.PACK_USED_UP: N_("Full fare: no trips left on the pack"),
        Message.PACK_LAPSED: N_("Full fare: the pack is of another month"),
        Message.COUNT_UNREADABLE: N_("Full fare: trips left cannot be read"),
        Message.PASS_USED_UP: N_("Full fare: no rides left on the pass"),
        Message.BENEFIT_EXPIRED: N_("Full fare: concession expired"),
        Message.BENEFIT_OUT_OF_SEASON: N_("Full fare: concession not in season"),
        Message.BENEFIT_NOT_CHECKED: N_("Full fare: lists too old"),
        Message.OK_GRACE: N_("Ride on credit"),
        Message.DEBT: N_("Too many unpaid rides"),
        Message.DENY_LIST: N_("Card on the deny list"),
        Message.SHIFT_CLOSED: N_("Shift not open"),
        Message.CLOCK_UNCONFIRMED: N_("Clock to be confirmed with a service card"),
        Message.CLOCK_CONFIRMED: N_("Clock confirmed with a service card"),
        Message.FARE_UNKNOWN: N_("Fare not known"),
        Message.STAFF_CARD: N_("Service card"),
    }
)
"""What the crew reads where the passenger's line says more than they need, or has values."""


def short(message: str, language: str) -> str:
    """A message's line in a list; a code no table has stays as it is."""
    line = SHORT.get(message)
    return wording(message, language) if line is None else translator(language).gettext(line)
