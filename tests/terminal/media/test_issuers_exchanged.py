"""Issuers that come while a terminal serves: one exchange for all that believes an issuer's word."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from cardproto.channel import CardChannel
from cardproto.credential.keys import IssuerKeys
from sim.phone import VirtualPhone
from terminal.app.media import credential_checks, trust_issuers
from terminal.app.simulated import issue_residents, laboratory_issuers, laboratory_keys
from terminal.decision.outcome import Message
from terminal.keys.file import load_file_keys
from terminal.media.code import CodeTaker
from terminal.media.held import HeldEvents
from terminal.media.phone.medium import PhoneMedium
from terminal.media.port import MediumSetup, UnsupportedCard
from terminal.media.resident.credential import CredentialCheck, VerifyCredential
from terminal.media.resident.medium import ResidentMedium
from terminal.policy.load import load_region
from terminal.policy.policy import Policy

NOW = datetime(2026, 9, 15, 5, tzinfo=UTC)
REGION = 34


def test_phones_and_codes_follow_the_issuers_as_cards_do(tmp_path: Path) -> None:
    setup = MediumSetup("bus", REGION, load_file_keys(laboratory_keys()), random.Random(7).randbytes)
    policy = Policy.of(load_region("demo"))
    held, none, issuers = HeldEvents(tmp_path), IssuerKeys(), laboratory_issuers(REGION)
    card = ResidentMedium(setup, CredentialCheck(VerifyCredential.NEVER, none))
    phone, codes = PhoneMedium(setup, 70001, none, held), CodeTaker(setup, none, held)
    (held_up,) = issue_residents(["phone_pensioner"], REGION, date(2026, 9, 15))
    assert isinstance(held_up, VirtualPhone)

    def said() -> list[str]:
        """Of the phone, and of a code that it shows; nothing where it is believed."""
        channel = CardChannel(held_up)
        assert phone.select(channel)
        return [
            _refusal(lambda: phone.open(channel, NOW)),
            _refusal(
                lambda: codes.open(held_up.code(NOW).encode("latin-1"), NOW, policy, clock_suspect=False)
            ),
        ]

    refused = Message.CREDENTIAL_NOT_TRUSTED
    assert said() == [refused, refused]
    trust_issuers((card, phone), codes, issuers)
    assert said() == ["", ""]
    trust_issuers((card, phone), codes, none)
    assert said() == [refused, refused]
    trust_issuers((card, phone), None, issuers)
    assert said() == ["", refused], "where no codes are taken"
    assert credential_checks((card, phone)) == (card.credentials,)


def _refusal(work: Callable[[], object]) -> str:
    try:
        work()
    except UnsupportedCard as refused:
        return refused.message
    return ""
