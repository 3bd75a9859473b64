"""Make a resident card out of a blank one, by the card map.

A *blank card* here has an AES-128 master key of 16 zero bytes, key version 0, and no application 4B5A01. (A
factory DESFire has a DES master key of zeros; it is switched to AES before it comes here.) The application's
own keys are all zero right after creation; each of them, and the card's master key, ends up diversified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cardproto.desfire.application import PICC_AES_KEY, PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.files import TransactionMacSettings
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import TransactionMac
from cardproto.resident.keyset import ResidentKeys
from cardproto.resident.layout import (
    AID,
    CREDENTIAL_BYTES,
    DF_NAME,
    FILE_CREDENTIAL,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    FILES,
    ISO_DF_ID,
    KEY_SETTINGS,
    KEY_VERSION,
    PICC_KEY_VERSION,
    PURSE_LIMIT_MINOR,
    KeyNo,
    file,
)
from cardproto.resident.records.event import Event, build_event
from cardproto.resident.records.rights import Rights, build_rights

ZERO_KEY: Final = bytes(16)
Randomness = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class CardContent:
    """What a new card holds. The first event must state the same balance as the purse."""

    rights: Rights
    first_event: Event
    purse_minor: int = 0
    credential: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.purse_minor <= PURSE_LIMIT_MINOR:
            raise ValueError(f"purse of {self.purse_minor} kopecks; the card holds 0 to {PURSE_LIMIT_MINOR}")
        if self.first_event.balance_after_minor != self.purse_minor:
            raise ValueError("the first event's balance is not the purse's")
        if len(self.credential) > CREDENTIAL_BYTES:
            raise ValueError(f"credential of {len(self.credential)} bytes; the file holds {CREDENTIAL_BYTES}")


@dataclass(slots=True)
class _Desk:
    """The desk's end of one card: what the steps below work with."""

    card: DesfireCard
    keys: ResidentKeys
    content: CardContent
    rnd: Randomness
    proof: TransactionMac | None = None

    def begin(self, number: int, key: bytes) -> None:
        self.card.authenticate_ev2_first(number, AesKey(key), self.rnd(16))

    def go_on_as(self, number: KeyNo) -> None:
        key = AesKey(self.keys.application_key(number))
        self.card.authenticate_ev2_non_first(number, key, self.rnd(16))


def personalise(
    card: DesfireCard,
    keys: ResidentKeys,
    content: CardContent,
    rnd: Randomness,
    stop_after: str | None = None,
) -> TransactionMac | None:
    """Turn the blank card into a resident card; returns the proof of its first transaction (TMC 1).

    `stop_after` names one of `STEPS`, after which the card is left as it is and None is returned: a real
    half-personalised card. Any `CardError` leaves such a card, too. Takes about 30 exchanges.
    """
    if stop_after is not None and stop_after not in STEPS:
        raise ValueError(f"no personalisation step {stop_after!r}; there are {', '.join(STEPS)}")
    desk = _Desk(card, keys, content, rnd)
    for name, step in _STEPS.items():
        step(desk)
        if name == stop_after:
            return None
    return desk.proof


def _create_application(desk: _Desk) -> None:
    desk.card.select_application(PICC_AID)
    desk.begin(0, ZERO_KEY)
    desk.card.create_application(AID, KEY_SETTINGS, iso_id=ISO_DF_ID, df_name=DF_NAME)


def _take_over_card(desk: _Desk) -> None:
    desk.card.change_key(PICC_AES_KEY, desk.keys.picc, PICC_KEY_VERSION)


def _set_keys(desk: _Desk) -> None:
    """All keys but the application's master key, which would end this session."""
    desk.card.select_application(AID)
    desk.begin(KeyNo.APPLICATION, ZERO_KEY)
    for number in KeyNo:
        if number is not KeyNo.APPLICATION:
            desk.card.change_key(number, desk.keys.application_key(number), KEY_VERSION, ZERO_KEY)


def _create_files(desk: _Desk) -> None:
    for line in FILES:
        settings = line.settings
        if isinstance(settings, TransactionMacSettings):
            continue
        desk.card.create_file(line.number, settings)
        if settings.additional:
            change = SettingsChange(settings.mode, settings.rights, settings.additional)
            desk.card.change_file_settings(line.number, change)


def _start_transaction_mac(desk: _Desk) -> None:
    for line in FILES:
        if isinstance(line.settings, TransactionMacSettings):
            key = desk.keys.transaction_mac
            desk.card.create_transaction_mac_file(line.number, line.settings, key, line.settings.key_version)


def _take_over_application(desk: _Desk) -> None:
    desk.card.change_key(KeyNo.APPLICATION, desk.keys.application, KEY_VERSION)


def _write_credential(desk: _Desk) -> None:
    """Also for a card without one: its transaction begins here, with the entitlement key."""
    desk.begin(KeyNo.ENTITLE, desk.keys.entitle)
    if desk.content.credential:
        desk.card.write_data(FILE_CREDENTIAL, 0, desk.content.credential, CommMode.FULL)


def _write_content(desk: _Desk) -> None:
    """Everything that counts, pending: the reload key may write rights, events and purse."""
    desk.go_on_as(KeyNo.RELOAD)
    card, content = desk.card, desk.content
    card.write_data(FILE_RIGHTS, 0, build_rights(content.rights), file(FILE_RIGHTS).settings.mode)
    card.write_record(FILE_EVENTS, 0, build_event(content.first_event), file(FILE_EVENTS).settings.mode)
    if content.purse_minor:
        card.credit(FILE_PURSE, content.purse_minor, file(FILE_PURSE).settings.mode)


def _commit(desk: _Desk) -> None:
    desk.proof = desk.card.commit_transaction(return_mac=True)


_STEPS: Final[dict[str, Callable[[_Desk], None]]] = {
    "application": _create_application,
    "card_key": _take_over_card,
    "keys": _set_keys,
    "files": _create_files,
    "transaction_mac": _start_transaction_mac,
    "application_key": _take_over_application,
    "credential": _write_credential,
    "content": _write_content,
    "commit": _commit,
}
STEPS: Final = tuple(_STEPS)
"""The steps in order, for `stop_after`."""
