"""How people are called in files, rows and logs: by staff numbers, never by names (D-02)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from terminal.errors import StaffError

REFERENCE: Final = r"^(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9-]{0,15}\Z"
Reference = Annotated[str, Meta(pattern=REFERENCE)]
"""A staff number: with at least one digit, so that it is no name."""


def require_reference(ref: str) -> None:
    """Raise `StaffError` for what is no staff reference: a name, nothing, or characters that no line may hold."""
    try:
        msgspec.convert(ref, Reference)
    except msgspec.ValidationError as error:
        raise StaffError(
            f"{ref!r} is no staff reference",
            "Use up to 16 letters, digits and dashes with a digit among them; never a name.",
        ) from error
