"""Office users: who may do what, two people for money and roll-outs, a row for each act, through the application."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from terminal.collector.alarms import AlarmCause, AlarmKind, detail_of
from terminal.collector.approvals import WAITS_MS
from terminal.collector.entrance import IDLE_MS, SIGN_IN
from terminal.collector.office_rights import TECHNICAL
from terminal.collector.recompute.ledger import LedgerReader
from terminal.collector.recompute.trials import GroupCount, ShadowSum
from terminal.collector.store import Alarm, Operation
from terminal.collector.users import OfficeRole, User, Users, hash_password
from terminal.errors import StaffError
from terminal.support_code import support_code
from tests.terminal.collector.office import Program, Town, user_of
from tests.terminal.journal.samples import INTENT

LOOK, OPERATE, PUBLISH, MONEY = OfficeRole
PASSWORD = "correct horse battery"
FORM = {"content-type": "application/x-www-form-urlencoded"}
FAR = {"host": "collector.example"}
GAP = Alarm(AlarmKind.GAP, 7, 3, detail_of(AlarmCause.ROWS_MISSING, first=3, last=4))
TWICE = Alarm(AlarmKind.TMC_TWICE, 7, 9, "counter")


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path / "collector", host="0.0.0.0")
    yield made
    made.close()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def done(town: Town) -> list[tuple[int, str, str, str]]:
    return [one[1:] for one in town.collector.store.operations()]


class Browser:
    """One person at the page: keeps the cookie, fills in the forms that are there."""

    def __init__(self, town: Town) -> None:
        self._client = Program(town.app, "10.0.0.9")
        self.cookie = ""
        self.page = ""

    def ask(self, method: str, path: str, **options: object) -> int:
        headers = {**FAR, **({"cookie": self.cookie} if self.cookie else {}), **options.pop("headers", {})}
        answer = self._client.request(method, path, headers=headers, **options)
        self.page = answer.text
        if "set-cookie" in answer.headers:
            self.set = answer.headers["set-cookie"]
            self.cookie = self.set.partition(";")[0]
        return answer.status_code

    def sign_in(self, ref: str, password: str = PASSWORD) -> int:
        return self.ask("POST", SIGN_IN, data={"ref": ref, "password": password})

    def fill_in(self, do: str, subject: str = "", comment: str = "") -> int:
        """Open the page, find the form of `do` on it, and send it."""
        assert self.ask("GET", "/operator/") == 200
        found = re.search(
            rf"name=proof value='([0-9a-f]+)'><input type=hidden name=do value='{do}'", self.page
        )
        assert found, f"no form to {do}"
        form = {"proof": found[1], "do": do, "subject": subject, "comment": comment}
        return self.ask("POST", "/operator/do", data=form)

    def offers(self) -> set[str]:
        self.ask("GET", "/operator/")
        return set(re.findall("name=do value='([a-z_]+)'", self.page))


def test_a_stranger_is_shown_the_sign_in_and_nothing_else(town):
    client = town.client()
    page = client.get("/operator/", headers=FAR, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, SIGN_IN)
    assert "users add" in client.get(SIGN_IN, headers=FAR).text, "without users it says how to begin"
    for path in ("/v1/report", "/v1/alarms", "/v1/days/2026-02-02", "/v1/requests", "/v1/operations"):
        assert client.get(f"/operator{path}", headers=FAR).status_code == 401
    assert client.get("/metrics", headers=FAR).status_code == 401
    assert client.get("/operator/style.css", headers=FAR).status_code == 200
    assert client.get("/v1/health").status_code == 200


def test_no_shared_token_is_taken_any_more(town):
    """A folder of before has one: it opens nothing, as a token or as a browser's password."""
    (town.settings.folder / "operator.token").write_text("shared\n")
    client = town.client()
    for given in ({"headers": FAR | bearer("shared")}, {"auth": ("operator", "shared"), "headers": FAR}):
        answer = client.get("/operator/v1/status", **given)
        assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert not any(town.settings.folder.rglob("*.token.new"))


def test_reading_on_the_machine_itself_needs_no_user_but_changing_does(tmp_path):
    town = Town(tmp_path)
    client = town.client()
    town.terminal(7)
    assert client.get("/operator/v1/status").status_code == 200
    assert client.get("/metrics").status_code == 200
    assert client.get("/operator/v1/status", headers={"host": "evil.example"}).status_code == 401
    assert client.get("/operator/v1/status", headers=bearer("wrong")).status_code == 401
    assert client.post("/operator/v1/terminals/7/enrolment").status_code == 401
    assert client.delete("/operator/v1/terminals/7/key").status_code == 401
    town.close()


@pytest.mark.parametrize("role", [LOOK, PUBLISH, MONEY])
def test_terminals_are_only_for_who_operates(town, role):
    town.terminal(7)
    token, right = town.user("1", role), town.user("2", OPERATE)
    client = town.client()
    for method, path in (("POST", "/terminals/7/enrolment"), ("DELETE", "/terminals/7/key")):
        refused = client.request(method, f"/operator/v1{path}", headers=bearer(token))
        assert (refused.status_code, refused.json()["error"]) == (403, "not_for_role")
    assert client.get("/operator/v1/terminals", headers=bearer(token)).status_code == 200
    assert client.post("/operator/v1/terminals/7/enrolment", headers=bearer(right)).status_code == 201
    assert client.delete("/operator/v1/terminals/7/key", headers=bearer(right)).status_code == 204
    assert client.delete("/operator/v1/terminals/7/key", headers=bearer(right)).status_code == 404
    assert done(town) == [(7, "code_made", "", "2"), (7, "revoked", "", "2")]


def test_a_technical_alarm_is_one_persons(town):
    town.collector.store.keep_alarm(GAP, town.clock.now_ms)
    place, word = "/operator/v1/alarms/1/acknowledgement", {"comment": "it was resent"}
    client, right = town.client(), bearer(town.user("17", OPERATE))
    assert client.post(place, json=word).status_code == 401
    assert client.post(place, json=word, headers=bearer(town.user("2", MONEY))).status_code == 403
    assert client.post(place, json=word | {"by": "18"}, headers=right).status_code == 400, (
        "none signs for another"
    )
    assert client.post(place, json=word, headers=right).status_code == 204
    assert client.post("/operator/v1/alarms/99/acknowledgement", json=word, headers=right).status_code == 403
    (alarm,) = client.get("/operator/v1/alarms", headers=right).json()
    assert (alarm["open"], alarm["acknowledged_by"], alarm["comment"]) == (False, "17", "it was resent")
    assert client.get("/operator/v1/alarms?open=true", headers=right).json() == []
    assert client.get("/operator/v1/alarms?limit=0", headers=right).status_code == 400
    assert done(town) == [(7, "acknowledged", "1", "17")]


def test_an_alarm_about_money_takes_two_people(town):
    assert AlarmKind.TMC_TWICE not in TECHNICAL
    town.collector.store.keep_alarm(TWICE, town.clock.now_ms)
    place, word = "/operator/v1/alarms/1/acknowledgement", {"comment": "card is denied"}
    client = town.client()
    one, other, operator = (
        bearer(town.user("1", MONEY)),
        bearer(town.user("2", MONEY)),
        bearer(town.user("3", OPERATE)),
    )
    asked = client.post(place, json=word, headers=one)
    assert (asked.status_code, asked.json()) == (202, {"request": 1})
    assert client.post(place, json=word, headers=other).json() == {"request": 1}, (
        "asking twice confirms nothing"
    )
    assert client.get("/operator/v1/alarms", headers=one).json()[0]["open"]
    confirm = "/operator/v1/requests/1/confirmation"
    for who, error in ((one, "same_person"), (operator, "not_for_role")):
        refused = client.post(confirm, headers=who)
        assert (refused.status_code, refused.json()["error"]) == (403, error)
    (waiting,) = client.get("/operator/v1/requests", headers=one).json()
    assert (waiting["what"], waiting["subject"], waiting["by"]) == ("acknowledge", "1/1", "1")
    assert client.post(confirm, headers=other).status_code == 204
    again = client.post(confirm, headers=other)
    assert (again.status_code, again.json()["error"]) == (409, "decided")
    (alarm,) = client.get("/operator/v1/alarms", headers=one).json()
    assert (alarm["open"], alarm["acknowledged_by"], alarm["comment"]) == (False, "1, 2", "card is denied")
    assert client.get("/operator/v1/requests", headers=one).json() == []
    rows = [
        (0, "asked", "1", "1"),
        (0, "asked", "1", "2"),
        (7, "acknowledged", "1", "1, 2"),
        (0, "confirmed", "1", "2"),
    ]
    assert done(town) == rows
    assert client.post("/operator/v1/requests/9/confirmation", headers=one).status_code == 404


def test_a_request_holds_for_what_was_seen_by_whom_it_was_asked_and_for_three_days(town):
    town.collector.store.keep_alarm(TWICE, town.clock.now_ms)
    place, client = "/operator/v1/alarms/1/acknowledgement", town.client()
    one, other = bearer(town.user("1", MONEY)), bearer(town.user("2", MONEY))

    def confirmed(number: int) -> str:
        return client.post(f"/operator/v1/requests/{number}/confirmation", headers=other).json()["error"]

    client.post(place, json={}, headers=one)
    town.collector.store.keep_alarm(TWICE, town.clock.now_ms)
    assert confirmed(1) == "changed", "it was seen again since"
    client.post(place, json={}, headers=one)
    assert client.delete("/operator/v1/requests/2", headers=one).status_code == 204, "taken back"
    assert confirmed(2) == "decided"
    client.post(place, json={}, headers=one)
    town.clock.move(seconds=WAITS_MS / 1000)
    assert confirmed(3) == "expired"
    client.post(place, json={}, headers=one)
    town.collector.office.users.remove("1")
    assert confirmed(4) == "asker_gone"
    assert client.get("/operator/v1/status", headers=FAR | one).status_code == 401, (
        "the token ended with the user"
    )
    assert client.get("/operator/v1/alarms", headers=other).json()[0]["open"]


def test_a_roll_out_serves_what_the_second_person_saw(town):
    folder = town.settings.folder
    stage(folder / "staged", 4)
    client = town.client()
    one, other = bearer(town.user("1", PUBLISH)), bearer(town.user("2", PUBLISH))
    assert (
        client.post("/operator/v1/roll-out", headers=bearer(town.user("3", *{MONEY, OPERATE}))).status_code
        == 403
    )
    assert client.get("/operator/v1/staged", headers=one).json()["changes"] == ["tariff 0 → 4"]
    assert client.post("/operator/v1/roll-out", headers=one).json() == {"request": 1}
    stage(folder / "staged", 5)
    assert client.post("/operator/v1/requests/1/confirmation", headers=other).json()["error"] == "changed"
    assert client.get("/v1/bundles/metadata/timestamp.json").status_code == 404
    assert client.post("/operator/v1/roll-out", headers=one).json() == {"request": 2}
    assert client.post("/operator/v1/requests/2/confirmation", headers=one).json()["error"] == "same_person"
    assert client.post("/operator/v1/requests/2/confirmation", headers=other).status_code == 204
    for name in ("metadata/timestamp.json", "metadata/5.snapshot.json", "metadata/5.tariff.json"):
        assert client.get(f"/v1/bundles/{name}").content == (folder / "staged" / name).read_bytes()
    nothing = client.post("/operator/v1/roll-out", headers=one)
    assert (nothing.status_code, nothing.json()["error"]) == (409, "nothing_staged")
    stage(folder / "staged", 3)
    assert client.post("/operator/v1/roll-out", headers=one).json() == {"request": 3}
    assert client.post("/operator/v1/requests/3/confirmation", headers=other).json()["error"] == "changed", (
        "older"
    )
    assert client.get("/v1/bundles/metadata/5.tariff.json").status_code == 200
    assert [row[1] for row in done(town)].count("rolled_out") == 1


def stage(folder: Path, version: int) -> None:
    """The shape of a repository, as far as a roll-out reads it."""
    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    meta = f'{{"signed":{{"version":{version},"meta":{{"%s":{{"version":{version}}}}}}}}}'
    (metadata / "timestamp.json").write_text(meta % "snapshot.json")
    (metadata / f"{version}.snapshot.json").write_text(meta % "tariff.json")
    (metadata / f"{version}.tariff.json").write_text("{}")


def test_a_link_among_what_is_staged_is_not_served_and_the_request_waits(town):
    staged = town.settings.folder / "staged"
    stage(staged, 4)
    (staged / "metadata/9.root.json").symlink_to("/etc/passwd")
    client = town.client()
    one, other = bearer(town.user("1", PUBLISH)), bearer(town.user("2", PUBLISH))
    client.post("/operator/v1/roll-out", headers=one)
    refused = client.post("/operator/v1/requests/1/confirmation", headers=other)
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert client.get("/v1/bundles/metadata/9.root.json").status_code == 404
    (staged / "metadata/9.root.json").unlink()
    assert client.post("/operator/v1/requests/1/confirmation", headers=other).status_code == 204


def test_people_sign_in_and_find_the_forms_of_their_roles(town):
    town.terminal(7)
    town.collector.store.keep_alarm(TWICE, town.clock.now_ms)
    folder = town.settings.folder
    for ref, *roles in (("1", MONEY), ("2", MONEY, OPERATE), ("3", LOOK)):
        user_of(folder, ref, *roles, password=PASSWORD)
    money, second, looking = Browser(town), Browser(town), Browser(town)
    for browser, ref in ((money, "1"), (second, "2"), (looking, "3")):
        assert browser.sign_in(ref) == 303
        assert "HttpOnly" in browser.set
        assert "SameSite=strict" in browser.set
        assert "Path=/operator" in browser.set
    assert looking.offers() == set()
    cards = {"replace_card", "repay_ride", "erase_person"}
    assert money.offers() == {"acknowledge"} | cards
    assert second.offers() == {"acknowledge", "code", "revoke"} | cards
    assert money.fill_in("acknowledge", "1", "the card <b>is</b> denied") == 200
    assert "Request 1 waits for a second person to confirm it." in money.page
    assert money.offers() == {"acknowledge", "reject"} | cards
    assert "confirm" not in looking.offers()
    assert second.fill_in("confirm", "1") == 200
    assert "<b>is" not in second.page
    assert not town.collector.store.alarms(only_open=True)
    assert second.fill_in("code", "8") == 200
    assert re.search("Code for terminal 8.*([A-Z0-9]{4}-){3}", second.page)
    assert second.fill_in("revoke", "7") == 200
    assert town.collector.enrolment.key_of(7) is None
    assert {row[3] for row in done(town)} == {"1", "2", "3", "1, 2"}


def test_a_role_is_asked_at_the_act_and_not_only_at_the_form(town):
    town.terminal(7)
    user_of(town.settings.folder, "3", LOOK, password=PASSWORD)
    browser = Browser(town)
    browser.sign_in("3")
    browser.ask("GET", "/operator/")
    proof = re.search("name=proof value='([0-9a-f]+)'", browser.page)[1]
    form = {"proof": proof, "do": "revoke", "subject": "7"}
    assert browser.ask("POST", "/operator/do", data=form) == 409
    assert "This is not for your role." in browser.page
    assert town.collector.enrolment.key_of(7) is not None


def test_forms_of_other_pages_and_a_cookie_alone_change_nothing(town):
    town.terminal(7)
    user_of(town.settings.folder, "1", OPERATE, password=PASSWORD)
    browser = Browser(town)
    browser.sign_in("1")
    browser.ask("GET", "/operator/")
    proof = re.search("name=proof value='([0-9a-f]+)'", browser.page)[1]
    form = {"do": "revoke", "subject": "7"}
    assert browser.ask("POST", "/operator/do", data=form) == 403
    assert browser.ask("POST", "/operator/do", data=form | {"proof": "0" * 64}) == 403
    evil = {"origin": "https://evil.example"}
    assert browser.ask("POST", "/operator/do", data=form | {"proof": proof}, headers=evil) == 403
    assert browser.ask("DELETE", "/operator/v1/terminals/7/key") == 401, "programs give a token"
    assert browser.ask("POST", "/operator/do", data=form | {"proof": proof, "do": "format"}) == 400
    assert browser.ask("POST", "/operator/do", content=b"x" * 5_000, headers=FORM) == 413
    assert town.collector.enrolment.key_of(7) is not None
    assert browser.ask("POST", "/operator/do", data=form | {"proof": proof}) == 200
    assert town.collector.enrolment.key_of(7) is None


def test_wrong_passwords_wait_longer_each_time_and_are_on_record(town):
    user_of(town.settings.folder, "1", password=PASSWORD)
    browser = Browser(town)
    for _ in range(2):
        assert browser.sign_in("1", "wrong wrong wrong") == 403
        assert "Number or password is wrong." in browser.page
    assert browser.sign_in("1", "wrong wrong wrong") == 403
    assert "Next try in 5 s." in browser.page
    assert browser.sign_in("1") == 403, "the right one has to wait as well"
    for _ in range(4):
        town.clock.move(hours=5)
        assert browser.sign_in("1", "wrong wrong wrong") == 403
    assert (0, "locked", "", "1") in done(town)
    assert browser.sign_in("99", "wrong wrong wrong") == 403
    town.clock.move(hours=5)
    assert browser.sign_in("1") == 303
    assert done(town)[-1] == (0, "signed_in", "", "1")
    attempts = (town.settings.folder / "office/attempts.json").read_text()
    assert '"page:99"' not in attempts, "numbers of no user fill no file"


def test_a_session_ends_unused_signed_out_and_with_its_user_or_password(town):
    user_of(town.settings.folder, "1", password=PASSWORD)
    users, browser = Users(town.settings.folder), Browser(town)
    for end in (
        lambda: town.clock.move(seconds=IDLE_MS / 1000),
        lambda: users.set_password("1", hash_password(f"{PASSWORD} 2")),
        lambda: users.remove("1"),
    ):
        assert browser.sign_in("1") == 303
        assert browser.ask("GET", "/operator/v1/status") == 200
        end()
        assert browser.ask("GET", "/operator/v1/status") == 401
        if users.get("1") is not None:
            users.set_password("1", hash_password(PASSWORD))
    user_of(town.settings.folder, "1", password=PASSWORD)
    browser.sign_in("1")
    browser.ask("GET", "/operator/")
    proof, kept = re.search("name=proof value='([0-9a-f]+)'", browser.page)[1], browser.cookie
    assert browser.ask("POST", "/operator/sign-out", data={"proof": proof}) == 303
    browser.cookie = kept
    assert browser.ask("GET", "/operator/v1/status") == 401


def test_the_page_speaks_russian(town):
    town.collector.store.keep_alarm(GAP, town.clock.now_ms)
    user_of(town.settings.folder, "1", OPERATE, MONEY, PUBLISH, password=PASSWORD)
    browser = Browser(town)
    browser.ask("GET", f"{SIGN_IN}?language=ru")
    assert "Табельный номер" in browser.page
    language = browser.cookie
    browser.cookie = ""
    browser.sign_in("1")
    browser.cookie += f"; {language}"
    browser.ask("GET", "/operator/")
    for text in ("<html lang=ru>", "не хватает записей с 3 по 4", "Открытые тревоги", "Терминалы", "Выйти"):
        assert text.lower() in browser.page.lower(), text


@pytest.mark.parametrize("ref", ["Ivanov", "machine", "", "17; rm", "1" * 17])
def test_a_user_has_a_number_and_no_name(tmp_path, ref):
    with pytest.raises(StaffError):
        user_of(tmp_path, ref)
    assert Users(tmp_path).all() == {}


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "x" * 129])
def test_an_easy_password_is_refused(password):
    with pytest.raises(StaffError, match="too short or too simple"):
        hash_password(password)


def test_neither_password_nor_token_is_in_the_folder(town):
    token = user_of(town.settings.folder, "1", password=PASSWORD)
    Browser(town).sign_in("1")
    for path in town.settings.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert token.encode() not in content, path
            assert PASSWORD.encode() not in content, path
    assert (town.settings.folder / "office/users.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_list_of_users_lets_no_one_in_and_says_so(town):
    token = town.user("1", OPERATE)
    (town.settings.folder / "office/users.json").write_text("{")
    refused = town.client().get("/operator/v1/status", headers=FAR | bearer(token))
    assert (refused.status_code, refused.json()["advice"]) == (503, "Put a copy of it back.")


def test_rows_are_kept_in_order(town):
    for number in (1, 2, 3):
        town.collector.office.note("1", "revoked", number)
    assert [one.terminal for one in town.collector.store.operations(limit=2)] == [2, 3]
    assert isinstance(town.collector.store.operations(2)[0], Operation)


READS = {
    "/status": {LOOK, OPERATE, PUBLISH, MONEY},
    "/terminals": {LOOK, OPERATE, PUBLISH, MONEY},
    "/alarms": {OPERATE, MONEY},
    "/strangers": {OPERATE},
    "/rides/7:1": {OPERATE, MONEY},
    "/requests": {PUBLISH, MONEY},
    "/staged": {PUBLISH},
    "/trials": {OPERATE, PUBLISH},
    "/shadows": {PUBLISH},
    "/operations": {OPERATE, PUBLISH, MONEY},
    "/report": {MONEY},
    "/days": {MONEY},
    "/days/2026-02-02": {MONEY},
}


def test_a_user_reads_what_the_own_work_needs_and_what_was_refused_is_on_record(town, monkeypatch):
    on_trial, in_shadow = (
        GroupCount("city:8", 3, 1, 9, 2, 9, 0, False),
        ShadowSum(7, "city:9", "RUB", *[4] * 10),
    )
    monkeypatch.setattr(LedgerReader, "groups", lambda _: [on_trial])
    monkeypatch.setattr(LedgerReader, "shadows", lambda _: [in_shadow])
    bus = town.terminal(7)
    bus.write(INTENT)
    town.send(bus)
    client = town.client()
    for number, role in enumerate(OfficeRole):
        token = bearer(town.user(f"1{number}", role))
        answers = {path: client.get(f"/operator/v1{path}", headers=token).status_code for path in READS}
        assert answers == {path: 200 if role in roles else 403 for path, roles in READS.items()}, role
        page = client.get("/operator/", headers=token).text
        for path, edition in (("/trials", "city:8"), ("/shadows", "city:9")):
            assert (edition in page) is (role in READS[path]), (role, path)
        client.get("/operator/v1/report", headers=token)
        refused = [about for by, about in read_refused(town) if by == f"1{number}"]
        assert len(refused) == len(set(refused)), "once in a while for each thing"
        assert ("sums" in refused) is (role is not MONEY)
    town.clock.move(minutes=10)
    client.get("/operator/v1/report", headers=bearer(town.user("20", LOOK)))
    assert read_refused(town)[-1] == ("20", "sums")


def read_refused(town: Town) -> list[tuple[str, str]]:
    return [(one.by, one.about) for one in town.collector.store.operations() if one.code == "read_refused"]


def test_an_operator_sees_technical_alarms_and_money_sees_all(town):
    held_back = Alarm(
        AlarmKind.BUNDLES, 7, 3, detail_of(AlarmCause.BUNDLE_FAULT, fault="bundle:old", age_s=8 * 86_400)
    )
    for alarm in (GAP, held_back, TWICE):
        town.collector.store.keep_alarm(alarm, town.clock.now_ms)
        town.clock.move(seconds=1)
    client = town.client()
    kinds = {}
    for ref, role in (("1", OPERATE), ("2", MONEY)):
        found = client.get("/operator/v1/alarms?limit=2", headers=bearer(town.user(ref, role))).json()
        kinds[role] = [one["kind"] for one in found]
    newest_two = {OPERATE: ["gap", "bundles"], MONEY: ["bundles", "tmc_twice"]}
    assert kinds == newest_two, "what another role sees takes no place"


def test_the_machine_itself_reads_all_until_the_office_has_users(tmp_path):
    town = Town(tmp_path)
    client = town.client()
    assert client.get("/operator/v1/report").status_code == 200
    town.user("1", LOOK)
    assert client.get("/operator/v1/status").status_code == 200
    assert client.get("/operator/v1/report").status_code == 403
    assert read_refused(town) == [("local", "sums")]
    town.close()


def test_the_page_shows_each_role_its_part_and_finds_a_ride_by_its_code(town):
    bus = town.terminal(7)
    bus.write(INTENT)
    town.send(bus)
    for ref, role in (("1", LOOK), ("2", OPERATE), ("3", MONEY)):
        Users(town.settings.folder).add(User(ref=ref, roles=(role,), password=hash_password(PASSWORD)))
    code = support_code(7, 1)
    parts = {}
    for ref in "123":
        browser = Browser(town)
        assert browser.sign_in(ref) == 303
        browser.ask("GET", "/operator/")
        parts[ref] = [part in browser.page for part in ("Open alarms", "Support code", "by funder")]
        status = browser.ask("GET", f"/operator/ride?code={code.lower()}")
        assert status == (403 if ref == "1" else 200)
        if ref != "1":
            assert f"terminal 7, row 1, route {INTENT.route}" in browser.page
            assert "not known yet whether it is on the card" in browser.page
            assert INTENT.card_ref.hex() not in browser.page
            assert browser.ask("GET", f"/operator/ride?code={code[:-1]}Z") == 404
            assert browser.ask("GET", f"/operator/ride?code={support_code(7, 2)}") == 404
    assert parts == {"1": [False, False, False], "2": [True, True, False], "3": [True, True, True]}
