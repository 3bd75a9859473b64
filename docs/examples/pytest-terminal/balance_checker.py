"""The terminal under test: it reads a resident card's newest event and says the balance. Laboratory keys."""

from __future__ import annotations

import secrets

from cardproto import (
    AID,
    EVENT_BYTES,
    FILE_EVENTS,
    AesAuthentication,
    AesKey,
    CardConnection,
    CommMode,
    DesfireCard,
    DesfireChannel,
    KeyNo,
    parse_event,
)
from sim import load_lab_keys

REGION = 34


def balance_of(connection: CardConnection) -> str:
    """`"476.00"`; raises `CardError` when there is no resident card, or it leaves."""
    channel = DesfireChannel(connection)
    key = load_lab_keys().for_card(channel.read_uid(), REGION).inspect
    card = DesfireCard(channel)
    card.select_application(AID)
    card.authenticate_ev2_first(KeyNo.INSPECT, AesAuthentication(AesKey(key), secrets.token_bytes(16)))
    newest = parse_event(card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))
    return f"{newest.balance_after_minor // 100}.{newest.balance_after_minor % 100:02}"
