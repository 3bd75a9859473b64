"""What `terminal card issue` and `issue-batch` do: a simulated resident's content onto a blank card, or many
software cards from a CSV and the registry their collector needs."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from rich.progress import track

from cardcli.console import progress_console
from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import CardError, StatusError
from cardproto.resident.features import CardFeature
from cardproto.resident.issuance import CardBefore, FoundCard, empty, look_at
from cardproto.resident.keyset import MasterKeys
from cardproto.resident.personalise import (
    PERSONALISATION_EXCHANGES,
    CardContent,
    TimerState,
    personalise,
)
from sim.card.virtual import VirtualCard
from sim.image_file import ImageFault, save_card
from sim.issuing import content_of, issue
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, CardProfile, ProfileFault, load_profile
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.decoding import DOCUMENT_BYTES, read_within
from terminal.errors import KeyFileError, ProfileError, ReaderError
from terminal.keys.file import key_tables, load_file_keys, require_private
from terminal.keys.limits import UNLIMITED
from terminal.keys.office import master_keys
from terminal.keys.provider import card_token
from terminal.keys.signed import PRODUCTION, verified
from terminal.lab.world import proves
from terminal.media.port import PURPOSE
from terminal.policy.load import load_region


def masters_of(keys: Path | None, *, production: bool = False) -> MasterKeys:
    """What cards are issued with: the laboratory's masters, or, where `production` is said, a signed file's.

    Raises `KeyFileError`, `ProfileFault` for a file of neither form.
    """
    if keys is None:
        return load_lab_keys(LAB_KEYS)
    tables = key_tables(keys)
    if "form" not in tables:
        return load_lab_keys(keys)
    require_private(keys)
    document = verified(tables, keys)
    if document.environment == PRODUCTION and not production:
        raise KeyFileError(f"{keys} holds production keys", "Say so with --production-keys if that is meant.")
    return master_keys(document)


@dataclass(frozen=True, slots=True)
class IssueReport:
    """How many exchanges a card took to issue, and what became of its transaction timer."""

    exchanges: int
    timer: TimerState


def issue_on(
    connection: CardConnection,
    resident: str,
    region: str,
    keys: Path | None,
    today: date,
    random: Callable[[int], bytes],
    *,
    finish: bool = False,
    beside_others: bool = False,
    production: bool = False,
    without: frozenset[CardFeature] = frozenset(),
    content: Callable[[CardContent], CardContent] = lambda content: content,
    about_to_issue: Callable[[], None] = lambda: None,
) -> IssueReport:
    """Personalise the empty card behind `connection`, with `content` of what the resident gets; `about_to_issue` is
    called when the card was found fit and is not touched yet.

    `finish`: also one whose issue was interrupted; it is emptied and issued anew. `beside_others`: also one that
    another system uses and left under the factory's master key. Raises `ProfileError` before the card is touched,
    `ReaderError` when the card is none of these, and then nothing on it was changed, or when it was pulled: such a card
    may be issued all the same, if only its last answer was lost.
    """
    number = load_region(region).header.region
    try:
        profile, masters = load_profile(resident), masters_of(keys, production=production)
        channel = DesfireChannel(connection, max_exchanges=PERSONALISATION_EXCHANGES)
        uid = channel.read_uid()
        written = content(content_of(profile, uid, number, today))
        card, own = DesfireCard(channel), masters.for_card(uid, number)
        found = look_at(card, own, random)
        _require_usable(found, finish=finish, beside_others=beside_others)
        about_to_issue()
        if found.before is CardBefore.INTERRUPTED:
            found = empty(card, found, random)
        issued = personalise(
            card,
            own,
            written,
            random,
            profile.card.stop_after,
            random_uid=profile.card.random_uid,
            master=found.master,
            without=without,
        )
    except ProfileFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    except StatusError as refusal:
        raise ReaderError(
            f"the card was not issued: {refusal}",
            "Use an empty DESFire EV1, EV2 or EV3 card; see with `terminal card issue` what this one is now.",
        ) from refusal
    except CardError as error:  # its last answer may be what was lost
        raise ReaderError(
            f"the card left or failed while it was issued: {error}",
            "See with `terminal card read` whether it is issued. If not, issue it with --finish.",
        ) from error
    return IssueReport(channel.exchanges, issued.timer)


def wipe(
    connection: CardConnection,
    region: str,
    keys: Path | None,
    random: Callable[[int], bytes],
    *,
    issued: bool = False,
    production: bool = False,
) -> FoundCard:
    """Empty a card of ours whose issue was interrupted; `issued`: also one that is issued, with all that is on it.

    What other systems have on it stays. Raises `ReaderError` for every other card, which is left as it is.
    """
    number = load_region(region).header.region
    try:
        channel = DesfireChannel(connection, max_exchanges=PERSONALISATION_EXCHANGES)
        card, uid = DesfireCard(channel), channel.read_uid()
        found = look_at(card, masters_of(keys, production=production).for_card(uid, number), random)
        if found.before is CardBefore.INTERRUPTED or (issued and found.before is CardBefore.ISSUED):
            return empty(card, found, random)
    except ProfileFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    except CardError as error:
        raise ReaderError(
            f"the card was not emptied: {error}", "Leave it on the reader and try again."
        ) from error
    if found.before is CardBefore.ISSUED:
        raise ReaderError(
            "this card is issued", "Give --issued to take everything of ours off it, money included."
        )
    raise ReaderError(
        f"there is nothing to empty: {_SAID[found.before]}", "Lay an interrupted card on the reader."
    )


_SAID: Final = {
    CardBefore.EMPTY: "this card is empty",
    CardBefore.EMPTIED: "this card is empty, under a master key of ours",
    CardBefore.INTERRUPTED: "the issue of this card was interrupted: it is no resident card yet",
    CardBefore.ISSUED: "this card is issued already",
    CardBefore.OTHERS: "another system uses this card, under the factory's master key",
    CardBefore.FOREIGN: "this card's master key is neither the factory's nor of this key file, or its UID is random",
}


def _require_usable(found: FoundCard, *, finish: bool, beside_others: bool) -> None:
    usable = {CardBefore.EMPTY, CardBefore.EMPTIED}
    if finish:
        usable.add(CardBefore.INTERRUPTED)
    if beside_others:
        usable.add(CardBefore.OTHERS)
    if found.before in usable:
        return
    advice = {
        CardBefore.INTERRUPTED: "Issue it anew with --finish, or empty it with `terminal card wipe`.",
        CardBefore.ISSUED: "Look at it with `terminal card read`; `terminal card wipe --issued` empties it.",
        CardBefore.OTHERS: "Take an empty card; --beside-others puts ours beside theirs and makes the master key ours.",
    }
    raise ReaderError(
        _SAID[found.before], advice.get(found.before, "Take an empty DESFire EV1, EV2 or EV3 card.")
    )


COLUMNS: Final = ("label", "profile")
OPTIONAL: Final = "purse_minor"
MOST_SHOWN: Final = 200
REGISTRY_FILE: Final = "card-registry.json"


@dataclass(frozen=True, slots=True)
class CardToIssue:
    """One line of the CSV: the image file's name, and what to put on the card."""

    line: int
    label: str
    profile: CardProfile


def issue_batch(
    orders_file: Path,
    folder: Path,
    region: str,
    keys: Path | None,
    today: date,
    *,
    quiet: bool,
    production: bool = False,
) -> int:
    """Issue every card of the CSV into `folder`; returns how many.

    Every line is checked before the first card is made. Raises `ProfileError` naming the line, a file that is there
    already, or one that cannot be written: the cards already in the folder are whole.
    """
    orders = list(read_orders(orders_file))
    for name in (REGISTRY_FILE, *(f"{order.label}.json" for order in orders)):
        if (folder / name).exists():
            raise ProfileError(
                f"{folder / name} exists already",
                "Choose another folder: a registry names the cards of one batch, and a card is never replaced.",
            )
    number = load_region(region).header.region
    masters = masters_of(keys, production=production)
    provider = load_file_keys(keys or LAB_KEYS, UNLIMITED)
    registry: list[RegisteredCard] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for order in track(
            orders, "issuing cards", console=progress_console(), transient=True, disable=quiet
        ):
            card = issue(order.profile, masters, number, today, secrets.token_bytes)
            assert isinstance(card, VirtualCard), "read_orders lets only residents through"
            save_card(card, folder / f"{order.label}.json")
            key = masters.for_card(card.uid, number).transaction_mac
            registry += [
                RegisteredCard(card_token(provider, purpose, card.uid), card.uid, key, proves(card))
                for purpose in PURPOSE.values()
            ]
        write_registry(folder / REGISTRY_FILE, registry, provider)
    except (ImageFault, ProfileFault) as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    except OSError as error:
        raise ProfileError(
            f"{folder} cannot be written ({error.strerror})", "Check the folder and its rights."
        ) from error
    return len(orders)


def read_orders(path: Path) -> Iterator[CardToIssue]:
    """The lines of the CSV, checked; raises `ProfileError` naming file and line."""
    seen: set[str] = set()
    profiles: dict[str, CardProfile] = {}
    try:
        with io.StringIO(read_within(path, DOCUMENT_BYTES).decode("utf-8-sig"), newline="") as file:
            rows = csv.DictReader(file)
            odd = set(rows.fieldnames or ()) - {*COLUMNS, OPTIONAL}
            if odd or not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise ProfileError(
                    f"{path} has the columns {', '.join(rows.fieldnames or ())[:MOST_SHOWN] or 'of nothing'}",
                    f"Give {', '.join(COLUMNS)} and, if wanted, {OPTIONAL}.",
                )
            for row in rows:
                order = _order(path, rows.line_num, row, profiles)
                if order.label in seen or f"{order.label}.json" == REGISTRY_FILE:
                    raise ProfileError(
                        f"{path}:{rows.line_num}: label {order.label!r} is taken", "Give each card its own."
                    )
                seen.add(order.label)
                yield order
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, csv.Error) as error:
        raise ProfileError(f"{path} cannot be read ({error})", "Give a CSV file in UTF-8.") from error


def _order(path: Path, line: int, row: dict[str, str], profiles: dict[str, CardProfile]) -> CardToIssue:
    label, name, purse = row["label"] or "", row["profile"] or "", row.get(OPTIONAL) or ""
    if not label.replace("-", "").replace("_", "").isalnum():
        raise ProfileError(f"{path}:{line}: label {label!r} is no file name", "Use letters, digits, - and _.")
    try:
        profile = profiles.get(name) or profiles.setdefault(name, load_profile(name))
    except ProfileFault as fault:
        raise ProfileError(f"{path}:{line}: {fault.what}", fault.advice) from fault
    if profile.card.kind != "resident":
        raise ProfileError(
            f"{path}:{line}: profile {name} is no resident card", "Choose another; see `sim profiles`."
        )
    if purse:
        profile = _with_purse(path, line, profile, purse)
    return CardToIssue(line, label, profile)


def _with_purse(path: Path, line: int, profile: CardProfile, purse: str) -> CardProfile:
    """The profile with another purse, as strictly checked as one from a file."""
    card = msgspec.to_builtins(profile.card) | {"purse_minor": int(purse) if purse.isdecimal() else purse}
    try:
        return msgspec.structs.replace(profile, card=msgspec.convert(card, type(profile.card)))
    except msgspec.ValidationError as error:
        raise ProfileError(
            f"{path}:{line}: {OPTIONAL} {purse!r}: {error}", "Give minor units (kopecks) as digits."
        ) from error
