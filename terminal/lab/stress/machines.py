"""What befalls whole machines in a stress run: bits turn on a disk, and a copy goes on under the number of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cardcli import VERSION
from terminal.app.station import IDENTITY_FILE, JOURNAL_FILE, SOFTWARE, journal_key
from terminal.collector.enrolment import Enrolment
from terminal.errors import JournalDamaged
from terminal.journal.database import KEEP_ASIDE
from terminal.journal.journal import Journal
from terminal.journal.verify import verify
from terminal.lab.stress.faults.plan import Kind, StressStep
from terminal.lab.stress.truth import TrueClock
from terminal.lab.stress.world import FIRST_NUMBER, Post, StormTown, Twin
from terminal.operations.backup import Source, back_up
from terminal.operations.restore import NewHardware, restore
from terminal.sync.client import SyncClient
from terminal.sync.credentials import load_or_make_keys
from terminal.trip.shifts import close_shift, open_shift

ROTTING: Final = (JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}.numbers", f"{JOURNAL_FILE}.mark")
BUS: Final = "bus"


def befall(town: StormTown, post: Post, step: StressStep) -> bool:
    """What the step does to the machine of a bus; whether it was done."""
    return DEEDS[Kind(step.fault)](town, post, step)


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
        _look_through(town, post)
    except JournalDamaged:
        town.count.refused_starts += 1
        post.program.close()
        shutil.rmtree(post.station.state)
        kept.rename(post.station.state)
        file.write_bytes(turned[0])
        town.start(post, old.promised, old.reused, steady=old.steady)
    shutil.rmtree(kept, ignore_errors=True)
    return True


def _look_through(town: StormTown, post: Post) -> None:
    """Read every row and checkpoint, as `terminal journal verify` does; raises `JournalDamaged`."""
    journal = post.station.state / JOURNAL_FILE
    found = verify(journal, journal_key(journal, town.keys))
    if found.problem is not None:
        raise JournalDamaged(found.problem, KEEP_ASIDE)


def _copy(state: Path) -> Path:
    """The folder as it is, beside it."""
    kept = state.with_name(f"{state.name}-kept")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(state, kept)
    return kept


def copy_machine(town: StormTown, post: Post, _step: StressStep) -> bool:
    """Copy the whole folder of a terminal that is off, its key included; the copy is started when all is over.
    Of every other terminal, so that the others can be replaced.
    """
    known = any(twin.number == post.number for twin in town.twins)
    if post.station.profile != BUS or post.number % 2 or known:
        return False
    town.stop(post, crashed=False)
    old = post.journal
    folder = town.world.folder / f"twin-{post.number}"
    shutil.copytree(post.station.state, folder)
    town.twins.append(Twin(post.number, folder, old.head.sequence))
    town.start(post, old.promised, old.reused, steady=old.steady)
    return True


def replace_machine(town: StormTown, post: Post, _step: StressStep) -> bool:
    """A terminal is backed up and dies; new hardware with an identity of its own is restored from that (ADR 12)."""
    if post.station.profile != BUS or post.clock.ahead_s or not post.number % 2:
        return False
    state, old, true = post.station.state, post.journal, town.truth.posts[post.number - FIRST_NUMBER]
    town.stop(post, crashed=False)
    sealer, backup = town.world.keys.sealer, town.world.folder / f"backup-{post.number}"
    now = post.clock.now()
    source = Source(
        state, state / JOURNAL_FILE, BUS, SOFTWARE, journal_key(state / JOURNAL_FILE, town.keys), sealer
    )
    back_up(source, backup, now)
    shutil.rmtree(state)
    signer = load_or_make_keys(state / IDENTITY_FILE).signing
    Enrolment(town.collector_folder / "terminals").enrol(post.number, signer.public_key())
    machine = NewHardware(
        state, state / JOURNAL_FILE, post.number, SOFTWARE, VERSION, sealer, signer, post.clock
    )
    restore(backup, machine, post.link, lambda _: town.collector_key.public_key())
    backup.unlink()
    true.clock = TrueClock()  # a doubt is one of the old machine's clock; this one agreed with the collector
    town.start(post, old.promised, old.reused, steady=old.steady)
    if post.journal.open_shift is None:
        open_shift(post.journal, now, "storm", BUS, true.way.route, true.direction)
    true.stop = None
    town.count.replaced.add(post.number)
    return True


def start_twins(town: StormTown) -> None:
    """Each copied machine comes to life, writes a few rows of its own and uploads them. Where the other wrote nothing
    since the copy was made, there is one machine still: the collector holds one line of rows. Time goes on before: rows
    that are equal to the byte, written in the same millisecond, are one row to the collector.
    """
    town.clock.advance(1.0)
    posts = {post.number: post for post in town.posts}
    town.twins = [twin for twin in town.twins if posts[twin.number].journal.head.sequence > twin.through]
    for twin in town.twins:
        post = posts[twin.number]
        station = town.world.station(twin.number, post.station.profile, twin.folder)
        with town.world.open_terminal(station, post.clock, journal=Journal.open) as terminal:
            if terminal.journal.open_shift is not None:
                close_shift(terminal.journal, post.clock.now())
            open_shift(terminal.journal, post.clock.now(), "twin", BUS, 1)
            key = load_or_make_keys(twin.folder / IDENTITY_FILE).signing
            SyncClient(
                terminal.journal, post.link, key, town.collector_key.public_key(), post.clock
            ).sync_once()


DEEDS: Final[Mapping[Kind, Callable[[StormTown, Post, StressStep], bool]]] = {
    Kind.BIT_ROT: rot,
    Kind.TWIN: copy_machine,
    Kind.REPLACED: replace_machine,
}
