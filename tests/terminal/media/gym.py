"""A gym's membership card as a medium: an application of its own on a DESFire, read and answered, never written.

By the port alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from cardproto.channel import CardChannel
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.messaging import CommMode
from cardproto.errors import StatusError
from terminal.codes import Admission
from terminal.decision.outcome import Decision, Outcome
from terminal.media.port import MediumSetup, Presented, UnsupportedCard
from terminal.messages import Colour, MediumMessage
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

AID = bytes.fromhex("F5C701")
FILE = 1
NUMBER_BYTES = 8
CONTENT_BYTES = NUMBER_BYTES + len("2026-12-31")


@dataclass(frozen=True, slots=True)
class Membership:
    """Until when the member may come in."""

    valid_to: date


class GymMedium:
    """Members of one gym."""

    name = "gym"
    messages = (
        MediumMessage(
            "gym.welcome",
            Colour.GREEN,
            {"en": "Welcome! Member until {date}", "ru": "Добро пожаловать! Абонемент до {date}"},
        ),
        MediumMessage(
            "gym.expired",
            Colour.RED,
            {"en": "Membership ended on {date}", "ru": "Абонемент закончился {date}"},
        ),
    )

    def __init__(self, setup: MediumSetup) -> None:
        self._setup = setup

    def select(self, channel: CardChannel) -> bool:
        try:
            DesfireCard(DesfireChannel(channel)).select_application(AID)
        except StatusError:
            return False
        return True

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        card = DesfireCard(DesfireChannel(channel))
        try:
            content = card.read_data(FILE, 0, CONTENT_BYTES, CommMode.PLAIN)
            valid_to = date.fromisoformat(content[NUMBER_BYTES:].decode("ascii"))
        except (StatusError, ValueError) as damage:
            raise UnsupportedCard(f"membership not understood: {damage}") from damage
        number = content[:NUMBER_BYTES]
        return Presented(self._setup.reference(b"gym" + number), Membership(valid_to))

    def decide(self, snapshot: Membership, policy: Policy, trip: Trip, now: datetime) -> Decision:
        today = policy.service_date(now.astimezone(policy.zone))
        valid = today <= snapshot.valid_to
        values = {"date": snapshot.valid_to.isoformat()}
        admission = Admission.LET_IN if valid else Admission.REFUSED
        outcome = Outcome("gym.welcome" if valid else "gym.expired", admission, values=values)
        return Decision(outcome, write_plan=None, facts=())
