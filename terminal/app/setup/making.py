"""From the answers of a first run to a terminal that can start: every file it needs, the configuration last.

    FOLDER/terminal.toml          what closes the first run: before it is there, nothing has begun
    FOLDER/school/keys            office.keys, issue.keys and NUMBER.keys of a school with keys of its own
    FOLDER/school/signing         the key that signs for the school, under its passphrase
    FOLDER/school/region.toml     the document as a text, for people
    FOLDER/school/published       the same as signed bundles, which the terminal takes
    FOLDER/staff.json, …          what a terminal keeps

FOLDER is the terminal's own (`state`). A run that is killed anywhere before the end begins again with the same answers;
what it left is made anew.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from cardproto.resident.layout import SPARE_KEY_SETS
from terminal.app.config.mistakes import mistakes_in
from terminal.app.config.write import new_file, write_new
from terminal.app.simulated import laboratory_keys
from terminal.app.station import IDENTITY_FILE, JOURNAL_FILE
from terminal.clock import Clock
from terminal.errors import ConfigError, KeyFileError, Mistake
from terminal.files import SHARED, put_in_place, replace_file
from terminal.keys.file import FileKeys, key_tables, load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.office import ROOT_BYTES, OfficeOrder, RoleOrder, cut, office_document, write_keys
from terminal.keys.roles import KeyRole
from terminal.keys.signed import KeyDocument, verified
from terminal.mistakes.document import Mistakes
from terminal.mistakes.words import refusal
from terminal.policy.load import policy_from_text
from terminal.publish.adding import AddOrder, add
from terminal.publish.drafting import begin_alone
from terminal.publish.key_files import make_key, open_key, read_named
from terminal.publish.release import release
from terminal.publish.repository import ROOT, Repository
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList
from terminal.screen.setup.answers import (
    host_port,
    number_of,
    number_or_0,
    of_region,
    text_of,
    tills_of,
)
from terminal.screen.setup.asked import Texts
from terminal.screen.setup.document import SCHOOL, document_text, price_list, school_document
from terminal.screen.setup.draft import LANGUAGE, DraftStaff
from terminal.screen.setup.mistakes import SetupMistake
from terminal.screen.setup.questions import REGIONS
from terminal.sync.credentials import load_or_make_keys
from terminal.sync.trust import pin_root
from terminal.updates.bundle.roles import METADATA_FOLDER

SETUP_FOLDER: Final = "setup"
"""Where a first run keeps its draft, in the terminal's folder."""
LISTS_FOLDER: Final = "lists"
PEERS_FOLDER: Final = "peers"
SCHOOL_FOLDER: Final = "school"
SIGNING_KEY: Final = "school-1"
KEY_FILE: Final = "keys.file"
DEMONSTRATION_PACE_S: Final = 6.0
"""Between two cards that tap by themselves."""
Staff = Sequence[tuple[str, str, str]]
"""Number, role and PIN of each."""


class SetupPlace(Struct, frozen=True, kw_only=True):
    """Where a terminal is made, and what options say of it. `pace_s`: of a simulated reader."""

    config: Path
    state: Path
    screen_port: int
    console_port: int
    pace_s: float | None = None

    @property
    def draft(self) -> Path:
        return self.state / SETUP_FOLDER

    @property
    def is_set_up(self) -> bool:
        """Whether there is a configuration, or a journal: a terminal that has begun is never set up again."""
        return os.path.lexists(self.config) or (self.state / JOURNAL_FILE).exists()

    def require_new(self) -> None:
        """Raise `ConfigError` for a terminal that is set up."""
        if self.is_set_up:
            there = self.config if os.path.lexists(self.config) else self.state / JOURNAL_FILE
            raise ConfigError(
                f"this terminal is set up already: {there} is there",
                "Start it: `terminal run`. For another terminal name another folder.",
            )


Demonstration = Callable[[Path, datetime], tuple[Mapping[str, str], str, Staff]]
"""Makes the lists and cards of a made-up school in a folder: its answers, its reader's name, its staff."""


class SchoolMaker:
    """Makes the terminal of one school. See `terminal.screen.setup.port.SetupMaker`."""

    def __init__(self, place: SetupPlace, clock: Clock, demonstration: Demonstration | None = None) -> None:
        self._place = place
        self._clock = clock
        self._demonstration = demonstration

    # keys

    def key_mistake(self, texts: Texts) -> Mistake | None:
        """What is wrong with the region's key file."""
        if not of_region(texts):
            return None
        try:
            header = self._provider(texts).header
        except KeyFileError:
            return Mistake(KEY_FILE, SetupMistake.KEY_UNREADABLE)
        if header is None or header.role != KeyRole.CANTEEN:
            return Mistake(KEY_FILE, SetupMistake.KEY_OF_OTHER_ROLE)
        wanted = {
            "region": number_or_0(texts, "school.region"),
            "number": number_or_0(texts, "terminal.number"),
        }
        if (header.region, header.terminal) != tuple(wanted.values()):
            given = {"own_region": header.region, "own_number": header.terminal or 0}
            return Mistake(KEY_FILE, SetupMistake.KEY_OF_OTHER_TERMINAL, {**wanted, **given})
        return None

    def keys_name(self, texts: Texts) -> str:
        """Empty while there are none."""
        if of_region(texts):
            content = text_of(texts, KEY_FILE)
            return f"{REGIONS}:{sha256(content.encode()).hexdigest()[:16]}" if content else ""
        region = number_or_0(texts, "school.region")
        return f"own:{region}" if region else ""

    def hash_pin(self, texts: Texts, pin: str) -> str:
        """As a staff list keeps it."""
        return hash_pin(pin, self._provider(texts))

    def _provider(self, texts: Texts) -> FileKeys:
        if not of_region(texts):
            return load_file_keys(self._own_keys(texts), UNLIMITED)
        path = self._place.draft / "region.keys"
        content = text_of(texts, KEY_FILE).encode()
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, content)
        return load_file_keys(path, UNLIMITED)

    def _own_keys(self, texts: Texts) -> Path:
        """The school's own root with all that follows from it, made the first time it is needed for this region."""
        region = number_or_0(texts, "school.region")
        path = self._place.draft / f"office-{region}.keys"
        if not path.exists():
            order = OfficeOrder(region=region, made_on=self._clock.now().date())
            write_keys(path, office_document(secrets.token_bytes(ROOT_BYTES), order))
        return path

    # the document

    def document_mistakes(self, texts: Texts) -> Sequence[Mistake]:
        """What `terminal run` would refuse the document for."""
        text = document_text(school_document(texts, self._clock.now(), texts[LANGUAGE]))
        found = policy_from_text(text.encode(), "region.toml")
        return found if isinstance(found, Mistakes) else ()

    # the end

    def finish(self, texts: Texts, staff: Sequence[DraftStaff], passphrase: str) -> None:
        """Write everything for a school that signs for itself."""
        self._place.require_new()
        school = self._new_folder()
        now, number = self._clock.now(), number_of(texts, "terminal.number")
        document = school / "region.toml"
        replace_file(document, document_text(school_document(texts, now, texts[LANGUAGE])).encode(), SHARED)
        self._write_keys(school, texts, number)
        self._write_lists(school, texts, now)
        self._write_peers(school, texts)
        root = publish_alone(school, document, passphrase, now)
        pin_root(self._place.state, root, sha256(root).digest(), stand_alone=True)
        members = [Member(ref=one.ref, role=one.role, pin=one.pin) for one in staff]
        home = self._keep(school, members)
        self._close(
            texts,
            {
                "keys": {"file": self._beside(home / "keys" / f"{number}.keys")},
                "bundles": {"folder": self._beside(home / "published"), "stand_alone": True},
                **self._updates(home),
                **self._link(home, texts),
            },
        )

    def demonstrate(self, texts: Texts) -> Staff:
        """A made-up school under the public laboratory keys."""
        self._place.require_new()
        school = self._new_folder()
        now = self._clock.now()
        assert self._demonstration is not None, "pages offer it where there is one"
        answers, reader, staff = self._demonstration(school, now)
        filled = {**texts, **answers}
        content = document_text(school_document(filled, now, filled[LANGUAGE])).encode()
        replace_file(school / "region.toml", content, SHARED)
        keys = load_file_keys(laboratory_keys(), UNLIMITED)
        members = [Member(ref=ref, role=Role(role), pin=hash_pin(pin, keys)) for ref, role, pin in staff]
        home = self._keep(school, members)
        cards = ",".join(self._beside(home / "cards" / name) for name in reader.split(","))
        self._close(
            {**filled, "terminal.reader": f"sim:{cards}"},
            {
                "terminal": {"region": self._beside(home / "region.toml"), "laboratory": True},
                "reader": {"pace_s": self._place.pace_s or DEMONSTRATION_PACE_S},
                "updates": {"folder": self._beside(home / "lists")},
                "shift": {"operator": staff[0][0]},
            },
        )
        return staff

    def _new_folder(self) -> Path:
        """Empty, whatever a run that was killed has left."""
        school = self._place.state / f"{SCHOOL_FOLDER}.new"
        for left in (school, school.with_name(SCHOOL_FOLDER)):
            shutil.rmtree(left, ignore_errors=True)
        school.mkdir(parents=True, mode=0o700)
        return school

    def _write_keys(self, school: Path, texts: Texts, number: int) -> None:
        keys = school / "keys"
        if of_region(texts):
            keys.mkdir(mode=0o700)
            replace_file(keys / f"{number}.keys", text_of(texts, KEY_FILE).encode())
            return
        path = self._own_keys(texts)
        office = verified(key_tables(path), path)
        write_keys(keys / "office.keys", office)
        for name, role, terminal in (("issue", KeyRole.ISSUE, None), (str(number), KeyRole.CANTEEN, number)):
            write_keys(keys / f"{name}.keys", self._cut(office, role, terminal))

    def _write_lists(self, school: Path, texts: Texts, now: datetime) -> None:
        prices = price_list(texts, now)
        if prices is not None:
            (school / LISTS_FOLDER).mkdir(mode=0o700)
            replace_file(school / LISTS_FOLDER / "prices.json", msgspec.json.encode(prices))

    def _updates(self, home: Path) -> dict[str, dict[str, object]]:
        lists = home / LISTS_FOLDER
        return {"updates": {"folder": self._beside(lists)}} if lists.exists() else {}

    def _write_peers(self, school: Path, texts: Texts) -> None:
        """The identities of the other tills of the school."""
        for till in tills_of(texts):
            (school / PEERS_FOLDER).mkdir(mode=0o700, exist_ok=True)
            key = text_of(texts, f"{till}.key") + "\n"
            number = number_of(texts, f"{till}.number")
            replace_file(school / PEERS_FOLDER / f"{number}.pub", key.encode(), SHARED)

    def _link(self, home: Path, texts: Texts) -> dict[str, dict[str, object]]:
        if not text_of(texts, "link.listen"):
            return {}
        peers = [
            f"{number_of(texts, f'{till}.number')}@{host_port(texts, f'{till}.address')}"
            for till in tills_of(texts)
        ]
        listen, identities = host_port(texts, "link.listen"), self._beside(home / PEERS_FOLDER)
        return {"link": {"listen": listen, "peers": peers, "identities": identities}}

    def own_key(self) -> str:
        """The public key of this till, made the first time it is asked for."""
        identity = self._place.state / IDENTITY_FILE
        load_or_make_keys(identity)
        return identity.with_suffix(".pub").read_text("ascii")

    def _cut(self, office: KeyDocument, role: KeyRole, terminal: int | None) -> KeyDocument:
        ahead = SPARE_KEY_SETS if role is KeyRole.ISSUE else 1
        order = RoleOrder(role=role, made_on=self._clock.now().date(), terminal=terminal, ahead=ahead)
        return cut(office, order)

    def _keep(self, school: Path, members: Sequence[Member]) -> Path:
        """Staff on their list, and the school's folder under its name."""
        staff = StaffList(self._place.state)
        for gone in {one.ref for one in staff.members()} - {one.ref for one in members}:
            staff.remove(gone)
        for member in members:
            staff.put(member)
        home = school.with_name(SCHOOL_FOLDER)
        put_in_place(school, home)
        return home

    def _close(self, texts: Texts, own: Mapping[str, Mapping[str, object]]) -> None:
        """Write terminal.toml: from here on this is a terminal, and no first run."""
        place = self._place
        values: dict[str, dict[str, object]] = {
            "terminal": {
                "number": number_of(texts, "terminal.number"),
                "profile": "canteen",
                "state": self._beside(place.state),
                "language": texts[LANGUAGE],
            },
            "reader": {"name": text_of(texts, "terminal.reader"), "pace_s": place.pace_s},
            "screen": {"enabled": True, "port": place.screen_port},
            "console": {"enabled": True, "port": place.console_port},
        }
        for table, keys in own.items():
            values.setdefault(table, {}).update(keys)
        place.config.parent.mkdir(parents=True, exist_ok=True)
        text = new_file(values)
        if mistakes := mistakes_in(text, str(place.config), place.config.parent):
            raise refusal(ConfigError, mistakes)  # a terminal that would not start is none
        write_new(place.config, text)
        with suppress(OSError):  # PINs and keys are elsewhere now; what stays of the draft is used no more
            shutil.rmtree(place.draft)

    def _beside(self, path: Path) -> str:
        """As a path of the configuration file: it may be carried to another machine together with the folder."""
        return os.path.relpath(path.absolute(), self._place.config.absolute().parent)


def publish_alone(school: Path, document: Path, passphrase: str, now: datetime) -> bytes:
    """Publish the document of a school that signs for itself, with a new key; the root that its terminals trust."""
    private, public = make_key(school / "signing", SIGNING_KEY, passphrase)
    repository = Repository(school / "published")
    with repository.changing():
        begin_alone(repository, read_named(public), now)
        add(repository, AddOrder(f"tariff/{SCHOOL}", document), now)
        release(repository, [open_key(private, passphrase)], now)
    return (school / "published" / METADATA_FOLDER / f"1.{ROOT}.json").read_bytes()
