"""The documents an author may begin with: those supplied with the terminal, and the files of one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminal.errors import RegionDocumentError
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.tariff.judge import LONGEST_TEXT
from terminal.mistakes.reading import Unreadable, content_of, text_of
from terminal.mistakes.words import refusal
from terminal.policy.load import REGIONS
from terminal.scenario.load import SCENARIOS

OWN: Final = "folder/"
"""Before the name of a file of the author's folder; supplied documents go by their bare names."""
MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class TariffLibrary:
    """`folder` is the author's, if the desk was given one; its files are read anew each time they are asked for."""

    folder: Path | None = None

    def names(self) -> list[str]:
        """What `document` takes: the supplied documents, then the files of the folder."""
        own = [] if self.folder is None else self._own(self.folder)
        return [*(path.stem for path in sorted(REGIONS.glob("*.toml"))), *(OWN + path.name for path in own)]

    def _own(self, folder: Path) -> list[Path]:
        """Files of the folder; nothing that a link leads to outside of it, and no name that no page can show."""
        inside = folder.resolve()
        found = (path for path in folder.glob("*.toml") if path.name.isprintable() and path.is_file())
        return sorted(path for path in found if path.resolve().is_relative_to(inside))[:MOST_FILES]

    def document(self, name: str) -> dict[str, str]:
        """Text and file name of a document, with the scenarios supplied for it.

        Raises `DeskRefused` for one that is not listed, and `RegionDocumentError` for one that cannot be read.
        """
        if name not in self.names():
            raise DeskRefused(DeskFault.NO_DOCUMENT, name=name)
        path = self._path(name)
        scenarios = SCENARIOS / path.name
        return {
            "source": name,
            "file": path.name,
            "text": _text_of(path),
            "scenarios": _text_of(scenarios) if path.parent == REGIONS and scenarios.is_file() else "",
        }

    @property
    def feeds(self) -> Path:
        """Where the files of a document's feed lie."""
        return REGIONS if self.folder is None else self.folder

    def _path(self, name: str) -> Path:
        if name.startswith(OWN):
            assert self.folder is not None, "its files are listed only with a folder"
            return self.folder / name.removeprefix(OWN)
        return REGIONS / f"{name}.toml"


def _text_of(path: Path) -> str:
    try:
        return text_of(content_of(path, LONGEST_TEXT))
    except Unreadable as unreadable:
        raise refusal(RegionDocumentError, unreadable.in_file(path.name)) from unreadable
