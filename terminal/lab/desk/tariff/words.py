"""What the playground's scripts say, in the page's language: small texts by key, from the catalogues."""

from __future__ import annotations

from typing import Final

from terminal.lab.desk.known import VALUE_WORDS
from terminal.policy.base import Mode
from terminal.texts import N_, translator

WORDS: Final = {
    "document": N_("Text of the document"),
    "nothing_yet": N_("Choose a document, open a file, or write."),
    "sound": N_("The document is sound"),
    "version": N_("version"),
    "mistakes": N_("Mistakes"),
    "line": N_("line"),
    "whole_document": N_("as a whole"),
    "too_long": N_(
        "The text is longer than a million bytes and is not checked. It stays here; take a part of it away."
    ),
    "silent_kept": N_(
        "The desk does not answer. Your text is kept in this window; it is checked again when the desk is back."
    ),
    "not_kept": N_("The text is too long to be kept against a reload of this page."),
    "download_it": N_("Download it before you close the window."),
    "was_cp1251": N_("The file was not in UTF-8 and was read as Windows-1251."),
    "saved_as_utf8": N_("Downloaded, it will be in UTF-8."),
    "mend_first": N_("The document has mistakes: mend them first."),
    "copied": N_("Copied"),
    "story_name": N_("a rider of the playground"),
    "story_rider": N_("rider"),
    "pays_with": N_("Pays with"),
    "resident_card": N_("resident card"),
    "bank_card": N_("bank card"),
    "cash": N_("cash"),
    "balance": N_("Balance"),
    "concession": N_("Concession"),
    "contract": N_("Product"),
    "add_concession": N_("concession"),
    "add_contract": N_("pass or pack"),
    "meals": N_("meals"),
    "valid_from": N_("from"),
    "valid_to": N_("to"),
    "trips": N_("Trips"),
    "grade": N_("Grade"),
    "shift": N_("School shift"),
    "remove": N_("Remove"),
    "more_of_card": N_("More about the card"),
    "card_blocked": N_("blocked"),
    "card_inactive": N_("inactive"),
    "card_denied": N_("on the deny list"),
    "not_in_document": N_("not in the document"),
    "tap": N_("Tap"),
    "at": N_("Time"),
    "after_s": N_("Seconds later"),
    "route": N_("Route"),
    "direction": N_("Direction"),
    "there": N_("there"),
    "back": N_("back"),
    "more_of_tap": N_("Place, companions, terminal"),
    "mode": N_("Kind of transport"),
    "companions": N_("Companions"),
    "terminal": N_("Terminal"),
    "zone": N_("Zone"),
    "to_zone": N_("Zone asked for"),
    "terminus_zone": N_("Zone of the terminus"),
    "stop": N_("Stop"),
    "to_stop": N_("Stop asked for"),
    "terminus_stop": N_("Terminus"),
    "mark_m": N_("Metres beyond the boundary"),
    "to_mark_m": N_("Metres asked for"),
    "serving": N_("Meal"),
    "inspection": N_("an inspector asks"),
    "add_ride": N_("ride"),
    "add_change": N_("change, 10 minutes later"),
    "add_back": N_("back, 2 hours later"),
    "add_next_day": N_("next day"),
    "add_meal": N_("canteen"),
    "in_all": N_("In all"),
    "charged": N_("Charged"),
    "paid_by": N_("Paid by"),
    "why": N_("Why"),
    "saved_same": N_("The scenario plays to the same result."),
    "saved_differs": N_("Some taps do not come out the same; the file names them."),
    "scenario_file": N_("Scenario file"),
    "scenarios_counted": N_("scenarios"),
    "taps_counted": N_("taps"),
    "sales_counted": N_("sales"),
    "differing": N_("Differ"),
    "all_as_written": N_("Everything comes out as written"),
    "as_written": N_("comes out as written"),
    "differs": N_("differs"),
    "sale": N_("Sale"),
    "play_it": N_("Play"),
    "expected": N_("Expected"),
    "got": N_("Came"),
    "version_before": N_("The version before"),
    "values_differ": N_("Values that differ"),
    "same_values": N_("Both versions say the same."),
    "and_more": N_("Not shown"),
    "before": N_("Before"),
    "after": N_("After"),
    "this_rider": N_("This rider"),
    "riders_changed": N_("Riders with a difference"),
}


def tariff_words(language: str) -> dict[str, str]:
    """Every text by its key, and the kinds of transport."""
    t = translator(language)
    modes = {f"mode_{mode.value}": t.pgettext(*VALUE_WORDS[mode]) for mode in Mode}
    return {key: t.gettext(text) for key, text in WORDS.items()} | modes
