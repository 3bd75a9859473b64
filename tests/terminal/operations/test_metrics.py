"""`/metrics` of a real terminal process, read back by Prometheus' own parser."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from terminal.app.simulated import laboratory_keys
from terminal.decision.outcome import Message
from terminal.keys.file import load_file_keys
from terminal.lab.world import laboratory_deny_list
from terminal.operations.metrics import metrics_page
from terminal.operations.text_format import CONTENT_TYPE, Histogram, counter, gauge, info, render
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run
from tests.terminal.operations.service import running, waiting_terminal

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def numbers(page: str) -> Numbers:
    """Every sample, by its name and labels."""
    families = list(text_string_to_metric_families(page))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return next(line.split()[3] for line in process.stderr if ": metrics: " in line)


def scrape(address: str) -> str:
    with urllib.request.urlopen(address) as page:
        assert page.headers["Content-Type"] == CONTENT_TYPE
        return page.read().decode()


def test_a_waiting_terminal_shows_everything_it_knows(run: Run, tmp_path: Path) -> None:
    deny_list = tmp_path / "deny"
    _write_deny_list(deny_list)
    config_file(tmp_path, shift={"operator": "17"})
    taps = run("run", "--profile", "bus", "--reader", "sim:adult_purse", "--state", "state")
    assert taps.returncode == 0, taps.stderr
    arguments = waiting_terminal(tmp_path / "state", metrics={"port": 0}, lists={"deny": deny_list})
    with running(arguments) as process:
        found = numbers(scrape(address_of(process)))
    plain = {
        name.removeprefix("resident_terminal_"): value
        for (name, labels), value in found.items()
        if not labels
    }
    assert plain["reader_up"] == plain["shift_open"] == 1
    assert plain["unsent_rows"] == plain["journal_rows"] == 7
    assert plain["journal_capacity_rows"] == 600_000
    assert 0 < plain["oldest_unsent_row_age_seconds"] < 3600
    assert 0 <= plain["deny_list_age_seconds"] < 3600
    assert plain["disk_free_bytes"] > 0
    assert plain["tariff_end_timestamp_seconds"] > plain["start_time_seconds"]
    for zero in ("unresolved_taps", "clock_suspect", "sync_failures_total", "reader_outages_total"):
        assert plain[zero] == 0, zero
    labels = (("profile", "bus"), ("software", "resident-card-terminal 0.1.0"))
    assert found["resident_terminal_info", labels] == 1
    tariff = (("kind", "region"), ("version", "1"))
    assert found["resident_terminal_in_force_since_timestamp_seconds", tariff] > 1.7e9


def test_taps_are_counted_by_what_the_passenger_was_told(tmp_path: Path) -> None:
    file = config_file(
        tmp_path,
        terminal={"profile": "bus", "state": tmp_path / "s"},
        reader={"name": "sim:adult_purse,empty_purse,not_desfire", "taps": 6},
        shift={"operator": "17"},
        metrics={"port": 0},
    )
    arguments: list[object] = ["--config", file]
    with running(arguments, script=SCRAPED_AT_THE_LAST_TAP) as process:
        page, _ = process.communicate(timeout=60)
    found = numbers(page.partition("PAGE\n")[2])
    told = {
        dict(labels)["outcome"]: n
        for (name, labels), n in found.items()
        if name == "resident_terminal_taps_total"
    }
    assert told == {"ok_paid": 1, "already_paid": 1, "no_funds": 2, "unknown_card": 2}
    assert set(told) <= {message.value for message in Message}
    ends = {
        dict(labels)["end"]: n
        for (name, labels), n in found.items()
        if name == "resident_terminal_tap_ends_total"
    }
    assert ends == {"committed": 1, "nothing_written": 5}
    durations = [
        n for (name, _), n in found.items() if name == "resident_terminal_tap_duration_seconds_bucket"
    ]
    assert durations == sorted(durations)
    assert found["resident_terminal_tap_duration_seconds_count", ()] == durations[-1] == 6
    assert found["resident_terminal_card_exchanges_total", ()] > 6


SCRAPED_AT_THE_LAST_TAP = """
import sys, urllib.request
from terminal.cli import app
from terminal.operations import vitals
from terminal.operations.metrics import terminal_metrics
from terminal.operations.text_format import render

stop = vitals.Vitals.stopping
def stopping(self):
    print("PAGE", render(terminal_metrics(self)).decode(), sep="\\n", flush=True)
    stop(self)
vitals.Vitals.stopping = stopping
app.main()
"""


def _write_deny_list(path: Path) -> None:
    laboratory_deny_list(path, load_file_keys(laboratory_keys()))


def test_a_port_that_is_taken_keeps_the_terminal_from_starting(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = waiting_terminal(tmp_path / "state", metrics={"port": taken.getsockname()[1]})
        finished = run("run", *arguments)
    assert finished.returncode == 80
    assert "Choose another port under [metrics] in terminal.toml" in finished.stderr


def test_only_the_page_is_served_and_only_to_this_machine() -> None:
    with metrics_page(0, lambda: b"a 1\n") as port:
        base = f"http://127.0.0.1:{port}"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/metrics", data=b"x")
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.close()
        with socket.create_connection(("127.0.0.1", port)) as nonsense:
            nonsense.sendall(b"\xff" * 20_000)
        assert scrape(f"{base}/metrics?name=a") == "a 1\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_format_is_what_prometheus_reads() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    page = render(
        [
            counter("a_total", "Counts.", {"x": 1, 'y"\n\\': 2.5}, "kind"),
            gauge("b_bytes", "Goes up and down.", 1e15),
            info("c_info", "Words.", version="1"),
            counter("nothing_total", "No sample yet.", {}, "kind"),
            histogram.family("d_seconds", "Spread."),
        ]
    ).decode()
    assert numbers(page) == {
        ("a_total", (("kind", "x"),)): 1,
        ("a_total", (("kind", 'y"\n\\'),)): 2.5,
        ("b_bytes", ()): 1e15,
        ("c_info", (("version", "1"),)): 1,
        ("d_seconds_bucket", (("le", "0.1"),)): 2,
        ("d_seconds_bucket", (("le", "1"),)): 3,
        ("d_seconds_bucket", (("le", "+Inf"),)): 4,
        ("d_seconds_sum", ()): 7.65,
        ("d_seconds_count", ()): 4,
    }
    assert {family.name: family.type for family in text_string_to_metric_families(page)} == {
        "a": "counter",
        "b_bytes": "gauge",
        "c_info": "gauge",
        "nothing": "counter",
        "d_seconds": "histogram",
    }
