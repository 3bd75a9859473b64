"""What of the drafts may go out, and the release itself: files first, then roles, then snapshot, then timestamp.

A draft goes out when as many have signed as its role takes. Keys and what they sign change together: metadata that
gives a role other keys waits until that role is signed with them, so that no terminal ever sees a role whose signatures
do not fit. Only the small timestamp makes a release visible, and it is replaced whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, Targets, Timestamp

from terminal.errors import PublishError
from terminal.publish.drafting import MOST_VERSION, name_of, next_draft
from terminal.publish.key_files import SigningKey
from terminal.publish.repository import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Repository, fresh, rule_of

Document = Metadata[Any]
RENEWED_AT: Final = 2
"""What one key signs is signed again when this part of its days is left: half of them."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """Of one draft: the keys that signed, those that may still, and how many more it takes."""

    signed: tuple[str, ...]
    unsigned: tuple[str, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Released:
    """The roles that went out with their versions."""

    versions: Mapping[str, int]


def signatures(repository: Repository, role: str, draft: Document) -> Signatures:
    """How far the signing of a draft has come."""
    if role == ROOT:
        return _of_root(draft, repository.published(ROOT))
    delegator = repository.root() if role in (TARGETS, SNAPSHOT, TIMESTAMP) else repository.main_targets()
    return signatures_under(delegator, role, draft)


def signatures_under(delegator: Document, role: str, draft: Document) -> Signatures:
    """The same by the keys that one root, or one top-level targets, gives the role."""
    result = delegator.signed.get_verification_result(role, draft.signed_bytes, draft.signatures)
    return Signatures(_names(result.signed), _names(result.unsigned), result.missing)


def _of_root(draft: Document, before: Document | None) -> Signatures:
    previous: Root | None = None if before is None else before.signed
    result = draft.signed.get_root_verification_result(previous, draft.signed_bytes, draft.signatures)
    missing = max(result.first.missing, result.second.missing)
    return Signatures(_names(result.signed), _names(result.unsigned), missing)


def _names(keys: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(name_of(key) for key in keys.values()))


def releasable(repository: Repository) -> dict[str, Document]:
    """The drafts that may go out now, together."""
    drafts = {role: draft for role in repository.drafted() if (draft := repository.draft(role)) is not None}
    root = drafts.get(ROOT)
    if root is not None and not _of_root(root, repository.published(ROOT)).missing:
        found = _under(repository, root, drafts)
        if found is not None:
            return {ROOT: root, **found}
    present = repository.published(ROOT)
    return {} if present is None else _under(repository, present, drafts) or {}


def _under(
    repository: Repository, root: Document, drafts: Mapping[str, Document]
) -> dict[str, Document] | None:
    """What may go out under this root; None where it has no targets that are signed for it."""
    draft, present = drafts.get(TARGETS), repository.published(TARGETS)
    if draft is not None and _verified(root, TARGETS, draft):
        found = _below(repository, draft, drafts)
        if found is not None:
            return {TARGETS: draft, **found}
    if present is None or not _verified(root, TARGETS, present):
        return None
    return _below(repository, present, drafts) or {}


def _below(
    repository: Repository, targets: Document, drafts: Mapping[str, Document]
) -> dict[str, Document] | None:
    """The signed drafts of delegated roles; None where what is published of one would not fit these targets."""
    found: dict[str, Document] = {}
    listed = targets.signed.delegations
    for role in listed.roles or {} if listed is not None else {}:
        draft, present = drafts.get(role), repository.published(role)
        if draft is not None and _verified(targets, role, draft):
            found[role] = draft
        elif present is not None and not _verified(targets, role, present):
            return None
    return found


def _verified(delegator: Document, role: str, signed: Document) -> bool:
    try:
        delegator.signed.verify_delegate(role, signed.signed_bytes, signed.signatures)
    except (UnsignedMetadataError, ValueError):
        return False
    return True


def sign_alone(repository: Repository, keys: Iterable[SigningKey], now: datetime) -> None:
    """Sign and, where half of its days are over, renew what one of `keys` signs by itself: daily lists, and all of a
    school that stands alone. What takes two is only ever signed where its words were read.
    """
    for role in repository.roles():
        if role in (SNAPSHOT, TIMESTAMP):
            continue
        key = _alone(repository, role, keys)
        if key is None:
            continue
        draft, present = repository.draft(role), repository.published(role)
        if draft is None and present is not None and half_over(present, role, now):
            draft = next_draft(repository, role, now)
        if draft is not None and key.keyid not in draft.signatures:
            draft.sign(key.signer, append=True)
            repository.keep_draft(role, draft)
            repository.log(now, "signed", role, draft, key.name)


def _alone(repository: Repository, role: str, keys: Iterable[SigningKey]) -> SigningKey | None:
    root = repository.root()
    delegator = root if role in (ROOT, TARGETS) else repository.main_targets()
    listed: Role = delegator.signed.get_delegated_role(role)
    if listed.threshold > 1:
        return None
    return next((key for key in keys if key.keyid in listed.keyids), None)


def half_over(signed: Document, role: str, now: datetime) -> bool:
    left: timedelta = signed.signed.expires - now
    return left < timedelta(days=rule_of(role).days) / RENEWED_AT


def release(
    repository: Repository, keys: Iterable[SigningKey], now: datetime, above: Mapping[str, int] | None = None
) -> Released:
    """Publish every draft that is signed, a snapshot if anything changed, and a new timestamp. `above` raises the
    version of snapshot or timestamp over one that a thief went up to. Raises `PublishError`, and nothing is visible.
    """
    keys, above = tuple(keys), above or {}
    sign_alone(repository, keys, now)
    ready = releasable(repository)
    root = ready.get(ROOT) or repository.published(ROOT)
    if root is None:
        raise PublishError(
            "root is not signed yet", "See `terminal publish status`: it names the keys that are missing."
        )
    online = {role: _online(root, role, keys) for role in (SNAPSHOT, TIMESTAMP)}
    snapshot = _snapshot(repository, ready, root, now, above.get(SNAPSHOT, 0))
    timestamp = _timestamp(repository, snapshot, now, above.get(TIMESTAMP, 0))
    for role, made in ((SNAPSHOT, snapshot), (TIMESTAMP, timestamp)):
        if not made.signatures:
            made.sign(online[role].signer)
    for draft in ready.values():
        if isinstance(draft.signed, Targets):
            repository.publish_files(draft.signed)
    for role, made in (*ready.items(), (SNAPSHOT, snapshot), (TIMESTAMP, timestamp)):
        repository.publish(role, made)
    out = {**ready, SNAPSHOT: snapshot, TIMESTAMP: timestamp}
    for role, made in out.items():
        repository.log(now, "published", role, made)
        repository.drop_draft(role)
    return Released({role: made.signed.version for role, made in out.items()})


def _online(root: Document, role: str, keys: Iterable[SigningKey]) -> SigningKey:
    listed = root.signed.roles[role].keyids
    key = next((key for key in keys if key.keyid in listed), None)
    if key is None:
        names = ", ".join(name_of(root.signed.keys[keyid]) for keyid in listed)
        raise PublishError(f"the key of {role} is missing: {names}", f"Give its file: --key {names}.key")
    return key


def _snapshot(
    repository: Repository, ready: Mapping[str, Document], root: Document, now: datetime, above: int
) -> Metadata[Snapshot]:
    """The present one where it still says what is published, with days left and by keys that count; else a new one."""
    present = repository.published(SNAPSHOT)
    targets = ready.get(TARGETS) or repository.published(TARGETS)
    if targets is None:
        raise PublishError("targets is not signed yet", "See `terminal publish status`.")
    listed = targets.signed.delegations
    meta = {"targets.json": MetaFile(targets.signed.version)}
    for role in listed.roles or {} if listed is not None else {}:
        found = ready.get(role) or repository.published(role)
        if found is not None:
            meta[f"{role}.json"] = MetaFile(found.signed.version)
    if present is not None and not above and _verified(root, SNAPSHOT, present):
        same = present.signed.meta == meta and not half_over(present, SNAPSHOT, now)
        if same:
            return present
    return fresh(Snapshot, SNAPSHOT, _after(present, above), now, meta=meta)


def _timestamp(
    repository: Repository, snapshot: Metadata[Snapshot], now: datetime, above: int
) -> Metadata[Timestamp]:
    version = _after(repository.published(TIMESTAMP), above)
    return fresh(Timestamp, TIMESTAMP, version, now, snapshot_meta=MetaFile(snapshot.signed.version))


def _after(present: Document | None, above: int) -> int:
    version = max(0 if present is None else present.signed.version, above) + 1
    if version > MOST_VERSION:
        raise PublishError(
            f"version {version} is too high to go on from", "Give the role a new key through root."
        )
    return version
