"""A Debian package from its parts: the installed tree, its control files, and the archive itself.

Equal input gives equal bytes: every file carries the time of the commit, modes and owners are stated here, and
`dpkg-deb` sorts by itself.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from release.commands import run
from release.packages import EXECUTABLE, PARTS, PLAIN, DebPackage
from release.sbom import bill_of_materials
from release.source import EPOCH, ROOT
from release.vendored import Library, python_version, unpack

MAINTAINER: Final = "Resident card terminal <packages@resident-card-terminal.invalid>"
MAINTAINER_SCRIPTS: Final = ("postinst", "prerm", "postrm")
ENTRY: Final = """\
#!/{home}/bin/python3 -I
import sys

from {module} import main

sys.exit(main())
"""
PROGRAMS: Final = {"terminal": "terminal.cli.app", "sim": "sim.cli.app"}
COPYRIGHT: Final = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Comment: The libraries below /{home}/lib are other authors'. Each has its licence in
 its .dist-info folder there; sbom.cdx.json beside this file lists them.

Files: *
Copyright: 2026 The contributors to resident-card-terminal
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
"""
OVERRIDES: Final = """\
# The environment's own Python is what the package is for.
{name}: wrong-path-for-interpreter *
# Libraries as their authors build them, pinned by hash.
{name}: unstripped-binary-or-object *
# Not made by debhelper: docs/adr/0044.
{name}: maintainer-script-calls-systemctl *
# Not uploaded to Debian; every command has --help.
{name}: initial-upload-closes-no-bugs *
{name}: no-manual-page *
"""
TERMINAL_OVERRIDES: Final = """\
# Constants alone, nothing of another library.
{name}: shared-library-lacks-prerequisites *
# Modules of a library, which Python imports: their first lines start nothing.
{name}: unusual-interpreter *
"""
DOCUMENTS: Final = ("install.md", "operations.md", "configuration.md")


def build(
    package: DebPackage, version: str, own: Library, carried: Sequence[Library], work: Path, at: int
) -> Path:
    """The package in the folder `work`; `version` is Debian's, with a revision."""
    tree = work / package.name
    _environment(package, tree, [own, *carried])
    for place, (source, mode) in package.files.items():
        _put(tree / place, (PARTS / source).read_bytes(), mode)
    if package.part == "terminal":
        _put(tree / package.conffiles[0], _configuration().encode(), PLAIN)
    _documents(package, tree, version, own, carried, at)
    _control(package, tree, version)
    _same_everywhere(tree, at)
    made = work / f"{package.name}_{version}_{architecture()}.deb"
    options = ("--root-owner-group", "--uniform-compression", "-Zxz", "-z1", "--threads-max=1")
    run(["dpkg-deb", *options, "--build", tree, made], environment={EPOCH: str(at)})
    return made


def architecture() -> str:
    """Debian's name of this machine's."""
    return run(["dpkg", "--print-architecture"]).strip()


def _environment(package: DebPackage, tree: Path, carried: Sequence[Library]) -> None:
    """The package's own Python environment: Debian's interpreter, the libraries, the programs."""
    home, (major, minor) = tree / package.home, python_version()
    packages = home / "lib" / f"python{major}.{minor}" / "site-packages"
    for library in carried:
        unpack(library.wheel, packages)
    settings = {"home": "/usr/bin", "include-system-site-packages": "false", "version": f"{major}.{minor}"}
    _put(
        home / "pyvenv.cfg", "".join(f"{key} = {value}\n" for key, value in settings.items()).encode(), PLAIN
    )
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"../../../bin/python{major}.{minor}")
    for name, module in PROGRAMS.items():
        _put(home / "bin" / name, ENTRY.format(home=package.home, module=module).encode(), EXECUTABLE)


def _configuration() -> str:
    """The terminal.toml of a new machine, as `terminal config init --service` writes it."""
    from terminal.app.config.write import new_file, service_values  # noqa: PLC0415 only this package needs it

    values: dict[str, dict[str, object]] = {
        "terminal": {"number": 1, "profile": "bus"},
        "reader": {"name": "pcsc"},
    }
    return new_file(service_values(1, values))


def _documents(
    package: DebPackage, tree: Path, version: str, own: Library, carried: Sequence[Library], at: int
) -> None:
    folder = tree / "usr/share/doc" / package.name
    _put(folder / "copyright", COPYRIGHT.format(home=package.home).encode(), PLAIN)
    for name in DOCUMENTS:
        _put(folder / name, (ROOT / "docs" / name).read_bytes(), PLAIN)
    _put(folder / "sbom.cdx.json", bill_of_materials(package.name, version, own, carried, at).encode(), PLAIN)
    overrides = OVERRIDES + (TERMINAL_OVERRIDES if package.part == "terminal" else "")
    _put(
        tree / "usr/share/lintian/overrides" / package.name,
        overrides.format(name=package.name).encode(),
        PLAIN,
    )
    when = format_datetime(datetime.fromtimestamp(at, UTC))
    entry = (
        f"{package.name} ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md of this version.\n\n"
    )
    entry += f" -- {MAINTAINER}  {when}\n"
    _put(folder / "changelog.Debian.gz", gzip.compress(entry.encode(), mtime=0), PLAIN)


def _control(package: DebPackage, tree: Path, version: str) -> None:
    control = tree / "DEBIAN"
    _put(control / "control", control_text(package, version, installed_kib(tree)).encode(), PLAIN)
    for name in MAINTAINER_SCRIPTS:
        _put(control / name, (package.scripts / name).read_bytes(), EXECUTABLE)
    _put(control / "conffiles", "".join(f"/{path}\n" for path in package.conffiles).encode(), PLAIN)
    _put(control / "md5sums", _checksums(tree, package.conffiles).encode(), PLAIN)


def control_text(package: DebPackage, version: str, size_kib: int) -> str:
    """The fields by which Debian knows the package."""
    (major, minor), (_, libc) = python_version(), os.confstr("CS_GNU_LIBC_VERSION").split()  # type: ignore[union-attr]
    python = (f"python3 (>= {major}.{minor}~)", f"python3 (<< {major}.{minor + 1}~)")
    needs = sorted((*package.needs, *python, f"libc6 (>= {libc})", "libgcc-s1"))
    fields = {
        "Package": package.name,
        "Version": version,
        "Architecture": architecture(),
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size_kib),
        "Depends": ", ".join(needs),
        "Recommends": ", ".join(package.recommends),
        "Suggests": ", ".join(package.suggests),
        "Section": "misc",
        "Priority": "optional",
        "Description": "\n ".join((package.summary, *package.description)),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def installed_kib(tree: Path) -> int:
    """What the tree takes, each file rounded up as Debian counts."""
    return sum((path.lstat().st_size + 1023) // 1024 for path in tree.rglob("*") if not path.is_dir())


def _checksums(tree: Path, conffiles: Sequence[str]) -> str:
    """Of every file that is not for its owner to change, as `dpkg --verify` reads them."""
    files = {str(path.relative_to(tree)): path for path in _files(tree) if "DEBIAN" not in path.parts}
    kept = sorted(files.keys() - set(conffiles))
    return "".join(f"{hashlib.md5(files[name].read_bytes()).hexdigest()}  {name}\n" for name in kept)  # noqa: S324


def _files(tree: Path) -> list[Path]:
    return [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]


def _put(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _same_everywhere(tree: Path, at: int) -> None:
    """Modes and times that depend on nothing but the commit."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir():
            path.chmod(EXECUTABLE)
        elif not path.is_symlink():
            path.chmod(EXECUTABLE if path.stat().st_mode & 0o100 else PLAIN)
        os.utime(path, (at, at), follow_symlinks=False)
    tree.chmod(EXECUTABLE)
    os.utime(tree, (at, at))
    shutil.rmtree(tree / "__pycache__", ignore_errors=True)
