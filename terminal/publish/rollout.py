"""`terminal publish rollout`: a new tariff for some terminals first, signed off by name, then confirmed or withdrawn.

All of it is the assignment, drafted here and signed as ever, and lines of the log: who answers for a step, and the hash
of what `terminal policy impact` found (O-12).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from terminal.decoding import decode_json, read_within
from terminal.errors import PublishError
from terminal.publish.adding import ASSIGN_GROUP, AddOrder, add
from terminal.publish.drafting import role_of
from terminal.publish.repository import Repository, hashed
from terminal.updates.bundle.assignment import MOST_BYTES, read_assignment
from terminal.updates.bundle.roles import ASSIGN_FILE, BundleRole

MOST_REPORT_BYTES: Final = 16 << 20
LONGEST_NAME: Final = 100


class _NamedDocument(msgspec.Struct, frozen=True):
    tariff: str


class _Impact(msgspec.Struct, frozen=True):
    """What is read of `terminal policy impact --json`."""

    new: _NamedDocument


@dataclass(frozen=True, slots=True)
class Step:
    """`percent` of `terminals` ("70001", "70010-70099") take `group` from `begins` on (None: at once)."""

    group: str
    terminals: Sequence[int | str]
    percent: int | None
    begins: datetime | None


class RolloutStep(msgspec.Struct, frozen=True):
    """A step as it is assigned, with what is said of its document."""

    group: str
    edition: str
    terminals: tuple[int | str, ...]
    percent: int
    begins: str
    said: str


def start(repository: Repository, step: Step, by: str, impact: Path, now: datetime) -> str:
    """Draft one more step; the edition it is about. `impact` is the result of the replay that `by` answers for. Raises
    `PublishError`; then nothing has changed.
    """
    require_name(by)
    edition = edition_of(repository, step.group)
    digest = _require_of(impact, edition)
    group: dict[str, Any] = {"terminals": list(step.terminals), "takes": [step.group]}
    if step.percent is not None:
        group["percent"] = step.percent
    group["from"] = (step.begins or now).isoformat()
    assignment = _assignment(repository)
    _draft(repository, {**assignment, "groups": [*assignment["groups"], group]}, now)
    repository.note(now, f"rollout:start {step.group}", edition, by, digest)
    return edition


def shadow(repository: Repository, step: Step, by: str, now: datetime) -> str:
    """Draft that the terminals of `step` decide each tap once more by its tariff, in shadow; the edition it is. Raises
    `PublishError`.
    """
    require_name(by)
    edition = edition_of(repository, step.group)
    assignment = _assignment(repository)
    group: dict[str, Any] = {"terminals": list(step.terminals), "shadow": step.group}
    if step.percent is not None:
        group["percent"] = step.percent
    group["from"] = (step.begins or now).isoformat()
    _draft(repository, {**assignment, "groups": [*assignment["groups"], group]}, now)
    repository.note(now, f"rollout:shadow {step.group}", edition, by)
    return edition


def end_shadow(repository: Repository, group: str, by: str, now: datetime) -> str:
    """Draft that the tariff `group` is in shadow nowhere any more; the edition it is. Raises `PublishError`."""
    require_name(by)
    edition, assignment = edition_of(repository, group), _assignment(repository)
    ended = [one for one in assignment["groups"] if one.get("shadow") == group]
    if not ended:
        raise PublishError(f"{group} is in shadow nowhere", "See `terminal publish rollout status`.")
    left = [one for one in assignment["groups"] if one not in ended]
    left += [{**one, "shadow": None} for one in ended if one.get("takes")]
    _draft(repository, {**assignment, "groups": left}, now)
    repository.note(now, f"rollout:end-shadow {group}", edition, by)
    return edition


def written_terminals(written: str) -> tuple[int | str, ...]:
    """Numbers and ranges as an assignment has them. Raises `PublishError`; the assignment checks the ranges."""
    parts = [part.strip() for part in written.split(",")]
    if not all(re.fullmatch(r"[1-9][0-9]{0,6}(-[1-9][0-9]{0,6})?", part) for part in parts):
        raise PublishError(f"{written!a} names no terminals", "Write 70001,70010-70099.")
    return tuple(part if "-" in part else int(part) for part in parts)


def confirm(repository: Repository, edition: str, by: str, now: datetime) -> None:
    """Draft the word that `edition` is in force for good wherever it is. Raises `PublishError`."""
    _say(repository, "confirmed", edition, by, now)


def withdraw(repository: Repository, edition: str, by: str, now: datetime) -> None:
    """Draft the word that terminals on trial go back from `edition`, and take it from no one any more: the steps that
    give it end. Raises `PublishError`.
    """
    assignment = _say(repository, "withdrawn", edition, by, now)
    left = [group for group in assignment["groups"] if not _gives(repository, group, edition)]
    _draft(repository, {**assignment, "groups": left}, now)


def standing(repository: Repository) -> tuple[RolloutStep, ...]:
    """Every group of the newest assignment that gives a tariff, or has one in shadow."""
    assignment = _assignment(repository)
    found = []
    for group in assignment["groups"]:
        in_shadow = [group["shadow"]] if group.get("shadow") else []
        for name in (*group.get("takes", ()), *in_shadow):
            if name.startswith(f"{BundleRole.TARIFF.value}/"):
                edition = edition_of(repository, name)
                said = [word for word in ("withdrawn", "confirmed") if edition in assignment.get(word, ())]
                said = ["shadow"] if name in in_shadow else said
                found.append(
                    RolloutStep(
                        name,
                        edition,
                        tuple(group["terminals"]),
                        group.get("percent", 100),
                        group.get("from", ""),
                        said[0] if said else "",
                    )
                )
    return tuple(found)


def edition_of(repository: Repository, group: str) -> str:
    """Which document `tariff/NAME` is, drafted or published. Raises `PublishError`."""
    role, _ = role_of(group)
    if role is not BundleRole.TARIFF:
        raise PublishError(f"{group} is no tariff", "Write tariff/NAME; other roles are assigned at once.")
    newest = repository.newest(role)
    targets = {} if newest is None else newest.signed.targets
    target = targets.get(f"{group}/region.toml")
    if target is None or not isinstance(target.custom, dict):
        raise PublishError(f"{group} is not published", "Add it first: `terminal publish add`.")
    return f"{target.custom['id']}:{target.custom['version']}"


def require_name(by: str) -> None:
    """Raise `PublishError` where no one answers."""
    if not by.strip() or len(by) > LONGEST_NAME or not by.isprintable():
        raise PublishError("a person answers for each step", "Give a name of one line: --by NAME.")


def _require_of(impact: Path, edition: str) -> str:
    """The hash of the result in a file, which has to be about this edition."""
    try:
        content = read_within(impact, MOST_REPORT_BYTES)
        found = decode_json(content, _Impact, MOST_REPORT_BYTES)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise PublishError(
            f"{impact} is no result of a replay: {error}", "Make it: `terminal policy impact … --json`."
        ) from error
    if found.new.tariff != edition:
        raise PublishError(
            f"{impact} is about {found.new.tariff}, and {edition} is published",
            "Replay the document that is published.",
        )
    return sha256(content).hexdigest()


def _say(repository: Repository, word: str, edition: str, by: str, now: datetime) -> dict[str, Any]:
    require_name(by)
    given = {one.edition for one in standing(repository) if one.said != "shadow"}
    if edition not in given:
        known = ", ".join(sorted(given)) or "none"
        raise PublishError(f"{edition} is given to no terminal", f"Documents that are: {known}.")
    assignment = _assignment(repository)
    words = assignment.get(word, [])
    if edition in words:
        raise PublishError(f"{edition} is {word} already", "Sign and release what is drafted.")
    changed = {**assignment, word: [*words, edition]}
    _draft(repository, changed, now)
    repository.note(now, f"rollout:{word}", edition, by)
    return changed


def _gives(repository: Repository, group: dict[str, Any], edition: str) -> bool:
    tariffs = [name for name in group.get("takes", ()) if name.startswith(f"{BundleRole.TARIFF.value}/")]
    return any(edition_of(repository, name) == edition for name in tariffs)


def _assignment(repository: Repository) -> dict[str, Any]:
    """The newest, drafted or published. Raises `PublishError` where there is none: a step is an exception from it."""
    newest = repository.newest(BundleRole.ASSIGN)
    target = None if newest is None else newest.signed.targets.get(f"{ASSIGN_GROUP}/{ASSIGN_FILE}")
    if target is None:
        raise PublishError(
            "there is no assignment that says what terminals take now",
            f"Add it first: `terminal publish add {ASSIGN_GROUP} assignment.json`.",
        )
    name = hashed(f"{ASSIGN_GROUP}/{ASSIGN_FILE}", target.hashes["sha256"])
    path = next(
        (one / name for one in (repository.files, repository.targets) if (one / name).is_file()), None
    )
    if path is None:
        raise PublishError("the file of the assignment is missing", "Add it again.")
    content = read_within(path, MOST_BYTES)
    read_assignment(content, str(path))
    return decode_json(content, dict[str, Any], MOST_BYTES)


def _draft(repository: Repository, assignment: dict[str, Any], now: datetime) -> None:
    draft = repository.folder / "assignment.draft.json"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(assignment)))
    try:
        add(repository, AddOrder(ASSIGN_GROUP, draft), now)
    finally:
        draft.unlink(missing_ok=True)
