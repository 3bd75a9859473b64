"""Make .venv from the lock files, with uv or else with pip; never with sudo. Standard library only.

The project itself is not built: a path file puts the tree on the path and the console scripts are written
here, so nothing is fetched but the pinned packages, and an edit is in force at once. What is installed is
remembered as a hash of everything it was made from: when nothing changed, `prepare` needs no network.
"""

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
PYPROJECT: Final = ROOT / "pyproject.toml"
CORE: Final = ROOT / "requirements.lock"
DEVELOPMENT: Final = ROOT / "requirements-dev.lock"
READERS: Final = ROOT / "requirements-pcsc.lock"
DEBS: Final = {
    "terminal": (ROOT / "requirements-deb-terminal.lock", ("pcsc", "vehicle", "gpio", "serial", "hid")),
    "collector": (ROOT / "requirements-deb-collector.lock", ("fleet",)),
}
"""What each Debian package carries besides what always runs: its lock file and its extras."""
DEB_TOOLS: Final = ROOT / "requirements-deb-tools.lock"
DEB_TOOLS_NEED: Final = ("setuptools>=80", "swig>=4.3", "wheel>=0.45")
"""What compiles the sources among them, pinned as well."""

PROBE: Final = "import sys, sysconfig; sys.version_info < (3, 11) or print(sysconfig.get_path('purelib'))"
NO_VENV: Final = "Install python3-venv (Debian, Ubuntu) or uv, and run this again."
NOT_BUILT: Final = "not built: "
PCSC_INCLUDES: Final = ("/usr/include/PCSC", "/usr/local/include/PCSC")
PYSCARD_NEEDS: Final = (
    ("winscard.h", "libpcsclite-dev (Debian, Ubuntu) or pcsc-lite-devel (Fedora)"),
    ("Python.h", "python3-dev (Debian, Ubuntu) or python3-devel (Fedora)"),
)
SCRIPT: Final = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys
from {module} import {function}
sys.exit({function}())
"""
"""Read by a shell and by Python, so that blanks in the path and paths too long for a `#!` line do no harm."""


def stop(line: str) -> NoReturn:
    """End with one line that says what to do."""
    sys.exit(line)


def say(line: str) -> None:
    """Progress goes to stderr: stdout belongs to the command that follows."""
    print(f"set-up: {line}", file=sys.stderr, flush=True)


def prepare(*, development: bool, retry_readers: bool = False) -> None:
    """Make .venv ready to run the product, with `development` also tests and checks; say what is being done.

    Real readers are added where they can be; without them everything but `--reader pcsc` works.
    """
    began = time.monotonic()
    packages = site_packages() or make_environment()
    wanted = (CORE, DEVELOPMENT) if development else (CORE,)
    stale = [lock_file for lock_file in wanted if not is_installed(lock_file, packages)]
    if stale:
        link_tree(packages)
    for lock_file in stale:
        install(lock_file, packages)
    if add_readers(packages, retry=retry_readers) or stale:
        say(f"ready after {time.monotonic() - began:.0f} s")


def site_packages() -> Path | None:
    """Where the packages of .venv live; None when there is none that runs a new enough Python."""
    try:
        answer = subprocess.check_output([PYTHON, "-c", PROBE], text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return Path(answer) if answer else None


def make_environment() -> Path:
    """A new .venv in place of whatever is there; returns where its packages live."""
    say(f"making .venv with Python {'.'.join(map(str, sys.version_info[:3]))}")
    shutil.rmtree(VENV, ignore_errors=True)
    if shutil.which("uv"):
        command = ["uv", "venv", "--quiet", "--python", sys.executable, str(VENV)]
    else:
        command = [sys.executable, "-m", "venv", "--without-pip", str(VENV)]
    made = subprocess.run(command, check=False).returncode == 0
    return (site_packages() if made else None) or stop(f"set-up: .venv could not be made. {NO_VENV}")


def installer() -> list[str]:
    """The command that installs into .venv: uv, this Python's pip, or a pip put into .venv."""
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--quiet", "--python", str(PYTHON)]
    options = ["install", "-qq", "--no-compile", "--disable-pip-version-check"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON), *options]
    if subprocess.run([PYTHON, "-m", "ensurepip"], capture_output=True, check=False).returncode:
        stop(f"set-up: this Python has no pip. {NO_VENV}")
    return [str(PYTHON), "-m", "pip", *options]


def install(lock_file: Path, packages: Path) -> None:
    """Install exactly what `lock_file` pins, every file checked against its hash, and remember it."""
    command = installer()
    tool = "uv" if command[0] == "uv" else "pip"
    say(f"installing {pinned(lock_file)} packages of {lock_file.name} with {tool}")
    if subprocess.run([*command, "--require-hashes", "--no-deps", "-r", lock_file], check=False).returncode:
        stop(
            "set-up: packages were not installed, see above. The first time needs a network; run this again."
        )
    stamp(lock_file, packages).write_text(digest(lock_file))


def add_readers(packages: Path, *, retry: bool) -> bool:
    """Install the PC/SC binding where it can be built; True when just done, otherwise a line says why not."""
    if is_installed(READERS, packages):
        return False
    missing = missing_for_pyscard()
    if missing is not None:
        what, package = missing
        say(f"no real readers: {what} is missing; install {package} to add them. Going on with the simulator")
        return False
    log = VENV / "pyscard.log"
    failure = f"no real readers: pyscard was not built, see {log.relative_to(ROOT)}"
    if recorded(READERS, packages) == NOT_BUILT + digest(READERS) and not retry:
        say(f"{failure}; `python3 run.py setup --retry-readers` tries again")
        return False
    say("adding real readers: building pyscard")
    command = [*installer(), "--require-hashes", "--no-deps", "-r", str(READERS)]
    with log.open("wb") as output:
        built = all(
            subprocess.run(step, stdout=output, stderr=output, check=False).returncode == 0
            for step in (command, [str(PYTHON), "-c", "import smartcard.scard"])
        )
    stamp(READERS, packages).write_text(("" if built else NOT_BUILT) + digest(READERS))
    if not built:
        say(f"{failure}. Going on with the simulator")
    return built


def missing_for_pyscard() -> tuple[str, str] | None:
    """What is not there and the package that brings it; None when all is there (only Linux compiles)."""
    if sys.platform != "linux":
        return None
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"a C compiler ({compiler})", "gcc"
    flags = [f"-I{place}" for place in (*PCSC_INCLUDES, sysconfig.get_path("include"))]
    for header, package in PYSCARD_NEEDS:
        command = [compiler, "-E", "-x", "c", *flags, "-"]
        source = f"#include <{header}>".encode()
        if subprocess.run(command, input=source, capture_output=True, check=False).returncode:
            return header, package
    return None


def link_tree(packages: Path) -> None:
    """Put this tree on the environment's path and write the console scripts of pyproject.toml."""
    (packages / "resident_card_terminal.pth").write_text(f"{ROOT}\n")
    for name, target in tomllib.loads(PYPROJECT.read_text())["project"]["scripts"].items():
        module, function = target.split(":")
        script = VENV / "bin" / name
        script.write_text(SCRIPT.format(python=PYTHON, module=module, function=function))
        script.chmod(0o755)


def digest(lock_file: Path) -> str:
    """Everything an installed lock file depends on; the place of the tree too, because scripts name it."""
    parts = [str(ROOT).encode(), PYPROJECT.read_bytes(), Path(__file__).read_bytes(), lock_file.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamp(lock_file: Path, packages: Path) -> Path:
    """Where it is remembered that `lock_file` was installed: beside the packages, so both go together."""
    return packages / f"{lock_file.name}.stamp"


def recorded(lock_file: Path, packages: Path) -> str:
    place = stamp(lock_file, packages)
    return place.read_text() if place.exists() else ""


def is_installed(lock_file: Path, packages: Path) -> bool:
    return recorded(lock_file, packages) == digest(lock_file)


def pinned(lock_file: Path) -> int:
    """How many packages it names."""
    return sum("==" in line for line in lock_file.read_text().splitlines())


def lock(*arguments: str) -> None:
    """Write the lock files again from pyproject.toml (needs uv); `--upgrade` takes newer versions."""
    if shutil.which("uv") is None:
        stop("lock: uv is needed to write lock files. Install uv and run this again.")
    extras: dict[str, list[str]] = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-header"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", *arguments]
    shared = ["--constraint", CORE.name]  # a package in two lock files has one version
    subprocess.run([*command, PYPROJECT.name, "-o", CORE.name], cwd=ROOT, check=True)
    subprocess.run([*command, "--group", "dev", *shared, "-o", DEVELOPMENT.name], cwd=ROOT, check=True)
    readers = [*command, *shared, "-", "-o", READERS.name]
    subprocess.run(readers, input="\n".join(extras["pcsc"]).encode(), cwd=ROOT, check=True)
    shared += ["--constraint", DEVELOPMENT.name, "--constraint", READERS.name]
    for file, carried in DEBS.values():
        chosen = [word for extra in carried if extra in extras for word in ("--extra", extra)]
        subprocess.run([*command, PYPROJECT.name, *chosen, *shared, "-o", file.name], cwd=ROOT, check=True)
    tools = [*command, "-", "-o", DEB_TOOLS.name]
    subprocess.run(tools, input="\n".join(DEB_TOOLS_NEED).encode(), cwd=ROOT, check=True)
    written = (CORE, DEVELOPMENT, READERS, *(file for file, _ in DEBS.values()), DEB_TOOLS)
    say(f"wrote {', '.join(file.name for file in written)}")
