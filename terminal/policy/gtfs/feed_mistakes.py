"""What may be wrong or odd in a feed: codes and words. Values that are ids of the feed, names of its files and columns,
numbers and dates are the same in every language.
"""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_

_UTF_8 = N_("Save the file in UTF-8.")
_QUOTES = N_("Correct the quotation marks.")
_ADD = N_("Add it to {where}, or correct the id.")
_NEAR = N_("Did you mean '{near}'?")
_ZONE = N_("Use a name of the IANA database such as Europe/Volgograd.")


class FeedFileMistake(MistakeCode):
    """A file that is missing, or cannot be read as CSV."""

    ABSENT = "feed_absent", N_("is not in the feed"), N_("Add it.")
    ONLY_V1 = (
        "feed_only_v1",
        N_("has GTFS-Fares v1 only"),
        N_("Only GTFS-Fares v2 can be imported: fare_products.txt and fare_leg_rules.txt at least."),
    )
    PACKED = (
        "feed_packed",
        N_("is compressed by method {method}"),
        N_("Make the zip with the usual compression (deflate)."),
    )
    TOO_LARGE = (
        "feed_too_large",
        N_("has {size_mb} MB"),
        N_("At most {most_mb} MB are read: split the feed."),
    )
    UNFOLDS = (
        "feed_unfolds",
        N_("unfolds from {packed} to {bytes} bytes"),
        N_("Text is compressed up to {most} times: check where the file comes from."),
    )
    UTF_16 = "feed_utf_16", N_("is UTF-16"), _UTF_8
    NUL = "feed_nul", N_("holds a NUL character, as UTF-16 text does"), _UTF_8
    CP1251 = "feed_cp1251", N_("is not UTF-8 here, but Windows-1251 it seems"), _UTF_8
    NOT_UTF_8 = "feed_not_utf_8", N_("is not UTF-8 here"), _UTF_8
    LONG_LINE = (
        "feed_long_line",
        N_("is longer than {most} bytes"),
        N_("Let each row be a line of its own, ended by LF or CRLF."),
    )
    LONG_ROW = (
        "feed_long_row",
        N_("a row of more than {most} bytes ends here"),
        N_("Close the quotation mark that begins before."),
    )
    MANY_LINES = "feed_many_lines", N_("the file has more than {most} lines"), N_("Split the feed.")
    WIDE_ROW = "feed_wide_row", N_("a row of {cells} cells"), N_("At most {most} are read.")
    LINE_ENDS = "feed_line_ends", N_("is not CSV: lines end by CR alone"), N_("End lines by LF or CRLF.")
    UNCLOSED = "feed_unclosed", N_("is not CSV: a quotation mark is never closed"), _QUOTES
    NOT_CSV = "feed_not_csv", N_("is not CSV: {error}"), _QUOTES
    UNREADABLE = (
        "feed_unreadable",
        N_("cannot be read: {error}"),
        N_("Give a directory of GTFS files or a zip of them."),
    )
    MANY_CELLS = (
        "feed_many_cells",
        N_("{cells} cells under {columns} columns"),
        N_("Put cells with commas in quotation marks."),
    )
    NO_HEADER = "feed_no_header", N_("has no header"), N_("Name the columns in its first line.")
    SEPARATOR = (
        "feed_separator",
        N_("its cells are separated by another character than a comma"),
        N_("Save the file with commas between cells."),
    )
    COLUMN_TWICE = "feed_column_twice", N_("the column is there twice"), N_("Remove one of them.")
    NO_COLUMN = "feed_no_column", N_("the column is missing"), N_("Add it.")
    NO_COLUMN_NEAR = "feed_no_column_near", N_("the column is missing"), N_("Did you mean it by {near}?")
    EMPTY = "feed_empty", N_("has no rows: every fare is unknown"), N_("Add the feed's fares.")
    MISNAMED = (
        "feed_misnamed",
        N_("is not read, and fares depend on {name}, which it is named like"),
        N_("Name it {name}, or remove it."),
    )
    DEEPER = (
        "feed_deeper",
        N_("lies in a folder of the zip, where it is not read"),
        N_("Put it beside the other files, or remove it."),
    )
    UNKNOWN = (
        "feed_file_unknown",
        N_("is a file of the fares that is not read: what it says is not known"),
        N_("Remove it, or import with --unknown-conditions leave-out; say its rules in the region document."),
    )


class FeedCellMistake(MistakeCode):
    """A cell that cannot be used."""

    BLANK = "feed_blank", N_("is blank"), N_("Fill it in every row.")
    NO_INTEGER = "feed_no_integer", N_("'{value}' is not a whole number"), N_("Write digits only.")
    BELOW_0 = "feed_below_0", N_("{value} is below 0"), N_("Write 0 or more.")
    BELOW_1 = "feed_below_1", N_("{value} is below 1"), N_("Write 1 or more, or leave it blank for no limit.")
    NO_COUNT = (
        "feed_no_count",
        N_("{value} is no number of transfers"),
        N_("Write 1 or more, or -1 for no limit."),
    )
    LOCATION_TYPE = (
        "feed_location_type",
        N_("'{value}' is not defined"),
        N_("Write one of 0 (platform), 1 (station), 2 (entrance), 3 (node), 4 (boarding area)."),
    )
    MEDIA_TYPE = (
        "feed_media_type",
        N_("'{value}' is not defined"),
        N_("Write one of 0 (none), 1 (paper), 2 (transit card), 3 (bank card), 4 (app)."),
    )
    EXCEPTION_TYPE = (
        "feed_exception_type",
        N_("'{value}' is not defined"),
        N_("Write one of 1 (added), 2 (removed)."),
    )
    LIMIT_TYPE = (
        "feed_limit_type",
        N_("'{value}' is not defined"),
        N_(
            "Write one of 0 (departure to arrival), 1 (departure to departure), 2 (arrival to departure), "
            "3 (arrival to arrival)."
        ),
    )
    TRANSFER_TYPE = (
        "feed_transfer_type",
        N_("'{value}' is not defined"),
        N_("Write one of 0 (from and transfer), 1 (from transfer and to), 2 (transfer only)."),
    )
    NO_FLAG = "feed_no_flag", N_("'{value}' is neither 0 nor 1"), N_("Write 0 or 1.")
    NO_TIME = "feed_no_time", N_("'{value}' is not a time of day"), N_("Write it as 07:30:00.")
    NEXT_DAY = (
        "feed_next_day",
        N_("{value} is after 24:00:00"),
        N_("A timeframe lies within one calendar day: split it at midnight."),
    )
    NO_DAY = "feed_no_day", N_("'{value}' is not a day"), N_("Write it as 20260630.")
    NO_CURRENCY = (
        "feed_no_currency",
        N_("unknown currency '{value}'"),
        N_("Write a code of ISO 4217 such as RUB."),
    )
    NO_AMOUNT = "feed_no_amount", N_("'{value}' is no amount"), N_("Write a number such as {example}.")
    DECIMALS = (
        "feed_decimals",
        N_("'{value}' is no amount"),
        N_("{currency} has {decimals} decimals: write {instead}."),
    )
    TOO_EXACT = (
        "feed_too_exact",
        N_("'{value}' is no amount"),
        N_("{currency} has {decimals} decimals: such an amount cannot be paid."),
    )
    BLANK_TIME = (
        "feed_blank_time",
        N_("is blank beside {there}"),
        N_("Fill both, or leave both blank for the whole day."),
    )
    OVER_MIDNIGHT = (
        "feed_over_midnight",
        N_("is not after start_time"),
        N_("Split a timeframe over midnight into two rows."),
    )


class FeedRowMistake(MistakeCode):
    """Rows that contradict each other, or name what is not there."""

    NOT_UNIQUE = "feed_not_unique", N_("'{value}' is not unique"), N_("Give each its own.")
    SAME_KEY = (
        "feed_same_key",
        N_("({value}) stands in an earlier row, too"),
        N_("Let the rows differ in {columns}, or remove one."),
    )
    UNRESOLVED = "feed_unresolved", N_("'{value}' is not in {where}"), _ADD
    UNRESOLVED_NEAR = "feed_unresolved_near", N_("'{value}' is not in {where}"), _NEAR
    NO_SERVICE = (
        "feed_no_service",
        N_("'{value}' is not in calendar.txt or calendar_dates.txt"),
        N_("Add it to one of them, or correct the id."),
    )
    NO_SERVICE_NEAR = (
        "feed_no_service_near",
        N_("'{value}' is not in calendar.txt or calendar_dates.txt"),
        _NEAR,
    )
    TIME_ZONE = "feed_zone", N_("unknown time zone '{zone}'"), _ZONE
    NO_AGENCY = (
        "feed_no_agency",
        N_("no agency, so no time zone"),
        N_("Name the agency and its time zone."),
    )
    TWO_ZONES = (
        "feed_two_zones",
        N_("{zone} beside {first} of another agency"),
        N_("All agencies of a feed share one time zone."),
    )
    TWO_NETWORKS = (
        "feed_two_networks",
        N_("is filled although networks.txt or route_networks.txt is there"),
        N_("Keep one way of naming networks: clear the column or remove those files."),
    )
    NO_PARENT = (
        "feed_no_parent",
        N_("is blank for a location of type {thing}"),
        N_("Name the location it belongs to."),
    )
    STATION_PARENT = (
        "feed_station_parent",
        N_("is filled for a station"),
        N_("Leave it blank: a station has no parent."),
    )
    PARENT_NO_STATION = (
        "feed_parent_no_station",
        N_("'{value}' is of type {thing}"),
        N_("The parent of a platform, entrance or node is of type station."),
    )
    PARENT_NO_PLATFORM = (
        "feed_parent_no_platform",
        N_("'{value}' is of type {thing}"),
        N_("The parent of a boarding area is of type platform."),
    )
    ENDS_BEFORE = "feed_ends_before", N_("is before start_date"), N_("Let it be start_date or later.")
    NO_TIME_BETWEEN = "feed_no_time_between", N_("is not after start_time"), N_("Split it at midnight.")
    OVERLAP = (
        "feed_overlap",
        N_("overlaps another timeframe of group '{group}' and service '{service}'"),
        N_("Let it begin where the other ends."),
    )
    TWO_CURRENCIES = (
        "feed_two_currencies",
        N_("{currency} beside {first} in an earlier row"),
        N_("A purse counts one currency: make a feed for each."),
    )
    TWO_DEFAULTS = (
        "feed_two_defaults",
        N_("product '{product}' has {count} default categories: {categories}"),
        N_("Mark only one of them in rider_categories.txt with is_default_fare_category = 1."),
    )
    PRIORITY = (
        "feed_priority",
        N_("is filled although uses_rule_priority is false"),
        N_("Set uses_rule_priority, or leave priorities out."),
    )
    HALF = "feed_half", N_("is blank beside {there}"), N_("Fill both or neither.")
    COUNT_NEEDED = (
        "feed_count_needed",
        N_("is blank although both groups are the same"),
        N_("Write -1 for no limit, or a count."),
    )
    COUNT_TOO_MUCH = (
        "feed_count_too_much",
        N_("is filled although the groups differ"),
        N_("Leave it blank: a count is for transfers within one group."),
    )
    NO_COUNT = (
        "feed_row_no_count",
        N_("{value} is no number of transfers"),
        N_("Write 1 or more, or -1."),
    )
    TYPE_ALONE = (
        "feed_type_alone",
        N_("is filled without duration_limit"),
        N_("Add the limit or clear the type."),
    )
    NO_TYPE = "feed_no_type", N_("is blank beside duration_limit"), N_("Write 0, 1, 2 or 3.")
