"""Who signs what in a bundle: the delegated roles, what each may sign, how many keys it takes, how long it holds.

A target's name is `ROLE/NAME/FILE`, for rosters and prices `ROLE/OPERATOR/NAME/FILE`: the files of one `ROLE/NAME` come
and go together. Names tell nothing of persons. Figures: docs/adr/0051-signed-bundles.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from terminal.codes import SetKind


class BundleRole(StrEnum):
    """A delegated role; those `PER_OPERATOR` have one for each operator of schools (`roster.17`)."""

    TARIFF = "tariff"
    """Region documents, each with the tables of its feed."""
    ROUTES = "routes"
    DENY = "deny"
    GRANTS = "grants"
    ROSTER = "roster"
    PRICES = "prices"
    STAFF = "staff"
    """Who may work at which terminals, with what their PINs are checked by."""
    ISSUERS = "issuers"
    CA = "ca"
    """Keys of payment systems that bank cards are checked by."""
    ASSIGN = "assign"
    """Which terminal takes which names, and when."""


PER_OPERATOR: Final = frozenset({BundleRole.ROSTER, BundleRole.PRICES})
ISSUED_FIELD: Final = "x-issued"
"""In the signed part of every file of metadata: when it was signed, as text, ISO 8601 in UTC (`2026-11-30T10:00:00Z`).
Freshness is counted from it, expiry from what the library knows.
"""
ISSUED_CUSTOM: Final = "issued"
"""Of a deny list, beside id and version: when it was issued, ISO 8601 in UTC."""
STAND_ALONE_FIELD: Final = "x-stand-alone"
"""In the signed part of a root: true where one school signs for itself. A fleet's terminal refuses such a root."""
METADATA_FOLDER: Final = "metadata"
TARGETS_FOLDER: Final = "targets"
"""The two folders of a repository; its address is the one they lie in, at a collector `/v1/bundles/`."""
ROOT_FILE: Final = "trust/root.json"
"""The root that a terminal trusts, in its state folder."""
ASSIGN_NAME: Final = "assign/fleet"
ASSIGN_FILE: Final = "assignment.json"
SHADOW: Final = "shadow"
"""Where a tariff lies that decides in shadow, beside the delivered roles."""
DENY_FILE: Final = "deny-list"
DENY_CHANGES_FILE: Final = "deny-changes"
"""All changes since the list."""
DENY_INCREMENT_FILE: Final = "deny-increment"
"""The newest increment. The ones before lie beside it under their hashes, each of which the next one names."""
DENY_MERGE_FILE: Final = "deny-merge"
"""All changes that made the list of the one before: who has that makes the list and fetches none."""
DENY_HELP: Final = frozenset({DENY_INCREMENT_FILE, DENY_MERGE_FILE})
"""Files of a deny list that are no part of what is delivered: the others are made with them."""
MOST_ROLES: Final = 20
"""Delegations of one repository, operators' included."""


@dataclass(frozen=True, slots=True)
class RoleRule:
    """`threshold` of `keys` sign; what is signed holds for `days`; `most_bytes` of its metadata."""

    threshold: int
    keys: int
    days: int
    most_bytes: int = 1 << 20


RULES: Final = {
    BundleRole.TARIFF: RoleRule(2, 3, 365),
    BundleRole.ROUTES: RoleRule(1, 1, 365),
    BundleRole.DENY: RoleRule(1, 1, 45),
    BundleRole.GRANTS: RoleRule(1, 1, 45),
    BundleRole.ROSTER: RoleRule(1, 1, 120),
    BundleRole.PRICES: RoleRule(1, 1, 365),
    BundleRole.STAFF: RoleRule(1, 1, 120),
    BundleRole.ISSUERS: RoleRule(2, 3, 365),
    BundleRole.CA: RoleRule(1, 1, 365),
    BundleRole.ASSIGN: RoleRule(1, 1, 45),
}
ROOT_RULE: Final = RoleRule(2, 3, 730, 64 << 10)
TARGETS_RULE: Final = RoleRule(2, 2, 365)
SNAPSHOT_RULE: Final = RoleRule(1, 1, 60, 64 << 10)
TIMESTAMP_RULE: Final = RoleRule(1, 1, 45, 4 << 10)

KINDS: Final = {
    BundleRole.TARIFF: SetKind.REGION,
    BundleRole.ROUTES: SetKind.ROUTES,
    BundleRole.DENY: SetKind.DENY,
    BundleRole.GRANTS: SetKind.GRANTS,
    BundleRole.ROSTER: SetKind.ROSTER,
    BundleRole.PRICES: SetKind.PRICES,
}
"""What of the active set comes from a role; the others have readers of their own."""


FILES: Final = {
    BundleRole.TARIFF: ("region.toml",),
    BundleRole.ROUTES: ("routes.toml",),
    BundleRole.DENY: ("deny-list", DENY_CHANGES_FILE),
    BundleRole.GRANTS: ("grants-list",),
    BundleRole.ROSTER: ("roster.json", "roster.toml"),
    BundleRole.PRICES: ("prices.json", "prices.toml"),
    BundleRole.STAFF: ("staff.json",),
    BundleRole.ISSUERS: ("issuers.toml",),
    BundleRole.CA: ("bank-ca.json",),
    BundleRole.ASSIGN: (ASSIGN_FILE,),
}
"""All that a role may bring to a terminal; beside a region document its tables, which are no TOML."""


def may_bring(role: BundleRole, file: str) -> bool:
    """Whether `file` may be published under `role`. Settings of a terminal may be by none."""
    tables = role is BundleRole.TARIFF and not file.endswith(".toml")
    return tables or file in FILES.get(role, ())


def role_name(role: BundleRole, operator: str = "") -> str:
    """How the role is called in metadata. Raises `ValueError` where an operator is missing or has no place."""
    if (role in PER_OPERATOR) != bool(operator):
        raise ValueError(f"{role.value}: operator {operator!r}")
    return f"{role.value}.{operator}" if operator else role.value


def path_pattern(role: BundleRole, operator: str = "") -> str:
    """The names of targets that the role may sign; `*` stands for no slash."""
    role_name(role, operator)
    return f"{role.value}/{operator}/*/*" if operator else f"{role.value}/*/*"
