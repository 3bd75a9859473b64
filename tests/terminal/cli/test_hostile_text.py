"""Text from outside: refused where it enters, and nothing a screen would obey where it is printed."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cardcli.characters import is_unseen, plain_cell, visible, visible_json
from terminal.app.config.mistakes import mistakes_in
from terminal.app.config.read import parse
from terminal.canteen.documents import ListFile, PriceListDocument, RosterDocument
from terminal.clock import SystemClock
from terminal.errors import ConfigError, DocumentError
from terminal.export.reports import write_table
from terminal.mistakes.reading import FileMistake
from terminal.operations.log import Form, Log
from terminal.policy.load import load_region
from terminal.policy.routes import load_routes
from tests.terminal.canteen.school import PRICES, child, roster_document
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT, command

HOSTILE = "Мария\x1b[2J\x1b]0;x\x07\x9b31m\u202eкот\u2066\u200b\rнет"
OBEYED = [one for one in HOSTILE if is_unseen(one)]
SAYS = "from cardcli import output; output.run('x', lambda: {})"


def said(statement: str, **environment: str) -> tuple[str, str]:
    """What a command prints that consists of this statement."""
    done = subprocess.run(
        [sys.executable, "-c", SAYS.format(statement)],
        env=ENVIRONMENT | environment,
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.stdout.decode(), done.stderr.decode()


def harmless(text: str) -> bool:
    return not any(is_unseen(one) and one != "\n" for one in text)


def test_both_outputs_spell_what_a_screen_would_obey() -> None:
    for statement in (
        f"print({HOSTILE!r})",
        f"print({HOSTILE!r}, file=__import__('sys').stderr)",
        f"__import__('logging').warning({HOSTILE!r})",
        f"(_ for _ in ()).throw(ValueError({HOSTILE!r}))",  # a defect: the trace-back quotes what came from outside
    ):
        printed = "".join(said(statement))
        assert harmless(printed), printed
        assert "\\x1b" in printed
        assert "кот" in printed


def test_a_table_for_people_spells_it_too_and_columns_stay_columns() -> None:
    table = (
        "[t := __import__('rich.table').table.Table(), t.add_row("
        f"{HOSTILE!r}, 'b'), __import__('cardcli.console').console.ReadableConsole(90).print(t)]"
    )
    printed, _ = said(table)
    assert harmless(printed)
    assert "\\u202e" in printed
    assert len({len(line) for line in printed.splitlines()}) == 1


def test_colours_and_help_still_reach_a_terminal() -> None:
    """On a terminal rich writes colours; none of them is spelled."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "NO_COLOR"} | {
        "TERM": "xterm"
    }
    process = subprocess.Popen(command(("journal", "--help")), env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how a pseudo terminal says that its other end is closed
        pass
    finally:
        os.close(ours)
        process.wait(60)
    assert b"\x1b[" in shown
    assert b"\\x1b" not in shown


def test_an_argument_that_cannot_be_seen_is_refused(tmp_path: Path) -> None:
    for argument in ("a\x1b[31mb", "a\nb", "a\u202eb"):
        done = subprocess.run(
            command(("journal", "verify", "--state", argument)),
            env=ENVIRONMENT,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("terminal: argument 4 has the character U+")
        assert harmless(done.stderr)
        assert done.stderr.count("\n") == 1


def test_json_means_the_same_and_shows_everything() -> None:
    encoded = msgspec.json.encode({"name": HOSTILE + "\U000e0041\x7f"})
    shown = visible_json(encoded)
    assert harmless(shown.decode())
    assert json.loads(shown) == json.loads(encoded)


def test_a_log_line_is_one_line_in_both_forms() -> None:
    for form in Form:
        lines: list[str] = []
        said_by = Log(7, SystemClock(), form, write=lines.append)
        said_by.error("reader", HOSTILE, name=HOSTILE)
        (line,) = lines
        assert line.count("\n") == 1
        assert harmless(line), form


@pytest.mark.parametrize("character", OBEYED)
def test_lists_of_a_school_are_refused_with_the_place(character: str) -> None:
    for shape, content, name in (
        (RosterDocument, roster_document(child(1)), "pupils"),
        (
            PriceListDocument,
            PriceListDocument(header=PRICES.header, products=tuple(PRICES.products.values())),
            "products",
        ),
    ):
        raw = msgspec.to_builtins(content)
        raw[name][0]["name"] = f"Иван{character}Петров"
        with pytest.raises(DocumentError) as refused:
            ListFile("list.json", msgspec.json.encode(raw)).document(shape)
        (mistake,) = refused.value.mistakes
        assert mistake.code is FileMistake.UNSEEN
        assert mistake.path == f"{name}[0].name"
        assert mistake.values == {"character": f"U+{ord(character):04X}"}


def test_documents_and_the_configuration_are_refused_with_the_line(tmp_path: Path) -> None:
    region = (ROOT / "terminal/policy/regions/demo.toml").read_text("utf-8")
    name = region.partition('name = "')[2].partition('"')[0]
    document = tmp_path / "region.toml"
    document.write_text(region.replace(f'name = "{name}"', f'name = "{name}\\u202e"', 1), "utf-8")
    with pytest.raises(DocumentError) as refused:
        load_region(str(document))
    (found,) = [one for one in refused.value.mistakes if one.code is FileMistake.UNSEEN]
    assert found.line == 1 + region[: region.index(f'name = "{name}"')].count("\n")
    routes = tmp_path / "routes.toml"
    routes.write_text('[[routes]]\nroute = 1\nname = "a\\u001b[2Jb"\n', "utf-8")
    with pytest.raises(DocumentError) as refused:
        load_routes(routes)
    assert FileMistake.UNSEEN in {one.code for one in refused.value.mistakes}
    text = '[vehicle]\nname = "bus\\u001b[2J"\n'
    with pytest.raises(ConfigError):
        parse(tmp_path / "terminal.toml", text)
    assert [one.code for one in mistakes_in(text, "terminal.toml")] == [FileMistake.UNSEEN]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1+1", "' =1+1"),
        ("\t=1+1", "\\x09=1+1"),
        ("\r=1+1", "\\x0d=1+1"),
        ("＝1+1", "'＝1+1"),
        ("-", "'-"),
        ("-5.00", "-5.00"),
        ("-5", "-5"),
        ("+79000000000", "+79000000000"),
        ("-5,50", "-5,50"),
        ("9:12", "9:12"),
        ('a "quoted", cell', 'a "quoted", cell'),
    ],
)
def test_no_cell_is_a_formula_and_amounts_stay_numbers(cell: str, written: str) -> None:
    assert plain_cell(cell) == written
    out = io.StringIO()
    write_table(out, ("a",), [{"a": cell}])
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [["a"], [written]]


def test_what_is_seen_stays_as_it_is() -> None:
    for text in ("24,50\xa0₽", "Ёлка — «5а»", "𝟛 e\u0301 한", "a\tb\nc"):
        assert visible(text) == text
