"""A stress run in a process of its own, reported line by line: `python -m terminal.lab.desk.storm_run SEED TAPS`.

The same towns from the same seeds as `terminal storm --seed SEED --taps TAPS`; between two audits the counts
are reported as they grow. The last line has `"ended": true`. Ends at the first violation, or when the output is
closed.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from terminal.app.output import print_json
from terminal.errors import TerminalError
from terminal.lab.stress.checkers.check import Findings, check
from terminal.lab.stress.faults.disk import available
from terminal.lab.stress.faults.plan import NEEDS_APSW, Kind, StressStep
from terminal.lab.stress.play import play
from terminal.lab.stress.run import EVERY_REGION, TownSeed, storm_folder, towns_of
from terminal.lab.stress.world import Storm, open_storm_town
from terminal.media.resident.machine import IllegalStep

REPORT_EVERY_S: Final = 0.25


class Reporter:
    """Counts of finished towns, and of the one that is being played."""

    def __init__(self, seed: int, taps: int) -> None:
        self.checked = Findings()
        self.towns = 0
        self._seed, self._taps = seed, taps
        self._began_s = self._reported_s = time.monotonic()
        self._unavailable = () if available() else tuple(sorted(NEEDS_APSW))

    def on_step(self, count: Storm) -> None:
        """Report how far the running town is, now and then."""
        if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
            self.report(count)

    def report(self, running: Storm | None = None, **more: Any) -> None:
        """One line."""
        self._reported_s = time.monotonic()
        found, wall_s = self.checked, self._reported_s - self._began_s
        faults: Counter[str] = Counter(found.faults_injected)
        taps, granted, restarts = found.taps, found.granted, found.restarts
        if running is not None:
            faults.update({str(kind): number for kind, number in running.faults.items()})
            taps, granted, restarts = (
                taps + running.taps,
                granted + running.granted,
                restarts + running.restarts,
            )
        print_json(
            {
                "seed": self._seed,
                "wanted": self._taps,
                "taps": taps,
                "granted": granted,
                "restarts": restarts,
                "faults": dict(faults),
                "unavailable": self._unavailable,
                "towns": self.towns,
                "checked": found.taps,
                "records": found.records,
                "rides": found.rides,
                "charged_minor": found.charged_minor,
                "lost": found.lost,
                "duplicated": found.duplicated,
                "money_mismatch_minor": found.money_mismatch_minor,
                "misjudged": found.misjudged,
                "unnoticed": found.unnoticed,
                "unresolved_open": found.unresolved_open,
                "unresolved_settled": found.unresolved_settled,
                "problems": found.problems[:10],
                "wall_s": round(wall_s, 2),
                "taps_per_s": round(taps / wall_s, 1) if wall_s else 0.0,
                "ended": False,
                **more,
            }
        )


def storm(seed: int, taps: int) -> Findings:
    """Play town after town until `taps` are played or one is not sound."""
    faults = frozenset(Kind) if available() else frozenset(Kind) - NEEDS_APSW
    teller = Reporter(seed, taps)
    teller.report()
    for town, planned in towns_of(taps, seed, faults, TownSeed(seed, region=EVERY_REGION)):
        teller.checked.add(_play(town, town.plan(planned, faults), teller))
        teller.towns += 1
        teller.report()
        if not teller.checked.sound:
            break
    teller.report(ended=True)
    return teller.checked


def _play(town: TownSeed, steps: list[StressStep], teller: Reporter) -> Findings:
    """One town from opening to audit; an early end is a problem found, as in `terminal.lab.stress.run.play_town`."""
    with tempfile.TemporaryDirectory(dir=storm_folder(), prefix="resident-card-storm-") as place:
        try:
            with open_storm_town(
                Path(place),
                town.seed,
                town.terminals,
                town.riders,
                town.pupils,
                disks=available(),
                region=town.region,
                cards=town.issued,
            ) as opened:
                play(opened, steps, teller.on_step)
                return check(opened)
        except (TerminalError, IllegalStep, AssertionError, LookupError, sqlite3.Error) as end:
            return Findings(problems=[f"the storm ended early: {type(end).__name__}: {end}"])


if __name__ == "__main__":
    storm(int(sys.argv[1]), int(sys.argv[2]))
