"""A stress run in a process of its own, reported line by line: `python -m terminal.lab.desk.storm_run SEED TAPS`.

The same towns from the same seeds as `terminal storm --seed SEED --taps TAPS`; between two audits the counts
are reported as they grow. The last line has `"ended": true`. Ends at the first violation, or when the output is
closed.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any, Final

from terminal.app.output import print_json
from terminal.lab.stress.checkers.check import Findings
from terminal.lab.stress.faults.disk import available
from terminal.lab.stress.faults.plan import NEEDS_APSW, Kind
from terminal.lab.stress.run import EVERY_REGION, TownSeed, play_town, towns_of
from terminal.lab.stress.world import Storm

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
        teller.checked.add(play_town(town, town.plan(planned, faults), watch=teller.on_step))
        teller.towns += 1
        teller.report()
        if not teller.checked.sound:
            break
    teller.report(ended=True)
    return teller.checked


if __name__ == "__main__":
    storm(int(sys.argv[1]), int(sys.argv[2]))
