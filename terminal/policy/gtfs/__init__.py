"""Prices from a GTFS-Fares v2 feed (specification of June 2026): tables, import, matching, transfers.

How a region document uses it. The document has an optional section `gtfs` (`section.GtfsFares`); it names the
tables `terminal policy import-gtfs FEED --out FILE` wrote, and says what the feed cannot say. For decisions:

    section = section_with_tables(document.gtfs, folder)      # once, when the document is loaded (section.py)
    section_problems(section, currency, time_zone, free_bits) # what `terminal.policy.checks` yields for it
    fares = FeedFares.of(section)                             # once, in Policy.of; holds every index

    leg = Leg(route=fares.route_id(15), from_stop=fares.stop_id(204), departed_at=now)
    rider = fares.rider((2, 5))                               # codes of the concessions that hold now
    medium = fares.medium("transport_card")                   # by the name of `policy.base.FareMedium`
    now_s, written_s = second_of(now), second_of(event.at)    # seconds since 1970
    written = Written(written_s, fares.route_id(event.route), event.amount_minor)
    state = fares.card.read(JourneyOnCard(bits, journey_age_s, transfers), written, now_s)
    taken = board(fares, state, leg, rider, medium)           # Charged | FareUnknown
    single_fare(fares, leg, rider, medium)                    # what board takes without a journey, or None
    taken = alight(fares, state, stop, now, rider, medium)    # Charged | FareUnknown, only where riders tap off
    fares.card.write(taken.state, now_s)                      # JourneyOnCard; its `bits` fit fares.card.bits bits

A rule that the import left out (`conditions`) stands in the tables without a price: rides only it is for are unknown.

`Charged.charge_minor` is what the purse pays now: never below 0 from `board`; from `alight` it corrects what was
reserved and is below 0 where the rider gets money back. `steps` are a trail; rule ids
G-01 to G-09 are listed in docs/gtfs-fares.md. `FareUnknown` is a refusal: a fare that is not known is never 0.
`JourneyOnCard.journey_age_s` and `transfers` belong in the event's own fields, `bits` in its counters.

`bits` must stand in the counters unchanged until the next ride, whatever other events (reload, meal) are written in
between; no period may reset them, and those events carry `transfers` and the growing age of the journey along as
they do for other journeys. A ride still open then stays at what was taken: only its own event can be tapped off from.

Everything but `feed`, `importer` and `section_with_tables` is pure: no file, no clock, no network.
"""
