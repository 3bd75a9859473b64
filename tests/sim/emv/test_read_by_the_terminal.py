"""The bank cards of the simulator, read by the card library, which was written apart from them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pytest

from cardproto.channel import CardChannel
from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.faults import ChainFault, NotRead, ReadFault
from cardproto.emv.keys import CaKey, CaKeys, RevokedCertificate, Trust
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.transaction import BankTransaction
from sim.card.port import SimCard
from sim.emv.chain import RID, lab_ca_keys, revoked_issuers
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile

DAY = date(2026, 9, 15)
TRUST = Trust(
    CaKeys(CaKey(k.rid, k.index, k.modulus, k.exponent, k.checksum) for k in lab_ca_keys()),
    frozenset(RevokedCertificate(*one) for one in revoked_issuers()),
)
CDA, FDDA = (OfflineMethod.CDA, 9), (OfflineMethod.FDDA, 8)


def issued(name: str) -> SimCard:
    card = issue(load_profile(name), load_lab_keys(), 34, DAY, random.Random(1).randbytes)
    card.power_on()
    return card


def read(card: SimCard) -> tuple[BankReading | NotRead, CardChannel]:
    channel = CardChannel(card)
    transaction = BankTransaction(datetime(2026, 9, 15, 8, 0, tzinfo=UTC), amount_minor=4300)
    return read_card(channel, (RID,), transaction, TRUST, random.Random(2).randbytes), channel


@pytest.mark.parametrize(
    ("name", "method", "fault"),
    [
        ("bank_cda", CDA, None),
        ("bank_cda_19", CDA, None),
        ("bank_phone", CDA, None),
        ("resident_bank", CDA, None),
        ("bank_fdda", FDDA, None),
        ("bank_fdda_19", FDDA, None),
        ("bank_longest_key", FDDA, None),
        ("bank_static_only", (OfflineMethod.SDA, 8), None),
        ("bank_expired", CDA, ChainFault.CARD_CERTIFICATE_EXPIRED),
        ("bank_revoked_issuer", CDA, ChainFault.ISSUER_CERTIFICATE_REVOKED),
        ("bank_counterfeit", CDA, ChainFault.SIGNATURE_FORMAT),
    ],
)
def test_what_the_card_library_says_of_each_card(
    name: str, method: tuple[OfflineMethod, int], fault: ChainFault | None
) -> None:
    """Exchanges are within the budgets: fDDA 8, CDA 10 after selection."""
    found, channel = read(issued(name))
    assert isinstance(found, BankReading), found
    assert (found.authentication.method, channel.exchanges) == method
    assert found.authentication.fault is fault
    assert found.in_force(DAY) is (name != "bank_expired")


def test_a_blocked_application_and_a_card_for_contacts_are_not_read() -> None:
    for name, fault in (
        ("bank_blocked", ReadFault.APPLICATION_BLOCKED),
        ("bank_contacts", ReadFault.NO_BANK_APPLICATION),
    ):
        found, _ = read(issued(name))
        assert isinstance(found, NotRead)
        assert found.fault is fault


def test_of_two_applications_the_one_the_card_prefers_is_taken() -> None:
    found, _ = read(issued("bank_cda"))
    assert isinstance(found, BankReading)
    assert found.opened.application.aid.hex() == "a0000006581010"
