"""The active set of a station: which kinds it has, where they are published, and what changes when one is replaced."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from terminal.app.config.settings import CANTEEN
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, JournalError, RegionDocumentError
from terminal.fault_texts import fault_text
from terminal.keys.file import FileKeys
from terminal.policy.deny_changes import ChangedDenyList, DenyChanges, are_of
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyList, DenyListFile
from terminal.policy.grants import NO_GRANTS, GrantList
from terminal.policy.policy import Policy
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.tap import Terminal
from terminal.updates.active import ActiveSet
from terminal.updates.bundle.kept import delivered_folder
from terminal.updates.bundle.roles import KINDS, BundleRole
from terminal.updates.edition import SetPart, SetRefusal
from terminal.updates.held import HeldEdition
from terminal.updates.parts import (
    DenyChangesPart,
    DenyPart,
    GrantsPart,
    RegionPart,
    Requirement,
    RoutesPart,
    nothing_required,
)
from terminal.updates.watch import SourceFile, mark_of, offer_source

if TYPE_CHECKING:
    from terminal.canteen.counter import CanteenCounter
    from terminal.canteen.documents import RosterDocument

FILE_NAMES: Final = {
    SetKind.ROUTES: ("routes.toml",),
    SetKind.REGION: ("region.toml",),
    SetKind.DENY: ("deny-list",),
    SetKind.DENY_CHANGES: ("deny-changes",),
    SetKind.GRANTS: ("grants-list",),
    SetKind.ROSTER: ("roster.json", "roster.toml"),
    SetKind.PRICES: ("prices.json", "prices.toml"),
}
"""How a file of each kind is called in the folder that is published to."""

ORDER: Final = tuple(FILE_NAMES)
"""In which they are offered at the start: routes before the tariff that needs them, lists after it."""

AGAIN_S: Final = 60.0
"""Between two tries to record what comes into force."""

Parts = dict[SetKind, SetPart[Any]]


def parts_of(
    keys: FileKeys, number: int, profile: str, require: Requirement = nothing_required, serving: str = ""
) -> Parts:
    """The kinds of a terminal with these keys; `require` says what documents it cannot work by, and `serving` which
    meal a canteen's must have.
    """
    parts: Parts = {
        SetKind.ROUTES: RoutesPart(require),
        SetKind.REGION: RegionPart(require, profile == CANTEEN, serving if profile == CANTEEN else ""),
        SetKind.DENY: DenyPart(partial(keys.list_key, "deny")),
        SetKind.DENY_CHANGES: DenyChangesPart(),
        SetKind.GRANTS: GrantsPart(partial(keys.list_key, "grants")),
    }
    if profile == CANTEEN:
        from terminal.canteen.store import PricesPart, RosterPart

        parts |= {SetKind.ROSTER: RosterPart(number, keys.sealer), SetKind.PRICES: PricesPart()}
    return parts


class Publication(NamedTuple):
    """Where editions come from: files that are named, a folder that is published to, and, with `bundles`, what signed
    bundles bring to the terminal whose state folder that is.
    """

    named: Mapping[SetKind, Path | None]
    folder: Path | None = None
    bundles: Path | None = None
    opened: Callable[[Path, bytes], bytes] | None = None
    """What opens files of bundles that are sealed to the terminal."""


def sources_of(publication: Publication, parts: Iterable[SetKind]) -> tuple[SourceFile, ...]:
    """Every file of these kinds whose change is an offer."""
    named, folder, bundles = publication.named, publication.folder, publication.bundles
    files = [SourceFile(kind, path) for kind, path in named.items() if path is not None]
    if folder is not None:
        files += [SourceFile(kind, folder / name) for kind in parts for name in FILE_NAMES[kind]]
    if bundles is not None:
        files += [
            SourceFile(kind, delivered_folder(bundles, role) / name, publication.opened, whole=True)
            for role, kind in (*KINDS.items(), (BundleRole.DENY, SetKind.DENY_CHANGES))
            if kind in parts
            for name in FILE_NAMES[kind]
        ]
    return tuple(files)


def open_active(state: Path, parts: Parts, publication: Publication, now: datetime) -> ActiveSet:
    """The set in a terminal's folder `state`, with everything that is published offered to it.

    What is named and cannot be used is refused and what is in force goes on; where nothing is, and the folder has
    nothing better, it is raised. A file that is older than what is in force is passed over: it was there before its
    successors.
    """
    active = ActiveSet(state, parts)
    named = publication.named
    sources = sorted(sources_of(publication, parts), key=lambda source: ORDER.index(source.kind))
    active.begin_afresh({source.kind for source in sources if source.path.exists()})
    active.load_pending(by=now)  # also of a start that came no further
    unusable: dict[SetKind, SetRefusal] = {}
    for source in sources:
        by_name = named.get(source.kind) == source.path
        if not by_name and not source.path.exists():
            continue
        mark = mark_of(source.path)
        refused = offer_source(active, source, None if by_name else now)
        if refused is None or refused.fault is UpdateFault.OLDER:
            continue
        if by_name:
            unusable[source.kind] = refused
        active.refuse(refused, repr(mark).encode())
    for kind, refused in unusable.items():
        if not active.knows(kind):
            active.close()
            raise refused.error or _without_words(refused)
    try:
        active.require_all()
    except ActiveSetError:
        active.close()
        raise
    return active


def _without_words(refused: SetRefusal) -> ActiveSetError:
    return ActiveSetError(
        fault_text(refused.fault, refused.inputs), "Publish another file where terminal.toml says."
    )


def foreseen_policy(active: ActiveSet, now: datetime) -> Policy:
    """As `policy_of` after the start at `now`."""
    policy: Policy | None = active.foreseen(SetKind.REGION, None, now)
    deny_list: DenyList = active.foreseen(SetKind.DENY, EMPTY_DENY_LIST, now)
    changes: DenyChanges | None = active.foreseen(SetKind.DENY_CHANGES, None, now)
    grants: GrantList = active.foreseen(SetKind.GRANTS, NO_GRANTS, now)
    return _with_lists(policy, _changed(deny_list, changes), grants)


def policy_of(active: ActiveSet) -> Policy:
    """What decisions are made from. Raises `RegionDocumentError` where there is no region document."""
    policy: Policy | None = active.value(SetKind.REGION, None)
    return _with_lists(policy, deny_list_of(active), active.value(SetKind.GRANTS, NO_GRANTS))


def deny_list_of(active: ActiveSet) -> DenyList:
    """The deny list with what changed since."""
    return _changed(active.value(SetKind.DENY, EMPTY_DENY_LIST), active.value(SetKind.DENY_CHANGES, None))


def _changed(deny_list: DenyList, changes: DenyChanges | None) -> DenyList:
    """Changes of another list than this one wait for theirs, or have become part of this one."""
    if changes is None or not isinstance(deny_list, DenyListFile) or not are_of(changes, deny_list):
        return deny_list
    return ChangedDenyList(deny_list, changes)


def _with_lists(policy: Policy | None, deny_list: DenyList, grants: GrantList) -> Policy:
    if policy is None:
        raise RegionDocumentError("there is no region document", "Name one as region under [terminal].")
    return replace(policy, deny_list=deny_list, bank_deny_list=deny_list, grants=grants)


def routes_of(active: ActiveSet) -> RouteBook:
    return active.value(SetKind.ROUTES, NO_ROUTES)


class Activations:
    """Puts what waits in force between two taps; `look` is called on the thread that serves cards."""

    def __init__(
        self,
        active: ActiveSet,
        terminal: Terminal,
        lock: AbstractContextManager[object],
        changed: Callable[[HeldEdition], None],
    ) -> None:
        """`lock` as taps and actions of staff hold it; `changed` hears what came into force."""
        self._active = active
        self._terminal = terminal
        self._lock = lock
        self._changed = changed
        self._not_before_s = 0.0

    def now(self) -> datetime | None:
        """None while the clock is in doubt. Any thread."""
        return None if self._terminal.clock_watch.state.suspect else self._terminal.clock.now()

    def look(self) -> None:
        """Cheap where nothing waits. What cannot be recorded waits on; staff hear of it once."""
        due = self._active.due(self.now())
        if not due or self._terminal.clock.monotonic() < self._not_before_s:
            return
        for kind in due:
            try:
                self._put(kind)
            except (JournalError, ActiveSetError) as error:
                self._not_before_s = self._terminal.clock.monotonic() + AGAIN_S
                self._active.refuse(SetRefusal(kind, UpdateFault.NO_ROOM, error=error))

    def _put(self, kind: SetKind) -> None:
        with self._lock:
            activated = self._active.activate((kind,), self._terminal.clock.now(), self._terminal.journal)
            put_in_place(self._active, self._terminal, (kind,))
        for held in activated:
            self._changed(held)


def put_in_place(active: ActiveSet, terminal: Terminal, changed: Container[SetKind]) -> None:
    """Let the next tap be decided by what is in force, and the next checkpoint say so; these kinds have changed."""
    terminal.policy, terminal.routes = policy_of(active), routes_of(active)
    terminal.clock_watch.ahead_days = terminal.policy.document.clock.ahead_days
    terminal.journal.name_versions(terminal.policy.tariff, terminal.policy.deny_list.name)
    if terminal.canteen is not None:
        terminal.canteen.policy = terminal.policy
        put_at_counter(active, terminal.canteen, changed, terminal.clock.now())


def put_at_counter(
    active: ActiveSet, counter: CanteenCounter, changed: Container[SetKind], now: datetime
) -> None:
    """Let the next pupil be served by the lists in force."""
    from terminal.canteen.store import CanteenLists

    counter.price_list = CanteenLists(active).price_list()
    document: RosterDocument | None = active.value(SetKind.ROSTER, None)
    if document is None:
        return
    counter.take_roster(document)
    if SetKind.ROSTER in changed:
        counter.note_roster(document, now)


def active_of(terminal: Terminal) -> ActiveSet:
    """The active set of a terminal that is composed: it has one."""
    assert terminal.active is not None, "a terminal that is composed has an active set"
    return terminal.active
