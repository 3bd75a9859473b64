"""What may be wrong with an answer of the first run, by code."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_


class SetupMistake(MistakeCode):
    """What may be wrong with an answer."""

    MISSING = "missing", N_("not filled in"), N_("Fill it in.")
    TOO_LONG = "too_long", N_("longer than {high} characters"), N_("Shorten it.")
    NO_NUMBER = "no_number", N_("not a number from {low} to {high}"), N_("Write digits only.")
    NO_MONEY = "no_money", N_("not a sum of money"), N_("Write roubles and kopecks: 78,02.")
    NOTHING_TO_PAY = "nothing_to_pay", N_("a price of 0"), N_("Leave it empty if nothing is paid.")
    TOO_MUCH = "too_much", N_("more than cards can hold"), N_("Check the sum.")
    NO_CLOCK = "no_clock", N_("not a time of day"), N_("Write hours and minutes: 08:30.")
    NO_DAY = "no_day", N_("not a date"), N_("Choose a day of the calendar.")
    NO_CHOICE = "no_choice", N_("none of the choices"), N_("Choose one: {choices}.")
    NO_READER = (
        "no_reader",
        N_("not a card reader"),
        N_("Write pcsc, or pcsc: and the name of one of several readers."),
    )
    ENDS_FIRST = "ends_first", N_("ends before it begins"), N_("Correct one of the two.")
    HALF_A_LINE = (
        "half_a_line",
        N_("a day is missing on this line"),
        N_("Fill in both days, or empty the line."),
    )
    HALF_A_BREAK = (
        "half_a_break",
        N_("one of the two times of this break is missing"),
        N_("Fill in both times, or empty both."),
    )
    HALF_A_PRODUCT = (
        "half_a_product",
        N_("name or price is missing on this line"),
        N_("Fill in both, or empty the line."),
    )
    PRODUCT_TWICE = (
        "product_twice",
        N_("this product stands above already"),
        N_("Empty one of the two lines."),
    )
    HALF_A_TILL = (
        "half_a_till",
        N_("something of this till is missing"),
        N_("Fill in number, address and key, or empty all three."),
    )
    TILL_TWICE = "till_twice", N_("another till has this number"), N_("Each till has a number of its own.")
    NO_ADDRESS = "no_address", N_("not an address"), N_("Write it by its number: 192.168.1.12.")
    NO_PUBLIC_KEY = (
        "no_public_key",
        N_("not the public key of a terminal"),
        N_("Copy all of it, from BEGIN PUBLIC KEY to END PUBLIC KEY."),
    )
    OVERLAP = "overlap", N_("served while another meal still is"), N_("Let one end before the other begins.")
    NO_MEAL = "no_meal", N_("no meal is served"), N_("Switch one on.")
    SHIFT_NOT_SERVED = (
        "shift_not_served",
        N_("this meal is not served"),
        N_("Choose a meal that is switched on."),
    )
    NO_PORTION = (
        "no_portion",
        N_("this category gets no meal"),
        N_("Write what one portion costs a budget, or switch the category off."),
    )
    PARENTS_ALONE = (
        "parents_alone",
        N_("parents pay all of it"),
        N_("Write what a budget pays, or empty the line: the price on the page of meals applies."),
    )
    ABOVE_PRICE = (
        "above_price",
        N_("parents would pay more than for a meal without any category"),
        N_("Compare it with the price on the page of meals."),
    )
    NOT_SERVED = (
        "not_served",
        N_("sums for a meal that is not served"),
        N_("Empty the line, or switch the meal on."),
    )
    MEAL_TWICE = (
        "setup_meal_twice",
        N_("the meal of the shift is this meal"),
        N_("Fill in the meal of the shift or the meal itself, not both."),
    )
    NOT_ASKED = "not_asked", N_("no such question"), N_("Compare it with `terminal setup --questions`.")
    KEY_UNREADABLE = (
        "key_unreadable",
        N_("this is no key file of `terminal keys`, or it was changed"),
        N_("Choose the file as it came, and ask the region for it again if that does not help."),
    )
    KEY_OF_OTHER_ROLE = (
        "key_of_other_role",
        N_("this key file is not for a canteen"),
        N_("Ask the region for a key file of the role canteen."),
    )
    KEY_OF_OTHER_TERMINAL = (
        "key_of_other_terminal",
        N_(
            "made for terminal {own_number} of region {own_region}, this is terminal {number} of region {region}"
        ),
        N_("Correct number and region on the page of the school, or ask for the file of this terminal."),
    )
    NO_REGION = (
        "no_region",
        N_("there are no keys yet"),
        N_("Fill in the pages of the school and of the keys first."),
    )
    NO_STAFF = "no_staff", N_("no staff yet"), N_("Add a cashier and a meal officer, each with a PIN.")
    NO_CASHIER = (
        "no_cashier",
        N_("no cashier has a PIN"),
        N_("Add one: a cashier opens the shift and serves."),
    )
    PIN_AGAIN = "pin_again", N_("the keys were changed since"), N_("Give {ref} a PIN again.")
