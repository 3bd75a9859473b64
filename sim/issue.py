"""The simulator's issuing desk: a profile becomes a card, through the same APDUs a real desk sends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Final

from cardproto.channel import CardChannel
from cardproto.credential.grant import credential_digest
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.key_types import KeyType
from cardproto.errors import FormatError
from cardproto.resident.keyset import MasterKeys
from cardproto.resident.personalise import CardContent, personalise
from cardproto.resident.records.event import Event, EventKind
from cardproto.resident.records.rights import (
    CONCESSION_SLOTS,
    CONTRACT_SLOTS,
    Concession,
    Contract,
    Rights,
)
from sim.card.other import ForeignDesfire, NotDesfire
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.days import parse_day
from sim.lab_issuer import lab_credential
from sim.profile import STATE_COUNTER_LAYOUT, Profile, ProfileFault, StateSection

DESK_TERMINAL: Final = 0
PERSONALISATION_EXCHANGES: Final = 200


def issue(
    profile: Profile, masters: MasterKeys, region: int, today: date, rng: Callable[[int], bytes]
) -> SimCard:
    """A card of this profile, issued `today`, with a UID drawn from `rng` (which the card keeps using).

    A half-personalised card has been left by the desk after the step the profile names. Raises
    `ProfileFault` when the profile does not fit a card.
    """
    uid = b"\x04" + rng(6)
    if profile.card.kind == "foreign_desfire":
        return ForeignDesfire(uid, rng)
    if profile.card.kind == "not_desfire":
        return NotDesfire(uid)
    card = VirtualCard(
        uid, rng, generation=profile.card.generation, key_type=KeyType[profile.card.master_key]
    )
    if profile.card.kind == "blank":
        return card
    channel = CardChannel(card, max_exchanges=PERSONALISATION_EXCHANGES)
    try:
        content = content_of(profile, uid, region, today)
        personalise(
            DesfireCard(channel),
            masters.for_card(uid, region),
            content,
            rng,
            profile.card.stop_after,
            masters.identify_key(region) if profile.card.random_uid else None,
        )
    except (FormatError, OverflowError) as error:
        raise ProfileFault(
            f"profile {profile.name}: {error}", "Change the value; the card has no room for it."
        ) from error
    card.power_off()
    return card


def content_of(profile: Profile, uid: bytes, region: int, today: date) -> CardContent:
    """What the desk writes: rights, purse, the first event with the running state, and the signed grant of concessions.

    That event is dated at the start of the issue day (UTC), so that every tap of the day comes after it.
    """
    state = profile.state or StateSection()
    purse_minor = profile.card.purse_minor
    event = Event(
        kind=EventKind.ISSUE,
        at=datetime.combine(today, time(), UTC),
        terminal=DESK_TERMINAL,
        sequence=0,
        balance_after_minor=purse_minor,
        amount_minor=purse_minor,
        counter_layout=0 if profile.state is None else STATE_COUNTER_LAYOUT,
        meals=state.meals,
        counters=state.counters(),
    )
    rights = _rights(profile, uid, region, today)
    if not any(rights.concessions):
        return CardContent(rights, event, purse_minor)
    credential = lab_credential(uid, rights, today)
    return CardContent(
        replace(rights, credential_digest=credential_digest(credential)), event, purse_minor, credential
    )


def pseudonym_of(profile: Profile, uid: bytes) -> bytes:
    """The pseudonym the card carries: the profile's, or one that follows from the UID."""
    if profile.card.pseudonym is not None:
        return bytes.fromhex(profile.card.pseudonym)
    return hashlib.sha256(b"laboratory resident" + uid).digest()[:8]


def _rights(profile: Profile, uid: bytes, region: int, today: date) -> Rights:
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
