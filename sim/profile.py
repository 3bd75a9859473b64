"""Profiles: what kind of card a synthetic resident carries, in one readable TOML file each.

    [description]            one line in Russian and one in English
    [card]                   kind, validity, purse, flags
    [[concessions]]          at most three; code and parameter as the region document numbers them
    [[contracts]]            at most two passes or packs
    [state]                  trips already counted, meals already served on the issue day
    [bank]                   a bank application, on a card of its own (kind "bank") or beside the resident one

Every day is relative to the day of issue (`sim.days`), so that a profile never grows old.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from cardproto.resident.layout import PURSE_LIMIT_MINOR
from cardproto.resident.personalise import STEPS
from cardproto.resident.records.rights import CONCESSION_SLOTS, CONTRACT_SLOTS
from sim.days import parse_day

PROFILE_FOLDER: Final = Path(__file__).parent / "profiles"
LAB_KEYS: Final = PROFILE_FOLDER / "lab_keys.toml"
MOST_BYTES: Final = 1 << 20
STATE_COUNTER_LAYOUT: Final = 1
ISSUED_LONG_AGO: Final = "-400d"

Byte = Annotated[int, Meta(ge=0, le=0xFF)]
Line = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\n]*$")]
PurseMinor = Annotated[int, Meta(ge=0, le=PURSE_LIMIT_MINOR)]
Pseudonym = Annotated[str, Meta(pattern="^[0-9A-F]{16}$")]


class ProfileFault(ValueError):
    """A profile or key file that cannot be used: `what` is wrong and `advice` what to change."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class Description(Struct, frozen=True, forbid_unknown_fields=True):
    """For people who choose a profile; never a person's name."""

    ru: Line
    en: Line


class CardSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The card itself. `stop_after` names the personalisation step after which issuing stopped.

    A `blank` card is as the factory delivers it, with `master_key` DES, or prepared with AES; all zero either way.
    `random_uid` cards never show their own UID. Light has one fixed application and is only ever blank.
    """

    kind: Literal["resident", "blank", "foreign_desfire", "not_desfire", "bank", "phone"] = "resident"
    generation: Literal["EV1", "EV2", "EV3", "Light"] = "EV2"
    master_key: Literal["DES", "AES"] = "AES"
    random_uid: bool = False
    issued: str = ISSUED_LONG_AGO
    valid_from: str = ISSUED_LONG_AGO
    valid_to: str = "+1400d"
    purse_minor: PurseMinor = 0
    blocked: bool = False
    inactive: bool = False
    pseudonym: Pseudonym | None = None
    stop_after: str | None = None


class ConcessionSection(Struct, frozen=True, forbid_unknown_fields=True):
    """One concession; days inclusive."""

    code: Annotated[int, Meta(ge=1, le=0xFF)]
    valid_from: str
    valid_to: str
    parameter: Byte = 0


class ContractSection(Struct, frozen=True, forbid_unknown_fields=True):
    """One pass (`trips` 0) or pack; days inclusive."""

    product: Annotated[int, Meta(ge=1, le=0xFFFF)]
    valid_from: str
    valid_to: str
    trips: Byte = 0


class StateSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What the newest event has counted, by the counters of layout 1; `meals` are bits of the meal kinds."""

    concession_month: Byte = 0
    pack_a: Byte = 0
    pack_b: Byte = 0
    meals: Byte = 0

    def counters(self) -> int:
        """The 56 counter bits: three bytes from the most significant, the rest unused."""
        return self.concession_month << 48 | self.pack_a << 40 | self.pack_b << 32


class BankSection(Struct, frozen=True, forbid_unknown_fields=True):
    """A laboratory bank application: no bank knows it. Its number is made of `digits`, `account` and a check digit.

    `chain` names keys by what is special about them: short, small (padded in the card's certificate), padded (in the
    issuer's), longest, revoked. `fields` false answers processing options without tags. `applications` 2 lists the less
    wanted first. `tokens` over 1 is a phone with so many. `counterfeit` signs with a key that is not certified.
    """

    method: Literal["CDA", "fDDA", "DDA", "static"]
    account: Annotated[int, Meta(ge=0)]
    digits: Annotated[int, Meta(ge=13, le=19)] = 16
    sequence: Annotated[int, Meta(ge=0, le=99)] = 1
    chain: Literal["short", "small", "padded", "longest", "revoked"] = "short"
    interface: Literal["contactless", "contacts"] = "contactless"
    fields: bool = True
    applications: Annotated[int, Meta(ge=1, le=2)] = 1
    tokens: Annotated[int, Meta(ge=1, le=4)] = 1
    counterfeit: bool = False


class CardProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """One profile; `name` is the file's name without extension."""

    description: Description
    card: CardSection = CardSection()
    concessions: Annotated[tuple[ConcessionSection, ...], Meta(max_length=CONCESSION_SLOTS)] = ()
    contracts: Annotated[tuple[ContractSection, ...], Meta(max_length=CONTRACT_SLOTS)] = ()
    state: StateSection | None = None
    bank: BankSection | None = None
    name: str = ""


def profile_names() -> tuple[str, ...]:
    """The profiles that come with the simulator, in alphabetical order."""
    return tuple(sorted(path.stem for path in PROFILE_FOLDER.glob("*.toml") if path != LAB_KEYS))


def load_profile(name: str | Path) -> CardProfile:
    """The profile of this name, or in this file; raises `ProfileFault` saying what to change."""
    path = name if isinstance(name, Path) else _path_of(name)
    profile = _convert(path, read_toml(path))
    _check_days(path, profile)
    _check_card(path, profile.card)
    _check_bank(path, profile)
    stop = profile.card.stop_after
    if stop is not None and stop not in STEPS:
        raise ProfileFault(f"{path}: card.stop_after is {stop!r}", f"Use one of {', '.join(STEPS)}.")
    return msgspec.structs.replace(profile, name=path.stem)


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file; raises `ProfileFault`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        return tomllib.loads(text)
    except FileNotFoundError as error:
        raise ProfileFault(f"there is no file {path}", "Give the path of a TOML file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileFault(f"{path} cannot be read ({error})", "Give a readable UTF-8 file.") from error
    except (ValueError, RecursionError) as error:
        raise ProfileFault(f"{path} is not TOML: {error}", "Correct the line it names.") from error


def _path_of(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    if name not in profile_names():
        known = ", ".join(profile_names())
        raise ProfileFault(f"no profile {name!r}", f"Choose one of {known}, or give a file ending in .toml.")
    return PROFILE_FOLDER / f"{name}.toml"


def _convert(path: Path, tables: Mapping[str, object]) -> CardProfile:
    if "name" in tables:
        raise ProfileFault(f"{path}: name is not written in the file", "Remove it: the file is the name.")
    try:
        return msgspec.convert(tables, CardProfile)
    except msgspec.ValidationError as error:
        raise ProfileFault(
            f"{path}: {error}", "Correct that key; sim/profile.py lists what exists."
        ) from error


def _check_card(path: Path, card: CardSection) -> None:
    if card.generation == "Light" and card.kind != "blank":
        raise ProfileFault(f"{path}: a Light holds no resident application", 'Use kind = "blank" for it.')
    if card.random_uid and card.kind != "resident":
        raise ProfileFault(
            f"{path}: card.random_uid is for resident cards", "Issuing switches it on; leave it out."
        )


def _check_bank(path: Path, profile: CardProfile) -> None:
    kind, bank = profile.card.kind, profile.bank
    if kind == "bank" and bank is None:
        raise ProfileFault(f"{path}: a bank card needs [bank]", "Add it, with method and account.")
    if bank is None:
        return
    if kind not in ("bank", "resident") or (kind == "resident" and bank.interface != "contactless"):
        raise ProfileFault(
            f"{path}: [bank] does not fit this card",
            'Use it with kind = "bank", or contactless beside a resident.',
        )
    if bank.method == "fDDA" and bank.interface == "contacts":
        raise ProfileFault(f"{path}: fDDA is for contactless cards", "Choose DDA or CDA for contacts.")


def _check_days(path: Path, profile: CardProfile) -> None:
    places = [
        ("card.issued", profile.card.issued),
        ("card.valid_from", profile.card.valid_from),
        ("card.valid_to", profile.card.valid_to),
    ]
    for number, concession in enumerate(profile.concessions):
        places.append((f"concessions[{number}].valid_from", concession.valid_from))
        places.append((f"concessions[{number}].valid_to", concession.valid_to))
    for number, contract in enumerate(profile.contracts):
        places.append((f"contracts[{number}].valid_from", contract.valid_from))
        places.append((f"contracts[{number}].valid_to", contract.valid_to))
    for key, text in places:
        try:
            parse_day(text)
        except ValueError as error:
            raise ProfileFault(f"{path}: {key}: {error}", "Correct that day.") from error
