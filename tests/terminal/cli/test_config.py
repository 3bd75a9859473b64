"""`terminal config`, and the file as every other command reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from sim.profile import LAB_KEYS
from terminal.app.config.keys import keys_of, table_names
from terminal.app.config.read import MAX_BYTES, VARIABLE
from terminal.app.config.write import BEGIN, END, reference
from terminal.cli.app import whole
from terminal.cli.options import _PLACES
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run, command


@pytest.fixture
def run(run_config: Run) -> Run:
    """`terminal config …` in this process."""
    return run_config


ROOT = Path(__file__).resolve().parents[3]
MANY = """\
number = 3
[terminal]
nmber = 7
number = "seven"
profile = "tram"
language = "xx"
[reader]
name = "pcsc"
pace_s = 0.1
state = "x"
[scren]
enabled = true
[metrics]
port = 8480
[screen]
enabled = true
[console]
idle_min = 0
[recording]
masked = false
"""
FOUND = [
    (1, "number", "belongs under [terminal]"),
    (3, "terminal.nmber", "Did you mean number?"),
    (4, "terminal.number", "Write, for example: number = 70001"),
    (5, "terminal.profile", 'profile = "bus"'),
    (6, "terminal.language", "ru, en"),
    (9, "reader.pace_s", "pace_s = 5.0"),
    (10, "reader.state", "state belongs under [terminal]"),
    (11, "scren", "Did you mean [screen]?"),
    (14, "metrics.port", "another port"),
    (18, "console.idle_min", "idle_min = 30"),
    (20, "recording.masked", "Name the file"),
]


def checked(run: Run, folder: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    """Line, key and advice of each mistake that `config check` finds."""
    path = folder / "wrong.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run("config", "check", "--config", path, "--json")
    assert done.returncode == 15, done.stderr
    mistakes = json.loads(done.stdout)["mistakes"]
    return [(one["line"] or 0, one["path"], one["advice"]) for one in mistakes]


def test_every_mistake_is_told_with_its_line_and_what_to_write(run: Run, tmp_path: Path) -> None:
    found = checked(run, tmp_path, MANY)
    for line, key, advice in FOUND:
        assert any((line, key) == one[:2] and advice in one[2] for one in found), (line, key, found)
    assert [one for one in found if one[0]] == sorted(
        (one for one in found if one[0]), key=lambda one: one[0]
    )
    told = run("config", "check", "--config", "wrong.toml")
    assert 'wrong.toml:4: terminal.number: "seven" is not a whole number from 1 to 1048575.' in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--number"),
        ("shift", "close", "--number"),
        ("config", "init", "--number"),
        ("collector", "revoke"),
    ],
    ids=" ".join,
)
def test_no_terminal_has_a_number_that_fits_no_card(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, 1_048_576)
    assert done.returncode == 2
    assert "1048576 is not in the range 1<=x<=1048575" in done.stderr


def test_a_command_names_every_mistake_on_a_line_of_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "terminal.toml").write_text(MANY, "utf-8")
    for words in (("run",), ("shift", "close"), ("health",), ("staff", "list")):
        done = run(*words)
        assert done.returncode == 15, done.stderr
        lines = done.stderr.splitlines()
        assert "terminal.toml:1: number: this key stands outside its table." in lines[0]
        assert len(lines) >= len(FOUND)
        assert all(line.startswith("terminal: terminal.toml:") for line in lines)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[terminal]\nnumber = \n", 2, "no value follows the ="),
        (
            "[terminal]\nnumber = 1\nnumber = 2\n",
            3,
            "terminal.number is stated a second time, first on line 2",
        ),
        ('[terminal]\nregion = "open\n', 2, "a text in quotes does not end"),
        ("a = " + "[" * 4000, 0, "lie more than 64 deep"),
        (b"[terminal]\nregion = '\xff'\n", 2, "not UTF-8"),
        (b"\xff\xfe[\x00", 1, "in UTF-16, not in UTF-8"),
        ("#" * (MAX_BYTES + 1), 0, "larger than 65536 bytes"),
        ("terminal = 3\n", 1, "is a table, not a value"),
        ("[[terminal]]\nnumber = 3\n", 1, "is a table, not a value"),
    ],
)
def test_what_is_no_such_file_at_all_is_one_line(
    run: Run, tmp_path: Path, text: str | bytes, line: int, says: str
) -> None:
    path = tmp_path / "terminal.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for words in (("run",), ("config", "check")):
        done = run(*words)
        said = done.stdout + done.stderr
        assert done.returncode == 15, said
        assert "Traceback" not in said
        assert says in said
        assert re.search(rf"terminal\.toml:{line}: " if line else r"terminal\.toml[: ][^0-9]", said)


def test_a_byte_order_mark_and_windows_lines_do_no_harm(run: Run, tmp_path: Path) -> None:
    (tmp_path / "terminal.toml").write_bytes(
        b"\xef\xbb\xbf[terminal]\r\nnumber = 7\r\nprofile = 'bus'\r\n[reader]\r\nname = 'sim:'\r\n"
    )
    assert run("config", "check").returncode == 0
    shown = json.loads(run("config", "show", "--json").stdout)["keys"]
    assert shown["terminal.number"] == {"value": 7, "from": "file", "line": 2}
    assert shown["reader.name"] == {"value": "sim:", "from": "file", "line": 5}


def test_an_option_wins_over_the_file_and_the_file_over_the_default(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, terminal={"number": 7, "state": "here"})
    shown = json.loads(run("config", "show", "--number", 9, "--json").stdout)["keys"]
    assert shown["terminal.number"] == {"value": 9, "from": "option", "line": 0}
    assert shown["terminal.state"] == {"value": "here", "from": "file", "line": 3}
    assert shown["screen.port"] == {"value": 8480, "from": "default", "line": 0}
    assert run("shift", "open", "--operator", "d").returncode == 0
    assert (tmp_path / "here" / "journal.db").exists()
    assert run("shift", "open", "--operator", "d", "--state", "there").returncode == 0
    assert (tmp_path / "there" / "journal.db").exists()


def test_which_file_is_read(run: Run, tmp_path: Path) -> None:
    """The option, then the environment, then the present folder; what is named and missing is a mistake."""
    for name in ("option", "variable"):
        config_file(tmp_path / name, terminal={"language": "en", "state": name})

    def state(*words: object, variable: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = ENVIRONMENT if variable is None else {**ENVIRONMENT, VARIABLE: variable}
        return subprocess.run(
            command(("config", "show", "--json", *words)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def value(*words: object, variable: str | None = None) -> str:
        done = state(*words, variable=variable)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["keys"]["terminal.state"]["value"])

    assert value() == "var/terminal"
    config_file(tmp_path, terminal={"state": "folder"})
    assert value() == "folder"
    assert value(variable="") == "folder"
    assert value(variable="variable/terminal.toml") == "variable/variable"
    assert value("--config", "option/terminal.toml", variable="variable/terminal.toml") == "option/option"
    for missing in (state("--config", "no.toml"), state(variable="no.toml")):
        assert missing.returncode == 15
        assert "no.toml: there is no such file" in missing.stderr
    assert state("--config", ".").returncode == 15


def test_paths_in_the_file_are_beside_the_file(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    path = config_file(
        folder,
        terminal={"profile": "bus", "state": "state", "region": "region.toml"},
        reader={"name": "sim:card.json,adult_purse"},
        keys={"file": "keys.toml"},
        shift={"operator": "17"},
    )
    told = run("config", "check", "--config", path)
    assert told.returncode == 15
    for line, key in ((4, "terminal.region"), (8, "keys.file")):
        assert f"{path}:{line}: {key}: there is no file {folder}" in told.stderr
    document = ROOT / "terminal" / "policy" / "regions" / "demo.toml"
    (folder / "region.toml").write_bytes(document.read_bytes())
    (folder / "keys.toml").write_bytes(LAB_KEYS.read_bytes())
    made = run("card", "new", folder / "card.json", "--profile", "month_pass", program="sim.cli.app")
    assert made.returncode == 0, made.stderr
    assert run("config", "check", "--config", path).returncode == 0
    done = run("run", "--config", path, "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["ok_pass", "ok_paid"]
    assert (folder / "state" / "journal.db").exists()


def test_a_home_folder_is_not_guessed(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, terminal={"state": "~/terminal"})
    assert run("shift", "open", "--operator", "d").returncode == 0
    assert (tmp_path / "~" / "terminal" / "journal.db").exists()


def test_a_new_file_is_sound_complete_and_never_written_over(run: Run, tmp_path: Path) -> None:
    made = run("config", "init", "--reader", "sim:adult_purse", "--number", 70001)
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "terminal.toml").read_text("utf-8")
    for table in table_names():
        assert f"\n[{table}]" in text
        for key in keys_of(table):
            assert f"{key} = " in text, f"{table}.{key}"
    assert run("config", "check").returncode == 0
    again = run("config", "init")
    assert again.returncode == 15
    assert "is there already" in again.stderr
    assert (tmp_path / "terminal.toml").read_text("utf-8") == text
    assert os.listdir(tmp_path) == ["terminal.toml"]
    os.symlink("nowhere", tmp_path / "link.toml")
    assert run("config", "init", "link.toml").returncode == 15
    assert run("config", "init", "no/folder.toml").returncode == 15


def test_each_commented_key_of_a_new_file_may_be_taken_as_it_stands(run: Run, tmp_path: Path) -> None:
    assert run("config", "init", "--reader", "sim:").returncode == 0
    path = tmp_path / "terminal.toml"
    names = {key for table in table_names() for key in keys_of(table)}
    lines = [
        line.removeprefix("# ") if line.removeprefix("# ").split(" = ")[0] in names else line
        for line in path.read_text("utf-8").splitlines()
    ]
    path.write_text("\n".join(lines), "utf-8")
    told = json.loads(run("config", "check", "--json").stdout)["mistakes"]
    meanings = {"there is no file", "a bus serves no meals", "no installed package brings"}
    meanings |= {"the machine's clock starts nowhere", "a scanner is on a serial line or a keyboard"}
    meanings |= {"[keys] names a file, too", "[bundles] names an address, too"}
    assert [one for one in told if not any(one["what"].startswith(known) for known in meanings)] == []


def test_the_schema_names_every_key_with_its_meaning(run: Run) -> None:
    schema = json.loads(run("config", "schema").stdout)
    for table in table_names():
        described = schema["$defs"]["StationConfig"]
        for part in table.split("."):
            described = schema["$defs"][described["properties"][part]["$ref"].rpartition("/")[2]]
        assert described["additionalProperties"] is False
        for name, key in keys_of(table).items():
            assert described["properties"][name]["description"] == key.description


def test_options_stand_where_the_file_has_them() -> None:
    for table, key in _PLACES.values():
        assert key in keys_of(table)
    run = whole().registered_commands[0]
    assert run.name == "run"
    assert run.callback is not None
    assert len([name for name in run.callback.__annotations__ if name != "return"]) <= 12


REAL = ("run", "--profile", "bus", "--reader", "pcsc")


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (REAL, "no keys, no region"),
        ((*REAL, "--region", "demo"), "no keys of its own"),
        ((*REAL, "--keys", LAB_KEYS), "no region of its own"),
        (("card", "read", "--reader", "pcsc"), "no keys, no region"),
        (("card", "issue", "--resident", "adult_purse"), "no keys, no region"),
        (("staff", "add", "7", "--role", "driver", "--card", "pcsc"), "no keys, no region"),
    ],
)
def test_a_real_reader_takes_nothing_of_the_laboratory_unasked(
    run: Run, tmp_path: Path, arguments: tuple[object, ...], missing: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 15, done.stderr
    assert missing in done.stderr
    assert "laboratory = true under [terminal]" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--laboratory-keys",),
        ("--keys", "laboratory"),
        ("--keys", LAB_KEYS, "--region", "demo"),
        ("--config", "terminal.toml"),
    ],
    ids=str,
)
def test_a_real_reader_takes_what_is_named_or_accepted(
    run: Run, tmp_path: Path, options: tuple[object, ...]
) -> None:
    """Then only the reader is missing, whose name nobody has."""
    if "--config" in options:
        config_file(tmp_path, terminal={"laboratory": True})
    done = run("run", "--profile", "bus", "--reader", "pcsc:no such reader", "--state", "state", *options)
    assert done.returncode == 30, done.stderr


def test_issuers_are_demanded_only_where_they_are_asked(run: Run, tmp_path: Path) -> None:
    for verify, code in (
        ("never", 30),
        ("always", 15),
    ):  # 30: there is no such reader, with or without a service
        config_file(
            tmp_path,
            terminal={"profile": "bus", "region": "demo"},
            reader={"name": "pcsc:no such reader"},
            keys={"file": LAB_KEYS},
            lists={"verify_credential": verify},
        )
        done = run("run")
        assert (done.returncode, "no issuers of its own" in done.stderr) == (code, code == 15), done.stderr


def test_a_folder_that_a_real_reader_used_demands_keys(run: Run, tmp_path: Path) -> None:
    """As the status file of a terminal on a real reader says; the journal is sealed with laboratory keys here."""
    assert run("shift", "open", "--operator", "d").returncode == 0
    state = tmp_path / "var" / "terminal"
    status = {
        "terminal": 1, "profile": "bus", "software": "s", "process": 1, "started_at_ms": 1, "at_ms": 1,
        "real_reader": True, "laboratory": ["keys"],
    }  # fmt: skip
    (state / "status.json").write_text(json.dumps(status))
    for words in (("journal", "show"), ("journal", "verify"), ("shift", "close"), ("backup", "copy")):
        refused = run(*words)
        assert refused.returncode == 15, refused.stderr
        assert "no keys of its own" in refused.stderr
    assert run("journal", "show", "--keys", "laboratory").returncode == 0
    assert "public keys on a real reader" in run("health").stdout
    config_file(tmp_path, terminal={"laboratory": True})
    assert run("shift", "close").returncode == 0


def test_a_card_file_named_twice_is_one_card(run: Run, tmp_path: Path) -> None:
    made = run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app")
    assert made.returncode == 0, made.stderr
    os.symlink("card.json", tmp_path / "same.json")
    config_file(tmp_path, shift={"operator": "17"})
    done = run("run", "--profile", "bus", "--reader", "sim:card.json,./card.json,same.json", "--json")
    assert done.returncode == 0, done.stderr
    taps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [tap["message"] for tap in taps] == ["ok_paid", "already_paid", "already_paid"]
    assert {tap["balance_after_minor"] for tap in taps} == {47_600}
    two = run("run", "--profile", "bus", "--reader", "sim:adult_purse,adult_purse", "--json")
    assert [json.loads(line)["message"] for line in two.stdout.splitlines()] == ["ok_paid", "ok_paid"]


def test_the_documentation_has_every_key() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    between = text.partition(BEGIN)[2].partition(END)[0]
    assert between.strip() == reference(), "run `make docs`"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[terminal]\nnumber = " + "9" * 5000, "too many digits"),
        ('[terminal]\nregion = "a\\u0000b"', "U+0000"),
    ],
)
def test_values_no_terminal_can_hold_are_mistakes(run: Run, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "terminal.toml").write_text(text, "utf-8")
    for word in ("check", "show"):
        finished = run("config", word)
        assert finished.returncode == 15
        assert says in finished.stdout + finished.stderr
        assert "Traceback" not in finished.stderr


AROUND = """\
[terminal]
profile = "tram"
region = "nope"
state = "f"
second_language = "ru"
[reader]
name = "sim:nobody"
pace_s = inf
[collector]
url = "http://h:99999"
[console]
host = "999.1.1.1"
[recording]
file = "nowhere/x"
"""


def test_what_run_would_refuse_is_said_before(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    found = [(line, key) for line, key, _ in checked(run, tmp_path, AROUND)]
    assert found == [
        (2, "terminal.profile"),
        (3, "terminal.region"),
        (4, "terminal.state"),
        (5, "terminal.second_language"),
        (7, "reader.name"),
        (8, "reader.pace_s"),
        (10, "collector.url"),
        (12, "console.host"),
        (14, "recording.file"),
    ]


@pytest.mark.parametrize("name", ["sim:adult_purse,,", "sim:nope.json", "foo"])
def test_a_reader_that_run_would_refuse_is_one_mistake(run: Run, tmp_path: Path, name: str) -> None:
    laboratory = '[terminal]\nprofile = "bus"\nlaboratory = true\n'
    found = checked(run, tmp_path, f'{laboratory}[reader]\nname = "{name}"\n')
    assert [(line, key) for line, key, _ in found] == [(5, "reader.name")]


EXTENDED = """\
[reader]
name = "acme"
[signals]
names = ["led", "led"]
[media]
order = []
[vehicle]
source = "GPS"
[extensions]
led = 3
[extensions.horn]
volume = 3
when = 2026-01-01
"""


def test_mistakes_about_extensions_are_found_without_loading_any(run: Run, tmp_path: Path) -> None:
    found = [(line, key) for line, key, _ in checked(run, tmp_path, EXTENDED)]
    assert found == [
        (0, "terminal.profile"),
        (2, "reader.name"),
        (2, "reader.name"),
        (4, "signals.names"),
        (4, "signals.names"),
        (6, "media.order"),
        (8, "vehicle.source"),
        (10, "extensions.led"),
        (13, "extensions.horn.when"),
    ]


def test_an_extension_s_options_are_shown_and_kept_for_used_ones_only(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text('[reader]\nname = "acme:usb:1"\n[extensions.acme]\nspeed = 9600\nlines = [1, 2]\n')
    shown = json.loads(run("config", "show", "--json").stdout)["keys"]
    assert shown["extensions.acme.speed"] == {"value": 9600, "from": "file", "line": 4}
    assert shown["extensions.acme.lines"]["value"] == [1, 2]
    path.write_text('[media]\norder = ["gym", "resident"]\n')
    done = run("config", "show")
    assert "Write resident first" in done.stderr
    path.write_text("[extensions.acme]\nspeed = 9600\n")
    done = run("config", "show")
    assert done.returncode == 15
    assert "terminal.toml:1: extensions.acme: this extension is not named anywhere" in done.stderr


@pytest.mark.parametrize(
    ("tables", "keys"),
    [
        ('[vehicle]\nsource = "replay"', ["vehicle.replay", "vehicle.source"]),
        ('[vehicle]\nsource = "vdv301"', ["vehicle.publisher", "vehicle.reply_host", "vehicle.source"]),
        (
            '[vehicle]\nsource = "vdv301"\nreply_port = 70000',
            ["vehicle.publisher", "vehicle.reply_host", "vehicle.reply_port", "vehicle.source"],
        ),
        ('[vehicle]\nsource = "replay"\nreplay = "no.jsonl"\n[lists]\nroutes = "r.toml"', ["vehicle.replay"]),
        (
            '[vehicle]\nsource = "replay"\nreplay = "r.toml"\nreplay_speed = 0\n',
            ["vehicle.replay_speed", "vehicle.source"],
        ),
        ('[vehicle]\nsource = "gpsd"\n[lists]\nroutes = "r.toml"', []),
        ('[vehicle]\nsource = "gpsd"', ["vehicle.source"]),
        ('[vehicle]\nsource = "replay"\nreplay = "r.toml"\n[lists]\nroutes = "r.toml"', []),
    ],
)
def test_a_vehicle_source_has_what_it_needs(run: Run, tmp_path: Path, tables: str, keys: list[str]) -> None:
    (tmp_path / "r.toml").write_text(
        '[header]\nid = "r"\nversion = 1\nregion = 34\nissued_at = 2026-01-01T00:00:00+03:00\n'
    )
    bus = '[terminal]\nprofile = "bus"\nregion = "demo"\n[reader]\nname = "sim:adult_purse"\n'
    (tmp_path / "bus.toml").write_text(f"{bus}{tables}\n")
    mistakes = json.loads(run("config", "check", "--config", tmp_path / "bus.toml", "--json").stdout)[
        "mistakes"
    ]
    assert sorted(one["path"] for one in mistakes) == sorted(keys)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ('publisher = "obu:8081"', ["vehicle.publisher"]),
        ('publisher = "http://10.0.0.2:8081"', ["vehicle.publisher"]),
        ('publisher = "10.0.0.2"', ["vehicle.publisher"]),
        ('publisher = "10.0.0.2:0"', ["vehicle.publisher"]),
        ('publisher = "10.0.0.2:99999"', ["vehicle.publisher"]),
        ('publisher = "::1:8081"', ["vehicle.publisher"]),
        ('publisher = "dns-sd:"', ["vehicle.publisher"]),
        ('publisher = "dns-sd:Tvs@"', ["vehicle.publisher"]),
        ('publisher = "dns-sd:Tvs@obu"', ["vehicle.publisher"]),
        ('publisher = "dns-sd:Tvs"', []),
        ('publisher = "dns-sd:Tvs@10.0.0.2"', []),
        ('publisher = "[fe80::2]:8081"', ["vehicle.reply_host"]),
        ('publisher = "[fe80::2]:8081"\nreply_host = "fe80::7"', []),
        ('publisher = "10.0.0.2:8081"\nreply_host = "bus"', ["vehicle.reply_host"]),
        ('publisher = "10.0.0.2:8081"\nreply_host = "0.0.0.0"', ["vehicle.reply_host"]),
        ('publisher = "10.0.0.2:8081"\nsource = "gpsd"', []),
        ('source = "gpsd"\ngpsd = "10.0.0.2"', ["vehicle.gpsd"]),
        ('source = "gpsd"\ngpsd = "receiver:2947"', ["vehicle.gpsd"]),
        ('source = "gpsd"\ngpsd = "localhost:2947"', []),
        ('source = "gpsd"\ngpsd = "[::1]:2947"', []),
    ],
)
def test_an_address_in_the_vehicle_is_one(run: Run, tmp_path: Path, table: str, keys: list[str]) -> None:
    lines = dict(line.split(" = ", 1) for line in ('source = "vdv301"', 'reply_host = "10.0.0.7"'))
    lines |= dict(line.split(" = ", 1) for line in table.splitlines())
    written = "[vehicle]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items()) + "\n"
    found = {key for _line, key, _what in checked(run, tmp_path, written)} - {"vehicle.source"}
    assert sorted(key for key in found if key.startswith("vehicle.")) == keys


def test_an_address_that_no_source_listens_to_is_a_mistake(run: Run, tmp_path: Path) -> None:
    found = checked(run, tmp_path, '[vehicle]\npublisher = "10.0.0.2:8081"\nreplay = "line15.jsonl"\n')
    assert {"vehicle.publisher", "vehicle.replay"} <= {key for _line, key, _what in found}


def test_a_canteen_has_no_vehicle(run: Run, tmp_path: Path) -> None:
    canteen = '[terminal]\nprofile = "canteen"\nregion = "demo"\n[reader]\nname = "sim:adult_purse"\n'
    (tmp_path / "canteen.toml").write_text(f'{canteen}[vehicle]\nsource = "gpsd"\n')
    done = run("config", "check", "--config", tmp_path / "canteen.toml")
    assert "vehicle.source: a canteen does not drive. Remove it." in done.stderr
