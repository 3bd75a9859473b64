"""`terminal sync`: send what is unsent, accept signed acknowledgements, delete what may leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from terminal.cli.options import (
    CollectorUrl,
    Config,
    Json,
    Keys,
    Number,
    State,
    TlsCa,
    station_config,
)
from terminal.clock import unix_ms


def sync(
    config: Config = None,
    state: State = None,
    number: Number = None,
    collector: CollectorUrl = None,
    keep_hours: Annotated[
        int, typer.Option(min=0, help="Hours to keep acknowledged records before deletion (D-06).")
    ] = 72,
    keys: Keys = None,
    tls_ca: TlsCa = None,
    json: Json = False,
) -> None:
    """Send unsent records to the collector. The terminal must not be running."""
    from terminal.app.media import kept_in
    from terminal.app.output import print_json
    from terminal.app.station import open_journal
    from terminal.app.uplink import sync_client, uplink_of
    from terminal.clock import SystemClock
    from terminal.operations.status import say_uploaded

    clock = SystemClock()
    at = station_config(
        config,
        state=state,
        number=number,
        collector=collector,
        keys=keys,
        tls_ca=tls_ca,
    )
    folder = at.terminal.state
    with (
        open_journal(folder, at.terminal.number, at.keys.file, clock) as journal,
        kept_in(folder) as held,
        sync_client(journal, uplink_of(folder, at.collector), clock, sealed=held) as client,
    ):
        with _progress(json) as advance:
            report = client.sync_once(progress=advance)
        deleted = journal.purge(keep_hours * 3_600_000, unix_ms(clock.now()))
        journal.checkpoint()
        if report.problem is None:
            waiting = journal.rows(journal.acknowledged_through, 1)
            with suppress(OSError):  # the records are sent, whatever `terminal health` may show
                say_uploaded(
                    folder,
                    rows=journal.held,
                    unsent=journal.unsent,
                    oldest_unsent_at_ms=waiting[0].record.at_ms if waiting else None,
                    heard_at_ms=unix_ms(clock.now()),
                )
    if json:
        print_json(
            {
                "uploaded": report.uploaded,
                "acknowledged_through": report.acknowledged_through,
                "unsent": report.unsent,
                "deleted": deleted,
            }
        )
    elif report.problem is None:
        print(
            f"{report.uploaded} records sent, acknowledged through {report.acknowledged_through}, {deleted} deleted"
        )
    if report.problem is not None:
        raise report.problem


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar from the first acknowledged record to the newest; nothing for programs."""
    if quiet:
        yield None
        return
    from rich.progress import Progress

    from cardcli.console import progress_console

    with Progress(console=progress_console(), transient=True) as bar:
        task = bar.add_task("sending", total=None)
        yield lambda through, head: bar.update(task, completed=through, total=head)
