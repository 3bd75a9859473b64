"""`sim vpcd`: puts a resident's card into the system's PC/SC service, for any program that uses it."""

from __future__ import annotations

import json
import random
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.card.deviation import ChipDeviation
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.emv.card import VirtualBankCard
from sim.image_file import ImageFault, StoredCard, is_image, load_image, own_file, save_card
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault, load_profile
from sim.vpcd import VpcdBridge

DEMO_REGION: Final = 34
LOOK_S: Final = 0.5
OUT_S: Final = 0.5
EXIT_SERVICE_ENDED: Final = 31


def vpcd(
    profile: Annotated[
        str,
        typer.Option(
            help="A resident, see `sim profiles`, a TOML file of your own, or a card image file (.json)."
        ),
    ],
    slot: Annotated[int, typer.Option(min=0, max=1, help="Virtual reader, 0 or 1.")] = 0,
    taps: Annotated[
        int | None,
        typer.Option(min=1, help="Number of insertions before ending; default: leave the card in."),
    ] = None,
    hold_s: Annotated[
        float, typer.Option("--hold", min=0.0, help="Seconds the card stays in after each tap.")
    ] = 0.3,
    keep: Annotated[bool, typer.Option("--keep", help="Insert the card again when pcscd restarts.")] = False,
    image_out: Annotated[
        Path | None, typer.Option(help="Write the final content of the card to this JSON file.")
    ] = None,
    region: Annotated[
        int, typer.Option(min=0, max=0xFFFF, help="Region the card is issued for.")
    ] = DEMO_REGION,
    keys: Annotated[
        Path, typer.Option(help="Master keys the card is issued with, laboratory only.")
    ] = LAB_KEYS,
    issued_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of issue; default: today.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of UID and card randomness.")] = None,
    contacts: Annotated[
        bool,
        typer.Option("--contacts", help="Show a bank card through its contacts (T=0), not without them."),
    ] = False,
    deviation: Annotated[
        list[ChipDeviation] | None,
        typer.Option(
            help="In what the chip is not as assumed; may be repeated. Nothing of it is kept in a file."
        ),
    ] = None,
) -> None:
    """Issue a resident's card and insert it into the running PC/SC service until Ctrl-C.

    Needs the packages pcscd and vsmartcard-vpcd (Debian, Ubuntu). SIGUSR1 takes the card out for a moment, as a person
    does who is asked to pull it.
    """
    # Both are the order to take the card out; as an exception it also ends whatever wait is on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    day = issued_on.date() if issued_on else datetime.now(UTC).date()  # noqa: TID251 the issuing point's calendar
    card = _deviating(_issue(profile, keys, region, day, seed), deviation or [])
    if contacts:
        card = _on_contacts(profile, card)
    bridge = VpcdBridge(card, slot, keep=keep)
    pulled = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: pulled.set())
    try:
        ended_by_itself = (
            _leave_in(bridge, profile, card, slot, pulled) if taps is None else _tap(bridge, taps, hold_s)
        )
    except KeyboardInterrupt:
        ended_by_itself = False
    finally:
        bridge.remove()
        if is_image(profile) and isinstance(card, StoredCard):
            save_card(card, Path(profile))
        if image_out is not None:
            with open(image_out, "w", encoding="utf-8", opener=own_file) as file:
                file.write(json.dumps(card.image(), indent=1) + "\n")
    if ended_by_itself:
        print("sim: the PC/SC service has ended. Start it again, or use --keep.", file=sys.stderr)
        raise typer.Exit(EXIT_SERVICE_ENDED)


def _leave_in(bridge: VpcdBridge, profile: str, card: SimCard, slot: int, pulled: threading.Event) -> bool:
    """Until Ctrl-C; True when the service ended instead."""
    bridge.present()
    print(
        f"{profile} (UID {card.uid.hex().upper()}) is in virtual reader {slot}; Ctrl-C takes it out",
        flush=True,
    )
    while bridge.presented:
        if pulled.wait(LOOK_S):
            pulled.clear()
            bridge.remove()
            print("the card was taken out", flush=True)
            time.sleep(OUT_S)
            bridge.present()
            print("the card is in again", flush=True)
    return True


def _tap(bridge: VpcdBridge, taps: int, hold_s: float) -> bool:
    """Tap after tap, each until a program has used the card; True when the service ended before the last."""
    for number in range(1, taps + 1):
        bridge.present()
        print(f"tap {number} of {taps}: card in", flush=True)
        while not bridge.wait_for_conversation(after=number - 1, timeout_s=LOOK_S):
            if not bridge.presented:
                return True
        time.sleep(hold_s)
        bridge.remove()
    return False


def _on_contacts(profile: str, card: SimCard) -> VirtualBankCard:
    if not isinstance(card, VirtualBankCard):
        raise ProfileFault(
            f"{profile} has no contacts", "Use --contacts with a bank card; see `sim card emv list`."
        )
    card.use_contacts()
    return card


def _deviating(card: SimCard, deviations: list[ChipDeviation]) -> SimCard:
    if not deviations:
        return card
    if not isinstance(card, VirtualCard):
        raise ImageFault("this is no DESFire card: it has nothing to deviate in", "Leave --deviation out.")
    return card.deviating(*deviations)


def _issue(profile: str, keys: Path, region: int, today: date, seed: int | None) -> SimCard:
    """The resident's card, new; or the card in an image file, as it was left."""
    rng: Callable[[int], bytes] = secrets.token_bytes if seed is None else random.Random(seed).randbytes  # noqa: S311 a simulated card, made repeatable on purpose
    if is_image(profile):
        return load_image(Path(profile), rng)
    return issue(load_profile(profile), load_lab_keys(keys), region, today, rng)
