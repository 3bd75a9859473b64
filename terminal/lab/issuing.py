"""The issuing desk of `terminal card issue`: a simulated resident's content onto a blank card."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import CardError
from cardproto.resident.personalise import personalise
from sim.issue import PERSONALISATION_EXCHANGES, content_of
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault, load_profile
from terminal.errors import ProfileError, ReaderError
from terminal.policy.load import load_region


def issue_on(
    connection: CardConnection,
    resident: str,
    region: str,
    keys: Path | None,
    today: date,
    random: Callable[[int], bytes],
) -> int:
    """Personalise the blank card behind `connection`; return how many exchanges it took.

    Raises `ProfileError` before the card is touched, `ReaderError` when the card is not blank or was pulled: a
    half-personalised card can be formatted with its master key and issued again.
    """
    number = load_region(region).header.region
    try:
        profile, masters = load_profile(resident), load_lab_keys(keys or LAB_KEYS)
        channel = DesfireChannel(connection, max_exchanges=PERSONALISATION_EXCHANGES)
        uid = channel.read_uid()
        content = content_of(profile, uid, number, today)
        personalise(
            DesfireCard(channel),
            masters.for_card(uid, number),
            content,
            random,
            profile.card.stop_after,
            masters.identify_key(number) if profile.card.random_uid else None,
        )
    except ProfileFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    except CardError as error:
        raise ReaderError(
            f"the card was not issued: {error}",
            "Use a blank DESFire EV1, EV2 or EV3 card and leave it on the reader.",
        ) from error
    return channel.exchanges
