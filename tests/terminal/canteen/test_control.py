"""Requests of other windows: done once each, between taps, whatever comes to the port and whatever answers are lost."""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sim.air import VirtualClock
from sim.profile import LAB_KEYS
from terminal.canteen import asking, control
from terminal.canteen.answers import Failed, MealsIssued, SaleDone, parse_answer
from terminal.canteen.asking import ask
from terminal.canteen.control import (
    COMMAND,
    CONTROL_FILE,
    LOOPBACK,
    MAX_CLIENTS,
    MAX_MESSAGE_BYTES,
    PROTOCOL,
    ControlAddress,
    FramedSocket,
    Hello,
    SentRequest,
    Welcome,
    open_control,
)
from terminal.canteen.documents import ListFile
from terminal.canteen.issuing import How
from terminal.canteen.pupils.draft import PupilDraft
from terminal.canteen.requests import (
    AnnulLast,
    AnyRequest,
    CloseDay,
    ComparePupils,
    CorrectAttendance,
    IssueMeals,
    LendCard,
    ListPupils,
    LoadPayments,
    LoadPriceList,
    LoadPupils,
    LoadRoster,
    MarkCard,
    MarkNotCollected,
    OpenTill,
    OrderMeal,
    SellProducts,
    TieCard,
    execute,
)
from terminal.canteen.store import CANTEEN_FOLDER, CanteenLists, PricesPart, RosterPart
from terminal.codes import CanteenFault, SetKind
from terminal.errors import (
    CanteenRefused,
    ControlError,
    JournalFull,
    KeyLimitReached,
    RosterError,
    TerminalError,
)
from terminal.journal.canteen_records import Annulment, BuffetSale, CardUse, MealServed
from terminal.keys.file import load_file_keys
from terminal.updates.active import ActiveSet
from tests.terminal.canteen.school import CASHIER, Canteen, child, local, open_canteen, ref, roster_document

BUN_MINOR = 3500
RICH_MINOR = 5_000_000
SPARE_CARD = b"\x00" * 7 + b"\xd4"
PUPILS_CARD = b"\x00" * 7 + b"\xd5"


@dataclass
class Window:
    """A running terminal as other windows see it: its folder, and what they do not see."""

    state: Path
    canteen: Canteen
    till: OpenTill
    lock: threading.Lock = field(default_factory=threading.Lock)
    faults: list[str] = field(default_factory=list)
    lines: ExitStack = field(default_factory=ExitStack)

    @property
    def file(self) -> Path:
        return self.state / CANTEEN_FOLDER / CONTROL_FILE

    @property
    def address(self) -> ControlAddress:
        return msgspec.json.decode(self.file.read_bytes(), type=ControlAddress)

    def records(self, kind: type) -> list[Any]:
        journal = self.canteen.canteen.journal
        assert journal is not None
        return [row.record for row in journal.rows(0, 10_000) if isinstance(row.record, kind)]

    def raw(self) -> FramedSocket:
        """A connection of somebody who may know nothing."""
        connection = socket.create_connection((LOOPBACK, self.address.port), 5)
        return FramedSocket(self.lines.enter_context(connection))

    def met(self) -> FramedSocket:
        """A connection of somebody who knows the token."""
        line, address, hello = self.raw(), self.address, Hello(PROTOCOL, b"n" * 32)
        line.send(msgspec.msgpack.encode(hello))
        welcome = msgspec.msgpack.decode(line.receive(1000, 5), type=Welcome)
        line.send(address.proof(COMMAND, hello.nonce, welcome.nonce))
        return line


def pupils() -> tuple[Any, ...]:
    return (
        child(1, 10, name="Тестова Анна", buffet_minor=RICH_MINOR, forbidden=("nuts",)),
        child(2, 11, buffet_minor=RICH_MINOR),
        child(3, class_id="7b", grade=7, hot_minor=20_000),
        *(child(number, 10, class_id="5c") for number in range(10, 22)),
    )


@contextmanager
def till_at(folder: Path, clock: str = "08:40") -> Iterator[tuple[Canteen, OpenTill]]:
    folder.mkdir(parents=True)
    with open_canteen(folder, *pupils()) as canteen:
        sealer = load_file_keys(LAB_KEYS).sealer
        parts = {SetKind.ROSTER: RosterPart(80001, sealer), SetKind.PRICES: PricesPart()}
        with closing(ActiveSet(folder, parts)) as active:
            yield canteen, OpenTill(canteen.canteen, CanteenLists(active), VirtualClock(local(clock)))


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    state = tmp_path / "state"
    with till_at(state) as (canteen, till):
        window = Window(state, canteen, till)
        with open_control(state, till, window.lock, window.faults.append), window.lines:
            yield window
    assert not (state / CANTEEN_FOLDER / CONTROL_FILE).exists()


def roster_file(sequence: int) -> ListFile:
    document = roster_document(child(1, 10), sequence=sequence)
    return ListFile("roster.json", msgspec.json.encode(document))


def price_file() -> ListFile:
    header = {"kind": "price_list", "schema": 1, "school": "school_12", "region": 34, "sequence": 2}
    days = {"issued_at": local("06:00"), "valid_from": local("06:00"), "valid_to": local("23:00")}
    product = {"id": "tea", "name": "Чай", "price_minor": 900}
    return ListFile("prices.json", msgspec.json.encode({"header": header | days, "products": [product]}))


def bun(pupil: int = 1, count: int = 1) -> SellProducts:
    return SellProducts(ref(pupil), {"bun": count}, CASHIER)


def payments(pupil: int) -> bytes:
    return f"payment;pupil;account;amount\n2026-09-15/1;{ref(pupil).hex()};hot;500.00\n".encode()


NO_PUPILS = PupilDraft(file="pupils.xlsx", sheets=(), dropped={})
MORNING: tuple[AnyRequest, ...] = (
    ListPupils(),
    ListPupils("3a", names=True),
    IssueMeals(CASHIER, class_id="3a", absent=(ref(2),), serving="breakfast"),
    IssueMeals(CASHIER, (ref(1), ref(3), ref(99)), serving="breakfast", how=How.COVERED_TABLE),
    IssueMeals(CASHIER, class_id="9z"),
    IssueMeals(CASHIER, (ref(2),), how=How.FORGOTTEN_CARD),
    bun(1, 2),
    SellProducts(ref(1), {"nut_bar": 1}, CASHIER),
    SellProducts(ref(1), {"tea": 1}, CASHIER),
    AnnulLast(ref(1), CASHIER, row=1),
    AnnulLast(ref(1), CASHIER),
    CorrectAttendance(CASHIER, absent=(ref(3),), present=(ref(1),)),
    MarkNotCollected("lunch", CASHIER),
    LendCard(SPARE_CARD, ref(1), CASHIER, "staff-2"),
    LendCard(PUPILS_CARD, ref(1), CASHIER, "staff-2"),
    LendCard(b"not seen", ref(1), CASHIER, "staff-2"),
    TieCard(SPARE_CARD, ref(1), CASHIER),
    TieCard(PUPILS_CARD, ref(1), CASHIER),
    MarkCard(SPARE_CARD, CardUse.LOST, CASHIER),
    MarkCard(SPARE_CARD, CardUse.UNTIED, CASHIER),
    ComparePupils(NO_PUPILS),
    LoadPupils(NO_PUPILS, CASHIER),
    LoadRoster(roster_file(3)),
    LoadRoster(roster_file(8)),
    LoadRoster(ListFile("roster.toml", b"[")),
    LoadPriceList(price_file()),
    LoadPayments(payments(3), CASHIER),
    LoadPayments(payments(3), CASHIER),
    LoadPayments(payments(99), CASHIER),
    LoadPayments(b"\xff", CASHIER),
    OrderMeal(ref(3), "lunch", CASHIER),
    OrderMeal(ref(3), "lunch", CASHIER, cancelled=True),
    OrderMeal(ref(3), "tea", CASHIER),
    OrderMeal(ref(99), "lunch", CASHIER),
    CloseDay(CASHIER),
    CloseDay(CASHIER),
    bun(),
)
"""Every request, with what it refuses."""


def outcome(work: Callable[[], object]) -> object:
    try:
        return work()
    except TerminalError as error:
        refused = isinstance(error, CanteenRefused)
        kind, code = (CanteenRefused, error.code) if refused else (type(error), "")  # type: ignore[attr-defined]
        return kind, code, error.what, error.advice, error.exit_code


def test_a_window_hears_what_is_done_here(window: Window, tmp_path: Path) -> None:
    """One path: asked of the running terminal or done at once, the answer, type and value, is the same."""
    with till_at(tmp_path / "here") as (canteen, here):
        for one in (canteen, window.canteen):
            one.present(SPARE_CARD)
            one.present(PUPILS_CARD, ref(2))
        for request in MORNING:
            done: Any = request
            asked = outcome(lambda done=done: ask(window.state, done))  # type: ignore[misc]
            assert asked == outcome(lambda done=done: execute(done, here)), request  # type: ignore[misc]
            assert asked is not None
    kinds = {type(request) for request in MORNING}
    assert kinds == set(AnyRequest.__args__), "every request is asked"
    assert window.faults == []


def test_a_request_waits_for_the_tap_that_is_being_served(window: Window) -> None:
    with ThreadPoolExecutor(1) as staff:
        with window.lock:
            asked = staff.submit(ask, window.state, ListPupils("7b"))
            with pytest.raises(TimeoutError):
                asked.result(0.2)
        answer = asked.result(20)
    assert answer is not None
    assert [pupil.class_id for pupil in answer.pupils] == ["7b"]


def test_nothing_is_lost_and_nothing_twice_among_windows_and_taps(window: Window) -> None:
    """Every window serves the same class and sells buns to the same pupil, while taps are served."""
    windows, rounds = 6, 8

    def tap(number: int) -> bool:
        with window.lock:
            return window.canteen.give(number, serving="breakfast", at="08:40")[0].outcome.accepted

    def work(_window: int) -> tuple[int, int]:
        served = sold = 0
        for _ in range(rounds):
            issued = ask(window.state, IssueMeals(CASHIER, class_id="5c", serving="breakfast"))
            sale = ask(window.state, bun())
            assert isinstance(issued, MealsIssued)
            assert isinstance(sale, SaleDone)
            served += sum(one.accepted for one in issued.pupils)
            sold += sale.accepted
        return served, sold

    with ThreadPoolExecutor(windows + 1) as hands:
        taps = hands.submit(lambda: sum(tap(number) for number in range(10, 22)))
        told = list(hands.map(work, range(windows)))
        tapped = taps.result()
    meals, sales = window.records(MealServed), window.records(BuffetSale)
    assert tapped + sum(served for served, _ in told) == len(meals) == 12, "each pupil once, by somebody"
    assert len({meal.pupil for meal in meals}) == 12
    assert sum(sold for _, sold in told) == len(sales) == windows * rounds
    report = window.canteen.report()
    assert (report.served, report.buffet_minor) == (12, windows * rounds * BUN_MINOR)
    assert (report.control.difference_minor, report.duplicates) == (0, ())


# an answer is lost


@contextmanager
def losing(window: Window, answers: int) -> Iterator[None]:
    """Between windows and the terminal: the first `answers` are taken from the terminal and never arrive."""
    server, port, left = socket.create_server((LOOPBACK, 0)), window.address.port, [answers]

    def pass_on(client: socket.socket) -> None:
        with client, socket.create_connection((LOOPBACK, port)) as terminal:
            here, there = FramedSocket(client), FramedSocket(terminal)
            there.send(here.receive(1000, 5))
            here.send(there.receive(1000, 5))
            there.send(here.receive(1000, 5))
            there.send(here.receive(MAX_MESSAGE_BYTES, 5))
            answer = there.receive(MAX_MESSAGE_BYTES, 5)
            if left[0] == 0:
                here.send(answer)
            else:
                left[0] -= 1

    def run() -> None:
        with suppress(OSError):  # closed at the end
            while True:
                pass_on(server.accept()[0])

    known = window.file.read_bytes()
    window.file.write_bytes(
        msgspec.json.encode(ControlAddress(server.getsockname()[1], window.address.token))
    )
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        window.file.write_bytes(known)
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_an_answer_that_was_lost_is_asked_for_again_and_the_work_is_done_once(window: Window) -> None:
    with losing(window, 1):
        sold = ask(window.state, bun())
    with losing(window, 1):
        again = ask(window.state, bun())
    with losing(window, 1):
        annulled = ask(window.state, AnnulLast(ref(1), CASHIER))
    assert sold is not None
    assert again is not None
    assert annulled is not None
    assert [sold.accepted, again.accepted] == [True, True]
    assert annulled.of == again.sequence != sold.sequence
    assert [record.of for record in window.records(Annulment)] == [annulled.of]
    assert len(window.records(BuffetSale)) == 2, "two sales were asked for"


def test_an_answer_that_stays_lost_is_not_known_to_be_done_or_not(window: Window) -> None:
    with losing(window, 2), pytest.raises(ControlError) as told:
        ask(window.state, bun())
    assert told.value.what == "the running terminal's answer was lost"
    assert told.value.advice.startswith(
        "Whether this was done is not known: look at `terminal canteen report`"
    )
    assert len(window.records(BuffetSale)) == 1
    with losing(window, 2), pytest.raises(ControlError, match=r"answer was lost\. Ask again"):
        ask(window.state, ListPupils())


def test_only_recent_requests_are_remembered(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REMEMBERED", 2)

    def send(message: bytes) -> Any:
        line = window.met()
        line.send(message)
        return parse_answer(line.receive(MAX_MESSAGE_BYTES, 5))

    first, *others = (msgspec.msgpack.encode(SentRequest(bytes([n]) * 16, bun())) for n in range(3))
    assert send(first) == send(first), "the row as well"
    assert len(window.records(BuffetSale)) == 1
    for message in others:
        send(message)
    assert send(others[1]) == send(others[1])
    assert len(window.records(BuffetSale)) == 3
    send(first)
    assert len(window.records(BuffetSale)) == 4, "forgotten; a client asks again at once or not at all"


# who comes to the port


def half(window: Window, line: FramedSocket) -> None:
    line._connection.sendall((40).to_bytes(4, "big") + b"only a part")
    line._connection.shutdown(socket.SHUT_WR)


def wrong_token(window: Window, line: FramedSocket) -> None:
    line.send(msgspec.msgpack.encode(Hello(PROTOCOL, b"n" * 32)))
    line.receive(1000, 5)
    line.send(hmac.digest(b"guess", b"anything", "sha256"))


def a_megabyte(window: Window, line: FramedSocket) -> None:
    with suppress(OSError):  # the terminal need not wait for all of it
        line._connection.sendall(b"x" * (3 << 20))


STRANGERS: dict[str, tuple[Callable[[Window, FramedSocket], None], str]] = {
    "garbage": (
        lambda _w, line: line._connection.sendall(b"GET / HTTP/1.1\r\n\r\n"),
        "too long for a request",
    ),
    "a short garbage": (lambda _w, line: line.send(b"\xff\x00\xff"), "no request of `terminal canteen`"),
    "JSON": (lambda _w, line: line.send(b'{"token": 1}'), "no request of `terminal canteen`"),
    "half a request": (half, "no whole request came in time"),
    "nothing": (lambda _w, _line: None, "no whole request came in time"),
    "megabytes": (a_megabyte, "too long for a request"),
    "wrong token": (wrong_token, "does not know the running terminal's token"),
    "wrong version": (
        lambda _w, line: line.send(msgspec.msgpack.encode(Hello(PROTOCOL + 1, b"n" * 32))),
        "control protocol 1, this command 2",
    ),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_is_told_why_and_stops_nobody(
    window: Window, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "GREETING_S", 0.3)
    does, says = STRANGERS[who]
    line = window.raw()
    does(window, line)
    failed = parse_answer(line.receive(MAX_MESSAGE_BYTES, 5))
    assert isinstance(failed, Failed)
    assert (failed.error, failed.exit_code) == ("ControlError", 62)
    assert says in failed.what
    sale = ask(window.state, bun())
    assert sale is not None
    assert sale.accepted
    assert len(window.records(BuffetSale)) == 1


def sent(**fields: Any) -> bytes:
    plain = {"type": "SellProducts", "pupil": ref(1), "counts": {"bun": 1}, "operator": CASHIER} | fields
    return msgspec.msgpack.encode({"id": b"i" * 16, "request": plain})


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "no request that the terminal knows"),
        (b"\xc1" * 100, "no request that the terminal knows"),
        (sent(type="RunCommand"), "no request that the terminal knows"),
        (sent(pupil=b"short"), "no request that the terminal knows"),
        (sent(counts={"bun": "one"}), "no request that the terminal knows"),
        (sent(state="/etc"), "no request that the terminal knows"),
        (sent(), None),
    ],
)
def test_only_typed_requests_are_done(window: Window, message: bytes, says: str | None) -> None:
    line = window.met()
    line.send(message)
    answer = parse_answer(line.receive(MAX_MESSAGE_BYTES, 5))
    if says is None:
        assert isinstance(answer, SaleDone)
    else:
        assert isinstance(answer, Failed)
        assert says in answer.what
    assert len(window.records(BuffetSale)) == (says is None)


def test_a_request_has_a_size(window: Window) -> None:
    line = window.met()
    line._connection.sendall((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))
    answer = parse_answer(line.receive(MAX_MESSAGE_BYTES, 5))
    assert isinstance(answer, Failed)
    assert "too long" in answer.what
    huge = LoadRoster(ListFile("roster.json", b" " * (MAX_MESSAGE_BYTES + 1)))
    with pytest.raises(ControlError, match=r"more than a running terminal takes \(16 MiB\)"):
        ask(window.state, huge)
    with pytest.raises(RosterError, match="the file is empty"):
        ask(window.state, LoadRoster(ListFile("roster.json", b" " * (MAX_MESSAGE_BYTES - 1000))))


def test_what_is_no_text_or_too_large_a_number_is_not_sent(window: Window) -> None:
    for request in (SellProducts(ref(1), {"\udcff": 1}, CASHIER), bun(count=1 << 64)):
        with pytest.raises(ControlError, match="cannot be sent"):
            ask(window.state, request)


def test_silent_clients_take_all_places_only_for_a_while(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "GREETING_S", 2.0)
    silent = [window.raw() for _ in range(MAX_CLIENTS)]
    refused = [outcome(lambda: ask(window.state, ListPupils())) for _ in range(20)]
    assert refused[-1] == (
        ControlError,
        "",
        "too many windows ask the terminal at once",
        "Nothing was done; ask again.",
        62,
    )
    for line in silent:
        assert isinstance(parse_answer(line.receive(MAX_MESSAGE_BYTES, 5)), Failed)
    assert ask(window.state, ListPupils()) is not None


# what is at the port


def test_where_no_terminal_takes_requests_nothing_is_asked(window: Window, tmp_path: Path) -> None:
    assert ask(tmp_path / "nowhere", bun()) is None
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    window.file.write_bytes(msgspec.json.encode(ControlAddress(port, "left over")))
    assert ask(window.state, bun()) is None, "a file left behind by a terminal that was killed"
    window.file.write_bytes(b"{")
    with pytest.raises(ControlError, match="does not say where the running terminal listens"):
        ask(window.state, bun())


@pytest.mark.parametrize(
    "replies",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", msgspec.msgpack.encode(Welcome(b"n" * 32, b"p" * 32))],
)
def test_what_took_over_the_port_hears_neither_request_nor_token(
    window: Window, replies: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "GREETING_S", 0.5)
    heard = bytearray()
    with socket.create_server((LOOPBACK, 0)) as server, ThreadPoolExecutor(1) as stranger:

        def listen() -> None:
            with server.accept()[0] as client:
                heard.extend(FramedSocket(client).receive(1000, 5))
                if replies.startswith(b"HTTP"):
                    client.sendall(replies)
                elif replies:
                    FramedSocket(client).send(replies)
                client.settimeout(5)
                with suppress(ConnectionResetError):  # the command left without reading on
                    while part := client.recv(1000):
                        heard.extend(part)

        token = window.address.token
        window.file.write_bytes(msgspec.json.encode(ControlAddress(server.getsockname()[1], token)))
        listening = stranger.submit(listen)
        with pytest.raises(ControlError, match="Start the terminal again"):
            ask(window.state, bun())
        listening.result(10)
    assert msgspec.msgpack.decode(bytes(heard), type=Hello).protocol == PROTOCOL, "and nothing after it"
    assert token.encode() not in heard


def test_the_file_is_its_owners(window: Window) -> None:
    assert window.file.stat().st_mode & 0o077 == 0


# the terminal's end, and its mistakes


def test_a_stopping_terminal_finishes_the_request_being_done(tmp_path: Path) -> None:
    """The request holds the lock, and goes on only when the end of the block waits for it."""
    state = tmp_path / "state"

    class WatchedLock:
        """The first holder keeps it until a second one wants it."""

        def __init__(self) -> None:
            self.lock, self.held, self.wanted = threading.Lock(), threading.Event(), threading.Event()

        def __enter__(self) -> None:
            if self.held.is_set():
                self.wanted.set()
            self.lock.acquire()
            if not self.held.is_set():
                self.held.set()
                assert self.wanted.wait(10)

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    watched = WatchedLock()
    with till_at(state) as (canteen, till), ThreadPoolExecutor(1) as staff, ExitStack() as clients:
        with open_control(state, till, watched, pytest.fail):
            port = msgspec.json.decode((state / "canteen/counter.json").read_bytes())["port"]
            clients.enter_context(socket.create_connection((LOOPBACK, port)))  # one that never asks
            asked = staff.submit(ask, state, bun())
            assert watched.held.wait(10)
        answer = asked.result(10)
        assert ask(state, bun()) is None
        assert answer is not None
        assert answer.accepted
        assert canteen.report().buffet_minor == BUN_MINOR


def test_a_mistake_of_ours_is_told_on_both_sides_without_names(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("Тестова Анна")

    with monkeypatch.context() as patch:
        patch.setattr("terminal.canteen.requests.sell", broken)
        with pytest.raises(ControlError) as told:
            ask(window.state, bun())
    assert "ZeroDivisionError" in told.value.what
    assert "is not known: look at `terminal canteen report`" in told.value.advice
    assert len(window.faults) == 1
    assert window.faults[0].startswith("SellProducts failed: ZeroDivisionError in test_control.py, line ")
    assert "Анна" not in window.faults[0] + told.value.what + told.value.advice
    assert ask(window.state, bun()) is not None


def test_a_failure_comes_back_as_what_it_was() -> None:
    error = Failed.of(JournalFull("the journal is full", "Make room.")).as_error()
    assert (type(error), error.what, error.exit_code) == (JournalFull, "the journal is full", 23)
    newer = Failed("OfNewerSoftware", "what", "Advice.", 99).as_error()
    assert (type(newer).__name__, newer.what, newer.exit_code) == ("OfNewerSoftware", "what", 99)
    odd = Failed("annotations", "what", "Advice.", 98).as_error()
    assert odd.exit_code == 98
    refused = Failed.of(CanteenRefused("no roster", "Load one.", CanteenFault.NO_ROSTER)).as_error()
    assert isinstance(refused, CanteenRefused)
    assert refused.code == "canteen:no_roster"
    limit = Failed.of(KeyLimitReached("token:transport", 60.0, datetime(2026, 9, 15, tzinfo=UTC))).as_error()
    assert (limit.exit_code, "token:transport" in limit.what) == (16, True)


def test_nothing_that_is_shown_in_a_log_holds_a_list_or_a_name() -> None:
    file = ListFile("roster.json", "Тестова Анна".encode())
    assert repr(LoadRoster(file)) == "LoadRoster(file=ListFile(roster.json, 23 bytes))"
