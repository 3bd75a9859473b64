"""The office's forms: signing in and out, and what a user does at the page. Whatever is done answers with the page.

A form counts when its `proof` is that of the session, which no other site's page knows, and its `Origin` is this one.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from html import escape
from typing import Final, Protocol
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.access.sessions import is_foreign, proof_of_form
from terminal.collector import page_parts
from terminal.collector.approvals import Act
from terminal.collector.callers import OPERATOR
from terminal.collector.denying import DENY_REASONS
from terminal.collector.entrance import COOKIE, MOST_CHECKS, PREFIX, SIGN_IN, Entrance, SignIn, visitor_of
from terminal.collector.erasing import ErasureFiles, ask_erasure
from terminal.collector.gate import body_of, respond
from terminal.collector.intake import Reply
from terminal.collector.issuing_asking import (
    ask_later,
    ask_repayment,
    ask_replacement,
    card_named,
    deny_named,
)
from terminal.collector.office import MOST_COMMENT, Office
from terminal.collector.office_says import ANSWERS, OfficeAnswer, OfficeCode
from terminal.collector.settlement.periods import MONTH
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.errors import CollectorError, DocumentError, KeyFileError, PublishError, StaffError
from terminal.texts import N_, languages, translator

FORM_BYTES: Final = 4_096
MOST_FIELDS: Final = 8
MOST_NUMBER: Final = 10**12
LANGUAGE_COOKIE: Final = "office_language"
YEAR_S: Final = 365 * 24 * 3600
NO_FORM: Final = N_("This form is out of date or of another page. Nothing was done.")
WRONG: Final = N_("Number or password is wrong.")
WAIT: Final = N_("Number or password is wrong. Next try in {wait} s.")
BUSY: Final = N_("Too many sign-ins at once. Try again in a moment.")
NO_USERS: Final = N_("This office has no users yet. At its machine: terminal collector users add")
CODE: Final = N_("Code for terminal {terminal}, valid once, for one day: {code}")


class ShowsPage(Protocol):
    """Answers with the page as its visitor sees it."""

    def __call__(self, request: Request, notice: str = "", status: int = 200) -> Awaitable[Response]: ...


class OfficePages:
    """What people use beside the page itself."""

    def __init__(
        self,
        office: Office,
        views: OperatorViews,
        entrance: Entrance,
        show: ShowsPage,
        tls_before: bool,
        files: ErasureFiles,
    ) -> None:
        """`tls_before`: browsers come through a proxy over TLS, also where it does not say so. `files`: what the office
        has beside its database."""
        self._files = files
        self._denials = files.denials
        self._office = office
        self._views = views
        self._entrance = entrance
        self._show = show
        self._tls_before = tls_before

    def routes(self) -> list[Route]:
        return [
            Route("/style.css", self.style, methods=["GET"]),
            Route("/live.js", self.script, methods=["GET"]),
            Route("/sign-in", self.sign_in_page, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/do", self.do, methods=["POST"]),
        ]

    async def style(self, _: Request) -> Response:
        return Response(page_parts.STYLE, 200, page_parts.HEADERS, "text/css")

    async def script(self, _: Request) -> Response:
        return Response(page_parts.SCRIPT, 200, page_parts.HEADERS, "text/javascript")

    async def sign_in_page(self, request: Request) -> Response:
        try:
            empty = not await anyio.to_thread.run_sync(self._office.users.all)
        except StaffError as error:
            return self._sign_in_form(request, f"{error.what}. {error.advice}", 503)
        return self._sign_in_form(request, NO_USERS if empty else "", 200)

    async def sign_in(self, request: Request) -> Response:
        said = await self._form(request)
        if isinstance(said, Response):
            return said
        if said is None:
            return self._sign_in_form(request, NO_FORM, 403)
        if self._entrance.checks.statistics().tasks_waiting >= MOST_CHECKS:
            return self._sign_in_form(request, BUSY, 503)

        def work() -> SignIn:
            return self._entrance.sign_in(said.get("ref", ""), said.get("password", ""))

        try:
            found = await anyio.to_thread.run_sync(work, limiter=self._entrance.checks)
        except (CollectorError, StaffError) as error:
            return self._sign_in_form(request, f"{error.what}. {error.advice}", 503)
        if not found.session:
            return self._sign_in_form(request, WAIT if found.wait_s else WRONG, 403, found.wait_s)
        self._entrance.gate.meet(request.scope, OPERATOR)
        response = RedirectResponse(f"{PREFIX}/", 303)
        response.set_cookie(
            COOKIE,
            found.session,
            path=PREFIX,
            httponly=True,
            samesite="strict",
            secure=self._tls_before or request.url.scheme == "https",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        said = await self._own_form(request)
        if isinstance(said, Response):
            return said
        try:
            await anyio.to_thread.run_sync(self._entrance.sign_out, visitor_of(request).session)
        except StaffError as error:
            return self._sign_in_form(request, f"{error.what}. {error.advice}", 503)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE, path=PREFIX, httponly=True, samesite="strict")
        return response

    async def do(self, request: Request) -> Response:
        """Do what a form of the page says, and show the page with what came of it."""
        said = await self._own_form(request)
        if isinstance(said, Response):
            return said
        who, subject = visitor_of(request).who, said.get("subject", "")
        number = int(subject) if subject.isascii() and subject.isdecimal() and len(subject) <= 13 else 0
        comment = said.get("comment", "")[:MOST_COMMENT]
        acts = self._acts(who, number, subject, comment)
        act = acts.get(said.get("do", ""))
        _ = translator(language_of(request)).gettext
        if act is None:
            return await self._show(request, _(NO_FORM), 400)
        try:
            answer = await anyio.to_thread.run_sync(act)
        except (CollectorError, DocumentError, KeyFileError, PublishError) as error:
            return await self._show(request, f"{error.what}. {error.advice}", 503)
        if answer.code:
            return await self._show(request, _(CODE).format(terminal=number, code=answer.code))
        done = answer.says in (OfficeCode.DONE, OfficeCode.WAITS)
        notice = _(ANSWERS[answer.says]).format(number=answer.number)
        return await self._show(request, notice, 200 if done else 409)

    def _acts(
        self, who: Who, number: int, subject: str, comment: str
    ) -> dict[str, Callable[[], OfficeAnswer]]:
        office = self._office
        found: dict[str, Callable[[], OfficeAnswer]] = {"roll_out": lambda: office.roll_out(who)}
        views = self._views
        found["erase_person"] = lambda: self._erase(who, subject, comment)
        if comment in DENY_REASONS:
            found["deny_card"] = lambda: self._deny(who, subject, comment)
        found["replace_card"] = lambda: ask_replacement(views, office, who, subject, comment)
        found["repay_ride"] = lambda: ask_repayment(views, office, who, subject, None, comment)
        if MONTH.fullmatch(subject):
            found["close_month"] = lambda: office.close_month(who, subject)
        if 1 <= number <= MOST_NUMBER:
            found["acknowledge"] = lambda: office.acknowledge(who, number, comment)
            found["confirm"] = lambda: office.confirm(who, number)
            found["reject"] = lambda: office.reject(who, number)
            found["settle_later"] = lambda: ask_later(
                views, office, who, Act.SETTLE_LATER, number, None, comment
            )
            found["forgive_later"] = lambda: ask_later(
                views, office, who, Act.FORGIVE_LATER, number, None, comment
            )
            found["move_order"] = lambda: office.move_order(who, number, comment)
            found["drop_order"] = lambda: office.drop_order(who, number, comment)
        if 1 <= number <= LARGEST_TERMINAL:
            found["code"] = lambda: office.make_code(who, number)
            found["revoke"] = lambda: office.revoke(who, number)
        return found

    def _deny(self, who: Who, named: str, reason: str) -> OfficeAnswer:
        if self._denials is None:
            return OfficeAnswer(OfficeCode.NO_REGISTER)
        return deny_named(self._views, self._office, who, named, reason, self._denials)

    def _erase(self, who: Who, named: str, comment: str) -> OfficeAnswer:
        card = card_named(self._views, named)
        if card is None:
            return OfficeAnswer(OfficeCode.NOT_FOUND)
        return ask_erasure(self._views, self._office, who, card, comment, self._files)

    async def _own_form(self, request: Request) -> dict[str, str] | Response:
        """The form of a page of this session, or the page that says it is none."""
        said = await self._form(request)
        if isinstance(said, Response):
            return said
        session = visitor_of(request).session
        if said is not None and session:
            proof = proof_of_form(session)
            if hmac.compare_digest(said.get("proof", "").encode(), proof.encode()):
                return said
        return self._sign_in_form(request, NO_FORM, 403)

    async def _form(self, request: Request) -> dict[str, str] | Response | None:
        """The fields of an ordinary form of this site; None for anything else, the answer for what is too long."""
        data = await body_of(request, FORM_BYTES, self._entrance.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        if is_foreign(request.headers):
            return None
        if (
            request.headers.get("content-type", "").partition(";")[0].strip()
            != "application/x-www-form-urlencoded"
        ):
            return None
        try:
            return dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            return None

    def _sign_in_form(self, request: Request, problem: str, status: int, wait_s: int = 0) -> Response:
        language = language_of(request)
        _ = translator(language).gettext
        said = escape(_(problem).format(wait=wait_s)) if problem else ""
        notice = f"<p class=notice role=alert>{said}</p>" if said else ""
        body = (
            f"<h1>{escape(_('Collector'))}</h1><nav>{page_parts.language_links(language)}</nav>{notice}"
            f"<form class=sign-in method=post action={SIGN_IN}>"
            f"<label>{escape(_('Staff number'))}<input name=ref autocomplete=username required maxlength=16></label>"
            f"<label>{escape(_('Password'))}<input name=password type=password autocomplete=current-password"
            f" required maxlength=128></label><button>{escape(_('Sign in'))}</button></form>"
        )
        answer = page_parts.response(page_parts.document(_("Sign in"), language, body), status)
        return remember_language(request, answer)


def language_of(request: Request) -> str:
    """The language a browser asks for: by a link of the page, what it chose before, or its own first."""
    asked = (
        request.query_params.get("language", ""),
        request.cookies.get(LANGUAGE_COOKIE, ""),
        request.headers.get("accept-language", "")[:2],
    )
    known = languages()
    return next((one for one in asked if one in known), "en")


def remember_language(request: Request, response: Response) -> Response:
    """Let the browser keep the language that a link chose."""
    chosen = request.query_params.get("language", "")
    if chosen in languages():
        response.set_cookie(
            LANGUAGE_COOKIE, chosen, max_age=YEAR_S, path=PREFIX, httponly=True, samesite="strict"
        )
    return response
