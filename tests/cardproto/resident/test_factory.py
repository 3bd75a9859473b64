"""A card goes from the factory to a resident and back, and can then be issued again; with random UID as well."""

from __future__ import annotations

import pytest

from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import ProtocolError
from cardproto.resident.factory import to_factory_state
from cardproto.resident.layout import AID, FILE_PURSE, KeyNo
from cardproto.resident.opening import OpenedCard, is_random, open_as
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES, personalise
from sim.card.virtual import VirtualCard
from tests.cardproto.cards import (
    CONTENT,
    KEYS,
    MASTERS,
    PURSE_MINOR,
    UID,
    OpeningInMemory,
    numbers,
    terminal_end,
)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("generation", ["EV1", "EV2", "EV3"])
def test_there_and_back_again(generation: str, hidden: bool) -> None:
    virtual = VirtualCard(UID, numbers(), generation=generation, key_type=KeyType.DES)
    rnd = numbers("desk")
    for _ in range(2):
        card = terminal_end(virtual, PERSONALISATION_EXCHANGES)
        issued = personalise(card, KEYS, CONTENT, rnd, random_uid=hidden)
        assert (issued.proof is None) is (generation == "EV1")
        virtual.power_on()
        card = terminal_end(virtual)
        shown = card.channel.read_uid()
        assert is_random(shown) is hidden
        card.select_application(AID)
        opened = open_as(card, shown, KeyNo.VALIDATE, OpeningInMemory(rnd, MASTERS))
        assert opened == OpenedCard(UID, key_version=1)
        assert card.get_value(FILE_PURSE, CommMode.MAC) == PURSE_MINOR
        to_factory_state(card, KEYS.picc, rnd)
        card.authenticate_iso(0, DesKey(bytes(16)), rnd(8))
        assert card.get_application_ids() == ()


def test_uids_no_desfire_has() -> None:
    card = terminal_end(VirtualCard(UID, numbers()))
    for shown in (b"\x01\x02\x03\x04", bytes(10)):
        with pytest.raises(ProtocolError, match="a DESFire has 7"):
            open_as(card, shown, KeyNo.VALIDATE, OpeningInMemory(numbers(), MASTERS))
    assert card.channel.exchanges == 0


def test_the_key_that_opens_nothing_is_one_per_region() -> None:
    assert MASTERS.identify_key(34) != MASTERS.identify_key(35)
    assert MASTERS.identify_key(34) != MASTERS.for_card(UID, 34).validate
