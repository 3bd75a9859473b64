"""All references of a card, kept with the books: who reads them has no registry, and asks for a card by any of them.

    card_name   card_ref -> the reference that is named for all of that card's, where it is another

The books keep a card under one name, and a registry that is given anew may name it otherwise: so a card is looked for
under all its references. Facts only: no key, and nothing of whose the card is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from terminal.journal.database import transaction

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS card_name (card_ref BLOB PRIMARY KEY, card BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS card_named ON card_name (card)",
)
_REFERENCES: Final = (
    "WITH named (card) AS (SELECT coalesce((SELECT card FROM card_name WHERE card_ref = ?1), ?1))"
    " SELECT card FROM named UNION SELECT card_ref FROM named JOIN card_name USING (card)"
)


def keep_names(books: sqlite3.Connection, names: Mapping[bytes, bytes]) -> None:
    """Keep what a registry says: the name of each reference that is not its card's name itself."""
    if names and dict(books.execute("SELECT card_ref, card FROM card_name")) != names:
        with transaction(books):
            books.execute("DELETE FROM card_name")
            books.executemany("INSERT INTO card_name VALUES (?, ?)", sorted(names.items()))


def references(books: sqlite3.Connection, card_ref: bytes) -> frozenset[bytes]:
    """All references of the card, that one among them."""
    return frozenset(bytes(found) for (found,) in books.execute(_REFERENCES, (card_ref,))) | {card_ref}
