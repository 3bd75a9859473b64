"""Who a reference of the roster is, for the staff's screen only: names leave it in no record, log or address (D-02)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import RosterPupil
from terminal.canteen.roster import class_order


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A pupil as the staff know him. `name` is empty and `born`, the year alone, None where the roster gives none."""

    ref: str
    name: str
    class_id: str
    born: int | None = None

    def __repr__(self) -> str:
        return f"Person({self.ref})"

    @property
    def pupil(self) -> bytes:
        """The reference as records hold it."""
        return bytes.fromhex(self.ref)


def person(counter: CanteenCounter, ref: bytes) -> Person | None:
    """The pupil with this reference; None for one the roster does not list."""
    listed = None if counter.roster is None else counter.roster.pupils.get(ref)
    return None if listed is None else _of(listed)


def classmates(counter: CanteenCounter, class_id: str) -> tuple[Person, ...]:
    """All pupils of a class by name; empty for one the roster does not have."""
    if counter.roster is None:
        return ()
    refs = counter.roster.classes.get(class_id, ())
    return tuple(sorted((_of(counter.roster.pupils[ref]) for ref in refs), key=_by_name))


def classes(counter: CanteenCounter) -> tuple[str, ...]:
    """The classes of the roster as a school orders them: 3а, 3б, 10а."""
    return () if counter.roster is None else tuple(sorted(counter.roster.classes, key=class_order))


def fitting(counter: CanteenCounter, words: str) -> Callable[[bytes], bool]:
    """Whether a pupil fits every one of `words`, as `find` looks for him; all do where there are none."""
    wanted = [_plain(word) for word in words.split()]
    listed = {} if counter.roster is None else counter.roster.pupils

    def fits(ref: bytes) -> bool:
        one = listed.get(ref)
        return not wanted or (one is not None and all(_fits(word, one) for word in wanted))

    return fits


def search(counter: CanteenCounter, words: str) -> tuple[Person, ...]:
    """A whole class where `words` are its name, else the pupils they fit."""
    return classmates(counter, words) if words in classes(counter) else find(counter, words)


def find(counter: CanteenCounter, words: str, limit: int = 24) -> tuple[Person, ...]:
    """Pupils of whom each word begins a part of the name or is the class, by class and name; none for no words."""
    wanted = [_plain(word) for word in words.split()]
    if counter.roster is None or not wanted:
        return ()
    found = (
        _of(listed)
        for listed in counter.roster.pupils.values()
        if all(_fits(word, listed) for word in wanted)
    )
    return tuple(sorted(found, key=lambda one: (class_order(one.class_id), _by_name(one)))[:limit])


def _of(listed: RosterPupil) -> Person:
    return Person(listed.ref, listed.name, listed.class_id, None if listed.born is None else listed.born.year)


def _fits(word: str, listed: RosterPupil) -> bool:
    return word == _plain(listed.class_id) or any(
        part.startswith(word) for part in _plain(listed.name).split()
    )


def _plain(text: str) -> str:
    return text.casefold().replace("ё", "е")


def _by_name(one: Person) -> tuple[str, str]:
    return _plain(one.name), one.ref
