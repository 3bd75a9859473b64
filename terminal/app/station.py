"""Where one terminal lives: its folder, keys, region document and journal."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

import cardcli
from terminal.app.active import Parts, Publication, deny_list_of, open_active, parts_of, policy_of, sources_of
from terminal.app.config.rules import takes_bundles
from terminal.app.config.settings import CANTEEN, DEFAULT_REGION, BankTable, StationConfig
from terminal.app.simulated import laboratory_keys
from terminal.clock import Clock, SystemClock, from_unix_ms, unix_ms
from terminal.codes import SetKind
from terminal.errors import JournalError, RegionDocumentError
from terminal.journal.checkpoint import Notary
from terminal.journal.clock_ledger import ClockRows
from terminal.journal.database import require_owner
from terminal.journal.journal import Journal
from terminal.journal.key_file import load_key, load_or_create_key
from terminal.journal.reader import JournalReader
from terminal.journal.sealed import JournalKey
from terminal.keys.file import FileKeys, load_file_keys
from terminal.keys.limits import KeyLimits
from terminal.media.resident import RESIDENT
from terminal.media.resident.credential import VerifyCredential
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyList, load_deny_list
from terminal.policy.document.schema import Header
from terminal.policy.grants import NO_GRANTS, GrantList, load_grants
from terminal.policy.load import load_header, load_region, region_path, require_in_force, require_of_region
from terminal.policy.policy import Policy
from terminal.policy.routes import NO_ROUTES, RouteBook, load_routes
from terminal.sync.credentials import load_or_make_keys
from terminal.trip.clock_watch import nearest_ms
from terminal.updates.active import ActiveSet
from terminal.updates.bundle.kept import delivered_folder
from terminal.updates.bundle.roles import BundleRole
from terminal.updates.parts import REGION_FILE, HeaderPart, Requirement, RoutesPart, nothing_required
from terminal.updates.store import ACTIVE_FILE
from terminal.updates.watch import SourceFile

JOURNAL_FILE: Final = "journal.db"
IDENTITY_FILE: Final = "terminal.key"
SOFTWARE: Final = cardcli.SOFTWARE


class JournalFactory(Protocol):
    """Opens the journal at a path for the terminal of this number; `Journal.open`, or the laboratory's own."""

    def __call__(self, path: Path, terminal: int, *, key: JournalKey | None) -> Journal: ...


class Station(Struct, frozen=True):
    """Where one terminal lives and what it works with."""

    number: int
    profile: str
    state: Path
    region: str
    """A file or a supplied document; empty for none: then it comes with signed bundles."""
    keys: Path | None = None
    deny_list: Path | None = None
    grants: Path | None = None
    routes: Path | None = None
    updates: Path | None = None
    """A folder that is published to."""
    bundles: bool = False
    """Whether signed bundles bring documents and lists."""
    serving: str = ""
    """In a canteen: the meal taps are for, or by_shift; empty for the meal of the hour."""
    media: tuple[str, ...] = (RESIDENT,)
    """What is taken, in the order in which a card is asked."""
    codes: bool = False
    """Whether codes of residents' phones are taken."""
    proof: bool = True
    verify: VerifyCredential = VerifyCredential.NEVER
    bank: BankTable = BankTable()
    issuers: Path | None = None
    """Whose grants count where they are verified; None: the laboratory's."""

    def load_keys(
        self,
        limits: KeyLimits | None = None,
        *,
        clock: Clock | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> FileKeys:
        """As `load_file_keys`; raises `KeyFileError`."""
        return load_file_keys(self.keys or laboratory_keys(), limits, clock=clock, random=random)

    def load_policy(self, keys: FileKeys, now: datetime, made_at: datetime = cardcli.MADE_AT) -> Policy:
        """The region document in force and the lists of its region, for those who only look; raises
        `RegionDocumentError`.
        """
        with closing(self.active_set(keys)) as active:
            policy = policy_of(active) if active.knows(SetKind.REGION) else self._named_policy(keys)
        self.require_in_force(policy, keys, now, made_at)
        return policy

    def require_region(self) -> None:
        """Raise `RegionDocumentError` when no document is in force and none is where one is named: said before a reader
        is waited for, so that a machine that is not set up yet stays down.
        """
        named = region_path(self.region) if self.region else None
        if named is not None and not named.exists() and not (self.state / ACTIVE_FILE).exists():
            load_header(self.region)

    @property
    def lacks_region(self) -> bool:
        """Whether its region document has to come with signed bundles, and has not come yet."""
        return not self.region and not (self.state / ACTIVE_FILE).exists() and not self._delivered.exists()

    @property
    def _delivered(self) -> Path:
        return delivered_folder(self.state, BundleRole.TARIFF) / REGION_FILE

    def _require_named(self) -> str:
        """The region document that is named, or has come with signed bundles; raises `RegionDocumentError`."""
        if not self.region and self._delivered.exists():
            return str(self._delivered)
        if not self.region:
            raise RegionDocumentError(
                "no region document has come to this terminal yet",
                "Start it where signed bundles reach it, or name one as region under [terminal].",
            )
        return self.region

    def region_number(self) -> int:
        """Of the document in force, or of the one that is named while there is none. No more of it is looked at than
        says that: a start checks it as a whole soon. Raises `RegionDocumentError`.
        """
        with closing(ActiveSet(self.state, {SetKind.REGION: HeaderPart()}, to_read=True)) as active:
            header: Header | None = active.value(SetKind.REGION, None)
        return (load_header(self._require_named()) if header is None else header).region

    def _named_policy(self, keys: FileKeys) -> Policy:
        """What the files say that are named, while nothing is in force."""
        document = load_region(self._require_named())
        lists = self._named_deny_list(keys), self._named_grants(keys)
        for issued in lists:
            require_of_region(document, issued)
        return Policy.of(document, lists[0], grants=lists[1])

    def require_in_force(
        self, policy: Policy, keys: FileKeys, now: datetime, made_at: datetime = cardcli.MADE_AT
    ) -> None:
        """Raise `RegionDocumentError` for a document that is not in force.

        A clock that is wrong for certain keeps no terminal from its work (O-05, M-37): then the document has to be in
        force at the nearest moment that may be right.
        """
        document, canteen = policy.document, self.profile == CANTEEN
        try:
            require_in_force(document, now, canteen=canteen)
        except RegionDocumentError:
            ahead_days = document.clock.ahead_days
            nearest = nearest_ms(self._clock_rows(keys), unix_ms(now), unix_ms(made_at), ahead_days)
            require_in_force(document, from_unix_ms(nearest), canteen=canteen)

    @property
    def named(self) -> dict[SetKind, Path | None]:
        """The files of the active set that terminal.toml names."""
        return {
            SetKind.ROUTES: self.routes,
            SetKind.REGION: region_path(self.region) if self.region else None,
            SetKind.DENY: self.deny_list,
            SetKind.GRANTS: self.grants,
        }

    def parts(self, keys: FileKeys, require: Requirement = nothing_required) -> Parts:
        """The kinds of its active set."""
        return parts_of(keys, self.number, self.profile, require, self.serving)

    def sources(self, parts: Iterable[SetKind]) -> tuple[SourceFile, ...]:
        """Every file whose change is an offer."""
        return sources_of(self._publication, parts)

    @property
    def _publication(self) -> Publication:
        if not self.bundles:
            return Publication(self.named, self.updates)
        from terminal.app.sealed import opener

        return Publication(self.named, self.updates, self.state, opener(self.state / IDENTITY_FILE))

    def active_set(self, keys: FileKeys) -> ActiveSet:
        """The set as it lies in the folder, for reading. Raises `ActiveSetError`; `JournalError` if it is another's."""
        require_owner(self.state / JOURNAL_FILE, self.number)
        return ActiveSet(self.state, self.parts(keys), to_read=True)

    def open_active(
        self, keys: FileKeys, now: datetime, require: Requirement = nothing_required
    ) -> ActiveSet:
        """The set with everything offered that is published; raises `RegionDocumentError`, and as `active_set`."""
        require_owner(self.state / JOURNAL_FILE, self.number)
        return open_active(self.state, self.parts(keys, require), self._publication, now)

    def _clock_rows(self, keys: FileKeys) -> ClockRows:
        """What the journal says of the clock; nothing where it cannot be read, which who opens it will say."""
        try:
            with journal_reader(self.state, keys) as reader:
                return reader.clock()
        except JournalError:
            return ClockRows()

    def load_deny_list(self, keys: FileKeys) -> DenyList:
        """The deny list in force, or the one that is named while there is none; raises `RegionDocumentError`."""
        with closing(self.active_set(keys)) as active:
            return deny_list_of(active) if active.knows(SetKind.DENY) else self._named_deny_list(keys)

    def load_grants(self, keys: FileKeys) -> GrantList:
        """The list of grants in force, or the named one; raises `RegionDocumentError`."""
        with closing(self.active_set(keys)) as active:
            empty: GrantList = NO_GRANTS
            return (
                active.value(SetKind.GRANTS, empty)
                if active.knows(SetKind.GRANTS)
                else self._named_grants(keys)
            )

    def load_routes(self) -> RouteBook:
        """The routes document in force, or the one that is named while there is none; raises `RegionDocumentError`."""
        with closing(ActiveSet(self.state, {SetKind.ROUTES: RoutesPart()}, to_read=True)) as active:
            named = NO_ROUTES if self.routes is None else load_routes(self.routes)
            return active.value(SetKind.ROUTES, named)

    def _named_deny_list(self, keys: FileKeys) -> DenyList:
        if self.deny_list is None:
            return EMPTY_DENY_LIST
        return load_deny_list(self.deny_list, keys.list_key("deny"))

    def _named_grants(self, keys: FileKeys) -> GrantList:
        return NO_GRANTS if self.grants is None else load_grants(self.grants, keys.list_key("grants"))


def station_of(config: StationConfig) -> Station:
    """The station of a configuration, which says what it is (`profile`)."""
    return Station(
        number=config.terminal.number,
        profile=config.terminal.profile or "",
        state=config.terminal.state,
        region=config.terminal.region or ("" if takes_bundles(config) else DEFAULT_REGION),
        keys=config.keys.file,
        deny_list=config.lists.deny,
        grants=config.lists.grants,
        routes=config.lists.routes,
        updates=config.updates.folder,
        bundles=takes_bundles(config),
        serving=config.canteen.serving,
        media=config.media.order,
        bank=config.bank,
        codes=config.media.codes,
        proof=config.media.proof,
        verify=VerifyCredential(config.lists.verify_credential),
        issuers=config.lists.issuers,
    )


def secret_files(config: StationConfig) -> tuple[Path, ...]:
    """What no other user of the machine may read: the key file unless its keys are the laboratory's, which are public,
    and every key in the terminal's folder.
    """
    keys, public = config.keys.file, laboratory_keys()
    sealed = keys is not None and keys == config.keys.credential
    named = () if keys is None or sealed or _same(keys, public) else (keys,)
    return (*named, *sorted(config.terminal.state.glob("*.key")))


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other) or path.read_bytes() == other.read_bytes()
    except OSError:
        return False


def journal_file(state: Path) -> Path:
    """The journal in a terminal's folder; raises `JournalError` when there is none."""
    path = state / JOURNAL_FILE
    if not path.exists():
        raise JournalError(
            f"there is no journal in {state}", "Give --state the folder of a terminal that has run."
        )
    return path


@contextmanager
def journal_reader(state: Path, keys: FileKeys | Path | None = None) -> Iterator[JournalReader]:
    """The journal in a terminal's folder, for reading while another process writes it.

    `keys` as `--keys` names them. Raises `JournalError`, `JournalSealed` when they do not open it, or `KeyFileError`.
    """
    path = journal_file(state)
    with closing(JournalReader(path, journal_key(path, keys))) as reader:
        yield reader


def journal_key(path: Path, keys: FileKeys | Path | None = None) -> JournalKey | None:
    """The key that opens the journal at `path`; None when it has no key file. Raises as `journal_reader`."""
    return load_key(path, _keys(keys).sealer)


def _keys(keys: FileKeys | Path | None) -> FileKeys:
    return keys if isinstance(keys, FileKeys) else load_file_keys(keys or laboratory_keys())


@contextmanager
def open_journal(
    state: Path,
    number: int,
    keys: FileKeys | Path | None = None,
    clock: Clock | None = None,
    tariff: str = "",
    deny_list: str = "",
    begin: JournalFactory = Journal.open,
) -> Iterator[Journal]:
    """The journal of a terminal that is not running, sealed and with the terminal's identity to sign its checkpoints;
    closed at the end whatever happens. `keys` as `--keys` names them; `begin` opens the file.
    """
    path, sealer = state / JOURNAL_FILE, _keys(keys).sealer
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"cannot create {state} ({error.strerror})", "Give --state a folder you may write."
        ) from error
    signer = load_or_make_keys(state / IDENTITY_FILE)
    journal = begin(path, number, key=load_or_create_key(path, sealer, number))
    journal.notary = Notary(signer, clock or SystemClock(), tariff, deny_list)
    try:
        yield journal
    finally:
        journal.close()
