"""What befalls whole machines in a stress run: bits turn on a disk, and a copy goes on under the number of another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from terminal.app.station import IDENTITY_FILE, JOURNAL_FILE
from terminal.errors import JournalDamaged
from terminal.journal.journal import Journal
from terminal.lab.stress.faults.plan import StressStep
from terminal.lab.stress.world import Post, StormTown, Twin
from terminal.sync.client import SyncClient
from terminal.sync.identity import load_or_create_key as load_identity
from terminal.trip.shifts import close_shift, open_shift

ROTTING: Final = (JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}.numbers", f"{JOURNAL_FILE}.mark")
BUS: Final = "bus"


def rot(town: StormTown, post: Post, step: StressStep) -> bool:
    """A bit turns in a file of a terminal that is off. It starts and loses nothing, says what it has lost, or does not
    start: then the sound file is put back, as from a mirror.
    """
    if post.station.profile != BUS:
        return False
    crashed = bool(step.value % 2)
    file = post.station.state / ROTTING[step.value // 2 % len(ROTTING)]
    old, turned = post.journal, []

    def turn_bit() -> None:
        content = bytearray(file.read_bytes()) if file.exists() else bytearray()
        if content:
            turned.append(bytes(content))
            content[step.value * 7_919 % len(content)] ^= 1 << step.value % 8
            file.write_bytes(content)

    town.stop(post, crashed=crashed)
    turn_bit()
    if not turned:
        town.start(post, old.promised, old.reused, steady=old.steady)
        return False
    kept = _copy(post.station.state)
    try:
        town.start(post, old.promised, old.reused, steady=old.steady)
    except JournalDamaged:
        town.count.refused_starts += 1
        post.program.close()
        shutil.rmtree(post.station.state)
        kept.rename(post.station.state)
        file.write_bytes(turned[0])
        town.start(post, old.promised, old.reused, steady=old.steady)
    shutil.rmtree(kept, ignore_errors=True)
    return True


def _copy(state: Path) -> Path:
    """The folder as it is, beside it."""
    kept = state.with_name(f"{state.name}-kept")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(state, kept)
    return kept


def copy_machine(town: StormTown, post: Post) -> bool:
    """Copy the whole folder of a terminal that is off, its key included; the copy is started when all is over."""
    if post.station.profile != BUS or any(twin.number == post.number for twin in town.twins):
        return False
    town.stop(post, crashed=False)
    old = post.journal
    folder = town.world.folder / f"twin-{post.number}"
    shutil.copytree(post.station.state, folder)
    town.twins.append(Twin(post.number, folder, old.head.sequence))
    town.start(post, old.promised, old.reused, steady=old.steady)
    return True


def start_twins(town: StormTown) -> None:
    """Each copied machine comes to life, writes a few rows of its own and uploads them."""
    for twin in town.twins:
        post = next(post for post in town.posts if post.number == twin.number)
        station = town.world.station(twin.number, post.station.profile, twin.folder)
        with town.world.open_terminal(station, post.clock, journal=Journal.open) as terminal:
            if terminal.journal.open_shift is not None:
                close_shift(terminal.journal, post.clock.now())
            open_shift(terminal.journal, post.clock.now(), "twin", BUS, 1)
            key = load_identity(twin.folder / IDENTITY_FILE)
            SyncClient(
                terminal.journal, post.link, key, town.collector_key.public_key(), post.clock
            ).sync_once()
