"""The documents an author may begin with: those supplied with the terminal, and the files of one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminal.errors import RegionDocumentError
from terminal.lab.desk.tariff.judge import LONGEST_TEXT
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
        own = [] if self.folder is None else sorted(self.folder.glob("*.toml"))[:MOST_FILES]
        return [*(path.stem for path in sorted(REGIONS.glob("*.toml"))), *(OWN + path.name for path in own)]

    def document(self, name: str) -> dict[str, str]:
        """Text and file name of a document, with the scenarios supplied for it; raises `RegionDocumentError`."""
        if name not in self.names():
            raise RegionDocumentError(f"there is no document {name!r}", "Choose one of those listed.")
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
        if path.stat().st_size > LONGEST_TEXT:
            raise RegionDocumentError(
                f"{path.name} is longer than {LONGEST_TEXT} bytes", "Choose another file."
            )
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RegionDocumentError(
            f"{path.name} cannot be read: {error}", "Give a TOML file in UTF-8."
        ) from error
