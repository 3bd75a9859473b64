"""A look at one source in the side process: what is new, sound, and this terminal's, lies ready afterwards. Each role
has its own end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from terminal.clock import from_unix_ms
from terminal.codes import BundleFault
from terminal.decoding import read_within
from terminal.updates.bundle.assignment import MOST_BYTES, AssignmentError, read_assignment
from terminal.updates.bundle.client import BundleClient, BundleRefused, SignedRole
from terminal.updates.bundle.delivery import deliver, withdraw
from terminal.updates.bundle.fetcher import BundleFetcher, FolderFetcher, HttpFetcher
from terminal.updates.bundle.kept import KeptBundles, delivered_folder, origin_of
from terminal.updates.bundle.messages import BundleLook, BundleReport, BundleSettings, RoleEnd
from terminal.updates.bundle.roles import (
    ASSIGN_FILE,
    ASSIGN_NAME,
    ROOT_FILE,
    ROOT_RULE,
    SHADOW,
    BundleRole,
)

MOST_SAID: Final = 300


class Fetchers:
    """Where bytes come from, by source: an address keeps its connection from look to look."""

    def __init__(self, tls_ca: str, alive: Callable[[], None]) -> None:
        self._tls_ca = tls_ca
        self._alive = alive
        self._kept: dict[str, BundleFetcher] = {}

    def of(self, source: str) -> BundleFetcher:
        """Raises `BundleRefused` where it cannot be used."""
        if source not in self._kept:
            self._kept[source] = _fetcher(source, self._tls_ca, self._alive)
        return self._kept[source]

    def addresses(self) -> dict[str, HttpFetcher]:
        """Those that are addresses."""
        return {source: one for source, one in self._kept.items() if isinstance(one, HttpFetcher)}

    def close(self) -> None:
        for fetcher in self._kept.values():
            fetcher.close()


def look_at(
    settings: BundleSettings,
    look: BundleLook,
    source: str,
    alive: Callable[[], None],
    fetchers: Fetchers | None = None,
) -> BundleReport:
    """How the look went; never raises for what a source does. Without `fetchers`, nothing is kept open."""
    given = Fetchers(settings.tls_ca, alive) if fetchers is None else fetchers
    try:
        return _looked(settings, look, source, _pinned(Path(settings.state)), given.of(source))
    except BundleRefused as refused:
        detail = str(refused)[:MOST_SAID]
        return _at(settings, look, source, fault=refused.fault, inputs=refused.inputs, detail=detail)
    finally:
        if fetchers is None:
            given.close()


def _pinned(state: Path) -> bytes:
    try:
        return read_within(state / ROOT_FILE, ROOT_RULE.most_bytes)
    except FileNotFoundError as error:
        raise BundleRefused(BundleFault.NO_ROOT, "root") from error
    except (OSError, ValueError) as error:
        raise BundleRefused(BundleFault.BAD_ROOT, "root", detail=str(error)) from error


def _fetcher(source: str, tls_ca: str, alive: Callable[[], None]) -> BundleFetcher:
    if not source.startswith(("http://", "https://")):
        return FolderFetcher(source, alive)
    try:
        return HttpFetcher(source, tls_ca, alive)
    except (OSError, ValueError) as error:
        raise BundleRefused(BundleFault.UNREACHABLE, "timestamp", detail=str(error)) from error


def _looked(
    settings: BundleSettings, look: BundleLook, source: str, pinned: bytes, fetcher: BundleFetcher
) -> BundleReport:
    state = Path(settings.state)
    bundles = KeptBundles(state)
    fetcher.look_ahead(bundles.versions())
    now_ms = max(look.now_ms, look.floor_ms)
    client = BundleClient(bundles, pinned, fetcher, now_ms, stand_alone=settings.stand_alone)
    client.refresh()
    ends = _Ends(client, state, settings, from_unix_ms(now_ms))
    states = ends.of_all()
    return _at(settings, look, source, versions=bundles.versions(), roles=states)


class _Ends:
    """What becomes of each role."""

    def __init__(self, client: BundleClient, state: Path, settings: BundleSettings, now: datetime) -> None:
        self._client = client
        self._state = state
        self._settings = settings
        self._now = now
        self._loaded: dict[str, SignedRole] = {}
        self._faults: dict[str, BundleRefused] = {}
        self._in_shadow: str | None = None
        self._read = True
        """Whether it is known what is in shadow here."""

    def of_all(self) -> tuple[RoleEnd, ...]:
        """Floors are raised before anything is delivered, and a role that fails hinders no other."""
        roles = [name for name in self._client.roles() if kind_of(name).value in self._settings.wanted]
        for name in sorted(roles, key=lambda name: kind_of(name) is not BundleRole.ASSIGN):
            try:
                self._loaded[name] = self._client.role(name)
            except BundleRefused as refused:
                self._faults[name] = refused
        self._client.accept(self._loaded)
        assigned = self._assigned() if BundleRole.ASSIGN in roles else None
        states = [self._end(name, assigned) for name in roles if kind_of(name) is not BundleRole.ASSIGN]
        if BundleRole.ASSIGN in roles:
            states.append(self._assignment_end())
        if BundleRole.TARIFF in roles and self._read:
            states.append(self._shadow_end())
        return tuple(end for end in states if end is not None)

    def _assigned(self) -> Mapping[BundleRole, str] | None:
        """What this terminal takes by the newest assignment; by the one before where that cannot be had. None where
        there never was one.
        """
        role = self._loaded.get(BundleRole.ASSIGN)
        if role is not None and not role.names:
            return None
        try:
            if role is not None:
                deliver(self._client, self._state, role, ASSIGN_NAME)
        except BundleRefused as refused:
            self._faults[BundleRole.ASSIGN] = refused
        file = delivered_folder(self._state, BundleRole.ASSIGN) / ASSIGN_FILE
        try:
            assignment = read_assignment(read_within(file, MOST_BYTES))
        except (OSError, ValueError, AssignmentError) as error:
            version = 0 if role is None else role.version
            unread = BundleRefused(
                BundleFault.UNREADABLE, BundleRole.ASSIGN, version, detail=type(error).__name__
            )
            self._faults.setdefault(BundleRole.ASSIGN, unread)
            self._read = False
            return None
        self._in_shadow = assignment.in_shadow(self._settings.number, self._now)
        taken = assignment.taken(self._settings.number, self._now)
        if not taken:
            self._faults.setdefault(
                BundleRole.ASSIGN, BundleRefused(BundleFault.NOT_ASSIGNED, BundleRole.ASSIGN)
            )
        return taken

    def _assignment_end(self) -> RoleEnd:
        refused = self._faults.get(BundleRole.ASSIGN)
        if refused is not None:
            return _refused(self._state, BundleRole.ASSIGN, refused)
        role = self._loaded[BundleRole.ASSIGN]
        name = ASSIGN_NAME if role.names else ""
        return RoleEnd(role=role.name, name=name, version=role.version, issued_ms=role.issued_ms)

    def _shadow_end(self) -> RoleEnd | None:
        """The tariff in shadow lies ready as those that are in force do, in a place of its own."""
        try:
            if self._in_shadow is None:
                withdraw(self._state, SHADOW)
                return None
            role = self._loaded.get(BundleRole.TARIFF)
            if role is None:
                raise self._faults[BundleRole.TARIFF]
            name = self._published(role, self._in_shadow)
            origin = deliver(self._client, self._state, role, name, SHADOW)
        except BundleRefused as refused:
            return RoleEnd(role=SHADOW, fault=refused.fault, inputs=refused.inputs)
        return RoleEnd(role=SHADOW, name=origin.name, version=origin.version, issued_ms=origin.issued_ms)

    def _end(self, name: str, assigned: Mapping[BundleRole, str] | None) -> RoleEnd | None:
        """None for a role of which nothing is for this terminal."""
        kind, role = kind_of(name), self._loaded.get(name)
        wanted = None if assigned is None else assigned.get(kind)
        try:
            if assigned is not None and (
                wanted is None or not wanted.startswith(f"{name.replace('.', '/')}/")
            ):
                if wanted is None:
                    withdraw(self._state, kind)
                return None
            if role is None:
                raise self._faults[name]
            chosen = self._only(role) if wanted is None else self._published(role, wanted)
            if chosen is None:
                return RoleEnd(role=name, version=role.version, issued_ms=role.issued_ms)
            origin = deliver(self._client, self._state, role, chosen)
        except BundleRefused as refused:
            return _refused(self._state, name, refused)
        return RoleEnd(role=name, name=origin.name, version=origin.version, issued_ms=origin.issued_ms)

    def _only(self, role: SignedRole) -> str | None:
        """Without an assignment: the one name that there is; of several operators who publish, none is chosen."""
        kind = kind_of(role.name)
        names = {name for one in self._loaded.values() if kind_of(one.name) is kind for name in one.names}
        unread = {name for name in self._faults if kind_of(name) is kind}
        if len(names | unread) > 1:
            raise BundleRefused(BundleFault.NOT_ASSIGNED, role.name, role.version)
        return next(iter(role.names), None)

    def _published(self, role: SignedRole, wanted: str) -> str:
        if wanted not in role.names:
            raise BundleRefused(BundleFault.INCOMPLETE, role.name, role.version)
        return wanted


def kind_of(name: str) -> BundleRole:
    """The role that a name in metadata is of: `roster` for `roster.17`."""
    return BundleRole(name.partition(".")[0])


def _refused(state: Path, name: str, refused: BundleRefused) -> RoleEnd:
    """What lies ready goes on to do so."""
    origin = origin_of(state, kind_of(name))
    return RoleEnd(
        role=name,
        name="" if origin is None else origin.name,
        version=0 if origin is None else origin.version,
        issued_ms=0 if origin is None else origin.issued_ms,
        fault=refused.fault,
        inputs=refused.inputs,
    )


def _at(settings: BundleSettings, look: BundleLook, source: str, **said: object) -> BundleReport:
    issued_ms = KeptBundles(Path(settings.state)).kept.issued_ms
    return BundleReport(number=look.number, source=source[:MOST_SAID], issued_ms=issued_ms, **said)  # type: ignore[arg-type]
