"""The cards of scenarios as software cards in image files, issued and changed through the card's own commands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

from cardproto.credential.grant import credential_digest
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import FormatError
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES, CardContent, personalise
from cardproto.resident.snapshot import CardSnapshot
from sim.card.virtual import VirtualCard
from sim.days import service_days
from sim.emv.card import DualCard, VirtualBankCard
from sim.emv.memory import ChipMemory
from sim.emv.order import chip_of
from sim.image_file import load_card, save_card
from sim.issuing import ReloadPoint
from sim.lab_issuer import lab_credential
from sim.lab_keys import load_lab_keys
from sim.profile import BankSection, CardProfile, CardSection, Description
from terminal.app.simulated import laboratory_keys
from terminal.bank_record import card_identity
from terminal.errors import Mistake
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.policy.policy import Policy
from terminal.scenario.card import at_issuing_point, new_card
from terminal.scenario.mistakes import PlayMistake, unplayable
from terminal.scenario.schema import BankCard, Card, IssuingPointVisit

UID_BYTES: Final = 7
PSEUDONYM_BYTES: Final = 8
FIRST_DAY: Final = date(2020, 1, 1)
LAST_DAY: Final = date(2049, 12, 31)
"""Bank cards state their year in two digits."""


class _Drawn:
    """Random numbers that a seed decides, so that a run can be repeated."""

    def __init__(self, seed: bytes) -> None:
        self._state = seed

    def __call__(self, count: int) -> bytes:
        self._state = hashlib.sha256(self._state).digest()
        return hashlib.shake_256(self._state).digest(count)


@dataclass(frozen=True, slots=True)
class LiveCard:
    """One rider's card: its image file, and who the lists know it by; `token` where it is a bank card, too."""

    path: Path
    uid: bytes
    pseudonym: bytes
    token: bytes = b""


class IssuingOffice:
    """Issues the cards of one file's scenarios for the region of `policy`, and serves them later."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._policy = policy
        self._masters = load_lab_keys()
        header = policy.document.header
        self._region = header.region
        self._keys = load_file_keys(laboratory_keys(), UNLIMITED)
        self._service_day = service_days(header.time_zone, header.service_day_end_hour)

    def issue(
        self, name: str, card: Card | None, bank: BankCard | None = None, today: date = FIRST_DAY
    ) -> LiveCard:
        """The card of scenario `name`, with its bank application made `today`; raises `ScenarioFileError` for what no
        card can hold.
        """
        uid = b"\x04" + _named(name, b"uid", UID_BYTES - 1)
        chip = None if bank is None else _chip(name, bank, today)
        token = b"" if chip is None else self._token(chip)
        if card is None:
            assert chip is not None, "a rider who pays by card has one"
            live = LiveCard(self._folder / f"{uid.hex()}.json", uid, b"", token)
            save_card(VirtualBankCard(uid, _Drawn(uid), chip), live.path)
            return live
        pseudonym = _named(name, b"pseudonym", PSEUDONYM_BYTES)
        before = new_card(card, self._policy)
        rights, credential = replace(before.rights, pseudonym=pseudonym), b""
        if any(rights.concessions):
            credential = lab_credential(uid, rights, rights.issued_on)
            rights = replace(rights, credential_digest=credential_digest(credential))
        drawn = _Drawn(uid)
        made = VirtualCard(uid, drawn)
        try:
            content = CardContent(rights, before.event, before.event.balance_after_minor, credential)
            channel = DesfireChannel(made, max_exchanges=PERSONALISATION_EXCHANGES)
            personalise(DesfireCard(channel), self._masters.for_card(uid, self._region), content, drawn)
        except (FormatError, OverflowError, ValueError) as error:
            raise unplayable(Mistake("", PlayMistake.NO_CARD_HOLDS, {"says": str(error)})) from error
        made.power_off()
        live = LiveCard(self._folder / f"{uid.hex()}.json", uid, pseudonym, token)
        both = (
            made
            if chip is None
            else DualCard(uid, drawn, chip, generation=made.generation, memory=made.memory)
        )
        save_card(both, live.path)
        return live

    def _token(self, chip: ChipMemory) -> bytes:
        (application,) = chip.wallet.applications
        return self._keys.bank_tokens(card_identity(application.pan, application.sequence))[0].token

    def visit(self, live: LiveCard, visit: IssuingPointVisit, at: datetime) -> None:
        """What an issuing or reload point does to the card at `at`, in one transaction."""
        drawn = _Drawn(live.uid + at.isoformat().encode())
        card = load_card(live.path, drawn)
        keys = self._masters.for_card(live.uid, self._region)
        point = ReloadPoint(card, keys, drawn, self._service_day)
        found = point.read()
        after = at_issuing_point(CardSnapshot(live.uid, found.rights, found.event), visit, at, self._policy)
        card.power_off()
        point.write(after.rights, after.event)
        card.power_off()
        save_card(card, live.path)


def _chip(name: str, bank: BankCard, today: date) -> ChipMemory:
    """One of the laboratory's: what is not genuine signs with a key that is not certified."""
    account = int.from_bytes(_named(name, b"account", 4), "big") % 10**8
    section = BankSection(method="CDA", account=account, counterfeit=not bank.authenticated)
    valid_to = min(bank.expires_on, LAST_DAY).isoformat()
    card = CardSection(kind="bank", valid_from=FIRST_DAY.isoformat(), valid_to=valid_to)
    return chip_of(CardProfile(Description(name, name), card, bank=section), today)


def _named(name: str, use: bytes, length: int) -> bytes:
    return hashlib.sha256(use + name.encode()).digest()[:length]
