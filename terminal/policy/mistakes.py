"""What may be wrong with a region document, or with a list that refers to one, beyond its types: codes and words."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_


class NameMistake(MistakeCode):
    """What names and numbers have to do with each other in any document."""

    UNKNOWN = "unknown_name", N_("unknown {thing} {value}"), N_("Known: {known}.")
    UNKNOWN_NEAR = (
        "unknown_name_near",
        N_("unknown {thing} {value}"),
        N_("Did you mean `{near}`? Known: {known}."),
    )
    NONE_KNOWN = "none_known", N_("unknown {thing} {value}"), N_("Known: none in this document.")
    USED_TWICE = "used_twice", N_("{value} is already used by [{first}]"), N_("Give each its own.")
    OUT_OF_REACH = (
        "out_of_reach",
        N_("the year {year} is out of reach"),
        N_("Use one from {first} to {last}."),
    )


class SchemaMistake(MistakeCode):
    """A document of the first schema, which is not read any more."""

    ONE = (
        "schema_1",
        N_("schema 1, with one [transfer] and one `limit` of a concession, is not read any more"),
        N_("Write schema = 2; it has: [[transfers]], `fares.transfer`, `limits` of concessions, [[caps]]."),
    )
    ONE_WITH_TWO = (
        "schema_1_with_2",
        N_("schema = 1, but schema = 2 has: {newer}"),
        N_("Write schema = 2, the only one that is read."),
    )


class RuleMistake(MistakeCode):
    """What may be wrong with rules of fares, rights and journeys."""

    STALE_BEFORE_FRESH = (
        "stale_before_fresh",
        N_("data would be too old before it is stale"),
        N_("Make it at least `fresh_h`."),
    )
    NEVER_VALID = ("never_valid", N_("the document is never valid"), N_("Put it after `valid_from`."))
    ISSUED_TOO_LATE = (
        "issued_too_late",
        N_("issued when it has ended already"),
        N_("Put it before `valid_to`."),
    )
    UNKNOWN_CURRENCY = (
        "unknown_currency",
        N_('unknown currency "{currency}"'),
        N_("Use a code of ISO 4217 such as {near}: the purse on the card counts its minor units."),
    )
    UNKNOWN_TIME_ZONE = (
        "unknown_time_zone",
        N_('unknown time zone "{zone}"'),
        N_("Use a name of the IANA database such as {near}."),
    )
    NO_LANGUAGE = ("no_language", N_("no language"), N_("Name at least one of {known}."))
    UNKNOWN_LANGUAGE = ("unknown_language", N_('no texts in "{language}"'), N_("Use {known}."))
    PURSE_NOT_LAST = (
        "purse_not_last",
        N_("does not end with `purse`"),
        N_("Put `purse` last: it is what is left when no other right covers the ride."),
    )
    CANTEEN_RIGHTS = ("canteen_rights", N_("a canteen serves by concession"), N_('Use ["concession"].'))
    CANTEEN_ASKS = ("canteen_asks", N_("a pupil takes no companions and goes nowhere"), N_("Leave it out."))
    NO_FEED = ("no_feed", N_("the document has no [gtfs]"), N_("Import a feed, or state fares here."))
    FEED_NOT_USED = (
        "feed_not_used",
        N_("no fare is looked up in it"),
        N_('Write source = "gtfs" in [fares].'),
    )
    FEED_AND_FARES = (
        "feed_and_fares",
        N_("the feed and the document both state fares or transfers"),
        N_("Leave `by_medium`, `rules`, `steps`, [[transfers]] and [[returns]] out."),
    )
    FEED_WITHOUT_CHECK_IN = (
        "feed_without_check_in",
        N_("riders tap off, but nothing keeps what is held for them"),
        N_("Add [checkin] (T-07)."),
    )
    NO_TRANSPORT_CARD = (
        "no_transport_card",
        N_("the resident card is not taken"),
        N_("Name `transport_card` among them."),
    )
    CANTEEN_MEDIA = (
        "canteen_media",
        N_("a canteen knows pupils by their resident card only"),
        N_('Use ["transport_card"].'),
    )
    TICKET_WITHOUT_SITE = (
        "ticket_without_site",
        N_("a control ticket must say where the receipt is found"),
        N_("Add `site`, or take `control_ticket` out of `ways`."),
    )
    FISCAL_MISSING = (
        "fiscal_missing",
        N_("a receipt of 54-FZ cannot be asked for without it"),
        N_("Add it."),
    )
    FISCAL_ELSEWHERE = (
        "fiscal_elsewhere",
        N_("receipts of 54-FZ are in {fiscal}, the document is in {currency}"),
        N_("Leave it out: tickets are given, and no receipt is asked for."),
    )
    TICKET_NOT_LAST = (
        "ticket_not_last",
        N_("no way after `control_ticket` can ever be taken"),
        N_("Put `control_ticket` last: every terminal can do that."),
    )
    TOO_MANY_BITS = (
        "too_many_bits",
        N_("the counters need {used} bits, the card has {bits}"),
        N_("Take {surplus} bits away."),
    )
    CONTRACT_SLOTS = (
        "contract_slots",
        N_("{stated} names for {slots} contract slots on the card"),
        N_("Name {slots} counters, for slot A and slot B."),
    )
    NOT_PER_CONTRACT = (
        "not_per_contract",
        N_("`{counter}` counts per {period}"),
        N_('Give it period = "contract".'),
    )
    CONTRACT_BITS = (
        "contract_bits",
        N_("`{counter}` has {bits} bits"),
        N_(
            "Give it {needed} bits: 8 for the trips of a contract, 16 where a pass may start with its first ride."
        ),
    )
    NO_JOURNEY_COUNTER = (
        "no_journey_counter",
        N_("the card cannot tell which of {transfers} transfers a journey follows"),
        N_('Add a slot of period "journey" with {bits} bits and name it in `journey`.'),
    )
    COUNTER_USED = (
        "counter_used",
        N_("`{counter}` already counts something else, by {other}"),
        N_("Give each its own counter."),
    )
    RIDES_WITHOUT_FARES = (
        "rides_without_fares",
        N_("rules of rides but no fares"),
        N_("Add a [fares] table, or leave everything about rides out."),
    )
    NO_WINDOW = ("no_window", N_("no window: it never holds"), N_("Add a window or remove it."))
    NO_DAY = ("no_day", N_("no day: it never holds"), N_("Name a day of the week."))
    TIMES_WITH_OFFSET = (
        "times_with_offset",
        N_("times with an offset"),
        N_("Write local times such as 07:30:00."),
    )
    EMPTY_WINDOW = (
        "empty_window",
        N_("the window is empty"),
        N_("Put it after `starts`, or split it at midnight."),
    )
    TIMEFRAME_NOT_USED = (
        "timeframe_not_used",
        N_("no fare rule uses `{timeframe}`"),
        N_("Name it in `when` or `except_when` of a fare rule, or remove it."),
    )
    STEP_TOO_EARLY = (
        "step_too_early",
        N_("{day} is not after what precedes it"),
        N_("Put it after {before}, or start the document with these fares."),
    )
    STEP_TOO_LATE = ("step_too_late", N_("never reached: the document ends on {end}"), N_("Remove the step."))
    NO_TIME_LEFT = ("no_time_left", N_("`when` and `except_when` leave no time"), N_("Take one of them out."))
    MEDIUM_WITHOUT_PRICE = (
        "medium_without_price",
        N_("no price for `{medium}`"),
        N_("State it: the bus profile takes `{medium}`, or another fare has a price for it."),
    )
    BASE_WITHOUT_PRICE = (
        "base_without_price",
        N_("percentages are of the fare of `{medium}`, which has no price"),
        N_("Name a medium that has one."),
    )
    NOT_SQUARE = (
        "not_square",
        N_("not {size} rows of {size} prices"),
        N_("Give a price for each zone boarded in and each zone left in."),
    )
    RULES_OVERLAP = (
        "rules_overlap",
        N_("`{rule}` and `{other}` hold for the same ride"),
        N_("Keep their modes, routes, zones or times apart."),
    )
    NO_FARE = (
        "no_fare",
        N_("no fare for mode {mode}, route {route} (0: any not named), zones {zones}, time {begins}"),
        N_("Add `by_medium` for every other ride, or a rule that fills the gap."),
    )
    NO_TRANSFERS = (
        "no_transfers",
        N_("names `transfer` but the document has no [[transfers]]"),
        N_("Add a [[transfers]] table or take `transfer` out."),
    )
    TRANSFER_NOT_ASKED = (
        "transfer_not_asked",
        N_("no profile uses it, so it can never apply"),
        N_("Name `transfer` in profiles.bus.rights or remove [[transfers]]."),
    )
    TRANSFER_NOT_OPENED = (
        "transfer_not_opened",
        N_("nothing opens `{transfer}`"),
        N_("Name it in `fares.transfer`, or in the `transfer` of a fare rule or a plan, or remove it."),
    )
    TRANSFER_NAMED_NONE = (
        "transfer_named_none",
        N_("a fare rule names `none` where it opens no transfer"),
        N_("Give the transfer another id."),
    )
    PAID_NOT_KEPT = (
        "paid_not_kept",
        N_("`{medium}` cannot keep what was paid"),
        N_('Write media = ["transport_card"].'),
    )
    NEVER_DEARER = (
        "never_dearer",
        N_("every ride costs {price_minor}, so none is dearer than what was paid"),
        N_('Write kind = "free_window", or give fares that differ.'),
    )
    BEFORE_PASS = (
        "before_pass",
        N_("`{right}` stands before `pass`, so the purse would pay for a ride that a pass covers"),
        N_("Put `pass` before `{right}`."),
    )
    NO_MEDIUM = ("no_medium", N_("no medium may transfer"), N_("Name a medium or remove the transfer."))
    ENDLESS_ON_ONE_BUS = (
        "endless_on_one_bus",
        N_("circular: each free ride opens the window again, so one payment rides for ever on one bus"),
        N_('Give `transfers` a number, or write counted_from = "first_ride".'),
    )
    ENDLESS_TO_AND_FRO = (
        "endless_to_and_fro",
        N_(
            "circular: each free ride opens the window again, so one payment rides for ever between two routes"
        ),
        N_('Give `transfers` a number, or write counted_from = "first_ride".'),
    )
    TRANSFER_NOT_CHEAPER = (
        "transfer_not_cheaper",
        N_("a following trip for {price_minor} is not cheaper than a ride for {lowest_minor}"),
        N_("Lower it or remove the transfer."),
    )
    ONCE_OUTSIDE = "once_outside", N_("`{mode}` is not in `modes`"), N_("Name modes that may be changed to.")
    NO_ONCE = "no_once", N_("no mode is entered once"), N_("Name modes that may be changed to.")
    PLACE_STALE_BEFORE_FRESH = (
        "place_stale_before_fresh",
        N_("a place would be too old before it is an estimate"),
        N_("Make it at least `fresh_s`."),
    )
    NOT_PASSED_BACK = (
        "not_passed_back",
        N_("`{right}` cannot be passed back"),
        N_("Use {known}; a purse may pay for companions (T-34)."),
    )
    CHECK_IN_FOR_NOTHING = (
        "check_in_for_nothing",
        N_("every ride costs the same, so a second tap corrects nothing"),
        N_("Give fares by zone or distance, or remove [checkin]."),
    )
    NO_EXIT = (
        "no_exit",
        N_("no tap could be an exit: for {same_tap_s} s it is the same tap (guards), then it is too late"),
        N_("Give the longest ride the time it takes."),
    )
    BOARDING_NOT_KEPT = (
        "boarding_not_kept",
        N_("fares depend on where one boarded, but no counter keeps the {key}"),
        N_('Name a counter of period "kept" in `{key}`.'),
    )
    CHECK_IN_ON_FLAT_ROUTE = (
        "check_in_on_flat_route",
        N_("every ride on route {route} costs the same, so a second tap corrects nothing"),
        N_("Leave it out, or give it fares by zone or distance."),
    )
    RESERVE_UNIT = (
        "reserve_unit",
        N_("`{counter}` counts in units of {unit_minor}, but {odd_minor} may have to be held"),
        N_("Use a smaller `unit_minor`, or prices it divides."),
    )
    NO_TIER = ("no_tier", N_("no tier: it caps nothing"), N_("Add a tier or remove the cap."))
    TIER_CHEAPER = (
        "tier_cheaper",
        N_("cheaper than the tier before it"),
        N_("List tiers from the cheapest to the dearest."),
    )
    TIER_NEVER = (
        "tier_never",
        N_("the tier before it already holds for every ride"),
        N_("Give that one a `scope` or remove this one."),
    )
    NO_LEVEL = (
        "no_level",
        N_("the card cannot tell which of {tiers} tiers was ridden"),
        N_("Name a counter of the same period in `level`."),
    )
    CALENDAR_NOT_USED = (
        "calendar_not_used",
        N_("no limit uses `{calendar}`"),
        N_("Name it in a limit or remove it."),
    )
    MONTH_MISSING = (
        "month_missing",
        N_("`{calendar}` has a hole: no month {month}"),
        N_("Add its eligible days; the document holds from {first} to {last}."),
    )
    TOO_MANY_DAYS = ("too_many_days", N_("{days} days in {month}"), N_("The month has {length}."))
    KEY_WITHOUT_FARE = (
        "key_without_fare",
        N_("`{key}` of a concession without a fare"),
        N_("Add `fare` or remove `{key}`."),
    )
    CONCESSION_NOT_ASKED = (
        "concession_not_asked",
        N_("no profile uses it, so it can never apply"),
        N_("Name `concession` in profiles.bus.rights or remove `fare`."),
    )
    TAKES_TOO_MUCH = (
        "takes_too_much",
        N_("takes {amount_minor} off a fare of {lowest_minor} in `{table}`"),
        N_('Take less off, or write fare = {{ kind = "free" }}.'),
    )
    PRODUCT_NOT_ASKED = (
        "product_not_asked",
        N_("no profile uses it, so it can never apply"),
        N_("Name `{right}` in profiles.bus.rights or remove the product."),
    )
    LESS_THAN_A_PACK = (
        "less_than_a_pack",
        N_("a contract may hold {most} trips, less than one pack"),
        N_("Make it at least {trips}."),
    )
    SALE_CLOSES_FIRST = (
        "sale_closes_first",
        N_("the sale closes before it opens"),
        N_("Write month_before = true if it opens in the month before."),
    )
    GRACE_FOR_NONE = (
        "grace_for_none",
        N_("it applies to no concession"),
        N_("Name a concession or remove [grace]."),
    )
    EMPTY_SCOPE = (
        "empty_scope",
        N_("names nothing, so it is every ride"),
        N_("Name modes, routes or zones, or remove it."),
    )
    SEASON_NEVER = (
        "season_never",
        N_("no day from {first} to {end} is in it, so it never holds"),
        N_("Correct the season, or the dates of the document."),
    )
    NO_SUCH_DAY = ("no_such_day", N_("no year has a day {day}"), N_("Use {last} at the latest."))
    OTHER_PERIOD = (
        "other_period",
        N_("`{counter}` counts per {period}"),
        N_("Use a counter of period {wanted}."),
    )
    DOES_NOT_FIT = (
        "does_not_fit",
        N_("{most} does not fit the {bits} bits of `{counter}`"),
        N_("Count to at most {fits}, or give the counter {needed} bits."),
    )

    CAP_UNIT = (
        "cap_unit",
        N_("`{counter}` counts in units of {unit_minor}, but a ride may cost {odd_minor}"),
        N_("Use a smaller `unit_minor`, 1 with fares by distance."),
    )
    CAP_UNIT_BY_DISTANCE = (
        "cap_unit_by_distance",
        N_("`{counter}` counts in units of {unit_minor}, but fares by distance come to any sum"),
        N_("Use a smaller `unit_minor`, 1 with fares by distance."),
    )


class RoutesMistake(MistakeCode):
    """What may be wrong with a routes document."""

    ONE_STOP = "one_stop", N_("one stop is no way"), N_("List every stop, the terminus last, or none.")
    HALF_A_PLACE = "half_a_place", N_("a place needs both lat and lon"), N_("Give both, or neither.")


class RowMistake(MistakeCode):
    """What may be wrong with a row of the CSV file that a deny list or a list of grants is made from."""

    NO_HEADER = (
        "row_no_header",
        N_("does not begin with the line {columns}"),
        N_("Put it first, and separate columns with commas."),
    )
    COLUMNS = "row_columns", N_("has not {columns} columns"), N_("Give one entry a line, with every column.")
    NO_CSV = "row_no_csv", N_("this is no CSV file"), N_("Correct the quotation marks.")
    KIND = "row_kind", N_("is of no known kind"), N_("Begin it with one of: {known}.")
    IDENTITY = (
        "row_identity",
        N_("what identifies a {kind} is {digits} hexadecimal digits"),
        N_("Correct the line."),
    )
    PSEUDONYM = "row_pseudonym", N_("a pseudonym is {digits} hexadecimal digits"), N_("Correct the line.")
    ORDER = (
        "row_order",
        N_("an earlier line says otherwise of the same pseudonym"),
        N_("Give one day of issue, and the lines of one pseudonym one below the other."),
    )
    TOO_MANY = (
        "row_too_many",
        N_("more than {most} concessions of one pseudonym"),
        N_("Give those a card would hold."),
    )
    ENDS_FIRST = "row_ends_first", N_("valid_to is before valid_from"), N_("Correct the line.")
    NUMBER = "row_number", N_("{column} is a number from {least} to {most}"), N_("Correct the line.")
    DAY = "row_day", N_("{column} is a date from {first} on, like 2026-09-01"), N_("Correct the line.")
