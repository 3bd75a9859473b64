"""Codes that stand in journal rows and are meant for more than one room: closed enums, never prose.

Readers of a row compare these values; words for them are made where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field


class TicketKind(StrEnum):
    """What is sold for cash (T-55)."""

    FULL = "full"
    CHILD = "child"
    LUGGAGE = "luggage"
    """One for each piece; it lets no one ride."""


class Admission(StrEnum):
    """Whether the way is free for the person who presented something."""

    LET_IN = "let_in"
    """Come in, or go out: the only value that opens a gate or a door. It stands for one person's ride or meal, so a
    repeated tap of the same rider within the time of the document's guards is let in again."""
    REFUSED = "refused"
    """No ride, no meal, and what to do about it is in the message."""
    INSIDE = "inside"
    """Nothing is refused and nothing opens: the right is in use by a person inside (T-36), an inspector only asked
    (T-70), or the card belongs to staff."""


class ReaderFault(StrEnum):
    """What happened to the card reader (T-64)."""

    GONE = "reader:gone"
    SERVICE_GONE = "reader:service_gone"
    """The operating system's PC/SC service stopped."""
    IN_USE = "reader:in_use"
    """Another program holds it for itself."""
    SHARED = "reader:shared"
    """Another program keeps a handle on it: taps go on between its transactions."""
    NO_UID = "reader:no_uid"
    """It says of no card which UID it has: each card is asked itself, which takes three exchanges more."""
    FAILED = "reader:failed"
    """Anything else that ended the service of a card."""
    WORKS = "reader:works"
    """It works again."""


class ClockFault(StrEnum):
    """What happened to the clock (O-05). All but the last open a doubt, and a new one where one is open."""

    JUMPED = "clock:jumped"
    """By `jump_s` against the clock that only runs forward."""
    BEHIND = "clock:behind"
    """It is `behind_s` before what is known to have passed: a record, a signed time, the making of the software."""
    AHEAD = "clock:ahead"
    """It is `ahead_days` after the last time that was signed or accepted, more than the region document allows."""
    DISAGREES = "clock:disagrees"
    """It differs by `off_s` from a time that has just been signed; positive: it is ahead."""
    WORKS = "clock:works"
    """It is back where it was before it jumped: no doubt is left."""


class JournalFault(StrEnum):
    """How full the journal is: `share_percent` of its capacity, `rows` of `capacity_rows`, `free_mb` of disk left."""

    FILLING = "journal:filling"
    NEARLY_FULL = "journal:nearly_full"
    FULL = "journal:full"


class StartFault(StrEnum):
    """Why a terminal cannot read its own journal, and so does not start."""

    JOURNAL_DAMAGED = "start:journal_damaged"
    """Beyond what can be mended, and nothing beside it says how far it came."""
    JOURNAL_SEALED = "start:journal_sealed"
    """Its key is gone, or not this journal's."""
    JOURNAL_OF_OTHER_SOFTWARE = "start:journal_of_other_software"
    """Its form is not one that this software knows."""


class SkipCause(StrEnum):
    """Why a terminal passed over numbers (T-63)."""

    ROWS_LOST = "rows_lost"
    """Rows that had been reported as stored are gone: a damaged disk, log or database."""
    NOT_CLOSED = "not_closed"
    """The program did not end in order and nothing says exactly how far it came, as after a power cut: nothing is
    known to be lost."""
    MENDED = "mended"
    """The log or the database was damaged; every row that is known of could be proven and is there."""
    MARKS_LOST = "marks_lost"
    """What says how far it came is gone or belongs to another journal."""
    BEGAN_ANEW = "began_anew"
    """The journal could not be read and was put aside: a new one goes on."""


class SyncFault(StrEnum):
    """Why rows do not reach the collector."""

    UNREACHABLE = "sync:unreachable"
    NO_NAME = "sync:no_name"
    """The collector's name cannot be resolved."""
    NOT_LISTENING = "sync:not_listening"
    """The machine is there and refuses the connection."""
    TOO_SLOW = "sync:too_slow"
    CUT = "sync:cut"
    """The connection ended in the middle of an exchange."""
    NOT_TRUSTED = "sync:not_trusted"
    """A certificate or an acknowledgement is not that of the collector this terminal knows."""
    CERTIFICATE_TIME = "sync:certificate_time"
    """The collector's certificate is not valid yet or any more, by this machine's clock."""
    OWN_CERTIFICATE = "sync:own_certificate"
    """The collector does not accept this terminal's certificate."""
    NOT_UNDERSTOOD = "sync:not_understood"
    """The answer is not that of a collector."""
    WEB_PAGE = "sync:web_page"
    """A web page answers in the collector's place: a network that wants people to sign in, or a proxy."""
    MOVED = "sync:moved"
    """The address leads elsewhere."""
    BUSY = "sync:busy"
    """The collector, or what stands before it, takes nothing just now."""
    TOO_LARGE = "sync:too_large"
    """Something on the way does not let even one row pass."""
    REFUSED = "sync:refused"
    INCOMPLETE = "sync:incomplete"
    """The collector confirmed less than was sent."""
    CONTRADICTED = "sync:contradicted"
    """Journal and collector hold different rows under one number."""


class ConsoleFault(StrEnum):
    """What happened at the operator's console."""

    PIN_LOCKED = "console:pin_locked"
    """Too many wrong PINs, given the `way`, for the staff number `operator_ref`, empty for one that is not listed."""


class CanteenFault(StrEnum):
    """Why the canteen's staff cannot have what they asked for, where no rule is against it."""

    NO_ROSTER = "canteen:no_roster"
    NO_PRICE_LIST = "canteen:no_price_list"
    NO_CLASS = "canteen:no_class"
    NO_MEAL = "canteen:no_meal"
    NO_PRODUCT = "canteen:no_product"
    EMPTY_BASKET = "canteen:empty_basket"
    BAD_COUNT = "canteen:bad_count"
    NOTHING_TO_ANNUL = "canteen:nothing_to_annul"
    REPORT_DIFFERS = "canteen:report_differs"
    OTHER_CURRENCY = "canteen:other_currency"
    """The records of the school are in another currency than the region document."""
    NOT_UNDERSTOOD = "canteen:not_understood"
    LIST_DOUBTFUL = "canteen:list_doubtful"
    """Something in a list of pupils has to be decided before it is loaded."""
    CARD_UNKNOWN = "canteen:card_unknown"
    """The card was not presented here, so whose it is cannot be known from its reference."""
    CARD_OF_ANOTHER = "canteen:card_of_another"


class KeyFault(StrEnum):
    """What happened at the key provider."""

    LIMIT = "keys:limit"
    """A ceiling is met: `use` ("token:transport", "authenticate:validate") opens again in `opens_in_s`."""


class SetKind(StrEnum):
    """What of a terminal's active set can be replaced by itself (O-01)."""

    REGION = "region"
    """The region document, with the tables of its feed."""
    ROUTES = "routes"
    DENY = "deny"
    DENY_CHANGES = "deny_changes"
    """All that changed since the deny list was made."""
    GRANTS = "grants"
    ROSTER = "roster"
    PRICES = "prices"


class UpdateFault(StrEnum):
    """Why what was published is not taken (O-01); what is in force goes on. Inputs: `kind`, and `version` where it is
    known, with `known` for the newest that was taken."""

    OLDER = "update:older"
    CHANGED = "update:changed"
    """Another content under a version that is known."""
    OTHER_DOCUMENT = "update:other_document"
    """Another id than that of what is in force: another tariff, another school."""
    OTHER_REGION = "update:other_region"
    OTHER_CURRENCY = "update:other_currency"
    """The purses of the region's cards count in the one of what is in force."""
    ENDED = "update:ended"
    UNREADABLE = "update:unreadable"
    NEEDS_NEWER = "update:needs_newer"
    """It is written for a newer program than this."""
    TOO_LARGE = "update:too_large"
    UNKNOWABLE = "update:unknowable"
    """It needs a fact that this terminal cannot know."""
    UNSOUND = "update:unsound"
    """It speaks of what the region document does not have."""
    NO_MEAL = "update:no_meal"
    """A region document lacks the meal that this till is set to."""
    NO_ROOM = "update:no_room"
    """The disk does not take it."""
    DAMAGED = "update:damaged"
    """What was in force cannot be read any more."""
    TAKEN_BACK = "update:taken_back"
    """It was on trial here, and this terminal went back to what was in force before (`ReturnCause`)."""
    FLOOR_LOST = "update:floor_lost"
    """It is in force, and nothing says any more whether a newer version was before."""


class ReturnCause(StrEnum):
    """Why a terminal went back to the document that was in force before the one on trial (O-12)."""

    FAILED = "failed"
    """A decision by it ended in a mistake of the software."""
    REFUSALS = "refusals"
    """It refused far more riders than the one before."""
    WITHDRAWN = "withdrawn"
    """Its publisher says so."""
    GROUP = "group"
    """The collector says that all who have it on trial, together, refused far more riders than before."""
    UNCONFIRMED = "unconfirmed"
    """No person has confirmed it within its days."""


class BundleFault(StrEnum):
    """Why signed bundles do not come, or what is in one is not taken; what is in force goes on. Inputs: `role`, and
    `version` where it is known, with `known` for the newest that was accepted."""

    NO_ROOT = "bundle:no_root"
    """Nothing says whose signatures count: no root is pinned."""
    BAD_ROOT = "bundle:bad_root"
    """What is pinned is no root."""
    UNREACHABLE = "bundle:unreachable"
    TOO_SLOW = "bundle:too_slow"
    TOO_LARGE = "bundle:too_large"
    INCOMPLETE = "bundle:incomplete"
    """A file is not there that the signed metadata name: half a copy."""
    UNSIGNED = "bundle:unsigned"
    """Signatures that count are missing."""
    WEAK = "bundle:weak"
    """Fewer keys have to sign it than a fleet's terminal demands, or one key counts for two."""
    EXPIRED = "bundle:expired"
    OLDER = "bundle:older"
    JUMP = "bundle:jump"
    """A version so far ahead that no publisher comes to it."""
    MIXED = "bundle:mixed"
    """A file is not the one that was signed: altered, or of another issue."""
    UNREADABLE = "bundle:unreadable"
    UNSAFE = "bundle:unsafe"
    """A link, a device, or a name that leads elsewhere."""
    NOT_ITS_FILE = "bundle:not_its_file"
    """A file that the role may not bring, such as settings of the terminal: reader, keys, addresses are its owner's."""
    STAND_ALONE = "bundle:stand_alone"
    """The root is that of a school that signs for itself, and this terminal is a fleet's; or the other way round."""
    NOT_ASSIGNED = "bundle:not_assigned"
    """Nothing says which of several this terminal takes."""
    NO_ROOM = "bundle:no_room"
    STALE = "bundle:stale"
    """The newest set that was accepted was signed `days` ago: nothing new comes, or it is held back."""
    LIMITED = "bundle:limited"
    """So long ago that nothing is sold that is paid later, and the issuer's grant is verified at every tap."""
    STOPPED = "bundle:stopped"
    """So long ago that a bus sells nothing, as the region document says."""
    BROKEN = "bundle:broken"
    """The process that fetches does not work, and is started again after a pause."""


class ExtensionFault(StrEnum):
    """What happened in code of another author: `extension` is its role and name, such as "medium:gym"."""

    FAILED = "extension:failed"
    """It raised, or returned what cannot be used. Of a medium, a row for each tap; of others, for the first time since
    the start."""
    HANGS = "extension:hangs"
    """It did not return in time, for the first time since the start."""


class VehicleFault(StrEnum):
    """What is wrong with what the vehicle says, or with the side process that listens to it (T-61). `source` says
    which source; taps go on.
    """

    OTHER_LINE = "vehicle:other_line"
    """It says that it runs line `heard`, and the shift's route is another."""
    OTHER_DIRECTION = "vehicle:other_direction"
    UNKNOWN_STOP = "vehicle:unknown_stop"
    """The route has no stop `heard`."""
    OTHER_ORDER = "vehicle:other_order"
    """The stop `heard` does not come after the one it names as the last."""
    UNKNOWN_ZONE = "vehicle:unknown_zone"
    """The routes document has no zone of the name `heard`."""
    OTHER_ZONE = "vehicle:other_zone"
    """The stop, or the route, does not lie in the zone `heard`."""
    UNREACHABLE = "vehicle:unreachable"
    """What the source listens to does not answer."""
    REFUSED = "vehicle:refused"
    """What it listens to does not give what is asked for, or a stranger spoke."""
    ENDED = "vehicle:ended"
    """The recording has been played."""
    BROKEN = "vehicle:broken"
    """The source cannot go on; the log says why. It is started again after a pause."""
    DIED = "vehicle:died"
    """The side process ended by itself. It is started again after a pause."""
    HANGS = "vehicle:hangs"
    """It said nothing for too long, was ended, and is started again."""
    FLOODS = "vehicle:floods"
    """It said too much, was ended, and is started again after a pause."""
    NOT_UNDERSTOOD = "vehicle:not_understood"
    """It sent what is no message, was ended, and is started again after a pause."""


class OutputFault(StrEnum):
    """What happened to a display, a console, a log or standard output, for the first time since the start: `output` is
    its role and name, such as "output:stdout". Taps go on without it.
    """

    FAILED = "output:failed"
    HANGS = "output:hangs"
    """It takes no more."""


class PeripheryFault(StrEnum):
    """What happened to a device around the reader, or was seen by a contact. Taps go on, but for the supply and the
    housing.
    """

    FAILED = "periphery:failed"
    """`device` does not work, for the first time since the start."""
    HANGS = "periphery:hangs"
    """`device` does not respond."""
    FORCED = "barrier:forced"
    """It stood open, or was passed, while it was closed: `times` since the start."""
    COUNTED = "barrier:counted"
    """`opened`, `passed` and `forced` since the start; once an hour, and at the end."""
    POWER_FAILING = "power:failing"
    """The supply fails: no tap begins."""
    POWER_BACK = "power:back"
    """The supply is back."""
    TAMPERED = "housing:opened"
    """The housing was opened: the journal's key is wiped, and no tap begins any more."""


class HeldFault(StrEnum):
    """What happened to the states that a terminal keeps for phones."""

    BEGAN_ANEW = "held:began_anew"
    """They could not be read and lie aside: limits, transfers and repeated taps of phones begin anew here."""


class BankFault(StrEnum):
    """Why a terminal takes no bank cards although it is to."""

    CLOSED = "bank:closed"
    """The schemes' CA keys or the back office's key are missing or cannot be used; everything else goes on."""


class DocumentFault(StrEnum):
    """The end of the region document, while no successor is there: `days` are whole ones."""

    ENDS = "document:ends"
    """In `days`."""
    GOES_ON = "document:goes_on"
    """It has ended, and decides for `days` more."""
    ENDED = "document:ended"
    """`days` ago, and it decides no paid ride and no paid meal any more."""


FaultCode: TypeAlias = (
    ReaderFault
    | ClockFault
    | JournalFault
    | SyncFault
    | ConsoleFault
    | KeyFault
    | UpdateFault
    | BundleFault
    | ExtensionFault
    | DocumentFault
    | VehicleFault
    | OutputFault
    | PeripheryFault
    | HeldFault
    | BankFault
)


class Trouble(Struct, frozen=True):
    """A fault with what it was found by."""

    code: FaultCode
    inputs: Mapping[str, int | str] = field(default_factory=dict)
