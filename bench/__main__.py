"""`make bench`: every budget of the project, measured in this run, one JSON line each. It judges nothing."""

from __future__ import annotations

import sys

from bench import (
    audit,
    bank,
    bundles,
    card,
    collector,
    denied,
    desk,
    everything,
    fares,
    feed_decisions,
    fleet,
    gtfs,
    idle,
    impact,
    journal,
    lists,
    pcsc,
    periphery,
    phones,
    process,
    recomputing,
    screen,
    serving,
    strangers,
    taps,
    vehicle,
)

SUITE = (
    taps.exchanges,
    taps.flushes,
    taps.cpu,
    taps.records,
    card.exchange_rate,
    card.personalising,
    phones.near_field,
    phones.codes,
    phones.garbage,
    bank.recovery,
    bank.full_taps,
    bank.journeys,
    bank.terminals_part,
    journal.slow_flush,
    journal.sealing,
    journal.capacity,
    journal.catching_up,
    journal.flushes_beside_an_upload,
    process.start,
    process.memory,
    idle.waiting,
    idle.working,
    pcsc.exchanges,
    pcsc.card_cost,
    card.memory,
    fares.decisions,
    fares.loading,
    fares.memory,
    lists.grants,
    denied.deny,
    denied.tokens,
    gtfs.importing,
    gtfs.large_stops,
    gtfs.deciding,
    feed_decisions.decisions,
    gtfs.memory,
    impact.replaying,
    collector.growth,
    collector.proven,
    collector.over_http,
    audit.of_one_day,
    recomputing.following,
    strangers.own_beside_strangers,
    fleet.sizes,
    fleet.embedded,
    fleet.fleet,
    fleet.cluster,
    fleet.entering,
    vehicle.heard,
    vehicle.tap_cpu,
    vehicle.start,
    bundles.looking,
    bundles.waiting,
    everything.start,
    periphery.tap_cpu,
    serving.serving,
    screen.visible,
    screen.load,
    screen.idle,
    desk.responsive,
    desk.judging,
)


def main(wanted: list[str]) -> None:
    """Run everything, or the parts whose module or function name contains one of `wanted`."""
    results = []
    for part in SUITE:
        name = f"{part.__module__}.{part.__name__}"
        if wanted and not any(word in name for word in wanted):
            continue
        for result in part():
            result.print()
            results.append(result)
    missed = [result.name for result in results if result.met is False]
    unmeasured = [result.name for result in results if result.met is None]
    met = len(results) - len(missed) - len(unmeasured)
    print(f"{met} goals met, {len(missed)} missed, {len(unmeasured)} not measured", file=sys.stderr)


main(sys.argv[1:])
