"""Make a resident card out of a blank one, by the card map.

A *blank card* here has no application 4B5A01, and a master key of 16 zero bytes or already its own (`issuance` finds
out what a card is). As the factory delivers it the zeros are a DES key; it becomes an AES key first. The application's
own keys are all zero right after creation; each of them, and the card's master key, ends up diversified.

An EV1 card gets what it can hold (`layout.FILES_EV1`): it cannot prove its transactions, has no key for orders and no
key sets. An EV3 card gets a transaction timer, unless it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cardproto.desfire.administration import CONFIGURE_CAPABILITIES, CONFIGURE_FLAGS, capabilities
from cardproto.desfire.application import PICC_AES_KEY, PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.files import TransactionMacSettings
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import Session
from cardproto.desfire.transaction_mac import TransactionMac
from cardproto.errors import StatusError
from cardproto.resident.features import CardFeature
from cardproto.resident.issuance import LOOK_EXCHANGES, ZERO_KEY
from cardproto.resident.keyset import ResidentKeys
from cardproto.resident.layout import (
    AID,
    DF_NAME,
    FILE_CREDENTIAL,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    FILES,
    FILES_EV1,
    ISO_DF_ID,
    KEYS,
    KEYS_EV1,
    LONGEST_CREDENTIAL,
    PICC_KEY_VERSION,
    PURSE_LIMIT_MINOR,
    SPARE_KEY_SETS,
    TRANSACTION_TIMER,
    KeyNo,
    file,
    key_settings,
)
from cardproto.resident.opening import begin, go_on, in_memory
from cardproto.resident.records.event import Event, build_event
from cardproto.resident.records.rights import Rights, build_rights

RANDOM_UID_FLAG: Final = b"\x02"
HARDWARE_EV3: Final = 0x33
"""GetVersion's major number of the hardware."""
PERSONALISATION_EXCHANGES: Final = 100 + LOOK_EXCHANGES
"""What a channel must allow: an EV3 from the factory with credential and random UID takes 72, 75 if it refuses the
timer, and looking at the card comes before."""
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
            raise ValueError(
                f"purse of {self.purse_minor} minor units; the card holds 0 to {PURSE_LIMIT_MINOR}"
            )
        if self.first_event.balance_after_minor != self.purse_minor:
            raise ValueError("the first event's balance is not the purse's")
        if len(self.credential) > LONGEST_CREDENTIAL:
            raise ValueError(
                f"credential of {len(self.credential)} bytes; one answer reads {LONGEST_CREDENTIAL}"
            )


class TimerState(StrEnum):
    """What became of the transaction timer."""

    ABSENT = "absent"
    """The card has none: it is no EV3."""
    SET = "set"
    REFUSED = "refused"
    """The card took another form of the command: it was issued without, as an EV2."""


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """What issuing left. `proof`: of the card's first transaction (TMC 1); None where there is none to give."""

    proof: TransactionMac | None
    timer: TimerState


@dataclass(slots=True)
class _Issuing:
    """One card while it is issued: what the steps below work with."""

    card: DesfireCard
    keys: ResidentKeys
    content: CardContent
    rnd: Randomness
    random_uid: bool
    master: bytes = ZERO_KEY
    without: frozenset[CardFeature] = frozenset()
    proof: TransactionMac | None = None
    timer: TimerState = TimerState.ABSENT

    def begin_as_card(self) -> None:
        """With the card's own master key, as it is before it is taken over."""
        self.begin(0, self.master)

    def begin(self, number: int, key: bytes) -> None:
        begin(self.card, KeyNo(number), in_memory(AesKey(key), self.rnd))

    def go_on_as(self, number: KeyNo) -> None:
        go_on(self.card, number, in_memory(AesKey(self.keys.application_key(number)), self.rnd))

    @property
    def proving(self) -> bool:
        """Only cards that know EV2 have the transaction MAC, additional access rights and key sets."""
        return isinstance(self.card.session, Session)

    @property
    def rolling(self) -> bool:
        return self.proving and CardFeature.KEY_SETS not in self.without

    @property
    def numbers(self) -> list[KeyNo]:
        """The application's keys on this card."""
        numbers = [slot.number for slot in (KEYS if self.proving else KEYS_EV1)]
        return [*numbers, KeyNo.IDENTIFY] if self.random_uid and not self.proving else numbers


def personalise(
    card: DesfireCard,
    keys: ResidentKeys,
    content: CardContent,
    rnd: Randomness,
    stop_after: str | None = None,
    *,
    random_uid: bool = False,
    master: bytes = ZERO_KEY,
    without: frozenset[CardFeature] = frozenset(),
) -> IssuedCard:
    """Turn the blank card into a resident card.

    With `stop_after`, one of `STEPS`, the card is left as it is after that step: a real half-personalised card. Any
    `CardError` leaves such a card, too. With `random_uid` the card shows a random UID from its next activation on, for
    ever. `master` is the card's own key now. `without` leaves out what this chip cannot do. Takes about 60
    exchanges, 30 with an EV1 card. Raises `ValueError`, before the card is touched, unless `keys` has as many spare
    generations as the card map has spare key sets.
    """
    if stop_after is not None and stop_after not in STEPS:
        raise ValueError(f"no personalisation step {stop_after!r}; there are {', '.join(STEPS)}")
    if len(keys.spare) != SPARE_KEY_SETS:
        raise ValueError(f"{len(keys.spare)} spare generations of keys; a card takes {SPARE_KEY_SETS}")
    issuing = _Issuing(card, keys, content, rnd, random_uid, master, without)
    for name, step in _STEPS.items():
        step(issuing)
        if name == stop_after:
            break
    return IssuedCard(issuing.proof, issuing.timer)


def _create_application(issuing: _Issuing) -> None:
    issuing.card.select_application(PICC_AID)
    if issuing.card.get_key_settings().key_type is not KeyType.AES:
        _leave_the_factory(issuing)
    issuing.begin_as_card()
    settings = key_settings(
        key_sets=issuing.rolling, random_uid=issuing.random_uid, version=issuing.keys.version
    )
    if issuing.proving and not issuing.rolling:
        settings = replace(settings, key_count=len(KEYS))
    issuing.card.create_application(AID, settings, iso_id=ISO_DF_ID, df_name=DF_NAME)


def _leave_the_factory(issuing: _Issuing) -> None:
    """The factory's DES master key becomes an AES key, still all zero."""
    issuing.card.authenticate_iso(0, DesKey(ZERO_KEY), issuing.rnd(8))
    issuing.card.change_key(PICC_AES_KEY, ZERO_KEY, 0)


def _set_timer(issuing: _Issuing) -> None:
    """`(?)` Public sources name the option and its purpose only: a card that refuses is issued without a timer."""
    if not issuing.proving or CardFeature.TIMER in issuing.without:
        return
    if issuing.card.get_version().hardware.major != HARDWARE_EV3:
        return
    try:
        issuing.card.set_configuration(CONFIGURE_CAPABILITIES, capabilities(TRANSACTION_TIMER))
    except StatusError:
        issuing.timer = TimerState.REFUSED
        issuing.card.select_application(PICC_AID)
        issuing.begin_as_card()  # a refusal has ended the session
    else:
        issuing.timer = TimerState.SET


def _take_over_card(issuing: _Issuing) -> None:
    if issuing.master == issuing.keys.picc:
        return
    issuing.card.change_key(PICC_AES_KEY, issuing.keys.picc, PICC_KEY_VERSION)


def _set_keys(issuing: _Issuing) -> None:
    """All keys but the application's master key, which would end this session."""
    issuing.card.select_application(AID)
    issuing.begin(KeyNo.APPLICATION, ZERO_KEY)
    keys = issuing.keys
    for number in issuing.numbers[1:]:
        issuing.card.change_key(number, keys.application_key(number), keys.version, ZERO_KEY)


def _fill_key_sets(issuing: _Issuing) -> None:
    """The next generations, each complete and ready to be rolled to."""
    if not issuing.rolling:
        return
    for set_number, keys in enumerate(issuing.keys.spare, 1):
        issuing.card.initialize_key_set(set_number)
        for number in issuing.numbers:
            new = keys.application_key(number)
            issuing.card.change_key_in_set(set_number, number, new, keys.version, ZERO_KEY)
        issuing.card.finalize_key_set(set_number, keys.version)


def _create_files(issuing: _Issuing) -> None:
    rich = issuing.proving and CardFeature.ADDITIONAL_RIGHTS not in issuing.without
    for line in FILES if rich else FILES_EV1:
        settings = line.settings
        if isinstance(settings, TransactionMacSettings):
            continue
        issuing.card.create_file(line.number, settings)
        if settings.additional:
            change = SettingsChange(settings.mode, settings.rights, settings.additional)
            issuing.card.change_file_settings(line.number, change)


def _start_transaction_mac(issuing: _Issuing) -> None:
    for line in FILES:
        if issuing.proving and isinstance(line.settings, TransactionMacSettings):
            key = issuing.keys.transaction_mac
            issuing.card.create_transaction_mac_file(
                line.number, line.settings, key, line.settings.key_version
            )


def _take_over_application(issuing: _Issuing) -> None:
    issuing.card.change_key(KeyNo.APPLICATION, issuing.keys.application, issuing.keys.version)


def _hide_uid(issuing: _Issuing) -> None:
    """Once the keys are in place, without which such a card could not be opened any more, and before the content: a
    card torn in between is no resident card yet, instead of one that shows its UID for ever."""
    if not issuing.random_uid:
        return
    issuing.card.select_application(PICC_AID)
    issuing.begin(0, issuing.keys.picc)
    issuing.card.set_configuration(CONFIGURE_FLAGS, RANDOM_UID_FLAG)
    issuing.card.select_application(AID)


def _write_credential(issuing: _Issuing) -> None:
    """Also for a card without one: its transaction begins here, with the entitlement key."""
    issuing.begin(KeyNo.ENTITLE, issuing.keys.entitle)
    if issuing.content.credential:
        credential = issuing.content.credential
        issuing.card.write_data(FILE_CREDENTIAL, 0, credential, file(FILE_CREDENTIAL).settings.mode)


def _write_content(issuing: _Issuing) -> None:
    """Everything that counts, pending: the reload key may write rights, events and purse."""
    issuing.go_on_as(KeyNo.RELOAD)
    card, content = issuing.card, issuing.content
    card.write_data(FILE_RIGHTS, 0, build_rights(content.rights), file(FILE_RIGHTS).settings.mode)
    card.write_record(FILE_EVENTS, 0, build_event(content.first_event), file(FILE_EVENTS).settings.mode)
    if content.purse_minor:
        card.credit(FILE_PURSE, content.purse_minor, file(FILE_PURSE).settings.mode)


def _commit(issuing: _Issuing) -> None:
    issuing.proof = issuing.card.commit_transaction(return_mac=issuing.proving)


_STEPS: Final[dict[str, Callable[[_Issuing], None]]] = {
    "application": _create_application,
    "timer": _set_timer,
    "card_key": _take_over_card,
    "keys": _set_keys,
    "key_sets": _fill_key_sets,
    "files": _create_files,
    "transaction_mac": _start_transaction_mac,
    "application_key": _take_over_application,
    "random_uid": _hide_uid,
    "credential": _write_credential,
    "content": _write_content,
    "commit": _commit,
}
STEPS: Final = tuple(_STEPS)
"""The steps in order, for `stop_after`."""
