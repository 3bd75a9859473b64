"""Which action of an operator a row belongs to, so that an action asked for twice is done once.

Code that works for a screen's form states its id with `acting(id)`; every record that has a place for it and is
appended inside the block carries the id. It is part of the row, so whatever happens to the terminal there is either
the deed and its id or neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from terminal.journal.records import AnyRecord

_action: ContextVar[str] = ContextVar("action", default="")
FIELD: Final = "action"


@contextmanager
def acting(action: str) -> Iterator[None]:
    """Everything this thread appends inside the block belongs to `action`."""
    token = _action.set(action)
    try:
        yield
    finally:
        _action.reset(token)


def stamped(record: AnyRecord) -> AnyRecord:
    """`record` with the id of the action it belongs to, if it belongs to one and can say so."""
    action = _action.get()
    if not action or FIELD not in record.__struct_fields__:
        return record
    return msgspec.structs.replace(record, action=action)
