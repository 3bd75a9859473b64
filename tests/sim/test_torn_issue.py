"""A card torn at any exchange of the issuing point is either issued or recognisably not, never something else."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest

from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardError, CardGone
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, KeyNo
from cardproto.resident.opening import begin, in_memory
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES, personalise
from cardproto.resident.records.event import EVENT_BYTES, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import NO_FAULTS, FaultPlan, tear_after, tear_before
from sim.field import Field, Presentation
from sim.issuing import content_of
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from tests.sim.bench import UID, Counting

REGION = 34
KEYS = load_lab_keys().for_card(UID, REGION)
CONTENT = content_of(load_profile("adult_purse"), UID, REGION, date(2026, 9, 15))


class IssuingReader:
    """The card on the issuing point's reader, as a connection."""

    def __init__(self, card: VirtualCard, faults: FaultPlan) -> None:
        clock = VirtualClock(datetime(2026, 9, 15, tzinfo=UTC))
        self.presentation = Presentation(card, Field(clock, None), faults, None)

    def transmit(self, command: bytes) -> bytes:
        return self.presentation.exchange(command)


def issue_torn(faults: FaultPlan, generation: str, *, random_uid: bool = False) -> tuple[VirtualCard, int]:
    """A card and how many exchanges its issue took or lasted."""
    card = VirtualCard(UID, Counting(), generation=generation)
    reader = IssuingReader(card, faults)
    channel = DesfireChannel(reader, max_exchanges=PERSONALISATION_EXCHANGES)
    with nullcontext() if faults == NO_FAULTS else pytest.raises(CardGone):
        personalise(DesfireCard(channel), KEYS, CONTENT, Counting(), random_uid=random_uid)
    return card, reader.presentation.exchanges


def read(card: VirtualCard) -> tuple[int, int]:
    """(purse, balance in the newest event), by the validator's key."""
    desfire = DesfireCard(DesfireChannel(card))
    desfire.select_application(AID)
    begin(desfire, KeyNo.VALIDATE, in_memory(AesKey(KEYS.validate), Counting()))
    parse_rights(desfire.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC))
    event = desfire.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES)
    return desfire.get_value(FILE_PURSE, CommMode.MAC), parse_event(bytes(event)).balance_after_minor


@pytest.mark.parametrize("generation", ["EV2", "EV3"])
def test_torn_at_every_exchange_of_the_issuing_point(generation: str) -> None:
    whole, exchanges = issue_torn(NO_FAULTS, generation)
    assert read(whole) == (50_000, 50_000)
    for exchange in range(1, exchanges + 1):
        for tear in (tear_before, tear_after):
            card, lasted = issue_torn(tear(exchange), generation)
            assert lasted == exchange
            if exchange == exchanges and tear is tear_after:
                assert read(card) == (50_000, 50_000)
                assert card.image() == whole.image()
            else:
                with pytest.raises(CardError):
                    read(card)


@pytest.mark.parametrize("generation", ["EV1", "EV3"])
def test_no_card_that_was_to_hide_its_uid_is_issued_and_shows_it(generation: str) -> None:
    whole, exchanges = issue_torn(NO_FAULTS, generation, random_uid=True)
    assert whole.memory.random_uid
    assert read(whole) == (50_000, 50_000)
    for exchange in range(exchanges - 12, exchanges + 1):
        for tear in (tear_before, tear_after):
            card, _ = issue_torn(tear(exchange), generation, random_uid=True)
            try:
                read(card)
            except CardError:
                continue
            assert card.memory.random_uid, f"{tear.__name__} {exchange} of {exchanges}"
            assert (exchange, tear) == (exchanges, tear_after)
