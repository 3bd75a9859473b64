"""The active set of a station: which kinds it has, where they are published, and what changes when one is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, RegionDocumentError
from terminal.fault_texts import fault_text
from terminal.keys.file import FileKeys
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyList
from terminal.policy.load import REGIONS
from terminal.policy.policy import Policy
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.tap import Terminal
from terminal.updates.active import ActiveSet, SetRefusal
from terminal.updates.edition import SetPart
from terminal.updates.parts import DenyPart, RegionPart, RoutesPart
from terminal.updates.store import HeldEdition
from terminal.updates.watch import SourceFile, offer_source

FILE_NAMES: Final = {
    SetKind.REGION: ("region.toml",),
    SetKind.ROUTES: ("routes.toml",),
    SetKind.DENY: ("deny-list",),
}
"""How a file of each kind is called in the folder that is published to."""

Parts = dict[SetKind, SetPart[Any]]


def parts_of(keys: FileKeys) -> Parts:
    """The kinds of a terminal with these keys."""
    return {
        SetKind.REGION: RegionPart(),
        SetKind.ROUTES: RoutesPart(),
        SetKind.DENY: DenyPart(keys.list_key("deny")),
    }


def region_file(region: str) -> Path:
    """Where the document lies that terminal.toml names: a file, or a supplied one by its name."""
    path = Path(region)
    supplied = not path.suffix and path.name == region and not path.exists()
    return REGIONS / f"{region}.toml" if supplied else path


def sources_of(folder: Path | None, named: Mapping[SetKind, Path | None]) -> tuple[SourceFile, ...]:
    """Where editions are published: the files that are named, and those in `folder`."""
    files = [SourceFile(kind, path) for kind, path in named.items() if path is not None]
    if folder is not None:
        files += [SourceFile(kind, folder / name) for kind, names in FILE_NAMES.items() for name in names]
    return tuple(files)


def open_active(
    state: Path, parts: Parts, named: Mapping[SetKind, Path | None], folder: Path | None, now: datetime
) -> ActiveSet:
    """The set in a terminal's folder `state`, with everything that is published offered to it.

    What is named and cannot be used is refused and what is in force goes on; where nothing is, it is raised. A named
    file that is older than what is in force is passed over: it was there before its successors.
    """
    active = ActiveSet(state, parts)
    for source in sources_of(None, named):
        refused = offer_source(active, source, parts[source.kind], None)
        if refused is None or refused.fault is UpdateFault.OLDER:
            continue
        if not active.knows(source.kind):
            active.close()
            raise refused.error or _without_words(refused)
        active.refuse(refused)
    for source in sources_of(folder, {}):
        if source.path.exists():
            refused = offer_source(active, source, parts[source.kind], now)
            if refused is not None and refused.fault is not UpdateFault.OLDER:
                active.refuse(refused)
    return active


def _without_words(refused: SetRefusal) -> ActiveSetError:
    return ActiveSetError(
        fault_text(refused.fault, refused.inputs), "Publish another file where terminal.toml says."
    )


def foreseen_policy(active: ActiveSet, now: datetime) -> Policy:
    """As `policy_of` after the start at `now`."""
    policy: Policy | None = active.foreseen(SetKind.REGION, None, now)
    return _with_lists(policy, active.foreseen(SetKind.DENY, EMPTY_DENY_LIST, now))


def policy_of(active: ActiveSet) -> Policy:
    """What decisions are made from. Raises `RegionDocumentError` where there is no region document."""
    policy: Policy | None = active.value(SetKind.REGION, None)
    return _with_lists(policy, active.value(SetKind.DENY, EMPTY_DENY_LIST))


def _with_lists(policy: Policy | None, deny_list: DenyList) -> Policy:
    if policy is None:
        raise RegionDocumentError("there is no region document", "Name one as region under [terminal].")
    return replace(policy, deny_list=deny_list)


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

    def now(self) -> datetime | None:
        """None while the clock is in doubt. Any thread."""
        return None if self._terminal.clock_watch.state.suspect else self._terminal.clock.now()

    def look(self) -> None:
        """Cheap where nothing waits. Raises `JournalError`."""
        due = self._active.due(self.now())
        if not due:
            return
        with self._lock:
            held = self._active.activate(due, self._terminal.clock.now(), self._terminal.journal)
            put_in_place(self._active, self._terminal)
        for one in held:
            self._changed(one)


def put_in_place(active: ActiveSet, terminal: Terminal) -> None:
    """Let the next tap be decided by what is in force, and the next checkpoint say so."""
    terminal.policy, terminal.routes = policy_of(active), routes_of(active)
    terminal.clock_watch.ahead_days = terminal.policy.document.clock.ahead_days
    terminal.journal.name_versions(terminal.policy.tariff, terminal.policy.deny_list.version)
    if terminal.canteen is not None:
        terminal.canteen.policy = terminal.policy
