"""What the desk does not do: codes with their words, the error that carries one, and any error in a page's language."""

from __future__ import annotations

from terminal.errors import DocumentError, Mistake, MistakeCode, TerminalError
from terminal.mistakes.words import place_of, said
from terminal.texts import N_


class DeskFault(MistakeCode):
    """Why the desk does not do what a page orders."""

    CLOSED = "desk_closed", N_("the desk is closed"), N_("Start it again with `make desk`.")
    NO_CARD = "desk_no_card", N_("there is no card «{card}»"), N_("Take one from the shelf.")
    FULL = "desk_full", N_("this session has {count} taps"), N_("Save it and reset the desk.")
    CLOCK_TOO_FAR = (
        "desk_clock_too_far",
        N_("the clock would jump by more than a year"),
        N_("Choose a nearer day, or another region."),
    )
    STEP = "desk_step", N_("time cannot pass by {step}"), N_("Set the clock instead.")
    NO_ZONES = "desk_no_zones", N_("this line has no zones to mistake"), N_("Choose another region.")
    NO_RIDE = "desk_no_ride", N_("here is no ride to be asked for"), N_("Choose a terminal of the bus.")
    NOT_AHEAD = "desk_not_ahead", N_("the bus does not come there"), N_("Choose a place ahead.")
    NO_SUPPLY = (
        "desk_no_supply",
        N_("the supply of this terminal fails: no tap begins"),
        N_("Switch the supply on."),
    )
    KEY_WIPED = (
        "desk_key_wiped",
        N_("the housing of this terminal was opened: its journal's key is wiped, and no tap begins any more"),
        N_("Let what waits be sent while it runs, then reset the desk."),
    )
    NO_ROUTE = (
        "desk_no_route",
        N_("there is no such route"),
        N_("Routes go from 0 to {most}, directions are 0 and 1."),
    )
    NO_SHIFT = "desk_no_shift", N_("no shift is open here"), N_("Open one first.")
    NO_ENTRY = "desk_no_entry", N_("there is no tap {number}"), N_("There are {count}.")
    NO_TERMINAL = (
        "desk_no_terminal",
        N_("there is no terminal «{place}»"),
        N_("Tap one of those on the desk."),
    )
    NO_REGION = "desk_no_region", N_("there is no region «{region}»"), N_("Choose one of those listed.")
    NOTHING_TO_SAVE = (
        "desk_nothing_to_save",
        N_("there is nothing to save: no tap came to a decision"),
        N_("Tap a card that is in order first."),
    )
    STORM_ACTIVE = "desk_storm_active", N_("a stress run is already active"), N_("Stop it first.")
    OTHER_REGION = (
        "desk_other_region",
        N_(
            "this is the document of {id} (region {region}), the cards on the shelf are of {shelf_id} (region {shelf})"
        ),
        N_("Choose the other region instead: its cards are issued anew."),
    )
    NO_DOCUMENT = "desk_no_document", N_("there is no document «{name}»"), N_("Choose one of those listed.")
    OVERTAKEN = "desk_overtaken", N_("a newer text has taken its place"), N_("Wait for the answer to that.")
    TOO_LONG = "desk_too_long", N_("the text is longer than {most} bytes"), N_("Take a part of it away.")
    TOO_SLOW = (
        "desk_too_slow",
        N_("checking takes longer than {seconds} seconds"),
        N_("Make the document or the scenarios shorter."),
    )
    BUSY = (
        "desk_busy",
        N_("too many pages wait for an answer"),
        N_("Close those that are not needed, and change the text again."),
    )
    TOO_LARGE = (
        "desk_too_large",
        N_("checking takes more memory than there is for it"),
        N_("Make the document or the scenarios shorter."),
    )
    CHECK_FAILED = (
        "desk_check_failed",
        N_("the check ended with an error"),
        N_("Its last words stand where the desk was started."),
    )
    NOT_STARTED = (
        "desk_not_started",
        N_("the check cannot be started ({error})"),
        N_("Close what takes the memory or the processes of this machine, and try again."),
    )
    FOREIGN = (
        "desk_foreign",
        N_("this order does not come from the desk's own page"),
        N_("Open the desk itself."),
    )
    NOT_UNDERSTOOD = (
        "desk_not_understood",
        N_("the desk does not understand this order ({error})"),
        N_("Reload the page; it may be older than the desk."),
    )


class DeskRefused(TerminalError):
    """The desk cannot do that; `mistake` says why."""

    def __init__(self, code: DeskFault, **values: int | str) -> None:
        self.mistake = Mistake("", code, values)
        super().__init__(*said(self.mistake))


def worded(error: TerminalError, language: str) -> tuple[str, str]:
    """What happened and what to do; errors without a code have English words only."""
    if isinstance(error, DeskRefused):
        return said(error.mistake, language)
    if not isinstance(error, DocumentError) or not error.mistakes:
        return error.what, error.advice
    first, more = error.mistakes[0], len(error.mistakes) - 1
    what, advice = said(first, language)
    file = first.file if first.line is None else f"{first.file}:{first.line}"
    counted = f" (+{more})" if more else ""
    return ": ".join(part for part in (file, place_of(first), f"{what}{counted}") if part), advice
