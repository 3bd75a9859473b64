"""What may be wrong with a feed in a region document: codes and words."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_


class FeedSectionMistake(MistakeCode):
    """What may be wrong with the section `gtfs` and the tables of its feed."""

    FEED_TIME_ZONE = (
        "feed_time_zone",
        N_('unknown time zone "{zone}"'),
        N_("Use a name of the IANA database."),
    )
    FILE_AND_HASH = (
        "file_and_hash",
        N_("`{missing}` is missing"),
        N_("State both `file` and `sha256`, as the import printed them."),
    )
    NO_TABLES = (
        "no_tables",
        N_("has no tables"),
        N_("State `file` and `sha256`, or put the tables under `gtfs.tables`."),
    )
    OTHER_CURRENCY = (
        "other_currency",
        N_("the feed's prices are in {feed}, the document's in {document}"),
        N_("Use a feed in the document's currency."),
    )
    OTHER_ZONE = (
        "other_zone",
        N_("the feed is in {feed}, the document in {document}"),
        N_("Let header.time_zone be the feed's, or correct agency.txt."),
    )
    NO_LEG_RULES = ("no_leg_rules", N_("is empty: every fare is unknown"), N_("Add the leg rules."))
    TOO_DEAR = (
        "too_dear",
        N_("{amount_minor} does not fit the card"),
        N_("At most {most_minor} minor units."),
    )
    NO_NUMBER = ("no_number", N_("`{key}` is not a number"), N_("Terminals know routes and stops by number."))
    NOT_IN_FEED = ("not_in_feed", N_('"{id}" is not in the feed'), N_("Correct the id."))
    NEEDS_END = (
        "needs_end",
        N_('needs the end of the leg, which destination = "not_used" excludes'),
        N_('Use a feed without it, or destination = "dearest" where riders tap off.'),
    )
    NEEDS_ARRIVAL = (
        "needs_arrival",
        N_('needs an arrival, which destination = "not_used" excludes'),
        N_('Use a feed without it, or destination = "dearest" where riders tap off.'),
    )
    LIMIT_TOO_LONG = (
        "limit_too_long",
        N_("a limit of {limit_s} s"),
        N_("A card looks back less than {most_s} s."),
    )
    JOURNEY_BITS = (
        "journey_bits",
        N_("a journey needs {bits} bits on the card ({fields}), {free} are free"),
        N_("Take {surplus} bits from counters.slots, or use a feed with fewer groups and products."),
    )
    NO_FOLDER = (
        "feed_without_folder",
        N_("the tables of the feed lie in {file}, and only the text of the document is here"),
        N_("Check the document as a file, with the tables beside it."),
    )
    FILE_UNREADABLE = (
        "feed_file_unreadable",
        N_("{file} cannot be read: {error}"),
        N_("Write it with `terminal policy import-gtfs FEED --out`."),
    )
    FILE_CHANGED = (
        "feed_file_changed",
        N_("{file} is not the file this document was made for (its hash is {sha256})"),
        N_("Restore the file, or put the new hash into the document after checking the new fares."),
    )
    FILE_FORMAT = (
        "feed_file_format",
        N_("{file} has format {format}, this terminal knows {known}"),
        N_("Import the feed again with this version of the software."),
    )
    FILE_NOT_UNDERSTOOD = (
        "feed_file_not_understood",
        N_("{file} cannot be understood: {error}"),
        N_("Import the feed again with this version of the software."),
    )
