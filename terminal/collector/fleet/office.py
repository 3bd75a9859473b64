"""The office of a fleet as a process: the pages, books, settlement and metrics of one collector over what PostgreSQL
holds, which a folder follows (`terminal.collector.fleet.mirror`).

FOLDER/collector.db     rows as in the database; requests, orders and who did what: this folder's own, to be backed up
FOLDER/collector.key    and ca.key, ca.crt: those of the gateways
FOLDER/office/          its users; everything else as in a collector's folder, and every command reads it as one

It takes no batches: gateways do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.routing import BaseRoute

from terminal.clock import Clock
from terminal.collector.books_keeper import BooksKeeper
from terminal.collector.certify import CERTIFICATE_FILE
from terminal.collector.certify import KEY_FILE as AUTHORITY_KEY
from terminal.collector.fleet.mirror import FleetMirror
from terminal.collector.fleet.server import fleet_identity
from terminal.collector.fleet.shared_records import RecordsFollower, SharedRecords
from terminal.collector.service import KEY_FILE, Collector, CollectorSettings, run
from terminal.errors import CollectorError

OWN_FILES: Final = (KEY_FILE, AUTHORITY_KEY, CERTIFICATE_FILE)


class FleetOffice(Collector):
    """A collector whose rows come from a fleet's database. Raises as `Collector`, and `OtherIdentity`."""

    def __init__(self, settings: CollectorSettings, dsn: str, clock: Clock, keeper: BooksKeeper) -> None:
        missing = [name for name in OWN_FILES if not (settings.folder / name).is_file()]
        if missing:
            raise CollectorError(
                f"{settings.folder} has no {' and no '.join(missing)}",
                "Copy collector.key, ca.key and ca.crt from a gateway's folder.",
            )
        records = SharedRecords(settings.terminals, dsn)
        super().__init__(settings, clock, keeper, records)
        same = fleet_identity(self.key, settings.folder / CERTIFICATE_FILE)
        try:
            SharedRecords(settings.terminals, dsn, same).require_same()
        except CollectorError:
            super().close()
            raise
        self._records = RecordsFollower(records, dsn)
        self._mirror = FleetMirror(dsn, self.store, self.follower.wake)

    def begin(self) -> None:
        super().begin()
        self._records.start()
        self._mirror.start()

    def terminal_routes(self) -> list[BaseRoute]:
        return []

    def close(self) -> None:
        self._mirror.stop()
        self._records.stop()
        super().close()


def run_office(settings: CollectorSettings, dsn: str, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Raises as `terminal.collector.service.run`."""
    run(settings, on_ready, make=lambda given, clock, keeper: FleetOffice(given, dsn, clock, keeper))
