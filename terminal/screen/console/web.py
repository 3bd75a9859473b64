"""The console's web application: from requests to pages and actions, and every check in between.

In this order, for an action: the host is this machine (`SecureHeaders`); the form came from this console (`Origin`,
and a token bound to the browser's cookie); a member of staff is signed in; the role may; the action's id was
made for this member and this action. Then it is done, once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from terminal.access.sessions import TOKEN_BYTES, OperatorSession, is_foreign
from terminal.errors import TerminalError
from terminal.journal.action import acting
from terminal.screen.console.console import ActionRefused, Console, MustWait
from terminal.screen.console.roles import ROLE_NAMES, Role
from terminal.screen.console.upload import UploadedFile, uploaded
from terminal.screen.console.visit import ONCE, Action, Attachment, ConsoleArea, FormFields, Page, View, Visit
from terminal.screen.console.words import worded
from terminal.screen.page import Pages
from terminal.screen.stream import event_stream
from terminal.texts import N_, languages

HERE: Final = Path(__file__).parent
MAX_BODY_BYTES: Final = 256 * 1024
FORM: Final = "application/x-www-form-urlencoded"
LOOKING_ON: Final = "x-looking-on"
"""A page that refreshes itself says so: looking on keeps no session open."""
LOOK: Final = "console_look"
"""The cookie for language and theme: "ru.night"."""
YEAR_S: Final = 365 * 24 * 3600
THEMES: Final = ("night", "day")
FIRST_THEME: Final = {"canteen": "day"}
"""A cab is dark in winter, a canteen is not."""

ERROR: Final = "console/error.html"
OLD_FORM: Final = N_("This page is out of date. Open it again and repeat what you wanted to do.")
FOREIGN_FORM: Final = N_("This form is not valid: it is of another console or session. Nothing was done.")
FAILED: Final = N_("The terminal could not do this: {what}. {advice}")
SIGNED_OUT: Final = N_("You were signed out. Nothing was done; sign in and repeat it.")
NO_PAGE: Final = N_("There is no such page.")
BROKEN: Final = N_("The page failed. Go back and try again; call the technician if it fails again.")
TOO_LARGE: Final = N_("Choose a file of at most {most} MB.")
NOT_FOR_ROLE: Final = N_("This page is not for your role.")

Work: TypeAlias = Callable[[], Response]


class Denied(Exception):
    """The request is answered with an error page; `text` is a message id."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def console_app(console: Console, areas: Iterable[ConsoleArea]) -> Starlette:
    """The application for `ScreenServer`: the pages of those areas that fit this terminal."""
    web = Web(console, areas)
    return Starlette(routes=web.routes(), exception_handlers={404: web.lost, 405: web.lost, 500: web.failed})


class Web:
    """The routes of one console."""

    def __init__(self, console: Console, areas: Iterable[ConsoleArea]) -> None:
        here = [area for area in areas if area.profile in ("", console.terminal.profile)]
        self.pages: Final = tuple(page for area in here for page in area.pages)
        self.actions: Final = tuple(action for area in here for action in area.actions)
        self._console = console
        self._rendered = Pages(HERE)
        self._prepared = set[str]()
        self._cookie = f"console_{console.terminal.number}"

    def routes(self) -> list[Route]:
        """Everything this console answers."""
        own = [
            self._rendered.static,
            Route("/", self._home, methods=["GET"]),
            Route("/events", self._events, methods=["GET"]),
            Route("/sign-in", self._sign_in_page, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route("/other-card", self._other_card, methods=["POST"]),
            Route("/look", self._change_look, methods=["POST"]),
        ]
        pages = [Route(page.path, partial(self._show, page=page), methods=["GET"]) for page in self.pages]
        actions = [Route(do.path, partial(self._act, action=do), methods=["POST"]) for do in self.actions]
        return [*own, *pages, *actions]

    # pages

    async def _home(self, request: Request) -> Response:
        return await self._in_thread(request, lambda: self._first_page(request))

    def _first_page(self, request: Request) -> Response:
        visit = self._visit(request)
        if visit is None:
            return RedirectResponse("/sign-in", 303)
        menu = self._menu(visit.who)
        return (
            RedirectResponse(menu[0].path, 303)
            if menu
            else self._view(request, visit, View("console/nothing.html"))
        )

    async def _show(self, request: Request, page: Page) -> Response:
        return await self._in_thread(request, lambda: self._page(request, page))

    def _page(self, request: Request, page: Page) -> Response:
        visit = self._visit(request)
        if visit is None:
            return (
                RedirectResponse("/sign-in", 303)
                if LOOKING_ON not in request.headers
                else Response(status_code=401)
            )
        if visit.who.role not in page.roles:
            raise Denied(403, NOT_FOR_ROLE)
        if page.once and not self._console.actions.genuine(visit.once, visit.who.ref, page.once):
            return RedirectResponse(self._with_deed(visit, page), 303)
        serves, opened = visit.who.role == Role.CASHIER, LOOKING_ON not in request.headers
        self._console.page_used(page.taps, visit.who.ref, serves=serves, opened=opened)
        shown = page.show(visit)
        if isinstance(shown, Attachment):
            headers = {"Content-Disposition": f'attachment; filename="{shown.name}"'}
            return Response(shown.content, media_type=shown.media_type, headers=headers)
        return self._view(request, visit, shown, page)

    def _with_deed(self, visit: Visit, page: Page) -> str:
        """The page's address, which from now on stands for one deed."""
        fields = [(name, value) for name, value in visit.query.pairs() if name != ONCE]
        deed = self._console.actions.issue(visit.who.ref, page.once)
        return f"{page.path}?{urlencode([*fields, (ONCE, deed)])}"

    async def _events(self, request: Request) -> Response:
        return event_stream(request, self._console.feed, str)

    # actions

    async def _act(self, request: Request, action: Action) -> Response:
        if action.reads is None:
            form = await form_of(request)
            return await self._in_thread(request, lambda: self._do(request, action, form))
        sent = await uploaded(request, action.most_bytes)
        return await self._in_thread(request, lambda: self._receive(request, action, sent))

    def _receive(
        self, request: Request, action: Action, sent: tuple[FormFields, UploadedFile] | None
    ) -> Response:
        """A form with a file: the file is read before anything waits for it."""
        visit = self._visit(request)
        may = visit is not None and visit.who.role in action.roles
        try:
            if sent is None:
                raise ActionRefused(TOO_LARGE, {"most": action.most_bytes >> 20})
            form, file = sent
            self._own_form(request, form)
            if may and visit is not None and action.reads is not None:
                if not self._console.actions.genuine(form.text("action"), visit.who.ref, action.path):
                    raise Denied(409, OLD_FORM)
                action.reads(visit, file.name, file.content)
        except ActionRefused as refused:
            if not may or visit is None or action.again is None:
                raise
            return self._once_more(request, visit, action.again(visit, FormFields({})), refused)
        return self._do(request, action, form)

    def _do(self, request: Request, action: Action, form: FormFields | None) -> Response:
        form = self._own_form(request, form)
        visit = self._visit(request)
        if visit is None:
            return self._sign_in_view(request, worded(SIGNED_OUT, {}, self._look(request)[0]), 401)
        if visit.who.role not in action.roles:
            raise Denied(403, NOT_FOR_ROLE)
        name = form.text("action")
        actions = self._console.actions
        if not actions.genuine(name, visit.who.ref, action.path):
            raise Denied(409, OLD_FORM)
        with self._console.doing:
            written = actions.written(name)
            if action.resumes or not (written or name in self._console.done):
                try:
                    if action.first is not None:
                        action.first(visit, form)
                    with self._console.lock, acting(name):
                        action.do(visit, form, written)
                except ActionRefused as refused:
                    if action.again is None:
                        raise
                    return self._once_more(request, visit, action.again(visit, form), refused)
                written = actions.written(name)
                self._console.done.append(name)
            address = action.result(visit, form, written)
        self._console.changed()
        return RedirectResponse(address, 303)

    def _once_more(self, request: Request, visit: Visit, view: View, refused: ActionRefused) -> Response:
        """The page the form came from, with what stands against it."""
        problem = worded(refused.text, refused.values, visit.language)
        return self._view(request, visit, View(view.template, {**view.values, "problem": problem}, 409))

    # signing in and out

    async def _sign_in_page(self, request: Request) -> Response:
        return await self._in_thread(request, lambda: self._sign_in_or_home(request))

    def _sign_in_or_home(self, request: Request) -> Response:
        return self._sign_in_view(request) if self._visit(request) is None else RedirectResponse("/", 303)

    def _sign_in_view(
        self, request: Request, problem: str = "", status: int = 200, waiting: str = ""
    ) -> Response:
        """`waiting`: the number that was typed, of who has to wait."""
        console, token = (
            self._console,
            request.cookies.get(self._cookie) or secrets.token_urlsafe(TOKEN_BYTES),
        )
        language, theme = self._look(request)
        response = self._rendered.page(
            request,
            "console/sign_in.html",
            language,
            status,
            problem=problem,
            presented=console.presented,
            typed=console.settings.typed,
            typing=request.query_params.get("typed") == "1" or bool(waiting),
            waiting=waiting,
            **self._everywhere(token, language, theme),
        )
        self._set_cookie(response, token)
        return response

    async def _sign_in(self, request: Request) -> Response:
        form = await form_of(request)
        return await self._in_thread(request, lambda: self._check_pin(request, form))

    def _check_pin(self, request: Request, form: FormFields | None) -> Response:
        form = self._own_form(request, form)
        try:
            token = self._console.sign_in(*map(form.text, ("ref", "pin", "by", "by_pin")))
        except ActionRefused as refused:
            language, _ = self._look(request)
            problem = worded(refused.text, refused.values, language)
            waiting = form.text("ref") if isinstance(refused, MustWait) else ""
            return self._sign_in_view(request, problem, 403, waiting)
        self._prepare(self._look(request)[0])
        response = RedirectResponse("/", 303)
        self._set_cookie(response, token)
        return response

    def _prepare(self, language: str) -> None:
        """The pages that will be looked at now."""
        if language not in self._prepared:
            self._prepared.add(language)
            room = self._console.terminal.profile
            Thread(target=self._rendered.prepare, args=(language, room), name="pages", daemon=True).start()

    async def _sign_out(self, request: Request) -> Response:
        form = await form_of(request)

        def work() -> Response:
            self._own_form(request, form)
            self._console.sign_out(request.cookies.get(self._cookie, ""))
            response = RedirectResponse("/sign-in", 303)
            response.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
            return response

        return await self._in_thread(request, work)

    async def _other_card(self, request: Request) -> Response:
        form = await form_of(request)

        def work() -> Response:
            self._own_form(request, form)
            self._console.forget_card()
            return RedirectResponse("/sign-in", 303)

        return await self._in_thread(request, work)

    async def _change_look(self, request: Request) -> Response:
        form = await form_of(request)

        def work() -> Response:
            said = self._own_form(request, form)
            language, theme = self._look(request)
            language = said.text("language") if said.text("language") in languages() else language
            theme = said.text("theme") if said.text("theme") in THEMES else theme
            back = said.text("back")
            paths = {page.path for page in self.pages}
            response = RedirectResponse(back if back in paths else "/", 303)
            response.set_cookie(
                LOOK, f"{language}.{theme}", max_age=31536000, path="/", httponly=True, samesite="strict"
            )
            return response

        return await self._in_thread(request, work)

    # what no page answers: a kiosk has no other way back than the page itself

    async def lost(self, request: Request, _error: Exception) -> Response:
        """There is no such page, or nothing that can be opened like this."""
        return await run_in_threadpool(self._error, request, 404, NO_PAGE, {})

    async def failed(self, request: Request, _error: Exception) -> Response:
        """A mistake of the software: the page stays one of the console, the log has the rest."""
        return await run_in_threadpool(self._error, request, 500, BROKEN, {})

    # what all of them share

    async def _in_thread(self, request: Request, work: Work) -> Response:
        """Do `work` beside the event loop; what goes wrong becomes a page that says so."""
        try:
            return await run_in_threadpool(work)
        except Denied as denied:
            return self._error(request, denied.status, denied.text, {})
        except ActionRefused as refused:
            return self._error(request, 409, refused.text, refused.values)
        except TerminalError as error:
            return self._error(request, 503, FAILED, {"what": error.what, "advice": error.advice})
        except OSError as error:  # the console's own files: a full or read-only disk
            return self._error(request, 503, FAILED, {"what": error.strerror or str(error), "advice": ""})

    def _error(self, request: Request, status: int, text: str, values: dict[str, str | int]) -> Response:
        language, _ = self._look(request)
        view = View(ERROR, {"problem": worded(text, values, language)}, status)
        return self._view(request, self._visit(request), view)

    def _visit(self, request: Request) -> Visit | None:
        used = LOOKING_ON not in request.headers
        who = self._console.session(request.cookies.get(self._cookie, ""), used=used)
        if who is None:
            return None
        fields = {name: [str(value)] for name, value in request.path_params.items() if name != "name"}
        return Visit(
            self._console,
            who,
            self._look(request)[0],
            FormFields.parse(request.url.query).with_fields(fields),
        )

    def _view(self, request: Request, visit: Visit | None, view: View, page: Page | None = None) -> Response:
        language, theme = self._look(request)
        token = request.cookies.get(self._cookie, "")
        who = None if visit is None else visit.who
        once = "" if visit is None or page is None or not page.once else visit.once
        shared = self._everywhere(token, language, theme, who, page, once)
        missed = 0 if who is None else self._console.missed.pop(who.ref, 0)
        values = {"problem": "", "missed": missed, **shared, **view.values}
        return self._rendered.page(request, view.template, language, view.status, **values)

    def _everywhere(
        self,
        token: str,
        language: str,
        theme: str,
        who: OperatorSession | None = None,
        page: Page | None = None,
        once: str = "",
    ) -> dict[str, Any]:
        """What every template of the console knows; `hidden(path)` are the fields each form needs."""
        proof = self._csrf(token)

        def hidden(path: str = "", about: str = "", after: int | None = None) -> Markup:
            fields = Markup('<input type="hidden" name="csrf" value="{}">').format(proof)
            if path and who is not None:
                deed = once if page is not None and page.once == path else ""
                name = deed or self._console.actions.issue(who.ref, path, about, after)
                fields += Markup('<input type="hidden" name="action" value="{}">').format(name)
            return fields

        return {
            "hidden": hidden,
            "once": once,
            "means": "",
            "who": who,
            "role": ROLE_NAMES[Role(who.role)] if who else "",
            "menu": self._menu(who) if who else (),
            "here": page.path if page else "",
            "theme": theme,
            "number": self._console.terminal.number,
            "profile": self._console.terminal.profile,
            "currency": self._console.policy.currency,
            "offered": [name for name in languages() if name != language],
            "after": self._console.feed.position,
        }

    def _menu(self, who: OperatorSession) -> tuple[Page, ...]:
        return tuple(page for page in self.pages if page.menu and who.role in page.roles)

    def _look(self, request: Request) -> tuple[str, str]:
        """Language and theme, as the browser last chose."""
        language, _, theme = request.cookies.get(LOOK, "").partition(".")
        known = language if language in languages() else self._console.settings.language
        return known, theme if theme in THEMES else FIRST_THEME.get(self._console.terminal.profile, THEMES[0])

    def _own_form(self, request: Request, form: FormFields | None) -> FormFields:
        """`form`, when a page of this console made it for this browser."""
        token = request.cookies.get(self._cookie, "")
        proof = self._csrf(token)
        if (
            form is None
            or not token
            or is_foreign(request.headers)
            or not hmac.compare_digest(form.text("csrf").encode(), proof.encode())
        ):
            raise Denied(403, FOREIGN_FORM)
        return form

    def _csrf(self, token: str) -> str:
        return self._console.actions.token("csrf", token)

    def _set_cookie(self, response: Response, token: str) -> None:
        response.set_cookie(self._cookie, token, path="/", httponly=True, samesite="strict")


async def form_of(request: Request) -> FormFields | None:
    """The form in the request; None for anything that is no ordinary form of sensible size."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    try:
        return FormFields.parse(body.decode())
    except ValueError:
        return None
