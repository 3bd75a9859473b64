"""The folder of one school and the processes in it, started by the product's own commands and ended by their id."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from sim.card.virtual import VirtualCard
from sim.image_file import load_image
from terminal.keys.file import load_file_keys
from terminal.keys.provider import person_token
from terminal.lab.world import pseudonym_on
from tests.by_hand import ENVIRONMENT, SOCKET, TerminalByHand
from tests.terminal.setup.running import FirstRun

SURNAMES = (
    "Иванов",
    "Петров",
    "Соколов",
    "Лебедев",
    "Козлов",
    "Новиков",
    "Морозов",
    "Волков",
    "Зайцев",
    "Павлов",
)
NAMES = ("Артём", "Борис", "Вадим", "Глеб", "Данил", "Егор", "Захар", "Илья", "Кирилл", "Лев", "Марк", "Олег")
FATHERS = ("Андреевич", "Игоревич", "Олегович", "Павлович", "Юрьевич")
HEADINGS = (
    *("ФИО", "Класс", "№ личного дела", "Дата рождения", "Льгота", "Телефон родителей", "Карта"),
    *("Остаток на питание", "Остаток буфет"),
)


class SchoolPlace:
    """One school's machine. `now` is the time by its own clock."""

    def __init__(self, folder: Path, starts_at: datetime) -> None:
        self.first = FirstRun(folder, ("--reader", "sim:", "--number", "17", "--no-run"))
        self.folder, self.now = folder, starts_at
        self.config = folder / "terminal.toml"
        self.hand: TerminalByHand | None = None
        self.starts = 0
        self._text = ""

    @property
    def url(self) -> str:
        """Of the pages of the first run, then of the console."""
        return self.first.url

    def run(self, *words: object) -> str:
        """A command of the product, to its end."""
        done = self.first.run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def take_over(self) -> None:
        """What the package's unit does when the first run has ended: start the terminal. Its cards and its clock are
        moved by hand."""
        assert self.first.process is not None
        assert self.first.process.wait(60) == 0
        self._text = self.config.read_text("utf-8")
        self.start()

    def start(self) -> None:
        """`terminal run`, ready to be moved."""
        by_hand = f'control = "{SOCKET}"\nclock = true\nstarts_at = "{self.now.isoformat()}"\n'
        self.config.write_text(self._text.replace('# control = "laboratory.sock"\n', by_hand), "utf-8")
        words = [*self.first.command("run", "--config", self.config)]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.process = process
        self.hand = TerminalByHand(process, self.config.parent / SOCKET)
        self.starts += 1

    def kill(self) -> None:
        """The power goes."""
        assert self.hand is not None
        self.process.send_signal(signal.SIGKILL)
        self._gone(20)

    def end(self) -> None:
        """Whatever still runs."""
        self.first.end()
        if self.hand is not None and self.process.poll() is None:
            self.process.terminate()
            self._gone(40)

    def _gone(self, patience_s: float) -> None:
        assert self.hand is not None
        self.process.wait(patience_s)
        self.hand.close()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def clock(self, moment: datetime) -> None:
        """Time passes until `moment`."""
        assert self.hand is not None
        self.hand.say("clock", set=moment.isoformat())
        self.now = moment

    def wait(self, **span: float) -> None:
        """So much time passes."""
        self.clock(self.now + timedelta(**span))

    def tap(self, card: Path) -> str:
        """The message of a tap that has ended."""
        assert self.hand is not None
        self.wait(seconds=7)
        return str(self.hand.tap(card)["message"])

    def cards(self, count: int) -> list[Path]:
        """New cards under this school's own keys."""
        office = self.folder / "var/terminal/school/keys/office.keys"
        labels = [f"card{number:03}" for number in range(count)]
        (self.folder / "orders.csv").write_text(
            "label,profile\n" + "".join(f"{one},pupil_grade3\n" for one in labels)
        )
        keys = self.folder / "var/terminal/school/keys/issue.keys"
        assert office.exists()
        self.run(
            *("card", "issue-batch", "orders.csv", "--folder", "cards", "--keys", keys, "--production-keys")
        )
        return [self.folder / "cards" / f"{label}.json" for label in labels]

    def holder(self, card: Path) -> str:
        """What the school's list may call the card's holder."""
        keys = load_file_keys(self.folder / "var/terminal/school/keys/issue.keys")
        loaded = load_image(card, os.urandom)
        assert isinstance(loaded, VirtualCard)
        pseudonym = pseudonym_on(loaded)
        assert pseudonym is not None
        return person_token(keys, "school", pseudonym).hex()

    def report(self, day: date) -> dict[str, Any]:
        """A day's report as the product's command prints it."""
        found: dict[str, Any] = json.loads(self.run("canteen", "report", "--day", day, "--json"))
        return found

    def sheet(self, pupils: int, holders: list[str]) -> Path:
        """A school's list as people keep it: with doubts to be settled, and with what must not be kept."""
        rng, book = random.Random(18), Workbook()
        sheet = book.active
        sheet.append(HEADINGS)
        per_class = max(pupils // 24, 5)
        for number in range(pupils):
            at_class = number // per_class
            name = f"{SURNAMES[number % 10]} {NAMES[number // 10 % 12]} {FATHERS[number // 120]}"
            grade = at_class // 2 % 11 + 1
            staff = number == pupils - 1
            class_id = "Сотрудники" if staff else f"{grade}{'аб'[at_class % 2]}"
            born = f"{rng.randrange(1, 28):02}.{rng.randrange(1, 13):02}.{'85' if staff else 2019 - grade}"
            benefit = "Учащиеся 1–4 классов" if grade <= 4 and not staff else ""
            card = holders[number] if number < len(holders) else ""
            sheet.append(
                [
                    name,
                    class_id,
                    f"Л-{number + 1}",
                    born,
                    benefit,
                    "+7 900 000-00-00",
                    card,
                    "500,00",
                    "300,00",
                ]
            )
        sheet.cell(4, 2).value = "1A"  # a Latin letter
        sheet.cell(5, 2).value = "первый"
        sheet.cell(6, 4).value = "31.02.2018"
        sheet.cell(7, 5).value = "по справке"
        path = self.folder / "Список школы.xlsx"
        book.save(path)
        return path


def number_in(text: str) -> int:
    """The first number in what a page says."""
    found = re.search(r"\d+", text)
    assert found is not None, text
    return int(found[0])
