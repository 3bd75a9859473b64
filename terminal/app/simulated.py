"""Everything of the simulator that a station may use: software cards on its reader, laboratory keys, the recorder.

The one module of `terminal.app` that imports `sim`, and only inside the function that needs it: a terminal in service
loads none of it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from cardproto.connection import CardConnection
from cardproto.credential.keys import IssuerKeys
from terminal.clock import Clock
from terminal.errors import ControlError, ProfileError, TerminalError
from terminal.files import create_file

if TYPE_CHECKING:
    from cardproto.resident.keyset import MasterKeys
    from sim.card.port import SimCard
    from sim.image_file import StoredCard
    from sim.reader import SimReader
    from terminal.keys.bank_ca import BankCa


def laboratory_keys() -> Path:
    """The simulator's own key file: what software cards are personalised with by default."""
    from sim.profile import LAB_KEYS

    return LAB_KEYS


def laboratory_issuers(region: int) -> IssuerKeys:
    """The issuer of the credentials on the simulator's cards."""
    from sim.lab_issuer import lab_issuers

    return lab_issuers(region)


def laboratory_bank_ca() -> BankCa:
    """The public keys that the simulator's bank cards are proven with."""
    from cardproto.emv.keys import CaKey, CaKeys, RevokedCertificate, Trust
    from sim.emv.chain import lab_ca_keys, revoked_issuers
    from terminal.keys.bank_ca import BankCa

    keys = [
        CaKey(one.rid, one.index, one.modulus, one.exponent, one.checksum, source="simulator")
        for one in lab_ca_keys()
    ]
    revoked = frozenset(RevokedCertificate(*one) for one in revoked_issuers())
    return BankCa("laboratory", Trust(CaKeys(keys), revoked))


def laboratory_bank_office() -> bytes:
    """The public key that a laboratory seals taps of bank cards to; its private half is published."""
    from sim.lab_office import lab_office_key

    return lab_office_key().public_key().public_bytes_raw()


def issue_residents(
    names: Sequence[str],
    region: int,
    today: date,
    keys: Path | None = None,
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> list[SimCard]:
    """One software card for each name: a profile's, issued `today`, or an image file's. Raises `ProfileError`.

    A file that is named again is the same card again; a profile named again is another card of that kind.
    """
    from sim.image_file import ImageFault, is_image, load_image
    from sim.issuing import issue
    from sim.lab_keys import load_lab_keys
    from sim.profile import ProfileFault, load_profile

    loaded: dict[Path, SimCard] = {}
    cards: list[SimCard] = []
    try:
        masters: MasterKeys | None = None
        for name in names:
            if is_image(name):
                path = Path(name).resolve()
                cards.append(loaded.get(path) or loaded.setdefault(path, load_image(Path(name), rng)))
            else:  # a terminal in service holds no keys to issue by, and card images need none
                masters = masters or load_lab_keys(keys or laboratory_keys())
                cards.append(issue(load_profile(name), masters, region, today, rng))
    except (ProfileFault, ImageFault) as fault:
        raise ProfileError(fault.what, fault.advice) from fault
    return cards


def require_residents(names: Sequence[str]) -> None:
    """Raise `ProfileError` unless each name is a resident's profile or a card image file."""
    from sim.image_file import ImageFault, is_image, load_image
    from sim.profile import ProfileFault, load_profile

    try:
        for name in names:
            if is_image(name):
                load_image(Path(name), secrets.token_bytes)
            else:
                load_profile(name)
    except (ProfileFault, ImageFault) as fault:
        raise ProfileError(fault.what, fault.advice) from fault


def keep_residents(names: Sequence[str], cards: Sequence[SimCard]) -> None:
    """Write cards that came from image files back into them; raises `ProfileError`."""
    from sim.image_file import ImageFault, StoredCard, is_image, save_card

    try:
        for name, card in zip(names, cards, strict=True):
            if is_image(name) and isinstance(card, StoredCard):
                save_card(card, Path(name))
    except ImageFault as fault:
        raise ProfileError(fault.what, fault.advice) from fault


class LinesByHand(Protocol):
    """A chip in memory: what devices use of it, and what a hand does."""

    @property
    def lines(self) -> dict[str, bool]:
        """How each line stands."""
        ...

    @property
    def history(self) -> Sequence[tuple[str, bool, float]]:
        """The newest changes of outputs: the line, whether it became active, and when, monotonic."""
        ...

    def set(self, line: str, active: bool) -> None: ...

    def states(self) -> tuple[tuple[str, bool], ...]: ...

    def edges(self, timeout_s: float) -> tuple[tuple[str, bool], ...]: ...

    def close(self) -> None: ...

    def move(self, line: str, active: bool, bounces: int = 0) -> None:
        """Open or close a contact; raises `KeyError` for no such line."""
        ...


class CardsInOrder:
    """A simulated reader onto which the given cards are laid one after the other; `keep` is called when a card
    has been dealt with, so that one that was charged remembers it whatever ends the process, and at the end.

    With `pace_s`, a card comes every so many seconds and lies there for a third of the time; otherwise at once.
    """

    def __init__(
        self, reader: SimReader, cards: Iterator[SimCard], keep: Callable[[], None], pace_s: float = 0.0
    ) -> None:
        self._reader = reader
        self._cards = cards
        self._keep = keep
        self._pace_s = pace_s
        self._next_in_s = pace_s
        self._kept = True

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def lay_there(self) -> bool:
        """The first card lies there from the start, unless it comes at its pace."""
        return self._reader.lay_there and not self._pace_s

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        if not self._is_time(timeout_s, self._pace_s / 3):
            return None
        card = next(self._cards, None)
        if card is not None:
            self._reader.present(card)
            self._kept = False
        return self._reader.wait_for_card(timeout_s)

    def wait_for_removal(self, timeout_s: float) -> bool:
        if not self._kept:
            self._keep()
            self._kept = True
        if not self._is_time(timeout_s, self._pace_s * 2 / 3):
            return False
        self._reader.remove()
        return self._reader.wait_for_removal(timeout_s)

    def _is_time(self, timeout_s: float, then_in_s: float) -> bool:
        """Let `timeout_s` of the pace pass; once all of it has passed, the next step is due `then_in_s` later."""
        if self._next_in_s > 0:
            time.sleep(min(timeout_s, self._next_in_s))
            self._next_in_s -= timeout_s
            return False
        self._next_in_s = then_in_s
        return True

    def release(self) -> None:
        self._reader.release()

    def close(self) -> None:
        self._reader.close()
        self._keep()


class CardsByHand:
    """A simulated reader for card image files that another thread lays on it and takes away: `terminal.app.laboratory`.

    The reader's own methods come from the presence loop. A card is written back into its file when its tap has ended.
    """

    def __init__(self, reader: SimReader) -> None:
        self._reader = reader
        self._change = threading.Condition()
        self._lies = False
        self._laid: tuple[Path, StoredCard] | None = None
        self._unserved = False
        self._serving: tuple[Path, StoredCard] | None = None
        self._unsaved: ProfileError | None = None
        self.ready = False
        """Whether the loop has looked at the reader: a card laid on it from now on comes anew."""

    # From the hand

    @property
    def card(self) -> str | None:
        """The file of the card that lies there."""
        laid = self._laid
        return str(laid[0]) if self._lies and laid is not None else None

    @property
    def settled(self) -> bool:
        """Whether cards are served and none waits for the end of its tap."""
        return self.ready and not self._unserved and self._serving is None

    def present(self, path: Path, leaves_at: int = 0, *, executed: bool = False) -> None:
        """Lay the card of image file `path` on the reader, in place of one that was served; with `leaves_at` it leaves
        at that exchange, after the command where `executed`.

        Raises `ProfileError` for what is no image, `ControlError` while another card is being served.
        """
        from sim.faults import NO_FAULTS, tear_after, tear_before
        from sim.image_file import ImageFault, load_image

        tear = tear_after if executed else tear_before
        try:
            card = load_image(path, secrets.token_bytes)  # a slow disk holds up no tap
        except ImageFault as fault:
            raise ProfileError(fault.what, fault.advice) from fault
        with self._change:
            if self._unserved or self._serving is not None:
                raise ControlError("the card before has not been served", "Await its tap, or remove it.")
            self._laid, self._lies, self._unserved = (path, card), True, True
            self._reader.present(card, tear(leaves_at) if leaves_at else NO_FAULTS)

    def remove(self) -> None:
        """Take the card away, from a tap that is going on, too."""
        with self._change:
            self._lies = self._unserved = False
            self._reader.remove()
            self._change.notify_all()

    def settle(self, timeout_s: float) -> bool:
        """Wait until every tap has ended; False when that took too long. Raises `ProfileError` when the card could not
        be written back into its file."""
        with self._change:
            done = self._change.wait_for(lambda: self.settled, timeout_s)
            unsaved, self._unsaved = self._unsaved, None
        if unsaved is not None:
            raise unsaved
        return done

    # From the presence loop

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def lay_there(self) -> bool:
        return self._reader.lay_there

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        connection = self._reader.wait_for_card(timeout_s if self.ready else 0)
        with self._change:
            self.ready = True
            if connection is not None:
                self._serving, self._unserved = self._laid, False
            self._change.notify_all()
        return connection

    def wait_for_removal(self, timeout_s: float) -> bool:
        return self._reader.wait_for_removal(timeout_s)

    def release(self) -> None:
        self._reader.release()
        with self._change:
            served, self._serving = self._serving, None
            if served is not None:
                self._keep(*served)
            self._change.notify_all()

    def close(self) -> None:
        self._reader.close()

    def _keep(self, path: Path, card: StoredCard) -> None:
        from sim.image_file import ImageFault, save_card

        try:
            save_card(card, path)
        except ImageFault as fault:
            self._unsaved = ProfileError(fault.what, fault.advice)


def cards_by_hand(clock: Clock) -> CardsByHand:
    """A simulated reader to which cards come by hand only."""
    from sim.reader import SimReader

    return CardsByHand(SimReader("simulated reader, by hand", clock))


def lines_by_hand(outputs: tuple[str, ...], inputs: tuple[str, ...]) -> LinesByHand:
    """A chip in memory, whose contacts a laboratory moves."""
    from sim.periphery.lines import SimLines

    return SimLines(outputs, inputs)


def empty_reader(clock: Clock) -> CardsInOrder:
    """A simulated reader to which no card comes."""
    from sim.reader import SimReader

    return CardsInOrder(SimReader("empty simulated reader", clock), iter(()), lambda: None)


def reader_of_residents(
    names: Sequence[str],
    region: int,
    keys: Path | None,
    clock: Clock,
    taps: int | None,
    pace_s: float | None,
) -> tuple[CardsInOrder, int | None]:
    """A simulated reader with these cards in turn, and how many taps it brings: each card once, or as `taps` says.

    Raises `ProfileError`.
    """
    from sim.reader import SimReader

    cards = issue_residents(names, region, clock.now().date(), keys)
    presentations = taps if taps or pace_s else len(cards)
    in_order = islice(cycle(cards), presentations)
    keep = partial(keep_residents, names, cards)
    return CardsInOrder(SimReader("simulated reader", clock), in_order, keep, pace_s or 0.0), presentations


@contextmanager
def recording(
    path: Path | None, clock: Clock, say: Callable[[str], None], *, masked: bool
) -> Iterator[Callable[[CardConnection], CardConnection]]:
    """What wraps a connection so that it is written to a new file; without `path` nothing is. `say` hears at the end
    if it is incomplete.

    Raises `TerminalError`.
    """
    if path is None:
        yield lambda connection: connection
        return
    from sim.recorder import TranscriptWriter
    from sim.transcript import TranscriptFault

    try:
        writer = TranscriptWriter(path, clock, masked=masked)
    except TranscriptFault as fault:
        raise TerminalError(fault.what, fault.advice) from fault
    with writer:
        yield writer.record
    if writer.failure is not None:
        say(f"terminal: the recording is incomplete ({writer.failure.strerror})")


@contextmanager
def whole_recording(
    path: Path | None, clock: Clock, *, masked: bool
) -> Iterator[Callable[[CardConnection], CardConnection]]:
    """As `recording`, for one piece of work: the file is there when all of it is, and not at all when the work failed.

    Raises `TerminalError`, also for a file that exists already.
    """
    if path is None:
        yield lambda connection: connection
        return
    if path.exists():
        raise TerminalError(f"{path} exists already", "Choose another name.")
    missed: list[str] = []
    try:
        folder = TemporaryDirectory(dir=path.parent, prefix=".recording-")
    except OSError as error:
        raise TerminalError(
            f"{path} cannot be written ({error.strerror})", "Check the folder and its rights."
        ) from error
    with folder as name:
        part = Path(name) / path.name
        with recording(part, clock, missed.append, masked=masked) as record:
            yield record
        if missed:
            raise TerminalError(
                f"{path} cannot be written whole", "Make room on the disk, or choose another one."
            )
        _appears(path, part.read_bytes())


def _appears(path: Path, content: bytes) -> None:
    try:
        made = create_file(path, content)
    except OSError as error:
        raise TerminalError(
            f"{path} cannot be written ({error.strerror})", "Check the folder and its rights."
        ) from error
    if not made:
        raise TerminalError(f"{path} exists already", "Choose another name.")
