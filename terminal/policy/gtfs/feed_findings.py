"""What an import says of a feed beside its mistakes: conditions that are not known, rows left out, and warnings."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_

_CORRECT = N_("Correct or clear it, or import with --unknown-conditions leave-out.")
_CLEARED = N_("Correct or clear the condition to have the row back.")
_NEAR_NAME = N_("Did you mean {near}?")
_ADD_RULES = N_("Add leg rules, or let gtfs.unknown_fare say what such a ride costs.")
_CHEAPER = N_("Lower it, or remove the rule: riders cannot choose two rides instead.")
_REMOVE = N_("Remove the rule, or name what it is for.")


class FeedCondition(MistakeCode):
    """Conditions that are not known, and what becomes of rows that have one."""

    BETWEEN = (
        "condition_between",
        N_(
            "is a condition that cannot be judged: which stops lie between is not seen where riders get in and out"
        ),
        _CORRECT,
    )
    DISTANCE = (
        "condition_distance",
        N_(
            "is a condition that cannot be judged: how far the vehicle ran is not seen where riders get in and out"
        ),
        _CORRECT,
    )
    CAPS = (
        "condition_caps",
        N_(
            "is a condition that cannot be judged: caps are sums over several journeys: say them in [[caps]] of the "
            "region document"
        ),
        _CORRECT,
    )
    VALIDITY = (
        "condition_validity",
        N_(
            "is a condition that cannot be judged: how long a ticket holds is for [[products]] of the region document"
        ),
        _CORRECT,
    )
    UNSETTLED = (
        "condition_unsettled",
        N_(
            "is a condition that cannot be judged: the draft of June 2026 is not settled: use fare_transfer_rules.txt"
        ),
        _CORRECT,
    )
    ESTIMATE = (
        "condition_estimate",
        N_("is a condition that cannot be judged: the price of a leg is its product's"),
        _CORRECT,
    )
    SYMMETRICAL = (
        "condition_symmetrical",
        N_("is a condition that cannot be judged: write the other direction as a row of its own"),
        _CORRECT,
    )
    UNKNOWN = (
        "condition_unknown",
        N_("is no column of the standard: '{cell}' is a condition that is not known"),
        _CORRECT,
    )
    UNKNOWN_NEAR = (
        "condition_unknown_near",
        N_("is no column of the standard: '{cell}' is a condition that is not known"),
        _NEAR_NAME,
    )
    IGNORED = (
        "condition_ignored",
        N_("is not a column of the standard: ignored"),
        _CORRECT,
    )
    IGNORED_NEAR = (
        "condition_ignored_near",
        N_("is not a column of the standard: ignored"),
        _NEAR_NAME,
    )
    MISSPELT = (
        "condition_misspelt",
        N_("is no column of the standard, and fares depend on the one it is like"),
        _NEAR_NAME,
    )
    NAMED = (
        "condition_named",
        N_("has a condition that is not known: no rule that names it is used"),
        _CLEARED,
    )
    ROW = "condition_row", N_("left out: a condition of the row is not known"), _CLEARED
    PRICE_NAMES = "condition_price_names", N_("left out: {because} line {because_line} is left out"), _CLEARED
    LEG = (
        "condition_leg",
        N_("left out: a condition of the row is not known; rides {thing} have no fare"),
        _CLEARED,
    )
    LEG_BY = (
        "condition_leg_by",
        N_("left out: a condition of the row is not known; rides {thing} are charged by line {by}"),
        _CLEARED,
    )
    LEG_NAMES = (
        "condition_leg_names",
        N_("left out: {because} line {because_line} is left out; rides {thing} have no fare"),
        _CLEARED,
    )
    LEG_NAMES_BY = (
        "condition_leg_names_by",
        N_("left out: {because} line {because_line} is left out; rides {thing} are charged by line {by}"),
        _CLEARED,
    )
    LEG_UNSOLD = (
        "condition_leg_unsold",
        N_("left out: no price of '{product}' is left; rides {thing} have no fare"),
        _CLEARED,
    )
    LEG_UNSOLD_BY = (
        "condition_leg_unsold_by",
        N_("left out: no price of '{product}' is left; rides {thing} are charged by line {by}"),
        _CLEARED,
    )
    JOIN = (
        "condition_join",
        N_("left out: a condition of the row is not known; its legs are charged as two rides"),
        _CLEARED,
    )
    JOIN_NAMES = (
        "condition_join_names",
        N_("left out: {because} line {because_line} is left out; its legs are charged as two rides"),
        _CLEARED,
    )
    CHANGE = (
        "condition_change",
        N_("left out: a condition of the row is not known; changes {change} are charged as two rides"),
        _CLEARED,
    )
    CHANGE_BY = (
        "condition_change_by",
        N_("left out: a condition of the row is not known; changes {change} are charged by line {by}"),
        _CLEARED,
    )
    CHANGE_UNSOLD = (
        "condition_change_unsold",
        N_("left out: no price of '{product}' is left; changes {change} are charged as two rides"),
        _CLEARED,
    )
    CHANGE_UNSOLD_BY = (
        "condition_change_unsold_by",
        N_("left out: no price of '{product}' is left; changes {change} are charged by line {by}"),
        _CLEARED,
    )
    IDLE_CHANGE = (
        "condition_idle_change",
        N_("can no longer apply: every leg rule of group '{group}' is left out"),
        _CLEARED,
    )


class FeedWarning(MistakeCode):
    """What has no effect, or not the one it seems to have."""

    FOREIGN = (
        "warning_foreign",
        N_("{feed}: a region document in {document} refuses this feed"),
        N_('State header.currency = "{feed}".'),
    )
    NEGATIVE = (
        "warning_negative",
        N_("a leg costs less than nothing: nothing is charged for it"),
        N_("Negative amounts are for transfers."),
    )
    NO_DEFAULT = (
        "warning_no_default",
        N_("no category is the default one"),
        N_("Only displays need it: fares do not change."),
    )
    NETWORK_UNPRICED = "warning_network_unpriced", N_("no ride in network '{network}' has a fare"), _ADD_RULES
    ROUTES_UNPRICED = (
        "warning_routes_unpriced",
        N_("no ride on routes in no network has a fare"),
        _ADD_RULES,
    )
    STOPS_UNPRICED = (
        "warning_stops_unpriced",
        N_("no ride from {lost} of {every} stops has a fare: '{first}' is the first"),
        _ADD_RULES,
    )
    BLANK_NETWORK = (
        "warning_blank_network",
        N_("is blank, and every route is in a network that the column lists: the rule can never apply"),
        _REMOVE,
    )
    BLANK_AREA = (
        "warning_blank_area",
        N_("is blank, and every stop is in an area that the column lists: the rule can never apply"),
        _REMOVE,
    )
    EMPTY_NETWORK = (
        "warning_empty_network",
        N_("no route is in network '{id}': the rule can never apply"),
        N_("Add its routes to route_networks.txt or routes.txt."),
    )
    EMPTY_AREA = (
        "warning_empty_area",
        N_("no stop is in area '{id}': the rule can never apply"),
        N_("Add its stops to stop_areas.txt."),
    )
    NEVER_CHOSEN = (
        "warning_never_chosen",
        N_("line {by} holds wherever this rule does and has the higher priority: it never applies"),
        N_("Remove it, or raise its priority."),
    )
    NO_ROUTE = (
        "warning_no_route",
        N_("no route is in network '{id}'"),
        N_("Add its routes to route_networks.txt."),
    )
    NEVER_RUNS = (
        "warning_never_runs",
        N_("service '{service}' runs on no day: the timeframe never holds"),
        N_("Give the service days in calendar.txt or calendar_dates.txt."),
    )
    NOT_SOLD = (
        "warning_not_sold",
        N_("no leg can be paid with this medium"),
        N_("Give it prices in fare_products.txt."),
    )
    MEDIA_LOST = (
        "warning_media_lost",
        N_("takes the place of line {under} and leaves {media} without a fare"),
        N_("Add prices of '{product}' for them, or lower the priority."),
    )
    NO_LIMIT = (
        "warning_no_limit",
        N_("is blank: only the document's longest_change_s ends such a journey"),
        N_("State gtfs.longest_change_s."),
    )
    BLANK_GROUP = (
        "warning_blank_group",
        N_("is blank, and the column lists every group: the rule can never apply"),
        N_("Remove the rule, or name its group."),
    )
    DEAR_BESIDE = (
        "warning_dear_beside",
        N_(
            "the change costs {more}, both legs are paid beside it, which otherwise cost at most {most} ({buyer})"
        ),
        _CHEAPER,
    )
    DEAR_LEG = (
        "warning_dear_leg",
        N_("the change costs {more}, the leg itself at most {most} ({buyer})"),
        _CHEAPER,
    )
    DEAR_LEGS = (
        "warning_dear_legs",
        N_("the change costs {more}, the two legs at most {most} ({buyer})"),
        _CHEAPER,
    )
