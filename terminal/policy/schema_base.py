"""What every part of a region document is made of: the base of its tables and the field types they share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Minor = Annotated[int, Meta(ge=0, le=0xFFFFFF)]
"""Kopecks as the card's 24-bit event fields can hold them."""
Fare = Annotated[int, Meta(ge=1, le=0xFFFFFF)]
"""A price that is never 0: a free ride is a concession of its own kind, not a fare of nothing."""
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table in the document: immutable, and an unknown key is an error."""
