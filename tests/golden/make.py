"""Golden files of this version: a bus and a school on one day, their collector, backup, audit and exchanges.

Everything is made by the product's own commands, with laboratory keys and simulated cards.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from cardcli import VERSION
from terminal.app.simulated import laboratory_keys
from terminal.policy.load import DEMO_REGION
from terminal.screen.console.staff import StaffList
from terminal.sync.wire import BATCHES_PATH
from tests.flows.live import DAY as LIVE_DAY
from tests.flows.live import live_terminal
from tests.flows.test_audit import TABLES, AuditedDay, enrolled, registered, serving, terminal
from tests.flows.test_live_canteen import BUYER, PAYER, School, canteen
from tests.golden.around import copy_ticket, make_opened, open_housing
from tests.golden.asked import (
    BINARY,
    BUS,
    COLLECTOR,
    COUNTER,
    GOLDEN,
    OPENED,
    QUESTIONS,
    STATE,
    Version,
    copied,
)
from tests.golden.fleet import make_fleet
from tests.golden.office import (
    DENIED,
    GRANTED,
    LISTS,
    make_bank_card,
    make_bundled,
    make_bundles,
    make_keys,
    make_lists,
    make_register,
    make_successors,
    make_tables,
    seal_staff,
)
from tests.golden.wire import Exchange, keep, recording

RELEASED: Final = "released"
"""A file of this name in a version's folder: it has been released, and its golden files stay as they are."""
OF_A_RUN: Final = ("*.lock", "*.sock", "*-shm", "status.json", "by_hand*", "*.jsonl", "*.log")
"""What a running process leaves that no later one reads."""
TERMINALS: Final = {"bus": BUS, "school": COUNTER}
TAMPERED: Final = "opened"
"""The folder of the terminal whose housing was opened: its key is wiped, its rows are the collector's alone."""


def make(renew: bool) -> Path:
    """Write the golden folder of this version. One that is there needs `renew`; one that was released is refused."""
    target = GOLDEN / f"v{VERSION}"
    if (target / RELEASED).exists():
        raise SystemExit(f"golden: {target.name} has been released: its files stay. Raise the version first.")
    if target.exists() and not renew:
        raise SystemExit(f"golden: {target.name} is there. --renew makes it anew.")
    with TemporaryDirectory() as name:
        made = Path(name) / target.name
        made.mkdir()
        _made_day(made)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target, ignore=_left_out)
        _named_by_content(target)
    _answered(target)
    return target


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Also an empty WAL, which the next connection would make, and links, which the next look at bundles makes."""
    paths = {name: Path(folder, name) for name in names}
    empty = {name for name, path in paths.items() if name.endswith("-wal") and path.stat().st_size == 0}
    links = {name for name, path in paths.items() if path.is_symlink()}
    return empty | links | shutil.ignore_patterns(*OF_A_RUN)(folder, names)


def _named_by_content(folder: Path) -> None:
    """What is no text ends in `.bin`, in the repository."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                path.read_text("utf-8")
            except UnicodeDecodeError:
                path.rename(path.with_name(path.name + BINARY))


def _made_day(folder: Path) -> None:
    day, bus, school = AuditedDay(folder), folder / "bus", folder / "school"
    make_lists(bus, LIVE_DAY)
    with live_terminal(bus, **TABLES, lists=LISTS, recording={"file": "taps.transcript"}) as live:
        cards = [live.card(name) for name in ("adult_purse", "month_pass", "free_pensioner")]
        cards += [f"{name}.json" for name in (DENIED, GRANTED)]
        for card in (*cards, cards[0]):
            live.tap(card)
    copy_ticket(bus, {**TABLES, "lists": LISTS})
    school.mkdir()
    own = {"schema": 1, "profile": "canteen", "number": COUNTER, "region": "region.toml"}
    with live_terminal(school, **canteen(school, terminal=own)) as live:
        pupils = School(live)
        pupils.enrol(7, payer=PAYER, buyer=BUYER)
        pupils.sells()
        pupils.tap("payer")
        pupils.buys("buyer")
    met = (school / "payer.json", school / "buyer.json", make_opened(folder / TAMPERED, LIVE_DAY))
    registered(folder, [*(bus / card for card in cards), *met])
    staff = StaffList(school / STATE)
    staff.put(staff.members()[0])  # the bus keeps a list that states no version, as it was written by hand
    make_successors(school)
    _office_made(folder)
    _sent(day)
    make_fleet(folder, list(TERMINALS.items()))
    Version().run(folder, "collector", "recompute", "--once", "--keys", laboratory_keys(), *COLLECTOR)
    day.audit("--dossier", folder / "day.dossier", "--out", folder / "statement.json")
    Version().run(bus, "backup", "../bus.backup")


def _office_made(folder: Path) -> None:
    office = folder / "office"
    office.mkdir()
    make_keys(office, folder / "registry.json")
    shutil.copyfile(laboratory_keys(), office / "laboratory.toml")
    make_tables(office)
    make_bank_card(office, LIVE_DAY)
    make_register(office)
    make_bundles(office)
    make_bundled(folder / "bundled")
    seal_staff(office, folder / "bundled")


def _sent(day: AuditedDay) -> None:
    """Both terminals upload; what each held before, and the collector, is kept beside what they hold after."""
    for document in (DEMO_REGION, day.folder / "school/region.toml", day.folder / "bus/grants.list"):
        added = terminal(day.folder, "collector", "documents", "add", document, "--folder", day.collector)
        assert added.returncode == 0, added.stderr
    with serving(day):
        for name, number in (*TERMINALS.items(), (TAMPERED, OPENED)):
            enrolled(day, number, day.folder / name)
    shutil.copytree(day.collector, day.folder / "collector.before")
    shutil.copytree(day.folder / "bus", day.folder / "bus.before")
    with serving(day) as url:
        for name in TERMINALS:
            exchanges: list[Exchange] = []
            with recording(url, exchanges) as address:
                Version().run(day.folder / name, "sync", "--collector", address)
            keep(day.folder / "wire", name, exchanges)
        heard: list[Exchange] = []
        with recording(url, heard) as address:
            open_housing(day.folder / TAMPERED, address, url)
        keep(day.folder / "wire", TAMPERED, [one for one in heard if one.path == BATCHES_PATH])


def _answered(target: Path) -> None:
    """What this version says of its own files, asked of copies."""
    said = target / "said"
    said.mkdir()
    for name, question in QUESTIONS.items():
        with TemporaryDirectory() as folder:
            answer = Version().ask(copied(target.name, Path(folder)), question)
        (said / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(answer), indent=1))
