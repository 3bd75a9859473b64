"""What the playground offers to begin with, and what the desk answers in the page's language: asked as a page asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from terminal.cli.desk import open_desk
from terminal.policy.load import REGIONS

DEMO = (REGIONS / "demo.toml").read_text("utf-8")
STORY: dict[str, Any] = {"name": "n", "rider": "r", "card": {"balance_minor": 50_000}}
TAP = {"at": "2026-01-12T08:00:00"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An author's folder with more in it than documents."""
    folder, outside = tmp_path_factory.mktemp("tariffs"), tmp_path_factory.mktemp("outside")
    (folder / "own.toml").write_text(DEMO, "utf-8")
    (folder / "inner.toml").symlink_to(folder / "own.toml")
    (outside / "secret.toml").write_text("pin = 1234", "utf-8")
    (folder / "leads_out.toml").symlink_to(outside / "secret.toml")
    (folder / "zero.toml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.toml")
    (folder / "a_folder.toml").mkdir()
    (folder / "two\nlines.toml").write_text(DEMO, "utf-8")
    Path(os.fsdecode(bytes(folder) + b"/\xff.toml")).write_text(DEMO, "utf-8")
    (folder / "large.toml").write_text("#" * 1_000_001, "utf-8")
    (folder / "cp1251.toml").write_bytes("# Лаборатория".encode("cp1251"))
    return folder


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[httpx.Client]:
    with (
        open_desk(tmp_path_factory.mktemp("desk"), collector=False, tariffs=folder) as (server, _session),
        httpx.Client(base_url=server.url, params={"language": "ru"}, timeout=60) as client,
    ):
        yield client


def played(desk: httpx.Client, want: str, **more: Any) -> Any:
    order = {"tab": "tab-one-", "text": DEMO, "wants": [want], **more}
    return desk.post("/api/tariff", json=order).json()[want]


def test_only_plain_files_that_lie_in_the_folder_are_offered(desk: httpx.Client) -> None:
    page = desk.get("/tariff").text
    offered = {line.split('"')[1] for line in page.split("<option ") if line.startswith('value="folder/')}
    assert offered == {f"folder/{name}.toml" for name in ("own", "inner", "large", "cp1251")}


@pytest.mark.parametrize(
    "name",
    [
        "folder/leads_out.toml",
        "folder/pipe.toml",
        "folder/zero.toml",
        "folder/../own.toml",
        "../demo",
        "demo\0",
    ],
)
def test_nothing_else_is_read(desk: httpx.Client, name: str) -> None:
    answer = desk.get("/api/tariff/documents", params={"language": "ru", "name": name})
    assert answer.status_code == 409
    assert answer.json()["problem"].startswith("нет документа «")


def test_a_file_that_cannot_be_taken_is_named_with_what_to_do(desk: httpx.Client) -> None:
    answer = desk.get("/api/tariff/documents", params={"language": "ru", "name": "folder/large.toml"})
    assert answer.json()["problem"] == "large.toml: больше 1000000 байт"
    answer = desk.get("/api/tariff/documents", params={"language": "ru", "name": "folder/cp1251.toml"})
    assert answer.json()["problem"].startswith("cp1251.toml:1: ")
    assert "UTF-8" in answer.json()["advice"]


def test_a_file_that_has_gone_is_not_offered_any_more(desk: httpx.Client, folder: Path) -> None:
    (folder / "gone.toml").write_text(DEMO, "utf-8")
    asked = {"language": "ru", "name": "folder/gone.toml"}
    assert desk.get("/api/tariff/documents", params=asked).status_code == 200
    (folder / "gone.toml").unlink()
    assert desk.get("/api/tariff/documents", params=asked).json()["problem"].startswith("нет документа")


@pytest.mark.parametrize(
    ("path", "order", "problem"),
    [
        ("/api/tap", {"card": "moon", "place": "front"}, "нет карты «moon»"),
        ("/api/tap", {"card": "adult_purse", "place": "moon"}, "нет терминала «moon»"),
        ("/api/shift", {"place": "moon", "open": False}, "нет терминала «moon»"),
        ("/api/clock", {"set": "9999-12-31T23:59:59"}, "часы перескочили бы больше чем на год"),
        ("/api/reset", {"region": "moon"}, "нет региона «moon»"),
        ("/api/ride", {"place": "canteen"}, "здесь нельзя заказать поездку"),
        ("/api/document", {"text": DEMO.replace('"demo"', '"other"', 1)}, "header: это документ other"),
        ("/api/tap", {"card": 1}, "стенд не понимает этого запроса"),
    ],
)
def test_what_the_desk_does_not_do_is_said_in_the_pages_language(
    desk: httpx.Client, path: str, order: dict[str, Any], problem: str
) -> None:
    answer = desk.post(path, json=order)
    assert answer.status_code in (400, 409)
    assert answer.json()["problem"].startswith(problem)
    english = desk.post(path, json=order, params={"language": "en"}).json()["problem"]
    assert english.isascii() or "«moon»" in english


def test_what_is_asked_for_and_is_not_there_is_said_so_too(desk: httpx.Client) -> None:
    assert desk.get("/api/taps/9").json()["problem"] == "нет прикладывания 9"
    assert desk.get(f"/api/taps/{'9' * 5000}").status_code == 404
    assert desk.get("/api/journal/moon").json()["problem"] == "нет терминала «moon»"
    assert desk.get("/api/scenario").json()["problem"].startswith("сохранять нечего")


def test_orders_of_other_sites_and_names_are_turned_away(desk: httpx.Client) -> None:
    foreign: list[dict[str, str]] = [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
    ]
    for path in ("/api/tariff", "/api/reset", "/api/document"):
        for headers in foreign:
            json_headers = {"Content-Type": "application/json", **headers}
            assert desk.post(path, content=b"{}", headers=json_headers).status_code == 403, (path, headers)
    for path in ("/tariff", "/api/tariff/documents?name=demo", "/api/desk"):
        assert desk.get(path, headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("change", "place", "what"),
    [
        ({"taps": []}, "taps", "нет ни одного прикладывания"),
        ({"taps": [TAP, {"after_s": 10**15}]}, "taps[1].after_s", "1000000000000000 с после"),
        ({"taps": [{"at": "9999-12-31T23:59:59"}]}, "taps[0].at", "год 9999 вне пределов"),
        ({"taps": [{"at": "2020-01-12T08:00:00"}]}, "taps[0]", "demo версии 1 не действует на 2020-01-12"),
        ({"card": {"valid_from": "1999-12-31"}}, "card.valid_from", "год 1999 вне пределов"),
        ({"card": {"valid_to": "9999-12-31"}}, "card.valid_to", "год 9999 вне пределов"),
        ({"card": {"last": {"at": "2059-01-01T00:00:00"}}}, "card.last.at", "год 2059 вне пределов"),
        (
            {"card": {"last": {**TAP, "counters": {"moon": 1}}}},
            "card.last.counters",
            "неизвестное имя (счётчик)",
        ),
        ({"cash": {}}, "", "нужны `card`, `bank_card`, обе"),
        ({"taps": [{**TAP, "companions": -1}]}, "taps[0].companions", "-1 меньше допустимого"),
        ({"moon": 1}, "moon", "ключа `moon` здесь нет"),
        (
            {"taps": [{**TAP, "repeat": {"times": 1000, "clock": ["08:00:00"]}}, TAP]},
            "taps",
            "прикладываний: 1001",
        ),
    ],
)
def test_what_is_wrong_with_a_story_is_said_by_its_place_in_it(
    desk: httpx.Client, change: dict[str, Any], place: str, what: str
) -> None:
    (mistake,) = played(desk, "save", story={**STORY, "taps": [TAP], **change})["problem"]
    assert (mistake["line"], mistake["place"]) == (None, place)
    assert mistake["what"].startswith(what)


def test_what_does_not_fit_the_document_is_said_by_its_line_of_the_scenario_file(desk: httpx.Client) -> None:
    scenarios = (REGIONS.parent / "scenarios" / "demo.toml").read_text("utf-8")
    file = scenarios.replace("pack_a", "moon", 1)
    (mistake,) = played(desk, "scenarios", scenarios=file)["problem"]
    assert mistake["what"].startswith("неизвестное имя (счётчик)")
    begins = file[: file.index("moon")].count("\n") + 1
    assert mistake["line"] in (begins, begins - 1, begins + 1)
    (mistake,) = played(desk, "scenarios", scenarios=scenarios.replace('"demo"', '"moon"', 1))["problem"]
    assert (mistake["line"], mistake["place"]) == (3, "region")
    (mistake,) = played(desk, "take", scenarios=scenarios, number=99)["problem"]
    assert mistake["what"] == "нет сценария № 99"
