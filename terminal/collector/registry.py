"""Which card stands behind a card reference, and the key that checks its proofs: the issuing point's file.

With it the collector recomputes a card's transaction MAC; no terminal has these keys. In the clear the file is for
the laboratory: it holds raw keys and refuses to be used for anything else. In production it is sealed under the storage
key `registry` of the region (`terminal keys seal-registry`): a line with the form's name, then what the key made of
the JSON, AES-256-GCM bound to that line.

    {"version": 1, "environment": "laboratory",
     "cards": [{"card_ref": "…hex…", "uid": "…7 bytes hex…", "transaction_mac_key": "…16 bytes hex…",
                "proves": true}]}

Without `version` it is of version 1. `proves` is false for a card without a transaction MAC (EV1); a card of which
nothing is said must prove its taps.

A card whose holder was erased (`terminal.collector.erasing`) stands under `erased` instead: without UID and key, but
with the session keys of the counters that rows held here state, so that what it proved stays proven.

    "erased": [{"card_refs": ["…hex…"], "sessions": {"12": "…16 bytes hex…"}, "proves": true}]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from cardproto.credential.keys import IssuerKeys
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import (
    session_mac_key,
    session_transaction_mac_value,
    transaction_mac_value,
)
from terminal.collector.issuers import KnownIssuers
from terminal.decoding import NewerVersion, decode_versioned, read_within
from terminal.errors import KeyFileError
from terminal.files import replace_file
from terminal.keys.file import FileKeys, load_file_keys, require_private
from terminal.keys.kept import credential_file
from terminal.keys.roles import REGISTRY
from terminal.keys.signed import PRODUCTION

MOST_BYTES: Final = 64 << 20
SEALED_BYTES: Final = 1024
"""How much longer a sealed file may be."""
LABORATORY: Final = "laboratory"
REGISTRY_VERSION: Final = 1
SEALED: Final = b"resident-card-registry-1\n"
"""The first line of a sealed file, to which its content is bound."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card_ref: Annotated[str, Meta(pattern="^([0-9a-f]{2})+$")]
    uid: Annotated[str, Meta(pattern="^[0-9a-f]{14}$")]
    transaction_mac_key: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    proves: bool = True


class _Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card_refs: list[Annotated[str, Meta(pattern="^([0-9a-f]{2})+$")]]
    sessions: dict[
        Annotated[str, Meta(pattern="^[0-9]{1,10}$")], Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    ]
    proves: bool = True


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    environment: Literal["laboratory", "production"]
    cards: list[_Entry]
    version: Annotated[int, Meta(ge=1, le=REGISTRY_VERSION)] = REGISTRY_VERSION
    erased: list[_Erased] | msgspec.UnsetType = msgspec.UNSET


class ProvingCard(Protocol):
    """A card as far as it is known whether it gave a proof."""

    @property
    def proves(self) -> bool:
        """Whether it gives a transaction MAC at all."""
        ...

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:
        """Whether `tmv` is its MAC over the input `commands`, as its transaction `tmc`."""
        ...


class ProvingCards(Protocol):
    """Who says of cards what they proved: a registry, an auditor's session keys. Nothing is known without any."""

    def __bool__(self) -> bool: ...

    @property
    def issuers(self) -> IssuerKeys:
        """Whose credentials phones may show; none known: nothing of phones is proven."""
        ...

    def card(self, card_ref: bytes, tmc: int | None = None) -> ProvingCard | None:
        """The card of that reference, asked about its transaction `tmc`; None for one that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class CardSecret:
    """One card: its real UID and its diversified transaction MAC key. Neither is ever shown. `proves`: whether it gives
    a transaction MAC at all."""

    uid: bytes = field(repr=False)
    key: AesKey = field(repr=False)
    proves: bool = True

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:
        return transaction_mac_value(self.key, self.uid, tmc, commands) == tmv

    def session(self, tmc: int) -> bytes:
        """The key of its transaction `tmc`, and of no other."""
        return session_mac_key(self.key, tmc, self.uid)


@dataclass(frozen=True, slots=True)
class ErasedCard:
    """A card whose holder was erased: what it proved stays proven, and nothing else of it is known."""

    sessions: Mapping[int, bytes] = field(repr=False)
    proves: bool = True

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:
        key = self.session(tmc)
        return bool(key) and session_transaction_mac_value(key, commands) == tmv

    def session(self, tmc: int) -> bytes:
        """As of any card; empty for a transaction that no row stated when it was erased."""
        return self.sessions.get(tmc, b"")


@dataclass(frozen=True, slots=True)
class RegisteredCard:
    """A card as its issuing point knows it: the reference of one purpose, the real UID, the transaction MAC key."""

    card_ref: bytes
    uid: bytes = field(repr=False)
    key: bytes = field(repr=False)
    proves: bool = True


class CardRegistry:
    """Cards by reference; one card may stand under several, one per purpose (D-01), and no two under one: two cards
    of one resident are two cards."""

    def __init__(
        self,
        cards: Mapping[bytes, CardSecret] | None = None,
        issuers: KnownIssuers | None = None,
        erased: Mapping[bytes, ErasedCard] | None = None,
    ) -> None:
        self.known_issuers: Final = issuers or KnownIssuers()
        self._secrets = dict(cards or {})
        self._cards: dict[bytes, CardSecret | ErasedCard] = {**self._secrets, **(erased or {})}
        names: dict[object, bytes] = {}
        for card_ref in sorted(self._cards, reverse=True):
            names[self._one(card_ref)] = card_ref
        self._names = {card_ref: names[self._one(card_ref)] for card_ref in self._cards}

    def _one(self, card_ref: bytes) -> object:
        """The same for all references of one card."""
        card = self._cards[card_ref]
        return card.uid if isinstance(card, CardSecret) else id(card)

    def uid_of(self, card_ref: bytes) -> bytes:
        """Empty for a card that is not known, or whose holder was erased."""
        card = self._secrets.get(card_ref)
        return b"" if card is None else card.uid

    def references(self, card_ref: bytes) -> frozenset[bytes]:
        """Every reference of that card, itself alone where it is not known."""
        name = self._names.get(card_ref)
        return frozenset({card_ref, *(one for one, held in self._names.items() if held == name)})

    @property
    def issuers(self) -> IssuerKeys:
        return self.known_issuers.in_force.keys

    def __len__(self) -> int:
        return len(self._cards)

    def __bool__(self) -> bool:
        return bool(self._cards)

    def card(self, card_ref: bytes, tmc: int | None = None) -> CardSecret | ErasedCard | None:
        found = self._cards.get(card_ref)
        return None if isinstance(found, ErasedCard) and tmc is not None and not found.session(tmc) else found

    def name(self, card_ref: bytes) -> bytes:
        """One reference for all of a card the registry knows; any other is taken for a card of its own."""
        return self._names.get(card_ref, card_ref)

    def others(self) -> dict[bytes, bytes]:
        """The name of each reference that is not its card's name itself."""
        return {card_ref: name for card_ref, name in self._names.items() if card_ref != name}

    def may_be_one(self, first: bytes, second: bytes) -> bool:
        """Whether two names can be of one card: the registry knows all references of the cards it has, and of any other
        card it cannot tell."""
        return first == second or (first not in self._cards and second not in self._cards)

    @classmethod
    def load(
        cls, path: Path, keys: FileKeys | None = None, issuers: KnownIssuers | None = None
    ) -> CardRegistry:
        """Raises `KeyFileError` when there is no such file, it is not exactly of the form above, or `keys` do not open
        it."""
        file = _read(path, keys)
        erased: dict[bytes, ErasedCard] = {}
        for one in file.erased or ():
            sessions = {int(tmc): bytes.fromhex(key) for tmc, key in one.sessions.items()}
            erased |= dict.fromkeys(map(bytes.fromhex, one.card_refs), ErasedCard(sessions, one.proves))
        return cls(
            {
                bytes.fromhex(entry.card_ref): CardSecret(
                    bytes.fromhex(entry.uid), AesKey(bytes.fromhex(entry.transaction_mac_key)), entry.proves
                )
                for entry in file.cards
            },
            issuers,
            erased,
        )


def registry_keys(keys: Path | None) -> FileKeys | None:
    """What opens a sealed registry: the key file `keys`, or what systemd handed over. Raises `KeyFileError`."""
    source = keys or credential_file()
    if source is None:
        return None
    require_private(source)
    return load_file_keys(source)


def open_registry(
    path: Path | None, keys: Path | None = None, issuers: KnownIssuers | None = None
) -> CardRegistry:
    """The registry at `path`, an empty one without it; a sealed one opens by the key file `keys`, or by what systemd
    handed over. `issuers`: whose phones are known. Raises as `CardRegistry.load`, and `KeyFileError`.
    """
    if path is None:
        return CardRegistry(issuers=issuers)
    return CardRegistry.load(path, registry_keys(keys), issuers)


def write_registry(path: Path, cards: Iterable[RegisteredCard], keys: FileKeys | None = None) -> None:
    """Write the file, for its owner only: a laboratory's in the clear, a production's sealed under that of `keys`."""
    entries = [_Entry(card.card_ref.hex(), card.uid.hex(), card.key.hex(), card.proves) for card in cards]
    _write(path, _File(LABORATORY, entries), keys)


def _write(path: Path, file: _File, keys: FileKeys | None) -> None:
    """As of the environment of `keys`, a laboratory's without any."""
    if keys is None or keys.environment == LABORATORY:
        replace_file(path, msgspec.json.format(msgspec.json.encode(file)))
        return
    replace_file(path, _sealed(msgspec.structs.replace(file, environment=PRODUCTION), keys))


def register(path: Path, cards: Iterable[RegisteredCard], keys: FileKeys) -> None:
    """Add to the file at `path` the references it does not hold yet. Raises `KeyFileError`."""
    file = _read(path, keys)
    known = {one.card_ref for one in file.cards}
    new = [_Entry(one.card_ref.hex(), one.uid.hex(), one.key.hex(), one.proves) for one in cards]
    added = [*file.cards, *(one for one in new if one.card_ref not in known)]
    _replaced(path, msgspec.structs.replace(file, cards=added), keys)


def erase(path: Path, references: Collection[bytes], counters: Iterable[int], keys: FileKeys | None) -> bool:
    """Put in the place of the cards of `references` the session keys of these `counters`; whether any was there.
    Raises `KeyFileError`."""
    file, named = _read(path, keys), {one.hex() for one in references}
    uids: dict[str, list[_Entry]] = {}
    for entry in file.cards:
        if entry.card_ref in named:
            uids.setdefault(entry.uid, []).append(entry)
    if not uids:
        return False
    counted = sorted(set(counters))
    erased = [_erased(entries, counted) for entries in uids.values()]
    left = [entry for entry in file.cards if entry.card_ref not in named]
    _replaced(path, msgspec.structs.replace(file, cards=left, erased=[*(file.erased or ()), *erased]), keys)
    return True


def _erased(entries: list[_Entry], counters: list[int]) -> _Erased:
    first = entries[0]
    card = CardSecret(bytes.fromhex(first.uid), AesKey(bytes.fromhex(first.transaction_mac_key)))
    sessions = {str(tmc): card.session(tmc).hex() for tmc in counters if first.proves}
    return _Erased([one.card_ref for one in entries], sessions, first.proves)


def _replaced(path: Path, file: _File, keys: FileKeys | None) -> None:
    try:
        _write(path, file, keys)
    except OSError as error:
        what = f"card registry {path} cannot be written ({error.strerror})"
        raise KeyFileError(what, "Check the path and its rights.") from error


def seal_file(plain: Path, keys: FileKeys, out: Path) -> int:
    """Seal the registry that is in the clear at `plain`; how many references it holds. Raises `KeyFileError`."""
    content = _content(plain)
    if content.startswith(SEALED):
        raise KeyFileError(f"card registry {plain} is sealed already", "Use it as it is.")
    file = _decoded(plain, content)
    _require_environment(file, keys, plain)
    try:
        replace_file(out, _sealed(file, keys))
    except OSError as error:
        what = f"card registry {out} cannot be written ({error.strerror})"
        raise KeyFileError(what, "Name another folder.") from error
    return len(file.cards)


def _read(path: Path, keys: FileKeys | None) -> _File:
    content = _content(path)
    if not content.startswith(SEALED):
        file = _decoded(path, content)
        if file.environment != LABORATORY:
            raise KeyFileError(
                f"card registry {path} holds production keys in the clear",
                "Seal it (`terminal keys seal-registry`), and delete this file.",
            )
        return file
    if keys is None:
        raise KeyFileError(
            f"card registry {path} is sealed, and no keys are at hand",
            "Give --registry-keys, or the unit a credential terminal-keys.",
        )
    sealed = content.removeprefix(SEALED)
    keys.sealer.seal(REGISTRY, b"", b"")  # keys without the one for registries say so in their own words
    try:
        file = _decoded(path, keys.sealer.unseal(REGISTRY, sealed, SEALED))
    except KeyFileError as error:
        raise KeyFileError(
            f"card registry {path} is damaged, or sealed for another region",
            "Give the keys of its region, or have the issuing point write it anew.",
        ) from error
    _require_environment(file, keys, path)
    return file


def _content(path: Path) -> bytes:
    try:
        return read_within(path, MOST_BYTES + SEALED_BYTES)
    except OSError as error:
        raise KeyFileError(
            f"card registry {path}: {error.strerror}", "Check the path and its rights."
        ) from error


def _decoded(path: Path, content: bytes) -> _File:
    try:
        return decode_versioned(content, _File, REGISTRY_VERSION, MOST_BYTES)
    except NewerVersion as error:
        raise KeyFileError(
            f"card registry {path} has {error}", "Update the software, or have it written anew for this one."
        ) from error
    except msgspec.DecodeError as error:
        raise KeyFileError(
            f"card registry {path}: {error}", "Have the issuing point write it anew."
        ) from error


def _sealed(file: _File, keys: FileKeys) -> bytes:
    return SEALED + keys.sealer.seal(REGISTRY, msgspec.json.encode(file), SEALED)


def _require_environment(file: _File, keys: FileKeys, path: Path) -> None:
    if file.environment != keys.environment:
        raise KeyFileError(
            f"card registry {path} is of {file.environment} cards, the keys are {keys.environment} keys",
            "Use registry and keys of one region.",
        )
