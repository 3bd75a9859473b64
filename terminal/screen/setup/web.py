"""The pages of a first run: a code, questions page by page, staff, a last look, and the terminal that takes over.

Only the browser that typed the one-time code gets past the first page; a second one that types a newer code goes on in
its place. What is typed is on disk before it is answered. The last press writes the configuration, and the page waits
for the terminal's own console, which takes the same address.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

from msgspec import Struct
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from terminal.access.hashes import LEAST_PASSPHRASE
from terminal.access.references import require_reference
from terminal.access.sessions import TOKEN_BYTES, is_foreign, proof_of_form
from terminal.errors import Mistake, StaffError, TerminalError
from terminal.mistakes.words import said
from terminal.screen.console import web as console_web
from terminal.screen.console.roles import ROLE_NAMES, Role
from terminal.screen.console.visit import FormFields
from terminal.screen.page import Pages
from terminal.screen.setup.answers import is_yes
from terminal.screen.setup.asked import Question, SetupPage, matters
from terminal.screen.setup.checking import mistakes_on
from terminal.screen.setup.code import SetupCode
from terminal.screen.setup.draft import LANGUAGE, ROLES, DraftKeeper, DraftStaff
from terminal.screen.setup.meal_questions import BY_SHIFT, FUNDER_NAMES, FUNDERS, KINDS, MEAL_NAMES
from terminal.screen.setup.mistakes import SetupMistake
from terminal.screen.setup.port import SetupMaker
from terminal.screen.setup.questions import PAGES, REVIEW_PAGE, STAFF_PAGE, TILLS_PAGE
from terminal.texts import N_, languages, translator

HERE: Final = Path(__file__).parent
COOKIE: Final = "setup"
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of a proposed passphrase: none that is taken for another."""
GROUPS, GROUP_LETTERS = 4, 4
NAMES: Final = (*(page.name for page in PAGES), STAFF_PAGE, REVIEW_PAGE)
TITLES: Final[Mapping[str, str]] = {
    **{page.name: page.title for page in PAGES},
    STAFF_PAGE: N_("Staff and PINs"),
    REVIEW_PAGE: N_("Check and begin"),
}
WRONG_CODE: Final = N_("This is not the code on the display. Look again: it may have changed.")
ELSEWHERE: Final = N_("The first run goes on in another window. To go on here, type the code on the display.")
FOREIGN: Final = N_("This form is not of this page. Nothing was done.")
NO_PAGE: Final = N_("There is no such page.")
BAD_REF: Final = N_("A staff number has up to 16 letters and digits, with a digit among them. It is no name.")
BAD_PIN: Final = N_("A PIN has 4 to 8 digits, not all the same and not counting up or down.")
PINS_DIFFER: Final = N_("The two PINs differ.")
SHORT_PASSPHRASE: Final = N_("The passphrase has at least {least} characters.")
NOT_READY: Final = N_("Something is still missing: see the list below.")
FAILED: Final = N_("The terminal could not do this: {what}. {advice}")


class AskedField(Struct, frozen=True):
    """A question as its template shows it. `wrong` is what is wrong with the answer, in words."""

    question: Question
    value: str
    wrong: str
    shown: bool


class SetupRefused(Exception):
    """The request is answered with a page that says `text`, a message id."""

    def __init__(self, status: int, text: str, values: Mapping[str, str | int] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.values = status, text, values or {}


class SetupWeb:
    """The application of one first run. `taken_over` is set when its page has loaded all it needs and waits."""

    def __init__(self, keeper: DraftKeeper, code: SetupCode, maker: SetupMaker, display_url: str) -> None:
        self._keeper = keeper
        self._code = code
        self._maker = maker
        self._display_url = display_url
        self._rendered = Pages(HERE, console_web.HERE)
        self._finishing = Lock()
        self._pins: Sequence[tuple[str, str, str]] = ()
        self.finished: Final = Event()
        self.taken_over: Final = Event()

    def app(self) -> Starlette:
        """The application for `ScreenServer`."""
        acts = {
            "/code": self._enter,
            "/language": self._speak,
            "/setup/{name}": self._leave,
            "/setup/{name}/check": self._check,
            "/staff/add": self._add_staff,
            "/staff/remove": self._drop_staff,
            "/demonstration": self._demonstrate,
            "/finish": self._finish,
            "/go": self._go,
        }
        shows = {"/": self._home, "/code": self._home, "/setup/{name}": self._page, "/done": self._done}
        routes = [
            self._rendered.static,
            *(Route(path, self._shows(show), methods=["GET"]) for path, show in shows.items()),
            *(Route(path, self._acts(act), methods=["POST"]) for path, act in acts.items()),
        ]

        async def lost(request: Request, _error: Exception) -> Response:
            return await run_in_threadpool(self._refusal, request, SetupRefused(404, NO_PAGE))

        return Starlette(routes=routes, exception_handlers={404: lost, 405: lost})

    # how a request is answered

    def _shows(self, show: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await run_in_threadpool(self._guarded, request, lambda: show(request))

        return answer

    def _acts(self, act: Callable[[Request, FormFields], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            form = await console_web.form_of(request)
            return await run_in_threadpool(
                self._guarded, request, lambda: act(request, self._own(request, form))
            )

        return answer

    def _guarded(self, request: Request, work: Callable[[], Response]) -> Response:
        try:
            return work()
        except SetupRefused as refused:
            return self._refusal(request, refused)
        except TerminalError as error:
            values = {"what": error.what, "advice": error.advice}
            return self._refusal(request, SetupRefused(503, FAILED, values))
        except OSError as error:
            values = {"what": error.strerror or str(error), "advice": ""}
            return self._refusal(request, SetupRefused(503, FAILED, values))

    def _refusal(self, request: Request, refused: SetupRefused) -> Response:
        if request.url.path.endswith("/check"):
            return JSONResponse({"problem": self._said(refused.text, **refused.values)}, refused.status)
        problem = self._said(refused.text, **refused.values)
        return self._show(request, "setup/refused.html", refused.status, problem=problem)

    def _own(self, request: Request, form: FormFields | None) -> FormFields:
        """`form`, when a page of this run made it, for the browser that goes on with it."""
        if form is None or is_foreign(request.headers):
            raise SetupRefused(403, FOREIGN)
        if request.url.path in ("/code", "/language", "/go"):
            return form
        token = request.cookies.get(COOKIE, "")
        if not self._keeper.in_session(token):
            raise SetupRefused(403, ELSEWHERE)
        if not secrets.compare_digest(form.text("form").encode(), proof_of_form(token).encode()):
            raise SetupRefused(403, FOREIGN)
        return form

    # the code

    def _home(self, request: Request) -> Response:
        if self.finished.is_set():
            return RedirectResponse("/done", 303)
        if not self._in_session(request):
            return self._ask_code(request)
        seen = self._keeper.draft.seen
        first = next((name for name in NAMES[:-1] if name not in seen), REVIEW_PAGE)
        return RedirectResponse(f"/setup/{first}", 303)

    def _ask_code(self, request: Request, problem: str = "", status: int = 200) -> Response:
        if not problem and self._keeper.draft.session and COOKIE in request.cookies:
            problem = ELSEWHERE
        return self._show(
            request,
            "setup/code.html",
            status,
            problem=self._said(problem) if problem else "",
            display=self._display_url,
        )

    def _enter(self, request: Request, form: FormFields) -> Response:
        if not self._code.take(form.text("code")):
            return self._ask_code(request, WRONG_CODE, 403)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._keeper.begin_session(token)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, token, max_age=7 * 24 * 3600, path="/", httponly=True, samesite="strict")
        return response

    def _speak(self, _request: Request, form: FormFields) -> Response:
        language = form.text("language")
        if language in languages():
            self._keeper.answer(LANGUAGE, language)
        back = form.text("back")
        return RedirectResponse(f"/setup/{back}" if back in NAMES else "/", 303)

    # pages with questions

    def _page(self, request: Request) -> Response:
        if not self._in_session(request):
            return self._ask_code(request)
        name = request.path_params["name"]
        if name == STAFF_PAGE:
            return self._staff(request)
        if name == REVIEW_PAGE:
            return self._review(request)
        page = self._found(name)
        return self._questions(request, page, shows_wrong=name in self._keeper.draft.seen)

    def _questions(
        self, request: Request, page: SetupPage, *, shows_wrong: bool, status: int = 200
    ) -> Response:
        texts = self._keeper.texts
        wrong = self._wrong(page) if shows_wrong else {}
        fields = {
            one.name: AskedField(one, texts.get(one.name, ""), wrong.get(one.name, ""), matters(one, texts))
            for one in page.questions
            if one.name not in self._keeper.fixed
        }
        return self._show(
            request,
            "setup/page.html",
            status,
            page=page,
            fields=fields,
            kinds=(BY_SHIFT, *KINDS),
            funders=FUNDERS,
            meal_names=MEAL_NAMES,
            funder_names=FUNDER_NAMES,
            here=page.name,
            wrong=len(wrong),
            own_key=self._maker.own_key() if page.name == TILLS_PAGE else "",
        )

    def _leave(self, request: Request, form: FormFields) -> Response:
        page = self._found(request.path_params["name"])
        self._keeper.take(page, form.text, left=True)
        if self._wrong(page):
            return self._questions(request, page, shows_wrong=True, status=422)
        following = NAMES[NAMES.index(page.name) + 1]
        return RedirectResponse(f"/setup/{following}", 303)

    def _check(self, request: Request, form: FormFields) -> Response:
        page = self._found(request.path_params["name"])
        self._keeper.take(page, form.text, left=False)
        return JSONResponse({"wrong": self._wrong(page)})

    def _found(self, name: str) -> SetupPage:
        page = next((page for page in PAGES if page.name == name), None)
        if page is None:
            raise SetupRefused(404, NO_PAGE)
        return page

    def _mistakes(self, page: SetupPage) -> Iterator[Mistake]:
        texts = self._keeper.texts
        found = [one for one in mistakes_on(page, texts) if one.path not in self._keeper.fixed]
        yield from found
        if page.name == "keys" and not found:
            mistake = self._maker.key_mistake(texts)
            if mistake is not None:
                yield mistake

    def _wrong(self, page: SetupPage) -> dict[str, str]:
        return {one.path: self._words(one) for one in self._mistakes(page)}

    def _words(self, mistake: Mistake) -> str:
        what, advice = said(mistake, self._keeper.language)
        return f"{what[:1].upper()}{what[1:]}. {advice}"

    # staff

    def _staff(
        self, request: Request, problem: str = "", status: int = 200, typed: FormFields | None = None
    ) -> Response:
        now = self._maker.keys_name(self._keeper.texts)
        return self._show(
            request,
            "setup/staff.html",
            status,
            staff=self._keeper.draft.staff,
            keys=now,
            roles=ROLES,
            role_names=ROLE_NAMES,
            problem=problem,
            ref=typed.text("ref") if typed else "",
            role=typed.text("role") if typed else ROLES[0].value,
            wrong=[self._words(one) for one in self._staff_mistakes()],
            here=STAFF_PAGE,
        )

    def _add_staff(self, request: Request, form: FormFields) -> Response:
        ref, pin, texts = form.text("ref"), form.text("pin"), self._keeper.texts
        try:
            require_reference(ref)
            role = Role(form.text("role"))
        except (StaffError, ValueError):
            return self._staff(request, self._said(BAD_REF), 422, form)
        if not self._maker.keys_name(texts):
            return self._staff(request, self._words(Mistake("", SetupMistake.NO_REGION)), 422, form)
        if pin != form.text("again"):
            return self._staff(request, self._said(PINS_DIFFER), 422, form)
        try:
            hashed = self._maker.hash_pin(texts, pin)
        except StaffError:
            return self._staff(request, self._said(BAD_PIN), 422, form)
        self._keeper.put_staff(DraftStaff(ref, role, hashed, self._maker.keys_name(texts)))
        return RedirectResponse(f"/setup/{STAFF_PAGE}", 303)

    def _drop_staff(self, _request: Request, form: FormFields) -> Response:
        self._keeper.drop_staff(form.text("ref"))
        return RedirectResponse(f"/setup/{STAFF_PAGE}", 303)

    def _staff_mistakes(self) -> Iterator[Mistake]:
        staff, now = self._keeper.draft.staff, self._maker.keys_name(self._keeper.texts)
        if not staff:
            yield Mistake(STAFF_PAGE, SetupMistake.NO_STAFF)
            return
        if all(one.role is not Role.CASHIER for one in staff):
            yield Mistake(STAFF_PAGE, SetupMistake.NO_CASHIER)
        for one in staff:
            if one.keys != now:
                yield Mistake(STAFF_PAGE, SetupMistake.PIN_AGAIN, {"ref": one.ref})

    # the end

    def _all_wrong(self) -> dict[str, list[str]]:
        wrong = {page.name: list(self._wrong(page).values()) for page in PAGES}
        if not any(wrong.values()):
            found = self._maker.document_mistakes(self._keeper.texts)
            wrong["meals"] = [self._words(one) for one in found]
        wrong[STAFF_PAGE] = [self._words(one) for one in self._staff_mistakes()]
        return {name: lines for name, lines in wrong.items() if lines}

    def _review(
        self, request: Request, problem: str = "", status: int = 200, passphrase: str = ""
    ) -> Response:
        return self._show(
            request,
            "setup/review.html",
            status,
            wrong=self._all_wrong(),
            texts=self._keeper.texts,
            staff=self._keeper.draft.staff,
            role_names=ROLE_NAMES,
            meals=[MEAL_NAMES[kind] for kind in KINDS if is_yes(self._keeper.texts, f"meals.{kind}.served")],
            passphrase=passphrase or proposed_passphrase(),
            least=LEAST_PASSPHRASE,
            problem=problem,
            here=REVIEW_PAGE,
        )

    def _finish(self, request: Request, form: FormFields) -> Response:
        with self._finishing:
            if self.finished.is_set():
                return RedirectResponse("/done", 303)
            passphrase = form.text("passphrase")
            if self._all_wrong():
                return self._review(request, self._said(NOT_READY), 422, passphrase)
            if len(passphrase) < LEAST_PASSPHRASE:
                text = self._said(SHORT_PASSPHRASE, least=LEAST_PASSPHRASE)
                return self._review(request, text, 422, passphrase)
            self._maker.finish(self._keeper.texts, self._keeper.draft.staff, passphrase)
            self.finished.set()
        return RedirectResponse("/done", 303)

    def _demonstrate(self, _request: Request, _form: FormFields) -> Response:
        with self._finishing:
            if not self.finished.is_set():
                self._pins = self._maker.demonstrate(self._keeper.texts)
                self.finished.set()
        return RedirectResponse("/done", 303)

    def _done(self, request: Request) -> Response:
        if not self.finished.is_set():
            return RedirectResponse("/", 303)
        pins = self._pins if self._in_session(request) else ()
        return self._show(request, "setup/done.html", pins=pins, role_names=ROLE_NAMES)

    def _go(self, _request: Request, _form: FormFields) -> Response:
        if self.finished.is_set():
            self.taken_over.set()
        return Response(status_code=204)

    # what all pages share

    def _in_session(self, request: Request) -> bool:
        return self._keeper.in_session(request.cookies.get(COOKIE, ""))

    def _said(self, text: str, **values: str | int) -> str:
        return translator(self._keeper.language).gettext(text).format(**values)

    def _show(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        language, inside = self._keeper.language, self._in_session(request) and not self.finished.is_set()
        shared = {
            "here": "",
            "names": NAMES if inside else (),
            "titles": TITLES,
            "seen": self._keeper.draft.seen,
            "form": proof_of_form(request.cookies.get(COOKIE, "")),
            "offered": [name for name in languages() if name != language],
        }
        return self._rendered.page(request, template, language, status, **{**shared, **values})


def proposed_passphrase() -> str:
    """One that can be written down: kdrm-7x2p-…"""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)
