"""Bank cards in the ledger, known by a hash; no number of a card is in it (D-04).

card     a card by a hash under the back office's own key; when it was authorised, whether it is on the deny list
token    the token of a row -> card: of one card there is one for each epoch of the tokens' key
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

TABLES: Final = (
    """CREATE TABLE card (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, authorised_ms INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0, tapped_ms INTEGER NOT NULL DEFAULT 0, asked_ms INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE TABLE token (token BLOB PRIMARY KEY, card INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX token_of_card ON token (card)",
)


class CountedCard(NamedTuple):
    """A card: when it was authorised last, whether it is denied, when it was presented while it was, when its holder
    asked last to be charged again; 0: never.
    """

    id: int
    authorised_ms: int
    denied: bool
    tapped_ms: int
    asked_ms: int


class CardTable:
    """What the ledger has of cards, over its connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def of(self, digest: bytes, token: bytes) -> int:
        """The card of this hash, made where it is new, with one more of its tokens; 0 where the token is another's."""
        self._execute("INSERT INTO card (digest) VALUES (?) ON CONFLICT DO NOTHING", (digest,))
        (card,) = self._execute("SELECT id FROM card WHERE digest = ?", (digest,)).fetchone()
        self._execute("INSERT INTO token VALUES (?, ?) ON CONFLICT DO NOTHING", (token, card))
        (owner,) = self._execute("SELECT card FROM token WHERE token = ?", (token,)).fetchone()
        return int(card) if owner == card else 0

    def note_presented(self, token: bytes, at_ms: int) -> None:
        """The card of `token` was presented and refused, because it is denied."""
        self._execute(
            "UPDATE card SET tapped_ms = max(tapped_ms, ?) WHERE id = (SELECT card FROM token WHERE token = ?)",
            (at_ms, token),
        )

    def active(self) -> list[CountedCard]:
        """The cards about which something may have to be done: rides that are not settled, or something declined."""
        query = (
            "SELECT id, authorised_ms, denied, tapped_ms, asked_ms FROM card WHERE denied = 1 OR id IN"
            " (SELECT card FROM ride WHERE settled = 0 AND state = 'decided'"
            " UNION SELECT card FROM demand WHERE state = 'declined') ORDER BY id"
        )
        rows = self._execute(query).fetchall()
        return [CountedCard(id_, at, bool(denied), tapped, asked) for id_, at, denied, tapped, asked in rows]

    def is_denied(self, card: int) -> bool:
        return self._execute("SELECT 1 FROM card WHERE id = ? AND denied = 1", (card,)).fetchone() is not None

    def by_token(self, token: bytes) -> int:
        """The card that `token` stands for; 0 for none that is known."""
        found = self._execute("SELECT card FROM token WHERE token = ?", (token,)).fetchone()
        return int(found[0]) if found else 0

    def tokens(self, card: int) -> list[bytes]:
        """By which rows call `card`."""
        found = self._execute("SELECT token FROM token WHERE card = ? ORDER BY token", (card,))
        return [bytes(token) for (token,) in found]

    def note_authorised(self, card: int, at_ms: int) -> None:
        self._execute("UPDATE card SET authorised_ms = ? WHERE id = ?", (at_ms, card))

    def note_asked(self, card: int, at_ms: int) -> None:
        """Its holder asks to be charged again."""
        self._execute("UPDATE card SET asked_ms = ? WHERE id = ?", (at_ms, card))

    def note_heard(self, card: int) -> None:
        """The acquirer is asked again, because the card was presented or its holder asked."""
        self._execute("UPDATE card SET tapped_ms = 0, asked_ms = 0 WHERE id = ?", (card,))

    def note_denied(self, card: int, *, denied: bool) -> None:
        self._execute("UPDATE card SET denied = ? WHERE id = ?", (denied, card))
