"""Drafts: a repository's beginning, what is added to roles, other keys, further days. Nothing here signs or publishes.

A changed draft loses its signatures: what was signed is never another thing than what is published.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Role, Root, TargetFile, Targets

from terminal.errors import PublishError
from terminal.publish.key_files import NAME_FIELD, read_named
from terminal.publish.repository import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP,
    Repository,
    fresh,
    parsed,
    restate,
    rule_of,
)
from terminal.updates.bundle.roles import (
    MOST_ROLES,
    PER_OPERATOR,
    STAND_ALONE_FIELD,
    BundleRole,
    path_pattern,
    role_name,
)

MOST_VERSION: Final = 2**53 - 1
"""A later version is no number to every reader of JSON."""

ALONE: Final = "school"
"""The operator of rosters and prices where one school signs for itself."""

Keys = Sequence[SSlibKey]


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as a target: its name within ROLE/NAME, its content, and what is said of it under the signature."""

    name: str
    content: bytes = field(repr=False)
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LargeFile:
    """As `NewFile`, of what lies at `path` and is never held in memory whole."""

    name: str
    path: Path
    custom: Mapping[str, Any] = field(default_factory=dict)


def keys_by_role(folder: Path) -> dict[str, list[SSlibKey]]:
    """The public keys in a folder by what they are called: `tariff-2.pub` is a key of tariff. Raises `PublishError`."""
    found: dict[str, list[SSlibKey]] = {}
    for path in sorted(folder.glob("*.pub")):
        role, dash, number = path.stem.rpartition("-")
        if not dash or not number.isdecimal():
            raise PublishError(
                f"{path} does not say which role's key it is", "Call it ROLE-NUMBER.pub, as tariff-2.pub."
            )
        found.setdefault(role, []).append(read_named(path))
    if not found:
        raise PublishError(
            f"there are no public keys in {folder}", "Make them: `terminal publish key root-1`."
        )
    return found


def begin(repository: Repository, keys: Mapping[str, Keys], now: datetime) -> None:
    """Draft root and targets of a new repository, with the keys of each role. Raises `PublishError`."""
    for name in (*TOP, *(keys.keys() - TOP.keys())):
        require_keys(name, keys.get(name, ()))
    root = fresh(Root, ROOT, 1, now, consistent_snapshot=True)
    for name in TOP:
        _set_top(root.signed, name, keys[name], rule_of(name).threshold)
    targets = fresh(Targets, TARGETS, 1, now, delegations=Delegations({}, {}))
    for name in sorted(set(keys) - set(TOP)):
        _delegate(targets.signed, name, keys[name], rule_of(name).threshold)
    _require_apart(root.signed, targets.signed)
    _begin(repository, root, targets)


def begin_alone(repository: Repository, key: SSlibKey, now: datetime) -> None:
    """Draft the repository of one school: one key for everything, and a root that says so."""
    root = fresh(Root, ROOT, 1, now, consistent_snapshot=True)
    root.signed.unrecognized_fields[STAND_ALONE_FIELD] = True
    for name in TOP:
        _set_top(root.signed, name, [key], 1)
    targets = fresh(Targets, TARGETS, 1, now, delegations=Delegations({}, {}))
    for role in BundleRole:
        _delegate(targets.signed, role_name(role, ALONE if role in PER_OPERATOR else ""), [key], 1)
    _begin(repository, root, targets)


def _begin(repository: Repository, root: Metadata[Root], targets: Metadata[Targets]) -> None:
    if repository.newest(ROOT) is not None:
        raise PublishError(
            f"{repository.folder} holds a repository already", "Change its keys with `terminal publish role`."
        )
    repository.keep_draft(ROOT, root)
    repository.keep_draft(TARGETS, targets)


def set_keys(repository: Repository, role: str, keys: Keys, now: datetime) -> list[str]:
    """Draft other keys for a role, or a new role; the roles that have to be signed for it."""
    require_keys(role, keys)
    if repository.stands_alone:
        raise PublishError(
            "a school that signs for itself has one key", "Begin a new repository for another."
        )
    if role in TOP:
        root = next_draft(repository, ROOT, now)
        _set_top(root.signed, role, keys, rule_of(role).threshold)
        _require_apart(root.signed, repository.main_targets().signed)
        repository.keep_draft(ROOT, root)
        if role != TARGETS:
            return [ROOT]
        repository.keep_draft(TARGETS, next_draft(repository, TARGETS, now))
        return [ROOT, TARGETS]
    targets = next_draft(repository, TARGETS, now)
    _delegate(targets.signed, role, keys, rule_of(role).threshold)
    _require_apart(repository.root().signed, targets.signed)
    repository.keep_draft(TARGETS, targets)
    if repository.newest(role) is None:
        return [TARGETS]
    repository.keep_draft(role, next_draft(repository, role, now))
    return [TARGETS, role]


def renew(repository: Repository, role: str, now: datetime, above: int = 0) -> None:
    """Draft the same content for further days; its version is above `above`, where a thief went up to that."""
    if role in (SNAPSHOT, TIMESTAMP):
        raise PublishError(f"{role} is made anew by each release", "See `terminal publish release`.")
    if repository.newest(role) is None:
        raise PublishError(f"nothing of {role} is published yet", "Add to it: `terminal publish add`.")
    draft = next_draft(repository, role, now)
    if above:
        if role == ROOT:
            raise PublishError("versions of a root follow one another", "Renew root without --above.")
        _require_version(above + 1)
        draft.signed.version = max(draft.signed.version, above + 1)
    repository.keep_draft(role, draft)


def put(
    repository: Repository,
    group: str,
    files: Sequence[NewFile | LargeFile],
    now: datetime,
    staying: Collection[str] = (),
) -> str:
    """Draft `files` as all there is of `ROLE/NAME` or `ROLE/OPERATOR/NAME`, besides those `staying` as they are; the
    role that has to be signed for it. No files: withdraw it. Raises `PublishError`.
    """
    role = signing_role(repository, group)
    draft = next_draft(repository, role, now)
    present: dict[str, TargetFile] = draft.signed.targets
    stay = {f"{group}/{name}" for name in staying}
    kept = {
        name: target for name, target in present.items() if name in stay or not name.startswith(f"{group}/")
    }
    if not files and kept.keys() == present.keys():
        raise PublishError(f"{group} is not published", "See `terminal publish status`.")
    for file in files:
        name = f"{group}/{file.name}"
        kept[name] = _target_of(name, file)
        if file.custom:
            kept[name].unrecognized_fields["custom"] = dict(file.custom)
    draft.signed.targets = dict(sorted(kept.items()))
    for file in files:
        target = kept[f"{group}/{file.name}"]
        if isinstance(file, NewFile):
            repository.keep_file(target, file.content)
        else:
            repository.copy_file(target, file.path)
    repository.keep_draft(role, draft)
    repository.drop_files()
    return role


def _target_of(name: str, file: NewFile | LargeFile) -> TargetFile:
    if isinstance(file, NewFile):
        return TargetFile.from_data(name, file.content, ["sha256"])
    return TargetFile.from_file(name, str(file.path), ["sha256"])


def signing_role(repository: Repository, group: str) -> str:
    """Who signs `ROLE/NAME` or `ROLE/OPERATOR/NAME`. Raises `PublishError` where it is no such name, or no keys are set
    for its role.
    """
    role = role_name(*role_of(group))
    delegations = repository.main_targets().signed.delegations
    if delegations is None or role not in (delegations.roles or {}):
        raise PublishError(
            f"{role} has no keys", f"Make them and name them: terminal publish role {role} --key {role}-1.pub"
        )
    return role


def role_of(group: str) -> tuple[BundleRole, str]:
    """Role and operator of `ROLE/NAME` or `ROLE/OPERATOR/NAME`. Raises `PublishError`."""
    words = group.split("/")
    try:
        role = BundleRole(words[0])
        fits = len(words) == (3 if role in PER_OPERATOR else 2)
    except ValueError:
        fits = False
    if not fits or not all(_is_plain(word) for word in words):
        raise PublishError(
            f"{group!a} names nothing that is published",
            "Write ROLE/NAME, or ROLE/OPERATOR/NAME for rosters and prices, in small letters, digits and dashes.",
        )
    return role, words[1] if role in PER_OPERATOR else ""


def _is_plain(word: str) -> bool:
    small = word.isascii() and word.replace("-", "").isalnum() and word == word.lower()
    return small and len(word) <= 64 and word[0].isalnum()


def require_keys(role: str, keys: Keys) -> None:
    """Raise `PublishError` for more or fewer keys than the role's rule says, or one twice."""
    rule = rule_of(role)
    if role not in TOP:
        _split(role)
    if len(keys) != rule.keys:
        raise PublishError(
            f"{role} takes {rule.keys} keys, {len(keys)} are given",
            f"{rule.threshold} of {rule.keys} sign for it. Make them: terminal publish key {role}-{len(keys) + 1}",
        )
    if len({key.keyid for key in keys}) != len(keys):
        raise PublishError(f"one key is given twice for {role}", "Give each holder a key of his own.")


def next_draft(repository: Repository, role: str, now: datetime) -> Metadata[Any]:
    """The draft of a role without signatures, or its successor to what is published, or its first version."""
    before = repository.published(role)
    found = repository.newest(role)
    if found is None:
        return fresh(Targets, role, 1, now)
    draft = parsed(found.to_bytes())
    draft.signatures.clear()
    published = 0 if before is None else before.signed.version
    _require_version(published + 1)
    restate(draft.signed, role, max(draft.signed.version, published + 1), now)
    return draft


def _require_version(version: int) -> None:
    if version > MOST_VERSION:
        raise PublishError(
            f"version {version} is too high to go on from",
            "Give the role another key and the root a new snapshot key.",
        )


def _set_top(root: Root, name: str, keys: Keys, threshold: int) -> None:
    for keyid in list(root.roles[name].keyids):
        root.revoke_key(keyid, name)
    for key in keys:
        root.add_key(deepcopy(key), name)
    root.roles[name] = Role([key.keyid for key in keys], threshold)


def _delegate(targets: Targets, name: str, keys: Keys, threshold: int) -> None:
    paths = [path_pattern(*_split(name))]
    delegations = targets.delegations or Delegations({}, {})
    roles = dict(delegations.roles or {})
    roles[name] = DelegatedRole(name, [key.keyid for key in keys], threshold, True, paths)
    if len(roles) > MOST_ROLES:
        raise PublishError(
            f"a repository has at most {MOST_ROLES} roles", "Let schools of one district have one operator."
        )
    known = {**delegations.keys, **{key.keyid: deepcopy(key) for key in keys}}
    used = {keyid for one in roles.values() for keyid in one.keyids}
    targets.delegations = Delegations({keyid: known[keyid] for keyid in known if keyid in used}, roles)


def _split(name: str) -> tuple[BundleRole, str]:
    """Role and operator by the name in metadata. Raises `PublishError`."""
    rule_of(name)
    first, _, operator = name.partition(".")
    role = BundleRole(first)
    try:
        fits = role_name(role, operator) == name and (not operator or _is_plain(operator))
    except ValueError:
        fits = False
    if not fits:
        raise PublishError(
            f"there is no role {name!a}",
            "roster and prices have one for each operator (roster.17), others have none.",
        )
    return role, operator


def _require_apart(root: Root, targets: Targets) -> None:
    """No key may sign in two roles: a thief of one key must not have two halves."""
    held: dict[str, str] = {}
    roles: dict[str, Role] = {
        **root.roles,
        **(targets.delegations.roles or {} if targets.delegations else {}),
    }
    for name, role in roles.items():
        for keyid in role.keyids:
            if keyid in held:
                raise PublishError(
                    f"{held[keyid]} and {name} have one key in common", "Make a key of its own for each role."
                )
            held[keyid] = name


def name_of(key: SSlibKey | Any) -> str:
    """What a key in metadata is called; the beginning of its id where it has no name."""
    name = key.unrecognized_fields.get(NAME_FIELD)
    return name if isinstance(name, str) else str(key.keyid[:16])
