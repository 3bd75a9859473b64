"""The description of every route, in OpenAPI 3.1: served at /openapi.json and kept in docs/ as the same text."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.collector.alarms import AlarmCause, SeenAlarm
from terminal.collector.days import By
from terminal.collector.entrance import COOKIE, PREFIX
from terminal.collector.operator_routes import (
    METRICS_PATH,
    MOST_ALARMS,
    Acknowledgement,
)
from terminal.collector.recompute.trials import GroupCount, ShadowSum
from terminal.collector.strangers import StrangerCount
from terminal.collector.terminal_routes import COLLECTOR_OK, HEALTH_PATH
from terminal.collector.totals import Totals
from terminal.collector.views import CollectorStatus, DayView, TerminalView
from terminal.sync.enrolment import (
    ENROLMENTS_PATH,
    RENEWALS_PATH,
    EnrolmentRequest,
    IdentityReply,
    RenewalRequest,
)
from terminal.sync.failed_start import FAILED_STARTS_PATH, FailedStart, StartHeard
from terminal.sync.trust import BUNDLES_PATH
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH, Refusal
from terminal.texts import languages
from terminal.updates.bundle.newer import NEWER

PATH: Final = "/openapi.json"
JSON: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
METRICS_TYPE: Final = "text/plain"
TEXT: Final = {"type": "string"}
TOKEN: Final[list[dict[str, list[str]]]] = [{"bearer": []}]
READING: Final[list[dict[str, list[str]]]] = [*TOKEN, {"session": []}, {}]
"""{}: a collector that listens on loopback lets local users read without either."""

_SHAPES: Final = (
    Acknowledgement,
    DayView,
    EnrolmentRequest,
    FailedStart,
    StartHeard,
    IdentityReply,
    RenewalRequest,
    Refusal,
    CollectorStatus,
    TerminalView,
    Totals,
)


def as_json() -> bytes:
    """The document as it is served."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


def document() -> dict[str, Any]:
    """The document as values."""
    _, shapes = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Collector of resident-card terminals",
            "version": "1",
            "description": "Terminals use /v1, operators /operator. Times are ms since 1970 UTC, money minor units"
            " of the currency named with it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**_terminal_paths(), **_operator_paths(), **_served_paths()},
        "components": {
            "schemas": {
                **shapes,
                "Alarm": _alarm(),
                "StrangerCount": _stranger(),
                "Ride": _ride(),
                "GroupCount": _object(
                    {
                        **_numbers(*GroupCount._fields[1:-1]),
                        "edition": TEXT,
                        "withdrawn": {"type": "boolean"},
                    }
                ),
                "ShadowSum": _object(
                    {
                        "edition": TEXT,
                        "currency": TEXT,
                        **_numbers(
                            *(name for name in ShadowSum._fields if name not in ("edition", "currency"))
                        ),
                    }
                ),
                "Health": _health(),
                "Report": _report(),
                "Code": _code(),
                "Request": _request(),
                "Staged": _object({"digest": TEXT, "changes": _list(TEXT)}),
                "Operation": _object(
                    {**_numbers("at_ms", "terminal"), "code": TEXT, "about": TEXT, "by": TEXT}
                ),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _terminal_paths() -> dict[str, Any]:
    busy = {"429": _refusal("Wait: too many requests.", retry=True), "503": _refusal("Wait.", retry=True)}
    return {
        BATCHES_PATH: {
            "post": {
                "operationId": "upload",
                "summary": "A signed batch of consecutive rows; the reply names the newest row durably held",
                "requestBody": {"required": True, "content": {BATCH_TYPE: {"schema": _binary()}}},
                "responses": {
                    "200": {
                        "description": "A signed acknowledgement.",
                        "content": {BATCH_TYPE: {"schema": _binary()}},
                    },
                    "400": _refusal("No batch of this protocol version."),
                    "403": _refusal("Not enrolled, a wrong signature, or another's certificate."),
                    "409": _refusal("Rows are missing before it, or differ from those held."),
                    "413": _refusal("Too large."),
                    **busy,
                },
            }
        },
        ENROLMENTS_PATH: _keys(
            "enrol", "Put a terminal's keys in force with a one-time code", "EnrolmentRequest", busy
        ),
        RENEWALS_PATH: _keys(
            "renew", "New keys and a new certificate, approved with the keys in force", "RenewalRequest", busy
        ),
        FAILED_STARTS_PATH: {
            "post": {
                "operationId": "failedStart",
                "summary": "A terminal that cannot read its journal says so, signed with its key",
                "requestBody": _body("FailedStart"),
                "responses": {
                    "200": _json("Kept; the collector signs for it.", _ref("StartHeard")),
                    "400": _refusal("No such message."),
                    "403": _refusal("Not enrolled, or a wrong signature."),
                    "413": _refusal("Too large."),
                    **busy,
                },
            }
        },
        HEALTH_PATH: {
            "get": {
                "operationId": "health",
                "summary": "Is it alive, and how much does it hold",
                "responses": {
                    "200": _json("It is.", _ref("Health")),
                    **busy,
                },
            }
        },
    }


def _operator_paths() -> dict[str, Any]:
    operations = {**_page_paths(), **_office_paths(), **_view_paths()}
    return {PREFIX + path: methods for path, methods in operations.items()}


def _served_paths() -> dict[str, Any]:
    """What anyone may read."""
    numbers = {
        "200": {"description": "Prometheus' text format.", "content": {METRICS_TYPE: {"schema": TEXT}}}
    }
    newer = {"operationId": "newer", "summary": "Wait for something newer", "parameters": []}
    return {
        f"{BUNDLES_PATH}{{name}}": {"get": _bundle()},
        f"{BUNDLES_PATH}{NEWER}": {"get": {**_bundle(), **newer}},
        METRICS_PATH: {"get": _operation("metrics", "The collector in numbers, for Prometheus", numbers)},
    }


def _page_paths() -> dict[str, dict[str, Any]]:
    """The page for people, and its forms."""
    html = {"200": {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}}}
    css = {"200": {"description": "CSS.", "content": {"text/css": {"schema": {"type": "string"}}}}}
    return {
        "/": {
            "get": _operation(
                "page",
                "The page for people",
                {**html, "303": {"description": "To the sign-in."}},
                [_in_query("language", {"type": "string"}), _in_query("day", TEXT)],
            )
        },
        "/live.js": {"get": _operation("script", "How the page renews itself", _file("text/javascript"))},
        "/events": {
            "get": _operation("news", "Server-sent events: something has come", _file("text/event-stream"))
        },
        "/rides": {
            "get": _operation(
                "ridesPage",
                "The rides of a card, or of a route around a time, for people",
                {**html, "404": _page("Nothing to look for was given.")},
                [_in_query(name, TEXT) for name in ("card", "day", "route", "at", "language")],
            )
        },
        "/settlement": {
            "get": _operation(
                "settlementPage",
                "A month's settlement with carriers, for people",
                html,
                [_in_query(name, TEXT) for name in ("month", "by", "language")],
            )
        },
        "/settlement/{file}": {
            "get": _operation(
                "settlementFile",
                "The same as MONTH.csv or MONTH.xlsx",
                {**_file("application/octet-stream"), "404": _refusal("No such file.")},
                [_in_path("file", TEXT)],
            )
        },
        "/ride": {
            "get": _operation(
                "ridePage",
                "One tap, for people",
                {**html, "404": _page("Misread, or none has come.")},
                [_in_query("code", TEXT), _in_query("language", TEXT)],
            )
        },
        "/style.css": {"get": _open(_operation("style", "How the page looks", css))},
        "/sign-in": {
            "get": _open(_operation("signInPage", "Where people sign in", _pages(200))),
            "post": _open(_form(_operation("signIn", "Sign in", _pages(403)), "ref", "password")),
        },
        "/sign-out": {"post": _form(_operation("signOut", "End the session", _pages(403)), "proof")},
        "/do": {
            "post": _form(
                _operation("do", "What a form of the page asks for", _pages(200, 400, 403, 409)),
                *("proof", "do", "subject", "comment"),
            )
        },
    }


def _office_paths() -> dict[str, dict[str, Any]]:
    """What users of the office do."""
    role = {"403": _refusal("Not for this role, or it takes another person.")}
    waits = {"202": _json("It waits for a second person.", _object(_numbers("request")))}
    not_now = {"409": _refusal("Not now: decided, expired or changed.")}
    request = _in_path("request", {"type": "integer", "minimum": 1, "maximum": MOST_ALARMS})
    terminal = _in_path("terminal", {"type": "integer", "minimum": 1, "maximum": LARGEST_TERMINAL})
    alarm = _in_path("alarm", {"type": "integer", "minimum": 1, "maximum": MOST_ALARMS})
    gone = {"404": _refusal("There is none.")}
    wrong = {"400": _refusal("Not understood.")}
    done = {"204": {"description": "Done."}}
    return {
        "/v1/requests": {
            "get": _operation("requests", "What waits for a second person", _ok(_list(_ref("Request"))))
        },
        "/v1/requests/{request}/confirmation": {
            "post": _operation(
                "confirm",
                "Confirm, as the second person",
                {**done, **gone, **role, **not_now},
                [request],
                changes=True,
            )
        },
        "/v1/requests/{request}": {
            "delete": _operation(
                "reject",
                "Reject, or take one's own request back",
                {**done, **gone, **role, **not_now},
                [request],
                changes=True,
            )
        },
        "/v1/staged": {"get": _operation("staged", "What is staged and not served yet", _ok(_ref("Staged")))},
        "/v1/roll-out": {
            "post": _operation(
                "rollOut",
                "Ask that terminals are served what is staged",
                {**waits, **role, **not_now},
                changes=True,
            )
        },
        "/v1/operations": {
            "get": _operation(
                "operations",
                "What was done, and by which user",
                {**_ok(_list(_ref("Operation"))), **wrong},
                [_in_query("limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000})],
            )
        },
        "/v1/terminals/{terminal}/enrolment": {
            "post": _operation(
                "makeCode",
                "A one-time code for a terminal",
                {"201": _json("The code.", _ref("Code")), **gone, **role},
                [terminal],
                changes=True,
            )
        },
        "/v1/terminals/{terminal}/key": {
            "delete": _operation(
                "revoke", "Let a terminal upload no more", {**done, **gone, **role}, [terminal], changes=True
            )
        },
        "/v1/alarms/{alarm}/acknowledgement": {
            "post": {
                **_operation(
                    "acknowledge",
                    "Note how an alarm was dealt with; one about money waits for a second person",
                    {**done, **waits, **gone, **wrong, **role, **not_now, "413": _refusal("Too large.")},
                    [alarm],
                    changes=True,
                ),
                "requestBody": _body("Acknowledgement"),
            }
        },
    }


def _view_paths() -> dict[str, dict[str, Any]]:
    """What users of the office read."""
    wrong = {"400": _refusal("Not understood.")}
    shown = [
        _in_query("open", {"type": "boolean", "default": False}),
        _in_query("limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000}),
    ]
    by = _in_query("by", {"type": "string", "enum": [str(each) for each in By], "default": "terminal"})
    return {
        "/v1/status": {
            "get": _operation("status", "The whole in a few numbers", _ok(_ref("CollectorStatus")))
        },
        "/v1/report": {
            "get": _operation("report", "Counts and money since the beginning", _ok(_ref("Report")))
        },
        "/v1/terminals": {"get": _operation("terminals", "Each terminal", _ok(_list(_ref("TerminalView"))))},
        "/v1/alarms": {
            "get": _operation("alarms", "The newest alarms", {**_ok(_list(_ref("Alarm"))), **wrong}, shown)
        },
        "/v1/rides/{code}": {
            "get": _operation(
                "ride",
                "One tap, by the support code that its rider reads out, or by TERMINAL:ROW",
                {
                    "200": _json("The tap.", _ref("Ride")),
                    "400": _refusal("Not understood."),
                    "404": _refusal("No support code, a misread one, or the tap has not come."),
                },
                [
                    _in_path("code", {"type": "string"}),
                    _in_query("language", {"type": "string", "enum": list(languages()), "default": "en"}),
                ],
            )
        },
        "/v1/strangers": {
            "get": _operation(
                "strangers", "What was tried without a good signature", _ok(_list(_ref("StrangerCount")))
            )
        },
        "/v1/trials": {
            "get": _operation(
                "trials", "Tariffs on trial, each at all its terminals", _ok(_list(_ref("GroupCount")))
            )
        },
        "/v1/shadows": {
            "get": _operation("shadows", "Tariffs in shadow by terminal", _ok(_list(_ref("ShadowSum"))))
        },
        "/v1/days": {"get": _operation("days", "The newest service days", _ok(_list({"type": "string"})))},
        "/v1/days/{day}": {
            "get": _operation(
                "day",
                "The reconciliation of a service day; empty for a day of which nothing is known",
                {**_ok(_ref("DayView")), **wrong},
                [_in_path("day", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}), by],
            )
        },
    }


def _ride() -> dict[str, Any]:
    """One tap or sale as `terminal.collector.ride` shows it."""
    texts = dict.fromkeys(("support_code", "profile", "message", "end", "currency"), TEXT)
    lists = {name: _list(TEXT) for name in ("reasons", "alarms", "says")}
    return _object({**texts, **lists, **_numbers("terminal", "sequence", "at_ms", "route", "charge_minor")})


def _bundle() -> dict[str, Any]:
    """A file of the repository of signed bundles: for anyone, as whatever it holds is signed."""
    return {
        "operationId": "bundle",
        "summary": "A file of the repository of signed bundles",
        "parameters": [_in_path("name", TEXT)],
        "responses": {
            "200": {"description": "It.", "content": {"application/octet-stream": {"schema": _binary()}}},
            "304": {"description": "The sender has it."},
            "404": {"description": "There is none."},
            "429": _refusal("Wait: too many requests.", retry=True),
            "503": _refusal("Wait.", retry=True),
        },
    }


def _keys(name: str, summary: str, asked: str, busy: dict[str, Any]) -> dict[str, Any]:
    """A request about a terminal's keys."""
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "requestBody": _body(asked),
            "responses": {
                "201": _json(
                    "The certificate, sealed to the terminal, with its proof.", _ref("IdentityReply")
                ),
                "400": _refusal("No such request."),
                "403": _refusal("Why it is not believed."),
                "413": _refusal("Too large."),
                **busy,
            },
        }
    }


def _operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    changes: bool = False,
) -> dict[str, Any]:
    always = {
        "401": _refusal("Neither signed in nor a user's token."),
        "403": _refusal("Not for this role."),
        "429": _refusal("Wait: too many requests.", retry=True),
        "503": _refusal("The store fails."),
    }
    found = {"parameters": parameters} if parameters else {}
    return {
        "operationId": name,
        "summary": summary,
        **found,
        "security": TOKEN if changes else READING,
        "responses": {**always, **responses},
    }


def _open(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation for anyone."""
    return {**operation, "security": []}


def _form(operation: dict[str, Any], *fields: str) -> dict[str, Any]:
    """An operation that a form of the page asks for; its answers are pages."""
    shape = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
    body = {"required": True, "content": {FORM_TYPE: {"schema": shape}}}
    return {**operation, "security": [{"session": []}], "requestBody": body}


def _pages(*statuses: int) -> dict[str, Any]:
    """Answers that are pages, and the way on to another."""
    page = {"content": {"text/html": {"schema": TEXT}}}
    found: dict[str, Any] = {str(status): {"description": "A page.", **page} for status in statuses}
    slow = {
        "description": "Too slow.",
        "content": {JSON: {"schema": _ref("Refusal")}, "text/html": {"schema": TEXT}},
    }
    return {
        **found,
        "303": {"description": "To another page."},
        "400": slow,
        "413": _refusal("Too large."),
        "503": {
            "description": "Busy, or the store fails.",
            "content": {JSON: {"schema": _ref("Refusal")}, **page["content"]},
        },
    }


def _page(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/html": {"schema": TEXT}}}


def _file(media_type: str) -> dict[str, Any]:
    return {"200": {"description": "The file.", "content": {media_type: {"schema": TEXT}}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _binary() -> dict[str, str]:
    return {"type": "string", "format": "binary"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _ok(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": _json("As asked.", schema)}


def _body(name: str) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": _ref(name)}}}


def _refusal(description: str, *, retry: bool = False) -> dict[str, Any]:
    wait = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return {**_json(description, _ref("Refusal")), **({"headers": wait} if retry else {})}


def _in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _numbers(*names: str) -> dict[str, Any]:
    return {name: {"type": "integer"} for name in names}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _alarm() -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("kind", "detail", "says", "acknowledged_by", "comment")}
    maybe = {"acknowledged_at_ms": {"type": ["integer", "null"]}}
    others = [name for name in SeenAlarm._fields if name not in {*texts, *maybe}]
    found = _object({**_numbers(*others), **texts, **maybe})
    found["properties"]["open"] = {"type": "boolean"}
    return found


def _stranger() -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("kind", "address", "detail", "says")}
    others = [name for name in StrangerCount._fields if name not in texts]
    return _object({**_numbers(*others), **texts})


def _health() -> dict[str, Any]:
    status = {"type": "string", "enum": [COLLECTOR_OK, AlarmCause.DISK_NEARLY_FULL]}
    return _object({"status": status, **_numbers("terminals", "records", "alarms", "behind")})


def _report() -> dict[str, Any]:
    totals = {"type": "object", "additionalProperties": _ref("Totals")}
    alarms = _list(_ref("Alarm"))
    orders = _list(_ref("OrderSum"))
    return _object(
        {
            "total": _ref("Totals"),
            "terminals": totals,
            "alarms": alarms,
            "orders": orders,
            **_numbers("behind"),
        }
    )


def _code() -> dict[str, Any]:
    return _object({"code": {"type": "string"}, **_numbers("terminal", "good_until_ms")})


def _request() -> dict[str, Any]:
    texts = dict.fromkeys(("what", "subject", "comment", "by", "decided_by", "outcome"), TEXT)
    maybe = {"decided_at_ms": {"type": ["integer", "null"]}}
    return _object({**_numbers("id", "at_ms"), **texts, **maybe})


if __name__ == "__main__":
    print(as_json().decode())
