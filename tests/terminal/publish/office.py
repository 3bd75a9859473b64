"""An office in a folder that publishes by the product's own commands, and python-tuf's own client as a witness."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from tests.terminal.cli.inside import Run, Told
from tests.test_project import ROOT

PASSPHRASE: Final = "correct horse battery staple"
TOP_KEYS: Final = ("root-1", "root-2", "root-3", "targets-1", "targets-2", "snapshot-1", "timestamp-1")
TARIFF_KEYS: Final = ("tariff-1", "tariff-2", "tariff-3")
ROLE_KEYS: Final = (
    *TARIFF_KEYS,
    *("issuers-1", "issuers-2", "issuers-3"),
    *("routes-1", "deny-1", "grants-1", "ca-1", "assign-1", "roster.17-1", "prices.17-1", "staff-1"),
)
ONLINE: Final = ("snapshot-1", "timestamp-1")
DEMO: Final = ROOT / "terminal/policy/regions/demo.toml"


_BEGUN: Final[dict[Path, bytes]] = {}


class Office:
    """The folder has keys/ with every key, pass with their passphrase, and bundles/, the repository."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run
        self.bundles = folder / "bundles"
        self.passphrase = folder / "pass"
        if not self.passphrase.exists():
            self.passphrase.write_text(PASSPHRASE + "\n")
            self.passphrase.chmod(0o600)

    def publish(self, *arguments: object) -> Told:
        """`terminal publish …`, which has to succeed."""
        told = self.run("publish", *arguments)
        assert told.returncode == 0, told.stderr
        return told

    def refused(self, *arguments: object) -> str:
        """The one line of a `terminal publish …` that fails."""
        told = self.run("publish", *arguments)
        assert told.returncode != 0, told.stdout
        assert told.stderr.count("\n") == 1, told.stderr
        return told.stderr

    def make_keys(self, *names: str) -> None:
        self.publish("key", *names, "--folder", "keys", "--passphrase-file", "pass")

    def begin(self) -> None:
        """A repository whose root and targets are signed, with keys of `ROLE_KEYS` besides; made once for all tests."""
        if not _BEGUN:
            self.make_keys(*TOP_KEYS, *ROLE_KEYS)
            self.publish("init", "--keys", "keys")
            self.sign("root", "root-1", "root-3")
            self.sign("targets", "targets-1", "targets-2")
            for path in (*self.folder.glob("keys/*"), *self.bundles.rglob("*")):
                if path.is_file():
                    _BEGUN[path.relative_to(self.folder)] = path.read_bytes()
            return
        for name, content in _BEGUN.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)

    def sign(self, role: str, *keys: str) -> str:
        """The ceremony of a draft; what was shown."""
        requests = self.folder / f"requests-{len(list(self.folder.glob('requests*')))}"
        self.publish("request", "--out", requests)
        (request,) = requests.glob(f"{role}-*.request")
        shown = ""
        for key in keys:
            shown = self.publish("sign", request, *self.key(key), "--yes").stdout
        self.publish("take", *sorted(requests.glob("*.signature")))
        return shown

    def key(self, name: str) -> tuple[object, ...]:
        return "--key", f"keys/{name}.key", "--passphrase-file", "pass"

    def release(self, *further: str) -> Told:
        keys = (item for name in (*ONLINE, *further) for item in ("--key", f"keys/{name}.key"))
        return self.publish("release", *keys, "--passphrase-file", "pass")


class FolderFetcher(FetcherInterface):
    """Reads a repository where it lies: a stick, or what a server would serve."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("file://"))
        if not path.is_file():
            raise DownloadHTTPError(f"{url} is missing", 404)
        yield path.read_bytes()


class OutsideClient:
    """One terminal as the library itself makes it; what it has learned stays in `folder`."""

    def __init__(
        self, folder: Path, source: Path | str, root: bytes, fetcher: FetcherInterface | None = None
    ) -> None:
        self.folder = folder
        self.source = source if isinstance(source, str) else f"file://{source}"
        self.root = root
        self.fetcher = fetcher or FolderFetcher()

    def poll(self, now: datetime | None = None) -> Updater:
        """A fresh updater that has refreshed; raises what the library raises."""
        for name in ("metadata", "targets"):
            os.makedirs(self.folder / name, exist_ok=True)
        updater = Updater(
            str(self.folder / "metadata"),
            f"{self.source}/metadata/",
            str(self.folder / "targets"),
            f"{self.source}/targets/",
            fetcher=self.fetcher,
            bootstrap=self.root,
        )
        if now is not None:
            updater._trusted_set.reference_time = now  # type: ignore[misc]
        updater.refresh()
        return updater

    def get(self, name: str) -> bytes | None:
        """The content of a target; None where no role that may have signs it."""
        updater = self.poll()
        found = updater.get_targetinfo(name)
        return None if found is None else Path(updater.download_target(found)).read_bytes()


def edited(path: Path, out: Path, *changes: tuple[str, str]) -> Path:
    """A copy of a document with texts replaced; each has to be there."""
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    out.write_text(text, "utf-8")
    return out


def lines(told: Any, begin: str) -> Sequence[str]:
    return [line for line in str(told.stdout).splitlines() if line.startswith(begin)]
