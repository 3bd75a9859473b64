"""HTML pages from templates, in the reader's language, and the files that belong to them.

    pages = Pages(Path(__file__).parent)                    # your folder with templates/ and static/
    routes = [Route("/", show), pages.static]               # put `pages.static` beside your routes

    async def show(request: Request) -> Response:
        return pages.page(request, "shift.html", "ru", shift=shift)

Templates are Jinja2 with escaping on. They know `_`, `gettext`, `ngettext`, `pgettext` (values by name:
`{{ ngettext("%(num)d tap", "%(num)d taps", n) }}`), `{% trans %}`, `language`, the filters `day` and `money` (sums of
the template's `currency`), and `static("shift.css")`: the address of a file with its hash, so that browsers may keep it
for ever. Folders are searched in order; templates/base.html,
static/base.css, static/live.js and static/sums.js of this package are there for all pages.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from time import sleep
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cardcli.characters import visible
from terminal.messages import day
from terminal.money import money
from terminal.texts import translator

HERE: Final = Path(__file__).parent
KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
FOR_EVER: Final = "public, max-age=31536000, immutable"
PREPARING_PAUSE_S: Final = 0.05
NAME: Final = "{name:path}"


class StaticFile(Struct, frozen=True):
    """A file in memory; `version` changes with its content."""

    content: bytes
    media_type: str
    version: str


class Pages:
    """Templates and static files of `folders` (the first one wins), after them those of this package."""

    def __init__(self, *folders: Path) -> None:
        self._folders = (*folders, HERE)
        self._files = {
            name: file for folder in reversed(self._folders) for name, file in _files(folder).items()
        }
        self._environment = cache(self._make_environment)
        self.static: Final = Route(f"/static/{NAME}", self._serve)

    def page(
        self, request: Request, template: str, language: str, status: int = 200, **values: Any
    ) -> Response:
        """The page; `values` are the template's. Undefined names raise, so that no page comes out half empty."""
        return HTMLResponse(
            self.html(template, language, root=request.scope.get("root_path", ""), **values), status
        )

    def prepare(self, language: str, room: str) -> None:
        """Compile the templates in folder `room`, some 20 ms each, so that the first look at a page takes no longer
        than the next. For a thread beside everything else, which it lets go first after each.
        """
        environment = self._environment(language)
        for name in environment.list_templates(filter_func=lambda name: name.startswith(f"{room}/")):
            environment.get_template(name)
            sleep(PREPARING_PAUSE_S)

    def html(self, template: str, language: str, *, root: str = "", **values: Any) -> str:
        """The text of the page, for places under path `root`."""

        def static(name: str) -> str:
            return f"{root}/static/{name}?v={self._files[name].version}"

        found = self._environment(language).get_template(template)
        return found.render(language=language, root=root, static=static, **values)

    def _make_environment(self, language: str) -> Environment:
        loader = FileSystemLoader([folder / "templates" for folder in self._folders])
        environment = Environment(
            loader=loader,
            autoescape=True,
            finalize=shown_value,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_translations(translator(language), newstyle=True)  # type: ignore[attr-defined]
        environment.filters["money"] = pass_context(
            lambda context, sum_minor: money(sum_minor, context["currency"], language)
        )
        environment.filters["day"] = lambda iso: day(iso, language)
        return environment

    async def _serve(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            return Response(status_code=404)
        current = request.query_params.get("v") == file.version
        headers = {"Cache-Control": FOR_EVER if current else "no-cache", "ETag": f'"{file.version}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)


def shown_value(value: object) -> object:
    """Names come from outside: no value turns a line of the page around, or hides a part of it."""
    return visible(value) if type(value) is str else value


def _files(folder: Path) -> dict[str, StaticFile]:
    static = folder / "static"
    return {
        path.relative_to(static).as_posix(): _file(path)
        for path in sorted(static.rglob("*"))
        if path.suffix in KINDS
    }


def _file(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, KINDS[path.suffix], hashlib.sha256(content).hexdigest()[:12])
