"""The cards of scenarios as software cards in image files, issued and changed through the card's own commands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
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
from sim.image_file import load_card, save_card
from sim.issuing import ReloadPoint
from sim.lab_issuer import lab_credential
from sim.lab_keys import load_lab_keys
from terminal.errors import Mistake
from terminal.policy.policy import Policy
from terminal.scenario.card import at_issuing_point, new_card
from terminal.scenario.mistakes import PlayMistake, unplayable
from terminal.scenario.schema import Card, IssuingPointVisit

UID_BYTES: Final = 7
PSEUDONYM_BYTES: Final = 8


class _Drawn:
    """Random numbers that a seed decides, so that a run can be repeated."""

    def __init__(self, seed: bytes) -> None:
        self._state = seed

    def __call__(self, count: int) -> bytes:
        self._state = hashlib.sha256(self._state).digest()
        return hashlib.shake_256(self._state).digest(count)


@dataclass(frozen=True, slots=True)
class LiveCard:
    """One rider's card: its image file, and who the lists know it by."""

    path: Path
    uid: bytes
    pseudonym: bytes


class IssuingOffice:
    """Issues the cards of one file's scenarios for the region of `policy`, and serves them later."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._policy = policy
        self._masters = load_lab_keys()
        header = policy.document.header
        self._region = header.region
        self._service_day = service_days(header.time_zone, header.service_day_end_hour)

    def issue(self, name: str, card: Card) -> LiveCard:
        """The card of scenario `name`; raises `ScenarioFileError` for what no card can hold."""
        uid = b"\x04" + _named(name, b"uid", UID_BYTES - 1)
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
        live = LiveCard(self._folder / f"{uid.hex()}.json", uid, pseudonym)
        save_card(made, live.path)
        return live

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


def _named(name: str, use: bytes, length: int) -> bytes:
    return hashlib.sha256(use + name.encode()).digest()[:length]
