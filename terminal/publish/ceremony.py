"""Signing on another machine: a request goes there, its words are read, a signature file comes back.

A request holds the whole metadata, and what is published now to compare with; who signs needs no repository. What is
shown is made from the very bytes that are signed. A signature file is taken only for the draft it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Root, Signed, TargetFile, Targets

from cardcli.characters import visible_line
from terminal.decoding import NewerVersion, decode_versioned, read_within
from terminal.errors import PublishError
from terminal.files import SHARED, replace_file
from terminal.publish.drafting import name_of
from terminal.publish.key_files import SigningKey
from terminal.publish.release import signatures
from terminal.publish.repository import ROOT, TARGETS, Repository, iso, parsed
from terminal.updates.bundle.roles import ISSUED_FIELD, STAND_ALONE_FIELD

MOST_REQUEST_BYTES: Final = 4 << 20
FORMAT: Final = 1
REQUEST: Final = "{role}-{version}.request"
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]
T = TypeVar("T")
Version = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class SigningRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be signed for `role`, and what is published of it now. `keys` are the ids of those that may sign, with
    their names."""

    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    role: Name
    metadata: dict[str, Any]
    keys: dict[str, str]
    published: dict[str, Any] | None = None


class SignatureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature. `sha256` is of the signed bytes; `key` is the name of the key, `keyid` its id."""

    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    role: Name
    version: Version
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    key: Name
    keyid: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


# At the office


def write_requests(repository: Repository, folder: Path) -> list[Path]:
    """Write a request into `folder` for each draft that lacks signatures."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for role in repository.drafted():
        draft = repository.draft(role)
        assert draft is not None, "it was listed"
        if not signatures(repository, role, draft).missing:
            continue
        present = repository.published(role)
        request = SigningRequest(
            FORMAT,
            role,
            Metadata(draft.signed).to_dict(),
            _signers(repository, role),
            None if present is None else present.to_dict(),
        )
        path = folder / REQUEST.format(role=role, version=draft.signed.version)
        replace_file(path, msgspec.json.format(msgspec.json.encode(request), indent=1), SHARED)
        written.append(path)
    return written


def _signers(repository: Repository, role: str) -> dict[str, str]:
    roots = [repository.root()]
    if role == ROOT:
        published = repository.published(ROOT)
        delegators: list[Metadata[Any]] = [*roots, *([] if published is None else [published])]
    else:
        delegators = [*roots] if role == TARGETS else [repository.main_targets()]
    found: dict[str, str] = {}
    for delegator in delegators:
        listed = delegator.signed.get_delegated_role(role)
        found |= {keyid: name_of(delegator.signed.get_key(keyid)) for keyid in listed.keyids}
    return found


def take(repository: Repository, path: Path, now: datetime) -> SignatureFile:
    """Put a signature that came back under its draft. Raises `PublishError`."""
    came = _read(path, SignatureFile, "signature file")
    draft = repository.draft(came.role)
    if draft is None:
        raise PublishError(f"nothing of {came.role} waits for a signature", "See `terminal publish status`.")
    if sha256(draft.signed_bytes).hexdigest() != came.sha256:
        raise PublishError(
            f"{path} signs another {came.role} than the draft that waits",
            "The draft was changed since: have the new request signed.",
        )
    before = signatures(repository, came.role, draft)
    draft.signatures[came.keyid] = Signature(came.keyid, came.signature)
    after = signatures(repository, came.role, draft)
    if after.signed == before.signed and came.key not in after.signed:
        raise PublishError(
            f"the signature in {path} does not count for {came.role}",
            f"Keys that may sign: {', '.join(after.unsigned) or 'all have signed'}.",
        )
    if after.signed != before.signed:
        repository.keep_draft(came.role, draft)
        repository.log(now, "signed", came.role, draft, came.key)
    return came


# At a key holder's


def read_request(path: Path) -> tuple[SigningRequest, Metadata[Any]]:
    """What is asked to be signed. Raises `PublishError`."""
    request = _read(path, SigningRequest, "request")
    try:
        metadata = parsed(msgspec.json.encode(request.metadata))
    except ValueError as error:
        raise PublishError(f"{path} holds nothing that can be signed: {error}", _AGAIN) from error
    if isinstance(metadata.signed, Root) != (request.role == ROOT):
        raise PublishError(f"{path} asks for {request.role} and holds {metadata.signed.type}", _AGAIN)
    if not _has_its_keys(metadata.signed):
        raise PublishError(f"{path} gives a role a key that it does not hold", _AGAIN)
    if isinstance(metadata.signed, Targets) and not _have_hashes(metadata.signed):
        raise PublishError(f"{path} has a file without its SHA-256", _AGAIN)
    return request, metadata


def _have_hashes(targets: Targets) -> bool:
    return all("sha256" in file.hashes for file in targets.targets.values())


def _has_its_keys(signed: Signed) -> bool:
    """Whether every key that a role is given stands there, too."""
    if isinstance(signed, Root):
        return all(keyid in signed.keys for role in signed.roles.values() for keyid in role.keyids)
    listed = signed.delegations if isinstance(signed, Targets) else None
    roles = {} if listed is None else listed.roles or {}
    return all(
        listed is not None and keyid in listed.keys for role in roles.values() for keyid in role.keyids
    )


def sign(request: SigningRequest, metadata: Metadata[Any], key: SigningKey) -> SignatureFile:
    """Sign what was read. Raises `PublishError` for a key that does not count."""
    if key.keyid not in request.keys:
        raise PublishError(
            f"{key.name} does not sign {request.role}",
            f"Keys that do: {', '.join(sorted(request.keys.values()))}.",
        )
    signed = metadata.sign(key.signer)
    digest = sha256(metadata.signed_bytes).hexdigest()
    return SignatureFile(
        FORMAT, request.role, metadata.signed.version, digest, key.name, key.keyid, signed.signature
    )


def write_signature(folder: Path, made: SignatureFile) -> Path:
    path = folder / f"{made.role}-{made.version}.{made.key}.signature"
    try:
        replace_file(path, msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n", SHARED)
    except OSError as error:
        raise PublishError(f"{path}: {error.strerror}", "Name another folder with --out.") from error
    return path


def words(request: SigningRequest, metadata: Metadata[Any]) -> Iterator[str]:
    """What is signed, in plain words, a line each: nothing in it can begin a line of its own."""
    return map(visible_line, _words(request, metadata))


def _words(request: SigningRequest, metadata: Metadata[Any]) -> Iterator[str]:
    signed = metadata.signed
    yield f"{request.role}, version {signed.version}"
    yield f"  made {signed.unrecognized_fields.get(ISSUED_FIELD, 'without a date')}, valid until {iso(signed.expires)}"
    yield f"  SHA-256 of what is signed: {sha256(metadata.signed_bytes).hexdigest()}"
    if isinstance(signed, Root):
        yield from _root_words(signed)
    if isinstance(signed, Targets):
        yield from _targets_words(signed, _published(request))


def _root_words(root: Root) -> Iterator[str]:
    if root.unrecognized_fields.get(STAND_ALONE_FIELD) is True:
        yield "  the root of one school that signs for itself: terminals of a fleet refuse it"
    for name, role in root.roles.items():
        names = ", ".join(name_of(root.keys[keyid]) for keyid in role.keyids)
        yield f"  {name}: {role.threshold} of {len(role.keyids)} sign: {names}"


def _targets_words(targets: Targets, before: Targets | None) -> Iterator[str]:
    listed = targets.delegations.roles or {} if targets.delegations is not None else {}
    for name, role in listed.items():
        keys = targets.delegations.keys if targets.delegations is not None else {}
        names = ", ".join(name_of(keys[keyid]) for keyid in role.keyids)
        yield f"  {name}: {role.threshold} of {len(role.keyids)} sign {', '.join(role.paths or [])}: {names}"
    present: dict[str, TargetFile] = {} if before is None else before.targets
    for name, target in targets.targets.items():
        yield f"  {_change(target, present.get(name))} {name}: {_target_words(target)}"
    for name in present.keys() - targets.targets.keys():
        yield f"  WITHDRAWN {name}"
    if not targets.targets and not listed:
        yield "  nothing is published under it"


def _change(target: TargetFile, before: TargetFile | None) -> str:
    if before is None:
        return "NEW"
    return "as before" if target.hashes == before.hashes else "CHANGED"


def _target_words(target: TargetFile) -> str:
    custom = target.custom if isinstance(target.custom, dict) else {}
    said = [f"{name} {value}" for name, value in custom.items()]
    return ", ".join([*said, f"{target.length} bytes", f"SHA-256 {target.hashes['sha256']}"])


def _published(request: SigningRequest) -> Targets | None:
    if request.published is None:
        return None
    try:
        found = parsed(msgspec.json.encode(request.published)).signed
    except ValueError as error:
        raise PublishError(f"the request holds no published metadata: {error}", _AGAIN) from error
    return found if isinstance(found, Targets) else None


_AGAIN: Final = "Have it written again: `terminal publish request`."


def _read(path: Path, kind: type[T], called: str) -> T:
    try:
        content = read_within(path, MOST_REQUEST_BYTES)
        return decode_versioned(content, kind, FORMAT, MOST_REQUEST_BYTES, in_format=True)
    except OSError as error:
        raise PublishError(f"{called} {path}: {error.strerror}", "Check the path.") from error
    except NewerVersion as error:
        raise PublishError(f"{called} {path}: {error}", "Update this machine's software.") from error
    except msgspec.DecodeError as error:
        raise PublishError(
            f"{path} is no {called}: {error}", "Copy it again from the machine it was made on."
        ) from error
