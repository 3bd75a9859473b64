"""TIDES `fare_transactions`: one row for each ride a card was written for or cash was paid, for analysts.

The field list is that of TIDES-transit/TIDES spec/fare_transactions.schema.json (24 fields). What we do not know
(trip patterns of a schedule, vehicle positions) is left empty, as the schema allows. Meals are no fare
transactions and refusals no transactions; both have reports of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from cardproto.errors import FormatError
from cardproto.resident.records.event import EventKind, PaidBy, parse_event
from terminal.clock import from_unix_ms
from terminal.decision.flags import RideFlag
from terminal.export.product import payment_code, payment_name, rider_category
from terminal.journal.records import CashSale, Intent
from terminal.journal.taps import End, JournalTap
from terminal.money import amount_text
from terminal.policy.policy import Policy

FIELDS: Final = (
    "transaction_id",
    "service_date",
    "event_timestamp",
    "location_ping_id",
    "amount",
    "currency_type",
    "fare_action",
    "trip_id_performed",
    "trip_id_scheduled",
    "pattern_id",
    "trip_stop_sequence",
    "scheduled_stop_sequence",
    "vehicle_id",
    "device_id",
    "fare_id",
    "stop_id",
    "num_riders",
    "fare_media_id",
    "rider_category",
    "fare_product",
    "fare_period",
    "fare_capped",
    "token_id",
    "balance",
)
ENTER: Final = "Enter"
EXIT: Final = "Exit"
TRANSFER: Final = "Transfer entrance"
ADJUST: Final = "Adjust"
OTHER_ACTIONS: Final = MappingProxyType({EventKind.CHECK_OUT: EXIT, EventKind.CORRECTION: ADJUST})
"""What a row of these kinds is, whatever paid for the ride."""
SMART_CARD: Final = "Smart card or ticket"
_CASH: Final = {
    "fare_action": ENTER,
    "fare_media_id": "Cash or coins",
    "rider_category": "Ordinary",
    "fare_product": "Single ride",
}

Pseudonym = Callable[[bytes], bytes]
"""From the card's reference on the terminal to the one of the export: the two cannot be joined (D-01). A token is one
card, not its holder: a resident with a new card is a new one."""


def fare_transaction(tap: JournalTap, policy: Policy, pseudonym: Pseudonym) -> dict[str, str] | None:
    """The row of one tap, every field in its place; None for what is no fare transaction."""
    intent = tap.record
    if tap.end is End.CANCELLED:
        return None
    if isinstance(intent, CashSale):
        return _row(_stated(tap, intent, policy) | _CASH)
    if not isinstance(intent, Intent) or tap.end is not End.COMMITTED or intent.profile != "bus":
        return None
    return _row(
        _stated(tap, intent, policy)
        | {
            "fare_action": _action(intent),
            "fare_media_id": SMART_CARD,
            "rider_category": rider_category(intent),
            "fare_product": payment_name(payment_code(intent), policy),
            "token_id": pseudonym(intent.card_ref).hex(),
            "balance": amount_text(intent.balance_after_minor, intent.currency),
        }
    )


def _stated(tap: JournalTap, record: Intent | CashSale, policy: Policy) -> dict[str, str]:
    """What a row says whatever was paid with."""
    local = from_unix_ms(record.at_ms).astimezone(policy.zone)
    return {
        "transaction_id": f"{tap.terminal}-{tap.sequence}",
        "service_date": policy.service_date(local).isoformat(),
        "event_timestamp": local.isoformat(),
        "amount": amount_text(tap.charge_minor, record.currency),
        "currency_type": record.currency,
        "trip_id_performed": f"{tap.terminal}-{record.shift}-{record.turn}" if record.turn else "",
        "pattern_id": f"{record.route}-{record.direction}",
        "device_id": str(tap.terminal),
        "stop_id": str(record.trip.get("place.stop", "")),
        "num_riders": str(tap.left or tap.riders),
        "fare_capped": "true" if RideFlag.CAPPED in record.flags else "false",
    }


def _row(known: dict[str, str]) -> dict[str, str]:
    return {name: known.get(name, "") for name in FIELDS}


def _action(intent: Intent) -> str:
    try:
        kind = parse_event(intent.event).kind
    except FormatError:
        return "Unknown action type"
    if kind in OTHER_ACTIONS:
        return OTHER_ACTIONS[kind]
    return TRANSFER if intent.paid_by == PaidBy.TRANSFER and not intent.charge_minor else ENTER
