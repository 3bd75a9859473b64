"""The people at a terminal's screens, in a browser's place: staff at the console, who sign in, open a page and send its
form, and a rider at the display."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Final

import httpx

from terminal.app.simulated import laboratory_keys
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.lab.live.process import LiveFailed
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList, card_reference

PIN: Final = "4711"
STAFF: Final = {Role.DRIVER: "11", Role.INSPECTOR: "12"}
HIDDEN: Final = re.compile(r'<input type="hidden" name="(csrf|action)" value="([^"]*)">')
TOUCH: Final = re.compile(r'<input type="hidden" name="(token|was)" value="([^"]*)">')
FORM: Final = re.compile(r"<form\b[^>]*>.*?</form>", re.DOTALL)
SEE_OTHER: Final = 303
SIGN_IN: Final = "/sign-in"


def employ(state: Path, service_card: bytes) -> None:
    """Put the staff on the list of the terminal in folder `state`; the driver has the card of that pseudonym."""
    keys = load_file_keys(laboratory_keys(), UNLIMITED)
    pin, staff = hash_pin(PIN, keys), StaffList(state)
    for role, ref in STAFF.items():
        card = card_reference(keys, service_card).hex() if role is Role.DRIVER else ""
        staff.put(Member(ref=ref, role=role, pin=pin, card=card))


class Crew:
    """One member of staff at one console."""

    def __init__(self, address: str, role: Role) -> None:
        self._ref = STAFF[role]
        self._client = httpx.Client(base_url=address, timeout=60.0)

    def close(self) -> None:
        self._client.close()

    def look(self, page: str) -> str:
        """The page as it is shown; signs in where that is asked for."""
        answer = self._client.get(page, follow_redirects=True)
        if answer.url.path == SIGN_IN:
            self._sign_in()
            answer = self._client.get(page, follow_redirects=True)
        if answer.status_code != httpx.codes.OK:
            raise LiveFailed(
                f"the console answers {answer.status_code} for {page}", "See the terminal's log."
            )
        return answer.text

    def do(self, page: str, path: str, **fields: object) -> str:
        """Send the form of `page` that goes to `path`; the address of the result. Raises `LiveFailed`."""
        answer = self._client.post(path, data={**self._hidden(self.look(page), path), **_text(fields)})
        if answer.status_code != SEE_OTHER:
            said = re.sub(r"<[^>]*>|\s+", " ", answer.text)
            raise LiveFailed(f"the console refused {path} ({answer.status_code}): {said}", "See the page.")
        return answer.headers["location"]

    def _sign_in(self) -> None:
        page = self._client.get(SIGN_IN, params={"typed": "1"}).text
        fields = self._hidden(page, SIGN_IN)
        answer = self._client.post(SIGN_IN, data={**fields, "ref": self._ref, "pin": PIN})
        if answer.status_code != SEE_OTHER:
            raise LiveFailed(f"{self._ref} cannot sign in ({answer.status_code})", "See the staff list.")

    @staticmethod
    def _hidden(page: str, path: str) -> dict[str, str]:
        """What the form to `path` carries unseen."""
        for form in FORM.findall(page):
            if f'{path}"' in form.partition(">")[0]:
                return {name: unescape(value) for name, value in HIDDEN.findall(form)}
        raise LiveFailed(f"no form of this page goes to {path}", "See the page.")


class DisplayUser:
    """A passenger at one terminal's display."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=60.0)

    def close(self) -> None:
        self._client.close()

    def asks(self, companions: int, goal: str) -> None:
        """So many more persons ride, to `goal` as the display calls it; raises `LiveFailed`."""
        for _ in range(companions):
            self._press(more="1")
        if goal:
            self._press(to=goal)

    def _press(self, **fields: str) -> None:
        shown = dict(TOUCH.findall(self._client.get("/").text))
        answer = self._client.post("/next-ride", data={**shown, **fields})
        if answer.status_code != SEE_OTHER:
            raise LiveFailed(f"the display refused {fields} ({answer.status_code})", "See its page.")


def _text(fields: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
