"""The Debian packages as their users meet them: built twice, installed on a booted Debian, tapped on, taken away.

One machine goes through its life; each test looks at what was seen in one part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from release.packages import PACKAGES
from sim.profile import LAB_KEYS
from terminal.policy.load import REGIONS
from tests.package.machine import CACHE, DEADLINE_S, Machine, booted, missing, seconds

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

ROOT = Path(__file__).resolve().parents[2]
ETC = "/etc/resident-terminal"
STATE = "/var/lib/resident-terminal"
JOURNAL = f"{STATE}/1/journal.db"
SIM = "/usr/lib/resident-terminal/bin/sim"
UNIT = "terminal@1"
TERMINAL_DEB = "resident-terminal_*.deb"
APT = ("apt-get", "install", "--yes")
WHEELHOUSE = "install --no-index --find-links=wheelhouse"
PRESENT = frozenset({"systemd", "udev"})
RULES = "/usr/lib/udev/rules.d/70-resident-terminal.rules"

FIRST_RUN = """
import html.parser, http.cookiejar, re, sys, time, urllib.error, urllib.parse, urllib.request

class Form(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.fields, self.select = {}, None
    def handle_starttag(self, tag, given):
        one = dict(given)
        if tag == "select":
            self.select = one["name"]
        elif tag == "option" and self.select and ("selected" in one or self.select not in self.fields):
            self.fields[self.select] = one["value"]
        elif tag == "input" and one.get("name") and (one.get("type") != "checkbox" or "checked" in one):
            self.fields.setdefault(one["name"], one.get("value") or "")
    def handle_endtag(self, tag):
        self.select = None if tag == "select" else self.select

web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

def opened(address, form=None):
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        return web.open(f"http://127.0.0.1:{address}", data, timeout=60).read().decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return ""  # of the first run, which has no such page
        sys.exit(f"{address}: {error.code} {error.read().decode()}")

def awaited(address, pattern):
    for _ in range(600):
        try:
            if found := re.search(pattern, opened(address)):
                return found
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{address} has no {pattern}")

opened("8481/code", {"code": awaited("8480/", 'id="digits"[^>]*>([0-9 ]+)<')[1]})
answers = {"school.name": "School 12", "school.region": "34", "meals.breakfast.price": "78,02",
           "categories.primary.by_shift.regional": "71,09"}
for name in ("school", "keys", "meals", "categories", "buffet", "calendar", "rules", "tills"):
    form = Form()
    form.feed(opened(f"8481/setup/{name}"))
    own = {key: value for key, value in answers.items() if key in form.fields}
    opened(f"8481/setup/{name}", {**form.fields, **own})
proof = form.fields["form"]
opened("8481/staff/add", {"form": proof, "ref": "1002", "role": "cashier", "pin": "7294", "again": "7294"})
opened("8481/finish", {"form": proof, "passphrase": "six words that are not in a book"})
opened("8481/go", {"form": proof})
awaited("8481/sign-in?typed=1", 'name="pin"')
print("the console asks for a PIN")
"""

CERTIFICATE = """
import datetime, ipaddress, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder = pathlib.Path(sys.argv[1])
key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
day = datetime.timedelta(1)
made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + 9 * day)
made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
made = made.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
(folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
(folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
"""


# what is handed out


def build(tree: Path, out: Path, downloads: Path, *options: str, **environment: str) -> Path:
    """Everything that `run.py deb` hands out, from the project in `tree`."""
    command = [sys.executable, "-m", "release", "--out", str(out), "--downloads", str(downloads), *options]
    own = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SOURCE_DATE_EPOCH")
    }
    done = subprocess.run(
        command,
        cwd=tree,
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def downloads() -> Path:
    """What the lock files pin, fetched once for these lock files; each build checks every hash."""
    pinned = b"".join(path.read_bytes() for path in sorted(ROOT.glob("requirements-deb-*.lock")))
    return CACHE / f"downloads-{hashlib.sha256(pinned).hexdigest()[:16]}"


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"), downloads)


@pytest.fixture(scope="module")
def built_elsewhere(tmp_path_factory: pytest.TempPathFactory, handed_out: Path, downloads: Path) -> Path:
    """The terminal's from a copy in another folder, with another umask and time zone, no repository and no network."""
    folder = tmp_path_factory.mktemp("elsewhere") / "a folder" / "deeper"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    when = ["git", "log", "-1", "--format=%ct"]
    at = subprocess.run(when, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    before = os.umask(0o077)
    try:
        out = tmp_path_factory.mktemp("dist")
        only = ("--only", "terminal")
        return build(folder, out, downloads, *only, SOURCE_DATE_EPOCH=at, TZ="Asia/Kamchatka")
    finally:
        os.umask(before)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_two_builds_are_equal_to_the_byte(handed_out: Path, built_elsewhere: Path) -> None:
    """What only the collector's carries is compiled by its authors."""
    again = hashes(built_elsewhere)
    assert len(again) == len((".whl", ".tar.gz", ".deb", ".cdx.json", "SHA256SUMS"))
    del again["SHA256SUMS"]
    assert again.items() <= hashes(handed_out).items()


def test_the_sums_are_those_of_the_files(handed_out: Path) -> None:
    found = hashes(handed_out)
    sums = dict(reversed(line.split("  ")) for line in (handed_out / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: digest for name, digest in found.items() if name != "SHA256SUMS"}
    assert len(sums) == 2 + 2 * len(PACKAGES)


def test_the_source_archive_makes_the_same_wheel(handed_out: Path, tmp_path: Path) -> None:
    """So nothing of the wheel is missing in it."""
    (archive,) = handed_out.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
        at = str(max(int(member.mtime) for member in packed.getmembers()))
    (source,) = tmp_path.iterdir()
    for needed in (
        "packaging/systemd/terminal@.service",
        "docs/install.md",
        "tests/package/machine.py",
        "run.py",
    ):
        assert (source / needed).exists()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "made")]
    environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": at}
    subprocess.run(command, cwd=source, env=environment, capture_output=True, timeout=120, check=True)
    (wheel,) = handed_out.glob("*.whl")
    assert (tmp_path / "made" / wheel.name).read_bytes() == wheel.read_bytes()


@pytest.mark.fresh
def test_the_wheel_goes_into_an_empty_environment_from_a_folder_of_wheels(
    handed_out: Path, downloads: Path, tmp_path: Path
) -> None:
    """As docs/install.md has it, without an index; the libraries are those that the packages were made of."""
    assert f"terminal/bin/pip {WHEELHOUSE} resident-card-terminal\n" in (ROOT / "docs/install.md").read_text()
    (wheel,) = handed_out.glob("*.whl")
    (tmp_path / "wheelhouse").mkdir()
    for path in (wheel, *downloads.glob("*.whl")):
        (tmp_path / "wheelhouse" / path.name).symlink_to(path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_NO_COMPILE": "1"}
    commands = (
        ("/usr/bin/python3", "-m", "venv", "terminal"),
        ("terminal/bin/pip", *WHEELHOUSE.split(), "resident-card-terminal"),
        ("terminal/bin/terminal", "demo"),
    )
    for command in commands:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "balanced: purses lost" in done.stdout


@pytest.mark.parametrize("part", sorted(PACKAGES))
def test_the_bill_names_what_is_pinned(handed_out: Path, part: str) -> None:
    package = PACKAGES[part]
    (bill,) = handed_out.glob(f"{package.name}_*.cdx.json")
    components = json.loads(bill.read_text())["components"]
    pinned = {line.split("==")[0] for line in package.lock_file.read_text().splitlines() if "==" in line}
    named = {one["name"].lower().replace("_", "-") for one in components}
    assert named - {"resident-card-terminal"} == pinned - {"colorama"}, "colorama is for Windows"
    assert all(len(one["hashes"][0]["content"]) == 64 for one in components)


@pytest.mark.parametrize("part", sorted(PACKAGES))
def test_the_bill_is_what_its_published_schema_says(handed_out: Path, part: str) -> None:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 it makes grammars for seconds, in every process
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    (bill,) = handed_out.glob(f"{PACKAGES[part].name}_*.cdx.json")
    published, text = JsonStrictValidator(SchemaVersion.V1_6), bill.read_text()
    assert published.validate_str(text) is None
    assert published.validate_str(text.replace('"SHA-256"', '"SHA256"')) is not None


@pytest.mark.parametrize("part", sorted(PACKAGES))
def test_a_package_brings_nothing_compiled_by_python(handed_out: Path, part: str) -> None:
    (deb,) = handed_out.glob(f"{PACKAGES[part].name}_*.deb")
    command = ["dpkg-deb", "--contents", str(deb)]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    lines = [line.split(maxsplit=5) for line in listed.splitlines()]
    assert not [line for line in lines if line[5].endswith(".pyc")]
    assert {line[1] for line in lines} == {"root/root"}
    assert {line[0] for line in lines} <= {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"}


# a machine's life


@dataclass(frozen=True)
class Unconfigured:
    """After apt has installed the package and its unit was started, with nothing set up."""

    installed: str
    automatic: set[str]
    rules: str
    state: str
    said: str
    restarts: str
    without_region: str
    first_run: tuple[str, str, str]


@dataclass(frozen=True)
class Tapped:
    to_first_tap_s: float
    log: str
    rows: list[dict[str, object]]
    folder: str


@dataclass(frozen=True)
class Sealed:
    """Keys as a sealed credential, then a damaged one."""

    open_state: str
    damaged_state: str
    restarts: str
    said: str


@dataclass(frozen=True)
class Enrolled:
    terminals: str
    health: str
    listening: str


@dataclass(frozen=True)
class Upgraded:
    forms: tuple[int, int, int]
    rows_before: list[dict[str, object]]
    rows_after: list[dict[str, object]]
    verified: str
    stopped_stays: str
    restarted: tuple[str, str]
    conffile: str
    offered: str


@dataclass(frozen=True)
class Removed:
    left: set[str]
    links: set[str]
    journal: bool
    purged_links: set[str]
    purged_journal: bool
    conffile: bool
    asked_state: bool
    asked_etc: bool
    failed: str


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine")) as made:
        yield made


def install(machine: Machine, deb: Path, *options: str) -> str:
    shutil.copy(deb, machine.tree / "root" / deb.name)
    return machine.run("dpkg", *options, "-i", f"/root/{deb.name}")


def state_of(machine: Machine, unit: str = UNIT) -> str:
    return machine.ask("systemctl", "is-active", unit).stdout.strip()


def value_of(machine: Machine, name: str) -> str:
    return machine.run("systemctl", "show", "--value", "-p", name, UNIT).strip()


def rows(machine: Machine) -> list[dict[str, object]]:
    shown = machine.run("resident-terminal", "journal", "show", "--json")
    return [json.loads(line) for line in shown.splitlines()]


def set_in(machine: Machine, values: Mapping[str, str]) -> None:
    """Take lines of the machine's terminal.toml out of their comments: TABLE.KEY to value."""
    path, table, left = machine.tree / ETC.removeprefix("/") / "terminal.toml", "", dict(values)
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        table = line[1:].partition("]")[0] if line.startswith("[") else table
        key, _, value = line.removeprefix("# ").partition(" = ")
        if line.startswith("# ") and value and f"{table}.{key}" in left:
            lines[number] = f"{key} = {left.pop(f'{table}.{key}')}"
    assert not left
    path.write_text("\n".join(lines) + "\n")


def put(machine: Machine, source: Path, name: str, mode: int) -> None:
    target = machine.tree / ETC.removeprefix("/") / name
    shutil.copy(source, target)
    target.chmod(mode)
    machine.run("chgrp", "resident-terminal", f"{ETC}/{name}")


@pytest.fixture(scope="module")
def unconfigured(machine: Machine, handed_out: Path) -> Unconfigured:
    (deb,) = handed_out.glob(TERMINAL_DEB)
    shutil.copy(deb, machine.tree / "root" / deb.name)
    installed = machine.run(*APT, f"/root/{deb.name}")
    automatic = set(machine.run("apt-mark", "showauto").split())
    with ThreadPoolExecutor() as meanwhile:
        walked = meanwhile.submit(_first_run, machine)
        machine.run(*APT, "vsmartcard-vpcd")
        rules = machine.ask("udevadm", "test", "/sys/class/mem/null").stderr
    first_run = walked.result()
    machine.ask("systemctl", "enable", "--now", UNIT)
    machine.line_of(UNIT, "Failed with result")
    state, said, restarts = state_of(machine), machine.log(UNIT), value_of(machine, "NRestarts")
    put(machine, LAB_KEYS, "keys.toml", 0o640)
    machine.ask("systemctl", "stop", "pcscd.socket", "pcscd")
    machine.ask("systemctl", "start", UNIT)
    without_region = f"{state_of(machine)}: {machine.line_of(UNIT, 'no region document')}"
    machine.run("systemctl", "start", "pcscd.socket")
    return Unconfigured(installed, automatic, rules, state, said, restarts, without_region, first_run)


def _first_run(machine: Machine) -> tuple[str, str, str]:
    """A school uses the pages that the package has opened, and its terminal starts: what the pages said, the states of
    the two units. Then the terminal is taken away again."""
    said = machine.run("python3", "-c", FIRST_RUN)
    machine.run("systemctl", "start", UNIT)  # it has been: waits until it is up
    states = state_of(machine), state_of(machine, "terminal-setup@1")
    machine.run("systemctl", "stop", UNIT)
    machine.run("rm", "-r", f"{STATE}/1")
    return said, *states


def tap(machine: Machine, before: int) -> str:
    """A card on the machine's own PC/SC service for a moment; the log's line about it."""
    machine.run(SIM, "vpcd", "--profile", "adult_purse", "--taps", 1, "--hold", 2, "--seed", 7 + before)
    return machine.line_of(UNIT, '"event":"tap"', before)


@pytest.fixture(scope="module")
def tapped(machine: Machine, handed_out: Path, unconfigured: Unconfigured) -> Tapped:
    """From the package to the first tap: installed anew, so that the time counts everything."""
    (deb,) = handed_out.glob(TERMINAL_DEB)
    put(machine, REGIONS / "demo.toml", "region.toml", 0o644)
    set_in(machine, {"terminal.laboratory": "true", "shift.operator": '"17"', "shift.route": "15"})
    began = time.monotonic()
    install(machine, deb)
    machine.run("systemctl", "start", UNIT)
    log = tap(machine, 0)
    return Tapped(seconds(began), log, rows(machine), machine.user_of(f"{STATE}/1"))


@pytest.fixture(scope="module")
def sealed(machine: Machine, tapped: Tapped) -> Sealed:
    folder = machine.tree / "etc/systemd/system/terminal@1.service.d"
    credential = "/etc/credstore.encrypted/terminal-keys"
    machine.run("mkdir", "-p", "/etc/credstore.encrypted", "/etc/systemd/system/terminal@1.service.d")
    seal = ["systemd-creds", "encrypt", "--with-key=host", "--name=terminal-keys"]
    machine.run(*seal, f"{ETC}/keys.toml", credential)
    (folder / "keys.conf").write_text(f"[Service]\nLoadCredentialEncrypted=terminal-keys:{credential}\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
    open_state, before = state_of(machine), int(value_of(machine, "NRestarts"))
    (machine.tree / credential.removeprefix("/")).write_text("damaged")
    machine.ask("systemctl", "restart", UNIT)
    said = machine.line_of("terminal-advice@1", "cannot be opened")
    damaged_state, restarts = state_of(machine), int(value_of(machine, "NRestarts")) - before
    shutil.rmtree(folder)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", UNIT)
    return Sealed(open_state, damaged_state, str(restarts), said)


@pytest.fixture(scope="module")
def enrolled(machine: Machine, handed_out: Path, tapped: Tapped) -> Enrolled:
    (deb,) = handed_out.glob("resident-collector_*.deb")
    install(machine, deb)
    etc = machine.tree / "etc/resident-collector"
    subprocess.run([sys.executable, "-c", CERTIFICATE, str(etc)], timeout=60, check=True)
    machine.run("chown", "root:resident-collector", "/etc/resident-collector/tls.key")
    machine.run("chmod", "640", "/etc/resident-collector/tls.key")
    conf = etc / "collector.conf"
    (line,) = (line for line in conf.read_text().splitlines() if line.startswith("# COLLECTOR_OPTIONS="))
    conf.write_text(f"{line.removeprefix('# ')}\n")
    machine.run("systemctl", "enable", "--now", "collector")
    listening = machine.line_of("collector", "listening on")
    code = machine.run("resident-collector", "enrol", 1).splitlines()[0]
    put(machine, etc / "tls.crt", "collector-ca.pem", 0o644)
    address = {"collector.url": '"https://127.0.0.1:8470"', "collector.tls_ca": '"collector-ca.pem"'}
    set_in(machine, address)
    machine.run("resident-terminal", "enrol", given=f"{code}\n")
    machine.run("systemctl", "restart", UNIT)
    machine.run("resident-terminal", "config", "check")
    machine.line_of(UNIT, '"event":"sync"')
    health = machine.ask("resident-terminal", "health", "--json").stdout
    return Enrolled(machine.run("resident-collector", "terminals", "--json"), health, listening)


def form_of(machine: Machine) -> int:
    """The form of the journal's database while nothing has it open: SQLite's user version, bytes 60 to 63."""
    with (machine.tree / JOURNAL.removeprefix("/")).open("rb") as database:
        return int.from_bytes(database.read(64)[60:], "big")


def newer(deb: Path, folder: Path) -> Path:
    """The package as a later revision, whose terminal.toml has another comment."""
    tree = folder / "newer"
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], timeout=DEADLINE_S, check=True)
    control, conffile = tree / "DEBIAN/control", tree / ETC.removeprefix("/") / "terminal.toml"
    control.write_text(control.read_text().replace("0.1.0-1", "0.1.0-2"))
    conffile.write_text("# Of a later revision.\n" + conffile.read_text())
    made = folder / deb.name.replace("-1_", "-2_")
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(made)]
    subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=True)
    return made


@pytest.fixture(scope="module")
def upgraded(
    machine: Machine,
    handed_out: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tapped: Tapped,
    sealed: Sealed,
    enrolled: Enrolled,
) -> Upgraded:
    """A journal in the form of older software, with rows; then the next revision of the package."""
    (deb,) = handed_out.glob(TERMINAL_DEB)
    later = newer(deb, tmp_path_factory.mktemp("later"))
    machine.run("systemctl", "stop", UNIT)
    rows_before, form = rows(machine), form_of(machine)
    machine.run("resident-terminal", "journal", "downgrade")
    older = form_of(machine)
    install(machine, later, "--force-confdef", "--force-confold")
    stopped_stays = state_of(machine)
    machine.run("systemctl", "start", UNIT)
    first = value_of(machine, "MainPID")
    install(machine, later)
    machine.run("systemctl", "start", UNIT)
    restarted = (first, value_of(machine, "MainPID"))
    machine.run("systemctl", "stop", UNIT)
    etc = machine.tree / ETC.removeprefix("/")
    return Upgraded(
        (form, older, form_of(machine)),
        rows_before,
        rows(machine),
        machine.run("resident-terminal", "journal", "verify"),
        stopped_stays,
        restarted,
        (etc / "terminal.toml").read_text(),
        (etc / "terminal.toml.dpkg-dist").read_text(),
    )


def links(machine: Machine) -> set[str]:
    return {path.name for path in (machine.tree / "etc/systemd/system").rglob("*") if path.is_symlink()}


@pytest.fixture(scope="module")
def removed(machine: Machine, handed_out: Path, upgraded: Upgraded) -> Removed:
    """Removed, purged, installed again, and purged once more with the owner's word that all may go."""
    tree, name = machine.tree, "resident-terminal"
    journal, conffile = tree / JOURNAL.removeprefix("/"), tree / ETC.removeprefix("/") / "terminal.toml"
    machine.run("systemctl", "enable", "terminal-backup@1.timer")
    machine.run("dpkg", "-r", name)
    usr = {str(path.relative_to(tree)) for path in (tree / "usr").rglob("*") if name in path.name}
    after_remove = usr, links(machine), journal.exists()
    machine.run("dpkg", "-P", name)
    after_purge = links(machine), journal.exists(), conffile.exists()
    install(machine, *handed_out.glob(TERMINAL_DEB))
    (tree / STATE.removeprefix("/") / "delete-on-purge").touch()
    machine.run("dpkg", "-P", name)
    asked = (tree / STATE.removeprefix("/")).exists(), (tree / ETC.removeprefix("/")).exists()
    return Removed(*after_remove, *after_purge, *asked, machine.run("systemctl", "--failed", "--no-legend"))


def test_apt_installs_the_package_with_all_it_needs(unconfigured: Unconfigured) -> None:
    """Of Debian's own, marked as such, so that `apt autoremove` takes them away again."""
    named = {name for name in PACKAGES["terminal"].needs if name not in PRESENT}
    assert named | {"python3", "libccid"} <= unconfigured.automatic
    assert "resident-terminal" not in unconfigured.automatic
    assert "Setting up resident-terminal" in unconfigured.installed


def test_udev_reads_every_line_of_the_rules(unconfigured: Unconfigured) -> None:
    """What it cannot read it names by file and line."""
    assert f"Reading rules file: {RULES}" in unconfigured.rules
    assert f"{RULES}:" not in unconfigured.rules


def test_a_machine_that_is_not_set_up_says_what_to_do_and_stays_down(unconfigured: Unconfigured) -> None:
    ours = [line for line in unconfigured.said.splitlines() if line.startswith("terminal: ")]
    assert len(ours) == 1
    assert "keys.toml" in ours[0]
    assert "systemctl restart terminal@1" in ours[0]
    assert (unconfigured.state, unconfigured.restarts) == ("failed", "0")


def test_a_school_sets_the_installed_package_up_by_its_pages(unconfigured: Unconfigured) -> None:
    """Installed, the package shows the code; the pages write all there is; the terminal's own unit takes over."""
    said, *states = unconfigured.first_run
    assert said.strip() == "the console asks for a PIN"
    assert states == ["active", "inactive"]


def test_a_missing_region_is_said_before_a_reader_is_waited_for(unconfigured: Unconfigured) -> None:
    assert unconfigured.without_region.startswith("failed: ")
    assert f"{ETC}/region.toml" in unconfigured.without_region


def test_a_card_pays_through_the_machines_own_service(
    tapped: Tapped, record_property: Callable[[str, object], None]
) -> None:
    """How long it took from the package is on record; 60 s are wanted, and other tests run beside this one."""
    record_property("package_to_first_tap_s", round(tapped.to_first_tap_s, 1))
    said = json.loads(tapped.log)
    assert (said["message"], said["end"], said["charge_minor"]) == ("ok_paid", "committed", 2400)
    assert [row["kind"] for row in tapped.rows][-2:] == ["Intent", "Committed"]
    assert tapped.folder == "resident-terminal:700"


def test_sealed_keys_open_and_damaged_ones_leave_advice_and_no_restarts(sealed: Sealed) -> None:
    assert sealed.open_state == "active"
    assert (sealed.damaged_state, sealed.restarts) == ("failed", "0")
    assert "systemctl restart terminal@1" in sealed.said


def test_the_collectors_package_enrols_a_terminal_and_receives_over_tls(enrolled: Enrolled) -> None:
    (terminal,) = json.loads(enrolled.terminals)["terminals"]
    assert (terminal["terminal"], terminal["enrolment"]) == (1, "enrolled")
    assert terminal["held"] > 0
    assert "https://" in enrolled.listening
    checks = json.loads(enrolled.health)["checks"]
    assert (checks["certificate"]["level"], checks["collector"]["level"]) == ("ok", "ok")


def test_an_upgrade_takes_the_journal_forward_and_loses_nothing(upgraded: Upgraded) -> None:
    form, older, newest = upgraded.forms
    assert older < form == newest
    assert upgraded.rows_after[: len(upgraded.rows_before)] == upgraded.rows_before
    assert len(upgraded.rows_after) > len(upgraded.rows_before) > 0


def test_an_upgrade_starts_again_what_ran_and_nothing_else(upgraded: Upgraded) -> None:
    assert upgraded.stopped_stays == "inactive"
    before, after = upgraded.restarted
    assert "0" not in (before, after)
    assert before != after


def test_an_edited_conffile_is_kept(upgraded: Upgraded) -> None:
    assert "\nroute = 15\n" in upgraded.conffile
    assert not upgraded.conffile.startswith("# Of a later revision.")
    assert upgraded.offered.startswith("# Of a later revision.")


def test_removal_keeps_journal_and_instances(removed: Removed) -> None:
    assert not {path for path in removed.left if path.startswith(("usr/lib", "usr/bin"))}
    assert {"terminal@1.service", "terminal-backup@1.timer"} <= removed.links
    assert removed.journal


def test_a_purge_keeps_the_journal_and_leaves_no_links(removed: Removed) -> None:
    assert not {link for link in removed.purged_links if link.startswith("terminal")}
    assert removed.purged_journal
    assert not removed.conffile


def test_a_purge_deletes_the_journal_when_its_owner_has_said_so(removed: Removed) -> None:
    assert not removed.asked_state
    assert not removed.asked_etc
    assert removed.failed == ""
