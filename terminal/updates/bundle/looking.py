"""A look at one source in the side process: what is new, sound, and this terminal's, lies ready afterwards. Each role has
its own end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from terminal.codes import BundleFault
from terminal.decoding import read_within
from terminal.updates.bundle.client import BundleClient, BundleRefused, SignedRole
from terminal.updates.bundle.delivery import deliver
from terminal.updates.bundle.fetcher import BundleFetcher, FolderFetcher, HttpFetcher
from terminal.updates.bundle.kept import KeptBundles, origin_of
from terminal.updates.bundle.messages import BundleReport, BundleSettings, Look, RoleState
from terminal.updates.bundle.roles import ROOT_FILE, ROOT_RULE, BundleRole

MOST_SAID: Final = 300


def look_at(settings: BundleSettings, look: Look, source: str, alive: Callable[[], None]) -> BundleReport:
    """How the look went; never raises for what a source does."""
    fetcher: BundleFetcher | None = None
    try:
        pinned = _pinned(Path(settings.state))
        fetcher = _fetcher(source, settings.tls_ca, alive)
        return _looked(settings, look, source, pinned, fetcher)
    except BundleRefused as refused:
        detail = str(refused)[:MOST_SAID]
        return _at(settings, look, source, fault=refused.fault, inputs=refused.inputs, detail=detail)
    finally:
        if fetcher is not None:
            fetcher.close()


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
    except OSError as error:
        raise BundleRefused(
            BundleFault.UNREACHABLE, "timestamp", detail=f"TLS files: {error.strerror}"
        ) from error


def _looked(
    settings: BundleSettings, look: Look, source: str, pinned: bytes, fetcher: BundleFetcher
) -> BundleReport:
    state = Path(settings.state)
    bundles = KeptBundles(state)
    now_ms = max(look.now_ms, look.floor_ms)
    client = BundleClient(bundles, pinned, fetcher, now_ms, stand_alone=settings.stand_alone)
    client.refresh()
    loaded: dict[str, SignedRole] = {}
    faults: dict[str, BundleRefused] = {}
    for name in client.roles():
        if name.partition(".")[0] in settings.wanted:
            try:
                loaded[name] = client.role(name)
            except BundleRefused as refused:
                faults[name] = refused
    client.accept(loaded)
    states = [_delivered(client, state, role) for role in loaded.values()]
    states += [_refused(state, name, refused) for name, refused in faults.items()]
    return _at(settings, look, source, versions=bundles.versions(), roles=tuple(states))


def _delivered(client: BundleClient, state: Path, role: SignedRole) -> RoleState:
    """The one name of the role, brought to where the active set looks."""
    names = sorted({path.rpartition("/")[0] for path in role.files})
    try:
        if not names:
            return RoleState(role=role.name, version=role.version, issued_ms=role.issued_ms)
        if len(names) > 1:
            raise BundleRefused(BundleFault.NOT_ASSIGNED, role.name, role.version)
        origin = deliver(client, state, role, names[0])
    except BundleRefused as refused:
        return _refused(state, role.name, refused)
    return RoleState(role=role.name, name=origin.name, version=origin.version, issued_ms=origin.issued_ms)


def _refused(state: Path, name: str, refused: BundleRefused) -> RoleState:
    """What lies ready goes on to do so."""
    origin = origin_of(state, BundleRole(name.partition(".")[0]))
    return RoleState(
        role=name,
        name="" if origin is None else origin.name,
        version=0 if origin is None else origin.version,
        issued_ms=0 if origin is None else origin.issued_ms,
        fault=refused.fault,
        inputs=refused.inputs,
    )


def _at(settings: BundleSettings, look: Look, source: str, **said: object) -> BundleReport:
    issued_ms = KeptBundles(Path(settings.state)).kept.issued_ms
    return BundleReport(number=look.number, source=source[:MOST_SAID], issued_ms=issued_ms, **said)  # type: ignore[arg-type]
