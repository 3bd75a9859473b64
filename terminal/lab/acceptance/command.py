"""What `terminal card acceptance` does: reader, keys, transcript, an orderly end, the report."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sim.air import VirtualClock
from sim.card.deviation import ChipDeviation
from sim.card.virtual import VirtualCard
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, ProfileFault
from terminal.app.config.settings import PCSC, SIM
from terminal.app.simulated import issue_residents, recording
from terminal.clock import SystemClock
from terminal.errors import ProfileError, ReaderError
from terminal.lab.acceptance.bench import CARD_WAIT_S, AcceptanceBench, AcceptanceEnd
from terminal.lab.acceptance.report import AcceptanceReport, AcceptanceUnfinished, report_of
from terminal.lab.acceptance.rig import PcscRig, Rig, SimRig
from terminal.lab.acceptance.run import accept
from terminal.policy.load import load_region
from terminal.reader.pcsc import PcscReader
from terminal.texts import N_

STEP: Final = {
    "look": N_("looking at the card"),
    "issue": N_("issuing it"),
    "probe": N_("trying files and proofs"),
    "tap": N_("tapping"),
    "tear": N_("tearing taps"),
    "roll": N_("rolling its keys"),
    "restore": N_("restoring it"),
    "lay": N_("lay the card on the reader"),
    "pull": N_("take the card off the reader"),
}


def acceptance(
    reader: str,
    region: str,
    keys: Path | None,
    transcript: Path | None,
    *,
    pulls: int = 0,
    wait_s: float = CARD_WAIT_S,
    finish: bool = False,
    deviations: tuple[ChipDeviation, ...] = (),
    say: Callable[[str], None],
) -> AcceptanceReport:
    """Accept the card on `reader`. Raises `ReaderError` for one that is not taken, and `AcceptanceUnfinished` with the
    report when card or reader left, an operator ordered it to stop, or the card could not be restored. `say` hears each
    text of `STEP` as its stage begins.
    """
    number, clock = load_region(region).header.region, SystemClock()
    try:
        masters = load_lab_keys(keys or LAB_KEYS)
    except ProfileFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    began_s = clock.monotonic()
    rig = _rig(reader, number, keys, deviations, lambda code: say(STEP[code]))
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            recording(transcript, clock, say, masked=True) as recorded,
        ):
            bench = AcceptanceBench(
                rig,
                masters,
                number,
                VirtualClock(clock.now()),
                secrets.token_bytes,
                lambda code: say(STEP[code]),
                recorded,
                wait_s=wait_s,
                finish=finish,
            )
            accept(bench, region, Path(folder), pulls)
        report = report_of(bench, clock.now(), clock.monotonic() - began_s)
    finally:
        rig.close()
    if report.ended is not AcceptanceEnd.COMPLETE or (bench.taken and not report.restored):
        raise AcceptanceUnfinished(report)
    return report


def deviations_named(names: list[str]) -> tuple[ChipDeviation, ...]:
    """Raises `ReaderError` for a name that is none."""
    try:
        return tuple(ChipDeviation(name) for name in names)
    except ValueError as error:
        raise ReaderError(f"{error}", f"There are {', '.join(ChipDeviation)}.") from error


def _rig(
    reader: str,
    region: int,
    keys: Path | None,
    deviations: tuple[ChipDeviation, ...],
    ask: Callable[[str], None],
) -> Rig:
    clock = SystemClock()
    if reader.startswith(SIM):
        (card,) = issue_residents([reader.removeprefix(SIM)], region, clock.now().date(), keys)
        if not isinstance(card, VirtualCard):
            raise ProfileError(
                "this is no DESFire card", "Rehearse with sim:blank_ev3, blank_ev2 or blank_ev1."
            )
        return SimRig(card.deviating(*deviations), clock, ask)
    if reader != PCSC and not reader.startswith(f"{PCSC}:"):
        raise ReaderError(f"no reader {reader!r}", "Give pcsc, pcsc:NAME, or sim:blank_ev3 to rehearse.")
    if deviations:
        raise ReaderError(
            "only a simulated card deviates on demand", "Leave --deviation out, or use sim:blank_ev3."
        )
    return PcscRig(PcscReader.open(reader.removeprefix(PCSC).removeprefix(":")), clock, ask)
