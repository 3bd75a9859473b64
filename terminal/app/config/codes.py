"""What may be wrong with a `terminal.toml`: codes and words."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_


class ConfigMistake(MistakeCode):
    """Tables and keys that are unknown, values that are none, and settings that contradict each other."""

    NO_TABLE = "config_no_table", N_("is a table, not a value"), N_("Write [{table}], and its keys below.")
    UNKNOWN_TABLE = "config_unknown_table", N_("there is no such table"), N_("Known are: {known}.")
    UNKNOWN_TABLE_NEAR = (
        "config_unknown_table_near",
        N_("there is no such table"),
        N_("Did you mean [{near}]?"),
    )
    OUTSIDE = "config_outside", N_("this key stands outside its table"), N_("It belongs under [{table}].")
    UNKNOWN_KEY = "config_unknown_key", N_("[{table}] has no such key"), N_("Known are: {known}.")
    UNKNOWN_KEY_NEAR = "config_unknown_key_near", N_("[{table}] has no such key"), N_("Did you mean {near}?")
    OTHER_TABLE = "config_other_table", N_("[{table}] has no such key"), N_("{key} belongs under [{home}].")
    VALUE = "config_value", N_("{given} is not {wanted}"), N_("Write, for example: {example}")
    OPTION = "config_option", N_("is not {wanted}"), N_("Write one of these.")
    NOT_SET = (
        "config_not_set",
        N_("is not set, and no default would do"),
        N_("Set it, or give it as an option."),
    )
    NOT_RECORDED = (
        "config_not_recorded",
        N_("nothing is recorded"),
        N_("Name the file under [recording], too."),
    )
    TWO_KEYS = ("config_two_keys", N_("[keys] names a file, too"), N_("Name one of them."))
    TWO_SOURCES = ("config_two_sources", N_("[bundles] names an address, too"), N_("Name one of them."))
    NUL = ("config_nul", N_("holds a NUL character"), N_("Write it without."))
    NO_FILE = ("config_no_file", N_("there is no file {path}"), N_("Put it there or name another."))
    NO_STATE = ("config_no_state", N_("is no folder, and none can be made there"), N_("Name a folder."))
    NO_FOLDER = ("config_no_folder", N_("there is no folder {folder}"), N_("Make it or name another file."))
    REFUSED = ("config_refused", N_("{what}"), N_("{advice}"))
    NO_CATALOGUE = (
        "config_no_catalogue",
        N_('there is no catalogue for "{language}"'),
        N_("Write one of {known}."),
    )
    SAME_LANGUAGE = ("config_same_language", N_("is the first language again"), N_("Remove it."))
    NOT_NAMED = (
        "config_not_named",
        N_("this extension is not named anywhere"),
        N_("Name it under [reader], [signals], [media] or [vehicle], or remove its table."),
    )
    NAMED_TWICE = ("config_named_twice", N_("names one twice"), N_("Name each once."))
    RESIDENT_FIRST = (
        "config_resident_first",
        N_("the resident card is asked first, so that no exchange of its taps is spent on others"),
        N_("Write {resident} first."),
    )
    PACE = ("config_pace", N_("only a simulated reader has a pace"), N_("Remove it."))
    NO_SECONDS = (
        "config_no_seconds",
        N_("is no number of seconds"),
        N_("Write how many seconds, such as 5."),
    )
    NO_HTTPS = ("config_no_https", N_("TLS needs an https:// address"), N_('Write url = "https://…".'))
    NO_ADDRESS = (
        "config_no_address",
        N_('"{host}" is no address of a machine'),
        N_("Write one such as 127.0.0.1."),
    )
    PORT_TAKEN = (
        "config_port_taken",
        N_("port {port} is that of {other} already"),
        N_("Write another port."),
    )
    NO_OPERATOR = (
        "config_no_operator",
        N_("no shift is opened without an operator"),
        N_("Set operator, too."),
    )
    CANTEEN_ROUTE = ("config_canteen_route", N_("a canteen has no route"), N_("Remove it."))
    BUS_MEALS = (
        "config_bus_meals",
        N_("a bus serves no meals"),
        N_('Remove it, or write profile = "canteen".'),
    )
    MOVED_BY_HAND = (
        "config_moved_by_hand",
        N_("a terminal on a real reader is not moved by hand"),
        N_('Remove it, or write name = "sim:" under [reader].'),
    )
    OWN_CARDS = (
        "config_own_cards",
        N_("cards come to {reader} by themselves"),
        N_('Write name = "sim:" under [reader]: no card but those.'),
    )
    CLOCK_OF_MACHINE = (
        "config_clock_of_machine",
        N_("the machine's clock starts nowhere"),
        N_("Set clock = true, too."),
    )
    NO_MOMENT = (
        "config_no_moment",
        N_('"{moment}" is no moment with an offset'),
        N_("Write one such as 2026-09-15T08:00:00+03:00."),
    )
    CANTEEN_DRIVES = ("config_canteen_drives", N_("a canteen does not drive"), N_("Remove it."))
    SOURCE_NEEDS = ("config_source_needs", N_("{source} needs it"), N_("Set {key} under [vehicle]."))
    NO_SOURCE = (
        "config_no_source",
        N_("no source is named that would listen there"),
        N_('Write source = "{source}", or remove it.'),
    )
    NO_GPSD = (
        "config_no_gpsd",
        N_('"{address}" is no ADDRESS:PORT, in numbers'),
        N_('Write it like this one: "{example}".'),
    )
    NO_REPLY_HOST = (
        "config_no_reply_host",
        N_('"{host}" is no address of a machine in numbers'),
        N_("Write ours in the vehicle's network, 192.168.10.7 perhaps."),
    )
    NO_PUBLISHER = (
        "config_no_publisher",
        N_(
            '"{publisher}" is neither ADDRESS:PORT, in numbers, nor dns-sd:INSTANCE or dns-sd:INSTANCE@ADDRESS'
        ),
        N_("Write it like one of these: 192.168.10.2:8081."),
    )
    TWO_KINDS = (
        "config_two_kinds",
        N_("{here} and {there} are of two kinds, and cannot reach each other"),
        N_("Write both as IPv4, or both as IPv6."),
    )
    NO_ROUTES = (
        "config_no_routes",
        N_("without a routes document the vehicle says only whether an inspection is under way"),
        N_("Name the routes document: routes under [lists]."),
    )
    NO_CHIP = (
        "config_no_chip",
        N_("a line needs the chip it is on"),
        N_('Write chip = "/dev/gpiochip0" under [periphery.gpio], or remove the line.'),
    )
    LINE_TWICE = (
        "config_line_twice",
        N_("line {line} is that of {other} already"),
        N_("Name another line."),
    )
    LINE_TOO_LONG = (
        "config_line_too_long",
        N_("no line has a name of more than {bytes} bytes"),
        N_("Write its name as `gpioinfo` shows it."),
    )
    LINE_UNUSED = (
        "config_line_unused",
        N_("line {line} is used for nothing that this could be said of"),
        N_("Name it where it is used, or remove it here."),
    )
    DEVICE_TWICE = (
        "config_device_twice",
        N_("{device} is the device of {other} already"),
        N_("Name another device."),
    )
    TWO_SCANNERS = (
        "config_two_scanners",
        N_("a scanner is on a serial line or a keyboard, not both"),
        N_("Remove one of them."),
    )
    NO_BARRIER = (
        "config_no_barrier",
        N_("without a barrier there is nothing to pass or to force"),
        N_("Set line under [periphery.barrier], too."),
    )
    NO_BUZZER = (
        "config_no_buzzer",
        N_("a buzzer with a higher tone has a lower one"),
        N_("Set buzzer under [periphery.lamps], too."),
    )
    SIMULATED_LINES = (
        "config_simulated_lines",
        N_("a terminal on a real reader has real lines"),
        N_('Write the chip, such as "/dev/gpiochip0".'),
    )
