"""`sim card new|show|set|grant|roll|tear|emv`: software cards kept in image files."""

from __future__ import annotations

import dataclasses
import json
import random
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cardproto.errors import CardError, CardGone
from cardproto.resident.layout import PURSE_LIMIT_MINOR, SPARE_KEY_SETS
from cardproto.resident.records.rights import Rights
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.cli import card_emv
from sim.days import service_days
from sim.faults import tear_after, tear_before
from sim.image_file import ImageFault, load_card, save_card
from sim.issuing import CardView, ReloadPoint, ServiceDay, issue
from sim.lab_issuer import lab_credential
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, load_profile
from sim.reader import SimReader

DEMO_REGION: Final = 34
DEMO_ZONE: Final = "Europe/Volgograd"
DEMO_DAY_ENDS: Final = 3

app = typer.Typer(help="Software cards kept in files: create, show, change, tear.", no_args_is_help=True)
app.add_typer(card_emv.app, name="emv")

File = Annotated[Path, typer.Argument(help="Card image file (JSON).")]
Region = Annotated[int, typer.Option(min=0, max=0xFFFF, help="Region the card is issued for.")]
Keys = Annotated[Path, typer.Option(help="Master keys the card was issued with, laboratory only.")]
Zone = Annotated[str, typer.Option(help="The region's time zone, by which its service days are counted.")]
DayEnds = Annotated[int, typer.Option(min=0, max=12, help="Hour at which the region's service day ends.")]


class When(StrEnum):
    """On which side of the exchange the card is pulled."""

    BEFORE = "before"
    AFTER = "after"


@app.command()
def new(
    file: File,
    profile: Annotated[str, typer.Option(help="A resident, see `sim profiles`, or a TOML file of your own.")],
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
    seed: Annotated[int | None, typer.Option(help="Seed of the UID.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Issue a resident's card into FILE."""
    if file.exists() and not force:
        raise ImageFault(f"{file} exists already", "Choose another name, or replace it with --force.")
    rng = secrets.token_bytes if seed is None else random.Random(seed).randbytes  # noqa: S311 repeatable on purpose
    card = issue(load_profile(profile), load_lab_keys(keys), region, _now().date(), rng)
    if not isinstance(card, VirtualCard):
        raise ImageFault(
            f"profile {profile} is no DESFire card",
            "Choose a resident's card, see `sim profiles`; bank cards are issued by `sim card emv new`.",
        )
    save_card(card, file)
    print(f"{profile} (UID {card.uid.hex().upper()}) is in {file}")


@app.command()
def show(
    file: File,
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what the card holds, read with its own commands."""
    card = load_card(file, secrets.token_bytes)
    view = _reload_point(card, region, keys, _service_day(DEMO_ZONE, DEMO_DAY_ENDS))(
        lambda point: point.read()
    )
    content = _content(card, view)
    if as_json:
        print(json.dumps(content, default=str))
        return
    for name, value in content.items():
        print(f"{name:<22} {value}")


@app.command("set")
def change(
    file: File,
    purse_minor: Annotated[
        int | None,
        typer.Option(min=0, max=PURSE_LIMIT_MINOR, help="New purse balance, in minor units (kopecks)."),
    ] = None,
    blocked: Annotated[
        bool | None, typer.Option("--blocked/--not-blocked", help="The card's blocked flag.")
    ] = None,
    inactive: Annotated[
        bool | None, typer.Option("--inactive/--active", help="Another medium of the holder is active.")
    ] = None,
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
    zone: Zone = DEMO_ZONE,
    day_ends: DayEnds = DEMO_DAY_ENDS,
) -> None:
    """Change the card as a reload point does: card commands, an event, one commit."""
    if purse_minor is None and blocked is None and inactive is None:
        raise ImageFault("nothing to change", "Give --purse-minor, --blocked or --inactive; see --help.")
    card = load_card(file, secrets.token_bytes)
    at_reload_point = _reload_point(card, region, keys, _service_day(zone, day_ends))
    if purse_minor is not None:
        at_reload_point(lambda point: point.set_purse(purse_minor, _now()))
    if blocked is not None or inactive is not None:
        at_reload_point(
            lambda point: point.set_rights(lambda rights: _flagged(rights, blocked, inactive), _now())
        )
    save_card(card, file)


@app.command()
def grant(
    file: File,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of every concession on the card.")
    ],
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
    zone: Zone = DEMO_ZONE,
    day_ends: DayEnds = DEMO_DAY_ENDS,
) -> None:
    """Prolong the card's concessions as an entitlement point does: rights, signed credential and event, one commit."""
    card, last_day = load_card(file, secrets.token_bytes), until.date()

    def prolonged(rights: Rights) -> Rights:
        held = (c and dataclasses.replace(c, valid_to=last_day) for c in rights.concessions)
        return dataclasses.replace(rights, concessions=tuple(held))

    at_entitlement_point = _reload_point(card, region, keys, _service_day(zone, day_ends))
    at_entitlement_point(
        lambda point: point.grant(prolonged, lambda r: lab_credential(card.uid, r, _now().date()), _now())
    )
    save_card(card, file)


@app.command()
def roll(
    file: File,
    key_set: Annotated[
        int, typer.Option("--set", min=1, max=SPARE_KEY_SETS, help="Spare key set to make active.")
    ] = 1,
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
) -> None:
    """Change all keys of the card for those of a spare key set, as a terminal with the roll key does."""
    card = load_card(file, secrets.token_bytes)
    service_day = _service_day(DEMO_ZONE, DEMO_DAY_ENDS)
    _reload_point(card, region, keys, service_day)(lambda point: point.roll(key_set))
    save_card(card, file)


@app.command()
def tear(
    file: File,
    exchange: Annotated[int, typer.Option(min=1, help="Exchange of the reload to tear at, from 1.")],
    when: Annotated[
        When, typer.Option(help="Before the card receives it, or after it has executed it.")
    ] = When.AFTER,
    purse_minor: Annotated[
        int,
        typer.Option(
            min=0, max=PURSE_LIMIT_MINOR, help="Balance the torn reload was for, in minor units (kopecks)."
        ),
    ] = 0,
    region: Region = DEMO_REGION,
    keys: Keys = LAB_KEYS,
    zone: Zone = DEMO_ZONE,
    day_ends: DayEnds = DEMO_DAY_ENDS,
) -> None:
    """Remove the card during a reload to --purse-minor and keep its content.

    Exchanges 1 to 6 read; the commit is the last one. All of it is there afterwards, or nothing.
    """
    card = load_card(file, secrets.token_bytes)
    reader = SimReader("reload point", VirtualClock(_now()))
    reader.present(card, (tear_before if when is When.BEFORE else tear_after)(exchange))
    connection = reader.wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    own = load_lab_keys(keys).for_card(card.uid, region)
    point = ReloadPoint(connection, own, secrets.token_bytes, _service_day(zone, day_ends))
    try:
        point.set_purse(purse_minor, _now())
    except CardGone as gone:
        reader.remove()
        save_card(card, file)
        print(f"torn: {gone}; {file} holds what the card holds now")
        return
    raise ImageFault(f"the reload has only {reader.exchanges} exchanges", "Choose a smaller --exchange.")


def _service_day(zone: str, day_ends: int) -> ServiceDay:
    try:
        return service_days(zone, day_ends)
    except ValueError as error:
        raise ImageFault(str(error), "Give a name like Europe/Moscow.") from error


def _reload_point(
    card: VirtualCard, region: int, keys: Path, service_day: ServiceDay
) -> Callable[[Callable[[ReloadPoint], Any]], Any]:
    """Run something at a reload point with this card; a card that refuses becomes one clear line."""
    card.power_on()
    own = load_lab_keys(keys).for_card(card.uid, region)
    point = ReloadPoint(card, own, secrets.token_bytes, service_day)

    def at_reload_point(work: Callable[[ReloadPoint], Any]) -> Any:
        try:
            return work(point)
        except CardError as error:
            raise ImageFault(
                f"the card refuses: {error}", "Check --region and --keys, or make a new card."
            ) from error

    return at_reload_point


def _flagged(rights: Rights, blocked: bool | None, inactive: bool | None) -> Rights:
    return dataclasses.replace(
        rights,
        blocked=rights.blocked if blocked is None else blocked,
        inactive=rights.inactive if inactive is None else inactive,
    )


def _content(card: VirtualCard, view: CardView) -> dict[str, Any]:
    rights, event = view.rights, view.event
    return {
        "uid": card.uid.hex().upper(),
        "generation": card.generation,
        "purse_minor": view.purse_minor,
        "region": rights.region,
        "valid": f"{rights.valid_from} to {rights.valid_to}",
        "flags": [name for name in ("blocked", "inactive") if getattr(rights, name)],
        "concessions": [f"{c.code}: {c.valid_from} to {c.valid_to}" for c in rights.concessions if c],
        "contracts": [
            f"{c.product}: {c.trips or 'unlimited'}, {c.valid_from} to {c.valid_to}"
            for c in rights.contracts
            if c
        ],
        "revision": rights.revision,
        "newest_event": f"{event.kind.name} at {event.at.isoformat()} by terminal {event.terminal}",
        "newest_event_balance": event.balance_after_minor,
        "inside": event.inside,
        "last_order": event.last_order,
        "period_ahead_days": event.period_ahead,
        "counters": f"{event.counters:014X} (layout {event.counter_layout})",
    }


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 the reload point's clock
