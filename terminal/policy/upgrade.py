"""Region documents of earlier schemas, brought to the present one before their types are looked at."""

from __future__ import annotations

from typing import Any, Final

OLDEST_SCHEMA: Final = 1
ORDINARY: Final = "ordinary"


def upgraded(raw: dict[str, Any], schema: int) -> dict[str, Any]:
    """`raw` of `schema` in the words of the present schema; what is not a document stays what it is.

    Schema 1 had one `transfer` and one `limit` of kind `monthly_trips` per concession.
    """
    return _from_1(raw) if schema == 1 else raw


def _from_1(raw: dict[str, Any]) -> dict[str, Any]:
    new = dict(raw)
    if isinstance(new.get("transfer"), dict) and isinstance(new.get("fares"), dict):
        new["transfers"] = [{"id": ORDINARY, **new.pop("transfer")}]
        new["fares"] = {**new["fares"], "transfer": ORDINARY}
    if isinstance(new.get("concessions"), list):
        new["concessions"] = [_concession_of_1(concession) for concession in new["concessions"]]
    return new


def _concession_of_1(concession: Any) -> Any:
    if not isinstance(concession, dict) or not isinstance(concession.get("limit"), dict):
        return concession
    new = {key: value for key, value in concession.items() if key != "limit"}
    limit = {key: value for key, value in concession["limit"].items() if key != "over_limit"}
    if limit.get("kind") == "monthly_trips":
        limit["kind"] = "trips"
    new["limits"] = [limit]
    return new
