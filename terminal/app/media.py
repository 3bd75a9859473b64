"""The media a terminal takes, by the names of its configuration. What phones and codes need is loaded where they are
taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

from cardproto.credential.keys import IssuerKeys
from terminal.app.sealed import signed_bank_ca, signed_issuers_file
from terminal.app.simulated import laboratory_bank_ca, laboratory_bank_office, laboratory_issuers
from terminal.app.station import Station
from terminal.errors import ConfigError, KeyFileError
from terminal.keys.file import load_issuers
from terminal.media.bank import BANK
from terminal.media.phone import PHONE
from terminal.media.port import Medium, MediumSetup
from terminal.media.resident import RESIDENT
from terminal.media.resident.credential import CredentialCheck, VerifyCredential
from terminal.media.resident.medium import ResidentMedium
from terminal.messages import register

if TYPE_CHECKING:
    from cardproto.emv.keys import Trust
    from terminal.app.extensions import ExtensionLoader
    from terminal.media.bank.medium import BankMedium, BankTrust
    from terminal.media.code import CodeTaker
    from terminal.media.held import HeldEvents
    from terminal.media.phone.medium import PhoneMedium

MediumFactory: TypeAlias = Callable[[Station, MediumSetup, "HeldEvents | None"], Medium]


@runtime_checkable
class TrustsIssuers(Protocol):
    """What verifies grants of an issuer."""

    def trust(self, issuers: IssuerKeys) -> None:
        """Let theirs alone count from the next tap on."""
        ...


@runtime_checkable
class BelievesSchemes(Protocol):
    """What verifies bank cards by CA keys."""

    def believe(self, trust: Trust) -> None:
        """Let these alone count from the next tap on."""
        ...


def believe_schemes(media: Iterable[Medium], trust: Trust) -> None:
    """Let these CA keys count at each of `media` that verifies bank cards."""
    for medium in media:
        if medium.name in FACTORIES and isinstance(medium, BelievesSchemes):
            medium.believe(trust)


@contextmanager
def kept_for_phones(station: Station) -> Iterator[HeldEvents | None]:
    """What `station` keeps for phones, where it takes any; closed at the end. Raises `JournalError`."""
    if not station.codes and not {PHONE, BANK} & set(station.media):
        yield None
        return
    from terminal.media.held import HeldEvents

    with closing(HeldEvents(station.state)) as held:
        yield held


@contextmanager
def kept_in(state: Path) -> Iterator[HeldEvents | None]:
    """What was kept in a terminal's folder, if anything; closed at the end. Raises `JournalError`."""
    from terminal.media.held import HELD_FILE, HeldEvents

    if not (state / HELD_FILE).exists():
        yield None
        return
    with closing(HeldEvents(state)) as held:
        yield held


def resident_medium(station: Station, setup: MediumSetup, held: HeldEvents | None) -> ResidentMedium:  # noqa: ARG001
    """Resident cards as `station` takes them; raises `KeyFileError`."""
    # What is named or comes with bundles may be asked all the same, when those are too old (O-14).
    known = station.issuers is not None or station.bundles
    never = station.verify is VerifyCredential.NEVER and not known
    issuers = IssuerKeys() if never else issuers_of(station, setup.region)
    return ResidentMedium(
        setup, CredentialCheck(station.verify, issuers), proof=station.proof, by_name=BANK in station.media
    )


def phone_medium(station: Station, setup: MediumSetup, held: HeldEvents | None) -> PhoneMedium:
    """Phones as `station` takes them; raises `KeyFileError`."""
    from terminal.media.phone.medium import PhoneMedium

    assert held is not None, "kept_for_phones gives it to a station that takes phones"
    return PhoneMedium(setup, station.number, issuers_of(station, setup.region), held)


def bank_medium(station: Station, setup: MediumSetup, held: HeldEvents | None) -> BankMedium:
    """Bank cards as `station` takes them. Where what proves them or whom to seal their taps to cannot be used, each
    reads so, and the bus goes on.
    """
    from terminal.media.bank.medium import BankMedium, BankTerms

    assert held is not None, "kept_for_phones gives it to a station that takes bank cards"
    named = station.bank
    applications = tuple(bytes.fromhex(one) for one in named.applications)
    terms = BankTerms(applications, named.country, named.currency, named.amount_minor)
    return BankMedium(setup, station.number, terms, bank_trust(station), held)


def bank_trust(station: Station) -> BankTrust | None:
    """Whose bank cards are believed and to whom taps are sealed; None where either cannot be used."""
    try:
        return load_bank_trust(station)
    except KeyFileError:
        return None


def load_bank_trust(station: Station) -> BankTrust:
    """As `bank_trust`; raises `KeyFileError` saying what is amiss. CA keys that came signed take the file's place."""
    from terminal.keys.bank_ca import load_bank_ca, load_office_key
    from terminal.media.bank.medium import BankTrust

    named = station.bank
    ca = signed_bank_ca(station.state) if station.bundles else None
    if ca is None:
        ca = laboratory_bank_ca() if named.ca is None else load_bank_ca(named.ca)
    office = laboratory_bank_office() if named.office is None else load_office_key(named.office)
    return BankTrust(ca.trust, office)


def code_taker(station: Station, setup: MediumSetup, held: HeldEvents | None) -> CodeTaker | None:
    """What reads codes, where `station` takes them; raises `KeyFileError`."""
    if not station.codes or held is None:
        return None
    from terminal.media.code import CodeTaker

    return CodeTaker(setup, issuers_of(station, setup.region), held)


FACTORIES: Final[Mapping[str, MediumFactory]] = MappingProxyType(
    {RESIDENT: resident_medium, PHONE: phone_medium, BANK: bank_medium}
)


def media_of(
    station: Station,
    setup: MediumSetup,
    extensions: ExtensionLoader | None = None,
    held: HeldEvents | None = None,
) -> tuple[Medium, ...]:
    """What `station` takes, in order, with the messages of each registered; `extensions` bring what is not ours, and
    `held` what is kept for phones.

    Raises `ConfigError` for no name, one unknown or one named twice, and for an extension that cannot be used;
    `TerminalError` for messages that clash, and what a factory raises.
    """
    names = station.media
    if not names or len(set(names)) != len(names):
        raise ConfigError(
            f"the media {', '.join(names) or '(none)'} are not a list of different ones",
            "Name each under [media] in terminal.toml once, and at least one.",
        )
    return tuple(_medium(name, station, setup, extensions, held) for name in names)


def _medium(
    name: str,
    station: Station,
    setup: MediumSetup,
    extensions: ExtensionLoader | None,
    held: HeldEvents | None,
) -> Medium:
    if name in FACTORIES:
        medium = FACTORIES[name](station, setup, held)
        register(name, medium.messages)
        return medium
    if extensions is None:
        known = ", ".join(FACTORIES)
        raise ConfigError(f"the media name {name}, which is unknown here", f"Known are: {known}.")
    return extensions.medium(name, setup)


def issuers_of(station: Station, region: int) -> IssuerKeys:
    """Whose signed grants count: of the file that is named, else of those that bundles brought (until they do, of
    none), else the laboratory's. Raises `KeyFileError`.
    """
    if station.issuers is not None:
        return load_issuers(station.issuers)
    if station.bundles:
        signed = signed_issuers_file(station.state)
        return load_issuers(signed) if signed.exists() else IssuerKeys()
    return laboratory_issuers(region)


def credential_checks(media: Iterable[Medium]) -> tuple[CredentialCheck, ...]:
    """Of the media that verify an issuer's grants at some taps only; phones and codes are verified at every one."""
    return tuple(medium.credentials for medium in media if isinstance(medium, ResidentMedium))


def trust_issuers(media: Iterable[Medium], codes: CodeTaker | None, issuers: IssuerKeys) -> None:
    """Let the grants of `issuers` alone count from the next tap on, on cards, phones and in codes."""
    ours = (medium for medium in media if medium.name in FACTORIES)
    for one in (*ours, codes):
        if isinstance(one, TrustsIssuers):
            one.trust(issuers)
