"""A package's bill of materials: what it carries, from where, under which licence and hash (CycloneDX 1.6, JSON)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from release.vendored import Library

SPECIFICATION: Final = "1.6"


def bill_of_materials(name: str, version: str, own: Library, carried: Sequence[Library], at: int) -> str:
    """The bill of the Debian package `name`, which carries the product `own` and the libraries `carried`.

    The same package has the same bill, its serial number included.
    """
    components = [_component(library) for library in (own, *carried)]
    digest = json.dumps([name, version, components], sort_keys=True)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
            "component": {"type": "application", "bom-ref": name, "name": name, "version": version},
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"


def _component(library: Library) -> dict[str, Any]:
    purl = f"pkg:pypi/{library.name.lower().replace('_', '-')}@{library.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": library.name,
        "version": library.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": library.sha256}],
    }
    expression = library.metadata["License-Expression"]
    stated = library.metadata["License"]
    if expression:
        component["licenses"] = [{"expression": expression}]
    elif stated:
        component["licenses"] = [{"license": {"name": stated.strip().splitlines()[0]}}]
    return component
