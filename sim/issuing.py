"""The simulator's issuing point: a profile becomes a card, through the same APDUs a real one sends.

What a profile or an image needs changed later goes through the card's own commands, too. K2 credits, and writes
rights and the event that states the new balance; K4 writes a grant, rights and event; each in one transaction, as
`cardproto.resident.layout` allows. Laboratory keys only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from cardproto.connection import CardConnection
from cardproto.credential.grant import credential_digest
from cardproto.credential.proof import holder_of
from cardproto.desfire.authentication import Authentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.messaging import CommMode, Session
from cardproto.errors import FormatError
from cardproto.resident.keyset import MasterKeys, ResidentKeys
from cardproto.resident.layout import (
    AID,
    CREDENTIAL_BYTES,
    FILE_CREDENTIAL,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    KeyNo,
)
from cardproto.resident.limits import LARGEST_SEQUENCE
from cardproto.resident.opening import begin_with, in_memory
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES, CardContent, personalise
from cardproto.resident.records.event import (
    EVENT_BYTES,
    MOST_DAYS_AHEAD,
    MOST_DAYS_BACK,
    NO_JOURNEY,
    Event,
    EventKind,
    build_event,
    parse_event,
)
from cardproto.resident.records.rights import (
    CONCESSION_SLOTS,
    CONTRACT_SLOTS,
    RIGHTS_BYTES,
    Concession,
    Contract,
    Rights,
    build_rights,
    parse_rights,
)
from sim.card.other import ForeignDesfire, NotDesfire
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.days import parse_day
from sim.emv.card import DualCard, VirtualBankCard
from sim.emv.order import chip_of
from sim.lab_issuer import lab_credential, phone_credential
from sim.phone import PhoneMemory, VirtualPhone
from sim.profile import STATE_COUNTER_LAYOUT, CardProfile, ProfileFault, StateSection

ISSUING_POINT: Final = 0


def issue(
    profile: CardProfile, masters: MasterKeys, region: int, today: date, rng: Callable[[int], bytes]
) -> SimCard:
    """A card of this profile, issued `today`, with a UID drawn from `rng` (which the card keeps using).

    A half-personalised card was interrupted after the step the profile names. Raises
    `ProfileFault` when the profile does not fit a card.
    """
    uid = b"\x04" + rng(6)
    if profile.card.kind == "foreign_desfire":
        return ForeignDesfire(uid, rng)
    if profile.card.kind == "not_desfire":
        return NotDesfire(uid)
    if profile.card.kind == "bank":
        return VirtualBankCard(uid, rng, chip_of(profile, today))
    if profile.card.kind == "phone":
        return _phone(profile, uid, region, today, rng)
    card = VirtualCard(
        uid, rng, generation=profile.card.generation, key_type=KeyType[profile.card.master_key]
    )
    if profile.card.kind == "blank":
        return card
    channel = DesfireChannel(card, max_exchanges=PERSONALISATION_EXCHANGES)
    try:
        content = content_of(profile, uid, region, today)
        personalise(
            DesfireCard(channel),
            masters.for_card(uid, region),
            content,
            rng,
            profile.card.stop_after,
            random_uid=profile.card.random_uid,
        )
    except (FormatError, OverflowError) as error:
        raise ProfileFault(
            f"profile {profile.name}: {error}", "Change the value; the card has no room for it."
        ) from error
    if profile.bank is not None:
        chip = chip_of(profile, today)
        card = DualCard(uid, rng, chip, generation=card.generation, memory=card.memory)
    card.power_off()
    return card


def _phone(
    profile: CardProfile, uid: bytes, region: int, today: date, rng: Callable[[int], bytes]
) -> VirtualPhone:
    scalar = (int.from_bytes(rng(32), "big") >> 1 | 1).to_bytes(
        32, "big"
    )  # below the order of P-256, and not 0
    phone = VirtualPhone(uid, rng, PhoneMemory(scalar))
    signed = phone_credential(
        holder_of(phone.key.public_key()), rights_of_profile(profile, uid, region, today)
    )
    phone.memory = replace(phone.memory, credential=signed)
    return phone


def content_of(profile: CardProfile, uid: bytes, region: int, today: date) -> CardContent:
    """What is written: rights, purse, the first event with the running state, the signed credential for concessions.

    That event is dated at the start of the issue day (UTC), so that every tap of the day comes after it; the card's
    period day is the service day of that moment.
    """
    state = profile.state or StateSection()
    purse_minor = profile.card.purse_minor
    event = Event(
        kind=EventKind.ISSUE,
        at=datetime.combine(today, time(), UTC),
        terminal=ISSUING_POINT,
        sequence=0,
        balance_after_minor=purse_minor,
        amount_minor=purse_minor,
        counter_layout=0 if profile.state is None else STATE_COUNTER_LAYOUT,
        meals=state.meals,
        counters=state.counters(),
    )
    rights = rights_of_profile(profile, uid, region, today)
    if not any(rights.concessions):
        return CardContent(rights, event, purse_minor)
    credential = lab_credential(uid, rights, today)
    return CardContent(
        replace(rights, credential_digest=credential_digest(credential)), event, purse_minor, credential
    )


def pseudonym_of(profile: CardProfile, uid: bytes) -> bytes:
    """The pseudonym the card carries: the profile's, or one that follows from the UID."""
    if profile.card.pseudonym is not None:
        return bytes.fromhex(profile.card.pseudonym)
    return hashlib.sha256(b"laboratory resident" + uid).digest()[:8]


def rights_of_profile(profile: CardProfile, uid: bytes, region: int, today: date) -> Rights:
    """The rights of a card with this UID, issued `today`; for a phone, any seven bytes that stand for it."""
    concessions = tuple(
        Concession(c.code, c.parameter, parse_day(c.valid_from).on(today), parse_day(c.valid_to).on(today))
        for c in profile.concessions
    )
    contracts = tuple(
        Contract(c.product, parse_day(c.valid_from).on(today), parse_day(c.valid_to).on(today), c.trips)
        for c in profile.contracts
    )
    card = profile.card
    return Rights(
        region=region,
        pseudonym=pseudonym_of(profile, uid),
        valid_from=parse_day(card.valid_from).on(today),
        valid_to=parse_day(card.valid_to).on(today),
        issued_on=parse_day(card.issued).on(today),
        revision=1,
        blocked=card.blocked,
        inactive=card.inactive,
        concessions=concessions + (None,) * (CONCESSION_SLOTS - len(concessions)),
        contracts=contracts + (None,) * (CONTRACT_SLOTS - len(contracts)),
    )


RELOAD_POINT: Final = 0

ServiceDay = Callable[[datetime], date]
"""The service day of a moment, by the region's zone and the hour its day ends."""


@dataclass(frozen=True, slots=True)
class CardView:
    """What a reload point reads."""

    rights: Rights
    event: Event
    purse_minor: int


class ReloadPoint:
    """One reload point with the keys of one card. Every method is one conversation; raises `CardError`."""

    def __init__(
        self,
        connection: CardConnection,
        keys: ResidentKeys,
        rng: Callable[[int], bytes],
        service_day: ServiceDay,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._rng = rng
        self._service_day = service_day

    def read(self) -> CardView:
        """Rights, newest event, and the purse (which only K1 may read)."""
        card = self._open(KeyNo.VALIDATE)
        return CardView(*self._files(card), card.get_value(FILE_PURSE, CommMode.MAC))

    def set_purse(self, purse_minor: int, at: datetime) -> None:
        """Credit or debit to `purse_minor`, and append the event that says so."""
        before = self.read()
        card = self._open(KeyNo.RELOAD)
        difference = purse_minor - before.purse_minor
        if difference > 0:
            card.credit(FILE_PURSE, difference, CommMode.MAC)
        elif difference < 0:
            card.debit(FILE_PURSE, -difference, CommMode.MAC)
        self._append(card, before.event, EventKind.RELOAD, at, abs(difference), purse_minor)
        _commit(card)

    def carry_out(self, order: int, amount_minor: int, at: datetime) -> int:
        """Credit `amount_minor` (debit, where it is below zero) as card order `order`, with the event that says so, in
        one transaction; the balance after."""
        before = self.read()
        card = self._open(KeyNo.RELOAD)
        after_minor = before.purse_minor + amount_minor
        change = card.credit if amount_minor > 0 else card.debit
        change(FILE_PURSE, abs(amount_minor), CommMode.MAC)
        last = before.event._replace(last_order=order)
        self._append(card, last, EventKind.ORDER, at, abs(amount_minor), after_minor)
        _commit(card)
        return after_minor

    def set_rights(self, change: Callable[[Rights], Rights], at: datetime) -> Rights:
        """Write changed rights with the next revision, and append the event that says so; returns them.

        Counters stay: which of them counts a contract is the business of the region document, unknown here.
        """
        before = self.read()
        card = self._open(KeyNo.RELOAD)
        changed = _next_revision(change(before.rights), before.rights)
        card.write_data(FILE_RIGHTS, 0, build_rights(changed), CommMode.MAC)
        self._append_rights_change(card, before.event, at)
        _commit(card)
        return changed

    def grant(
        self, change: Callable[[Rights], Rights], sign: Callable[[Rights], bytes], at: datetime
    ) -> Rights:
        """As `set_rights` under the entitlement key, together with the credential that `sign` gives for the new rights.

        Grant, digest and event change together or not at all. On EV1 there is no event: the entitlement key may not
        append any there.
        """
        before = self.read()
        changed = _next_revision(change(before.rights), before.rights)
        credential = sign(changed)
        changed = replace(changed, credential_digest=credential_digest(credential))
        card = self._open(KeyNo.ENTITLE)
        whole = credential.ljust(CREDENTIAL_BYTES, b"\0")  # nothing of a longer one before it may stay behind
        card.write_data(FILE_CREDENTIAL, 0, whole, CommMode.FULL)
        card.write_data(FILE_RIGHTS, 0, build_rights(changed), CommMode.MAC)
        if isinstance(card.session, Session):
            self._append_rights_change(card, before.event, at)
        _commit(card)
        return changed

    def write(self, rights: Rights, event: Event) -> None:
        """Write these rights and this event as they are, and bring the purse to the balance it states."""
        before = self.read()
        card = self._open(KeyNo.RELOAD)
        difference = event.balance_after_minor - before.purse_minor
        if difference > 0:
            card.credit(FILE_PURSE, difference, CommMode.MAC)
        elif difference < 0:
            card.debit(FILE_PURSE, -difference, CommMode.MAC)
        card.write_data(FILE_RIGHTS, 0, build_rights(rights), CommMode.MAC)
        card.write_record(FILE_EVENTS, 0, build_event(event), CommMode.MAC)
        _commit(card)

    def roll(self, key_set: int) -> None:
        """Make a spare key set the active one; the former active one takes its place."""
        self._open(KeyNo.ROLL).roll_key_set(key_set)

    def _open(self, key_no: KeyNo) -> DesfireCard:
        """With the keys of whichever generation the card has; each wrong one costs two exchanges."""
        card = DesfireCard(DesfireChannel(self._connection))
        card.select_application(AID)
        generations = (self._keys, *self._keys.spare)

        def attempt(at: int) -> Authentication:
            return in_memory(AesKey(generations[at].application_key(key_no)), self._rng)()

        begin_with(card, key_no, range(len(generations)), attempt)
        return card

    def _files(self, card: DesfireCard) -> tuple[Rights, Event]:
        rights = parse_rights(card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC))
        return rights, parse_event(card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))

    def _append_rights_change(self, card: DesfireCard, last: Event, at: datetime) -> None:
        self._append(card, last, EventKind.RIGHTS_CHANGE, at, 0, last.balance_after_minor)

    def _append(
        self,
        card: DesfireCard,
        last: Event,
        kind: EventKind,
        at: datetime,
        amount_minor: int,
        balance_minor: int,
    ) -> None:
        """The running state goes on; only the change made here is new, and what depends on the time of the event."""
        at = at.replace(microsecond=0)
        event = later(last, at, self._service_day)._replace(
            kind=kind,
            terminal=RELOAD_POINT,
            sequence=(last.sequence + 1) & LARGEST_SEQUENCE,
            amount_minor=amount_minor,
            balance_after_minor=balance_minor,
        )
        card.write_record(FILE_EVENTS, 0, build_event(event), CommMode.MAC)


def later(last: Event, at: datetime, service_day: ServiceDay) -> Event:
    """The running state of `last` as an event at `at` states it that moves neither journey nor period.

    The open journey is older by what has passed, and closed where its age no longer fits. The card's period day stays
    what it is: its distance is counted from the new service day. Meals stay while they are those of the period day.
    """
    before, day = service_day(last.at), service_day(at)
    period, ahead = before + timedelta(days=last.period_ahead), last.period_ahead
    exact = -MOST_DAYS_BACK < ahead < MOST_DAYS_AHEAD
    of_period = exact and (last.kind is not EventKind.MEAL or ahead == 0)
    if not exact:  # that far or further: of the days it may be, the nearest to this clock's own
        period = max(period, day) if ahead > 0 else min(period, day)
    age = last.journey_age_s
    if age is not None:
        age += max(0, int((at - last.at).total_seconds()))
    return last._replace(
        at=at,
        journey_age_s=None if age is None or age >= NO_JOURNEY else age,
        period_ahead=max(-MOST_DAYS_BACK, min(MOST_DAYS_AHEAD, (period - day).days)),
        meals=last.meals if of_period else 0,
    )


def _next_revision(changed: Rights, before: Rights) -> Rights:
    return replace(changed, revision=(before.revision + 1) & 0xFFFF)


def _commit(card: DesfireCard) -> None:
    """With the card's proof where it has one to give (not on EV1)."""
    card.commit_transaction(return_mac=isinstance(card.session, Session))
