"""The municipal gym's memberships on DESFire cards of its own: who is a member is let in, and nothing is written."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cardproto import (
    AesAuthentication,
    AesKey,
    CardChannel,
    CommMode,
    DesfireCard,
    DesfireChannel,
    FormatError,
    StatusError,
)
from terminal import (
    Admission,
    Colour,
    Decision,
    Effect,
    ExtensionSetup,
    Medium,
    MediumMessage,
    MediumSetup,
    Outcome,
    Policy,
    Presented,
    Reason,
    Trip,
    UnsupportedCard,
)

AID = bytes.fromhex("4D5947")
MEMBERSHIP_FILE = 1
READ_KEY = 1
EPOCH = date(2024, 1, 1)

WELCOME = MediumMessage(
    "gym.welcome",
    Colour.GREEN,
    {"en": "Welcome! Membership until {date}", "ru": "Добро пожаловать! Абонемент до {date}"},
)
ENDED = MediumMessage(
    "gym.ended",
    Colour.RED,
    {"en": "Membership ended on {date}", "ru": "Абонемент закончился {date}"},
)


class GymEffect(Effect):
    MEMBER = "gym:member"
    ENDED = "gym:ended"


@dataclass(frozen=True)
class Membership:
    """What the card says: a member's number, and the last day, as four and two bytes."""

    member: bytes
    valid_to: date

    @classmethod
    def parse(cls, data: bytes) -> "Membership":
        return cls(data[:4], EPOCH + timedelta(days=int.from_bytes(data[4:6], "big")))


@dataclass
class GymMedium:
    key: AesKey = field(repr=False)
    setup: MediumSetup
    name = "gym"
    messages = (WELCOME, ENDED)

    def select(self, channel: CardChannel) -> bool:
        try:
            DesfireCard(DesfireChannel(channel)).select_application(AID)
        except StatusError:
            return False
        return True

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        card = DesfireCard(DesfireChannel(channel))
        try:
            card.authenticate_ev2_first(READ_KEY, AesAuthentication(self.key, self.setup.random(16)))
            membership = Membership.parse(card.read_data(MEMBERSHIP_FILE, 0, 6, CommMode.FULL))
        except (StatusError, FormatError) as error:
            raise UnsupportedCard(f"no membership: {error}") from error
        return Presented(self.setup.reference(b"gym" + membership.member), membership)

    def decide(self, snapshot: Membership, policy: Policy, trip: Trip, now: datetime) -> Decision:
        member = now.astimezone(policy.zone).date() <= snapshot.valid_to
        message = WELCOME if member else ENDED
        values = {"date": snapshot.valid_to.isoformat()}
        why = Reason(GymEffect.MEMBER if member else GymEffect.ENDED, {"valid_to": values["date"]})
        admission = Admission.LET_IN if member else Admission.REFUSED
        return Decision(Outcome(message.code, admission, values=values), None, (why,))


@dataclass
class GymOptions:
    key: str


def open_medium(setup: ExtensionSetup, lent: MediumSetup) -> Medium:
    return GymMedium(AesKey(bytes.fromhex(setup.options_as(GymOptions).key)), lent)
