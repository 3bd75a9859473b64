"""`sim card emv new|list|show|ca`: bank cards in image files, and the keys that terminals of the laboratory believe."""

from __future__ import annotations

import json
import random
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.card.image import Json
from sim.emv.card import DualCard, VirtualBankCard
from sim.emv.chain import lab_ca_keys, revoked_issuers
from sim.emv.memory import chip_image
from sim.image_file import ImageFault, load_image, save_card
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, CardProfile, load_profile, profile_names

DEMO_REGION: Final = 34

app = typer.Typer(help="Laboratory bank cards: not certified, no bank knows them.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Card image file (JSON).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def new(
    file: File,
    profile: Annotated[
        str, typer.Option(help="A bank card, see `sim card emv list`, or a TOML file of your own.")
    ],
    region: Annotated[
        int, typer.Option(min=0, max=0xFFFF, help="Region of the resident application beside it, if any.")
    ] = DEMO_REGION,
    issued_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of issue; default: today.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the UID.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Issue a bank card into FILE, alone or beside a resident application."""
    if file.exists() and not force:
        raise ImageFault(f"{file} exists already", "Choose another name, or replace it with --force.")
    chosen = load_profile(profile)
    if chosen.bank is None:
        raise ImageFault(f"profile {profile} has no bank application", "See `sim card emv list`.")
    rng = secrets.token_bytes if seed is None else random.Random(seed).randbytes  # noqa: S311 repeatable on purpose
    today = issued_on.date() if issued_on else datetime.now(UTC).date()  # noqa: TID251 the issuing point's calendar
    card = issue(chosen, load_lab_keys(LAB_KEYS), region, today, rng)
    assert isinstance(card, DualCard | VirtualBankCard), "it has a bank application"
    save_card(card, file)
    print(f"{profile} (UID {card.uid.hex().upper()}) is in {file}")


@app.command("list")
def list_profiles(as_json: AsJson = False) -> None:
    """List the bank cards that can be issued."""
    found = [profile for profile in map(load_profile, profile_names()) if profile.bank is not None]
    if as_json:
        print(json.dumps([_summary(profile) for profile in found]))
        return
    for profile in found:
        row = _summary(profile)
        print(f"{row['name']:<20} {row['method']:<7} {row['interface']:<12} {row['chain']:<8} {row['en']}")


@app.command()
def show(file: File, as_json: AsJson = False) -> None:
    """Show what the bank side of a card holds; of its number only the end."""
    card = load_image(file, secrets.token_bytes)
    if not isinstance(card, DualCard | VirtualBankCard):
        raise ImageFault(f"{file} has no bank application", "Use `sim card show` for it.")
    content: dict[str, Json] = {
        "uid": card.uid.hex().upper(),
        "resident": isinstance(card, DualCard),
        **chip_image(card.chip_memory),
    }
    if as_json:
        print(json.dumps(content))
        return
    for name, value in content.items():
        for line in value if isinstance(value, list) else (value,):
            print(f"{name:<14} {_words(line)}")


@app.command()
def ca() -> None:
    """Print the laboratory's CA keys and revoked issuer certificates as JSON: for terminals of a laboratory only."""
    keys = [
        {
            "rid": key.rid.hex().upper(),
            "index": f"{key.index:02X}",
            "modulus": key.modulus.hex().upper(),
            "exponent": key.exponent.hex().upper(),
            "sha1": key.checksum.hex().upper(),
        }
        for key in lab_ca_keys()
    ]
    revoked = [
        {"rid": rid.hex().upper(), "index": f"{index:02X}", "serial": serial.hex().upper()}
        for rid, index, serial in revoked_issuers()
    ]
    print(json.dumps({"environment": "laboratory", "ca_keys": keys, "revoked": revoked}, indent=1))


def _summary(profile: CardProfile) -> dict[str, object]:
    bank = profile.bank
    assert bank is not None, "only those are listed"
    return {
        "name": profile.name,
        "ru": profile.description.ru,
        "en": profile.description.en,
        "method": bank.method,
        "digits": bank.digits,
        "interface": bank.interface,
        "chain": bank.chain,
        "tokens": bank.tokens,
        "resident": profile.card.kind == "resident",
    }


def _words(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
