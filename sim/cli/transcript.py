"""`sim transcript show|replay|air`: show recorded taps, replay them, compute their air time."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from cardproto.desfire.crypto import CardKey
from cardproto.errors import CardError
from sim.air import BIT_RATES_KBIT, AirModel
from sim.lab_keys import load_lab_keys
from sim.recorder import ReplayCard, terminal_randoms
from sim.transcript import TranscribedTap, Transcript, TranscriptFault, load_transcript
from sim.transcript_view import DecodedCommand, Keyring, key_candidates, read_tap, recorded_uid
from sim.vpcd import VpcdBridge

DEMO_REGION: Final = 34
LOOK_S: Final = 0.5

app = typer.Typer(help="Recorded taps: show, replay, compute air time.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(help="Transcript, as `file` under `recording` in terminal.toml names it.")
]
Keys = Annotated[Path | None, typer.Option(help="Laboratory master keys: decipher and verify.")]
Region = Annotated[int, typer.Option(min=0, max=0xFFFF, help="Region the card is issued for.")]
Tap = Annotated[int | None, typer.Option(min=1, help="Only this tap.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]


@app.command()
def show(
    file: File,
    keys: Keys = None,
    uid: Annotated[str | None, typer.Option(help="UID of the card in hexadecimal, if masked.")] = None,
    region: Region = DEMO_REGION,
    tap: Tap = None,
    as_json: AsJson = False,
) -> None:
    """Show a transcript command by command."""
    transcript = load_transcript(file)
    keyring = None if keys is None else Keyring(load_lab_keys(keys), region, _uid(uid))
    read = [(one, read_tap(one, keyring)) for one in _chosen(transcript, tap)]
    if as_json:
        print(json.dumps([_tap_as_json(one, steps) for one, steps in read]))
        return
    print(
        f"{file}: {len(transcript.taps)} taps, {'masked' if transcript.masked else 'laboratory, not masked'}"
    )
    for one, steps in read:
        print(f"\ntap {one.number} at {one.at.isoformat()}: {len(one.exchanges)} exchanges")
        if keyring is not None and keyring.uid is None and recorded_uid(one) is None:
            print("the UID is masked: give --uid to decipher")
        for step in steps:
            _print_step(step)


@app.command()
def replay(
    file: File,
    tap: Annotated[int, typer.Option(min=1, help="Tap number.")] = 1,
    slot: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Insert the card into this virtual reader until Ctrl-C."),
    ] = None,
    any_command: Annotated[
        bool,
        typer.Option(
            "--any-command", help="Answer in recorded order whatever the command, as an attacker would."
        ),
    ] = False,
    keys: Keys = None,
    region: Region = DEMO_REGION,
) -> None:
    """Answer exactly as recorded: on a virtual reader, or to commands in hexadecimal from standard input.

    With --keys the terminal's recorded random numbers are printed first, for the terminal that is to say the same.
    """
    recorded = load_transcript(file).tap(tap)
    card = ReplayCard(recorded, strict=not any_command)
    if keys is not None:
        for number in _randoms(recorded, keys, region):
            print(f"terminal random {number.hex().upper()}", flush=True)
    if slot is None:
        _answer(card, sys.stdin)
    else:
        _in_reader(card, slot)


@app.command()
def air(
    file: File,
    bit_rate: Annotated[
        int | None, typer.Option(help="106, 212, 424 or 848 kbit/s; default: all four.")
    ] = None,
    tap: Tap = None,
    as_json: AsJson = False,
) -> None:
    """Compute the air time of each tap: transfer at the bit rate and the card's processing."""
    if bit_rate is not None and bit_rate not in BIT_RATES_KBIT:
        raise TranscriptFault(f"there is no bit rate {bit_rate}", "Use 106, 212, 424 or 848.")
    rates = BIT_RATES_KBIT if bit_rate is None else (bit_rate,)
    rows = [
        {
            "tap": one.number,
            "bit_rate_kbit": rate,
            "exchanges": len(_on_air(one)),
            "apdu_bytes": sum(len(sent) + len(got) for sent, got in _on_air(one)),
            "activation_ms": round(AirModel(rate).activation_ms(), 2),
            "exchanges_ms": round(sum(AirModel(rate).exchange_ms(*pair) for pair in _on_air(one)), 2),
        }
        for one in _chosen(load_transcript(file), tap)
        for rate in rates
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"tap {row['tap']} at {row['bit_rate_kbit']} kbit/s: {row['exchanges']} exchanges, "
            f"{row['apdu_bytes']} bytes, {row['activation_ms']} ms to wake, {row['exchanges_ms']} ms to talk"
        )


def _on_air(tap: TranscribedTap) -> list[tuple[bytes, bytes]]:
    """What went over the air: masked bytes take as long as the real ones."""
    return [e.filled for e in tap.exchanges if not e.command.startswith("FF")]


def _chosen(transcript: Transcript, number: int | None) -> Iterable[TranscribedTap]:
    return transcript.taps if number is None else (transcript.tap(number),)


def _uid(text: str | None) -> bytes | None:
    try:
        uid = None if text is None else bytes.fromhex(text)
    except ValueError:
        uid = b""
    if uid is not None and len(uid) != 7:
        raise TranscriptFault("--uid is no UID", "Write its 7 bytes as 14 hexadecimal digits.")
    return uid


def _randoms(tap: TranscribedTap, keys: Path, region: int) -> list[bytes]:
    uid = recorded_uid(tap)
    if uid is None:
        raise TranscriptFault(f"tap {tap.number} has no UID", "Replay it without --keys.")
    card_keys = load_lab_keys(keys).for_card(uid, region)

    def key_of(number: int) -> CardKey:
        return key_candidates(card_keys, True, number)[0]

    return terminal_randoms(tap, key_of)


def _answer(card: ReplayCard, commands: Iterable[str]) -> None:
    for line in commands:
        text = line.strip()
        if not text:
            continue
        try:
            print(card.transmit(bytes.fromhex(text)).hex().upper(), flush=True)
        except ValueError:
            print("not hexadecimal", file=sys.stderr)
        except CardError as gone:
            print(f"{type(gone).__name__}: {gone}", file=sys.stderr)
            return
    if card.diverged is not None:
        raise TranscriptFault(card.diverged, "Send what was recorded, or use --any-command.")


def _in_reader(card: ReplayCard, slot: int) -> None:
    bridge = VpcdBridge(card, slot)
    try:
        bridge.present()
        print(f"recorded card is in virtual reader {slot}; Ctrl-C takes it out", flush=True)
        while bridge.presented:
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        pass
    finally:
        bridge.remove()


def _tap_as_json(tap: TranscribedTap, steps: list[DecodedCommand]) -> dict[str, object]:
    return {
        "tap": tap.number,
        "at": tap.at.isoformat(),
        "masked": tap.masked,
        "steps": [dataclasses.asdict(step) for step in steps],
    }


def _print_step(step: DecodedCommand) -> None:
    mode = f" [{step.mode}{', verified' if step.verified else ''}]" if step.mode else ""
    frames = f" in {step.frames} frames" if step.frames > 1 else ""
    when = f"{step.first_exchange:>3} {step.sent_ms:>9.3f} ms +{step.took_ms:.3f}"
    part = f", {step.part}" if step.part else ""
    print(f"{when}  {step.name}{part}{mode}{frames}: {step.status}")
    for line in step.content:
        print(f"      {line}")
    if step.session:
        print(f"      session: {step.session}")
