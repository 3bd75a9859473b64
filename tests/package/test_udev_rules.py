"""The udev rules on devices that are made up: Debian's own udev gives each its name, its owner and its power.

In a namespace of its own: a tree in place of /sys that looks as the kernel's would, and a /dev that holds the nodes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging/deb/terminal/udev.rules"
LACKING = [tool for tool in ("udevadm", "unshare", "mount") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a /sys of its own"),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
]
OWNER = ("resident-terminal", 990)
SCRIPT = r"""
import json, os, subprocess, sys
from pathlib import Path

folder, rules, owner, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
(folder / "passwd").write_text(Path("/etc/passwd").read_text() + f"{owner}:x:{number}:{number}::/:/bin/false\n")
own = rules.read_text()
for place in ("/sys", "/dev", "/run", "/etc/udev"):
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
subprocess.run(["mount", "--bind", folder / "passwd", "/etc/passwd"], check=True)
Path("/etc/udev/rules.d").mkdir()
Path("/etc/udev/rules.d/70-resident-terminal.rules").write_text(own)
# What blkid would say of a stick: there is no file system to look at.
said = 'SUBSYSTEM=="block", ENV{ID_BUS}="usb", ENV{ID_FS_LABEL}="BUNDLES", ENV{ID_FS_TYPE}="%s"\n'
Path("/etc/udev/rules.d/65-stick.rules").write_text(
    'KERNEL=="sdb1", ' + said % "vfat" + 'KERNEL=="sdc1", ' + said % "ntfs"
)

def put(place, **files):
    Path(place).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (Path(place) / name).write_text(text + "\n")

def of(place, subsystem):
    Path("/sys", subsystem).mkdir(parents=True, exist_ok=True)
    (Path(place) / "subsystem").symlink_to(os.path.relpath(f"/sys/{subsystem}", place))

def usb(name, vendor, product, kind):
    device = f"/sys/devices/pci0000:00/0000:00:14.0/usb1/{name}"
    put(device, idVendor=vendor, idProduct=product, uevent="DEVTYPE=usb_device")
    put(f"{device}/power", control="auto")
    part = f"{device}/{name}:1.0"
    put(part, bInterfaceClass=kind, uevent="DEVTYPE=usb_interface")
    of(device, "bus/usb"), of(part, "bus/usb")
    return part

def node(place, subsystem, name, major, minor, **more):
    put(place, uevent=f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n" + more.get("more", ""))
    of(place, subsystem)
    path = Path("/dev", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, (0o060000 if subsystem == "class/block" else 0o020000) | 0o600, os.makedev(major, minor))
    return place

keyboard = usb("1-3", "0c2e", "0901", "03") + "/input/input9"
put(keyboard + "/capabilities", ev="120013", key="fffffffffffffffe", abs="0", rel="0", sw="0")
put(keyboard, uevent="PRODUCT=3/c2e/901/110", name="scanner", phys="usb")
put(keyboard, properties="0")
of(keyboard, "class/input")
disk = "/sys/devices/virtual/block/"
found = {
    "card reader": usb("1-1", "072f", "223b", "0b"),
    "scanner": node(usb("1-2", "05e0", "1701", "02") + "/tty/ttyACM0", "class/tty", "ttyACM0", 166, 0),
    "keyboard": node(keyboard + "/event9", "class/input", "input/event9", 13, 73),
    "printer": node(usb("1-4", "04b8", "0202", "07") + "/usbmisc/lp0", "class/usbmisc", "usb/lp0", 180, 0),
    "modem": node(usb("1-5", "1234", "5678", "02") + "/tty/ttyACM1", "class/tty", "ttyACM1", 166, 1),
    "lines": node("/sys/devices/platform/gpio/gpiochip0", "bus/gpio", "gpiochip0", 254, 0),
    "stick": node(disk + "sdb1", "class/block", "sdb1", 8, 17, more="DEVTYPE=disk"),
    "other stick": node(disk + "sdc1", "class/block", "sdc1", 8, 33, more="DEVTYPE=disk"),
}
answers = {}
for name, place in found.items():
    command = ["udevadm", "test", "--action=add", place]
    environment = {"SYSTEMD_DEVICE_VERIFY_SYSFS": "0", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    lines = (line.partition("=") for line in done.stdout.splitlines() if "=" in line)
    said = {key: value for key, _, value in lines}
    path = Path("/dev", said["DEVNAME"].removeprefix("/dev/")) if "DEVNAME" in said else None
    answers[name] = {
        "said": said,
        "owner": None if path is None else [path.stat().st_uid, oct(path.stat().st_mode & 0o777)],
    }
answers["power"] = {one: Path(found[one]).parent.joinpath("power/control").read_text()[:2] for one in ("card reader",)}
links = Path("/dev/validator")
answers["links"] = {link.name: str(link.resolve()) for link in links.iterdir()} if links.exists() else {}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("udev")
    (folder / "made.py").write_text(SCRIPT)
    command = [
        "unshare",
        "--mount",
        sys.executable,
        "-I",
        folder / "made.py",
        folder,
        RULES,
        *map(str, OWNER),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no mounts are allowed here")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_device_has_its_name_and_is_the_terminals_alone(answers: dict[str, dict]) -> None:
    assert answers["links"] == {
        "qr": "/dev/ttyACM0",
        "qr-keys": "/dev/input/event9",
        "printer": "/dev/usb/lp0",
    }
    for name in ("scanner", "keyboard", "printer", "lines"):
        assert answers[name]["owner"] == [OWNER[1], "0o600"], name
    assert answers["modem"]["owner"] != [OWNER[1], "0o600"], "of a maker that is not listed"


def test_a_keyboard_that_is_a_scanner_types_into_no_page(answers: dict[str, dict]) -> None:
    assert answers["keyboard"]["said"]["LIBINPUT_IGNORE_DEVICE"] == "1"
    assert "LIBINPUT_IGNORE_DEVICE" not in answers["scanner"]["said"]


def test_a_card_reader_is_never_put_to_sleep(answers: dict[str, dict]) -> None:
    assert answers["power"]["card reader"] == "on"


def test_a_stick_with_bundles_is_mounted_and_no_other_file_system(answers: dict[str, dict]) -> None:
    said = answers["stick"]["said"]
    assert (said["SYSTEMD_WANTS"], said["UDISKS_IGNORE"]) == ("run-validator-stick.mount", "1")
    assert ":systemd:" in said["TAGS"]
    assert "SYSTEMD_WANTS" not in answers["other stick"]["said"]
