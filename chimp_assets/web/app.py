"""The application: all routers, the guard around them, errors, templates and static files.

Belongs here: wiring. Does not belong here: what a route does (`api`, `pages`), serving (`serve`).
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from chimp_assets.database.connection.engine import BusyDatabaseError, Database
from chimp_assets.database.texts import first_unseen, visible
from chimp_assets.database.work import marks
from chimp_assets.errors import ChimpError, FullDiskError
from chimp_assets.home import Home
from chimp_assets.insight.association.layout import FOLDER as LAYOUTS
from chimp_assets.insight.association.layout import StoredLayouts
from chimp_assets.insight.association.network_cache import NetworkCache
from chimp_assets.insight.search.living import LiveColumns
from chimp_assets.insight.similar.places import Places
from chimp_assets.vision.embedding.search_index.living import LivingIndex
from chimp_assets.web.api import (
    administration,
    boxes,
    drift,
    events,
    grid,
    health,
    media,
    people,
    pictures,
    queue,
    review,
    signing,
)
from chimp_assets.web.api import individuals as individuals_api
from chimp_assets.web.api.marks import confirming as marks_api
from chimp_assets.web.api.similar import answers as similar_api
from chimp_assets.web.api.video import facts as video_api
from chimp_assets.web.api.video import playing as playing_api
from chimp_assets.web.auth.devices import Devices, secret_of
from chimp_assets.web.auth.hashing import Hashing
from chimp_assets.web.auth.roles import Rung, everybody, may
from chimp_assets.web.auth.security import Guard
from chimp_assets.web.auth.sessions import person_of
from chimp_assets.web.auth.throttle import Throttle
from chimp_assets.web.errors import Json, WebError, answer
from chimp_assets.web.labelling.faces import Faces
from chimp_assets.web.labelling.gold import Gold
from chimp_assets.web.labelling.media_worker import MediaWorker
from chimp_assets.web.labelling.picture_cache import PictureCache
from chimp_assets.web.labelling.plants import Plants
from chimp_assets.web.metrics import Metrics
from chimp_assets.web.pages import administration as administration_page
from chimp_assets.web.pages import drift as drift_page
from chimp_assets.web.pages import exports as exports_page
from chimp_assets.web.pages import fairness as fairness_page
from chimp_assets.web.pages import home as home_page
from chimp_assets.web.pages import individuals, label, network, oidc, sign_in, together
from chimp_assets.web.pages import review as review_page
from chimp_assets.web.pages.association import change as change_page
from chimp_assets.web.pages.association import over_time as over_time_page
from chimp_assets.web.pages.association import patterns as patterns_page
from chimp_assets.web.pages.questions import screens as questions_page
from chimp_assets.web.pages.reports import screens as reports_page
from chimp_assets.web.pages.search import screen as search_page
from chimp_assets.web.pages.similar import page as similar_page
from chimp_assets.web.pages.tables import screens as tables_page
from chimp_assets.web.pages.video import screen as video_page
from chimp_assets.web.playing.films import Films
from chimp_assets.web.readiness import Readiness
from chimp_assets.web.wording import texts
from chimp_assets.web.wording.sentences import translated

_log = logging.getLogger(__name__)

HERE = Path(__file__).parent
STATIC = HERE / "static"
RETRY_AFTER_S = 2
PICTURES = Path("cache") / "pictures"
"""In the home: pictures cut on request. May be deleted at any time."""
FILMS = Path("cache") / "films"
"""In the home: pieces and strips of videos. May be deleted at any time."""
VECTORS = Path("cache") / "search"
"""In the home: vectors of tracks as they are searched. May be deleted at any time."""

# All routers. A new screen is a file in `pages` and a line here.
ROUTERS: tuple[APIRouter, ...] = (
    queue.router,
    events.router,
    people.router,
    individuals_api.router,
    grid.router,
    boxes.router,
    pictures.router,
    review.router,
    administration.router,
    drift.router,
    signing.router,
    oidc.router,
    media.router,
    health.router,
    sign_in.router,
    label.router,
    home_page.router,
    individuals.router,
    together.router,
    network.router,
    change_page.router,
    over_time_page.router,
    patterns_page.router,
    exports_page.router,
    review_page.router,
    administration_page.router,
    drift_page.router,
    fairness_page.router,
    questions_page.router,
    reports_page.router,
    search_page.router,
    video_api.router,
    playing_api.router,
    video_page.router,
    similar_api.router,
    marks_api.router,
    similar_page.router,
    tables_page.router,
    tables_page.api,
)


@cache
def _routes() -> list[BaseRoute]:
    """The routes of all routers: the same for every home, so their parameters are derived once in a process.

    FastAPI derives them at the first request, which takes a tenth of a second for each application otherwise.
    """
    everything = APIRouter(default_response_class=Json)
    for router in (*ROUTERS, _own_routes()):
        everything.include_router(router)
    return everything.routes


@dataclass(frozen=True)
class Options:
    """Differences between serving and testing. make_media: this process also makes missing pictures."""

    make_media: bool = True


def create_app(home: Home, options: Options | None = None) -> FastAPI:
    """The application of a home. Raises ChimpError where the home is not usable."""
    options = options or Options()
    settings = home.settings
    _ = home.database  # raises ChimpError if it is not at head
    app = FastAPI(
        title="Chimp Assets",
        docs_url=None,  # its pages load code from other sites
        redoc_url=None,
        openapi_url=None,
        default_response_class=Json,
        routes=_routes(),
    )
    app.state.home = home
    app.state.settings = settings
    app.state.db = Database(settings.database_url, wait_s=settings.web.database_wait_s)
    app.state.metrics = Metrics()
    app.state.readiness = Readiness(home, app.state.db)
    app.state.hashing = Hashing()
    secret = secret_of(app.state.db)
    app.state.throttle = Throttle(app.state.db, secret)
    app.state.devices = Devices(secret)
    app.state.plants = Plants(app.state.db, settings, secret)
    app.state.gold = Gold(app.state.db, settings, secret)
    app.state.media = MediaWorker(home, app.state.db, app.state.metrics, enabled=options.make_media)
    cache = PictureCache(settings.home / PICTURES, settings.web.pictures_mb * 1_000_000)
    app.state.faces = Faces(home, app.state.db, cache, app.state.metrics)
    films = PictureCache(settings.home / FILMS, int(settings.web.films_gb * 1e9), ".piece")
    app.state.films = Films(films, app.state.metrics)
    app.state.networks = NetworkCache()
    app.state.search_columns = LiveColumns(app.state.db.read, settings.seed, settings.acquisition.audit_reserve)
    app.state.similar = LivingIndex(app.state.db, lambda: home.store, settings.home / VECTORS)
    app.state.similar_places = Places(app.state.db.read)
    app.state.exporting = threading.Lock()
    app.state.layouts = StoredLayouts(lambda: home.store, settings.home / LAYOUTS)
    app.state.static_version = version_of(STATIC)
    app.state.templates = _templates(app)
    oidc.prepare(app, secret)
    _answer_errors(app)
    app.add_middleware(_Compression)
    app.add_middleware(Guard, settings=settings.web, metrics=app.state.metrics)
    return app


class _Compression:
    """Compresses texts to a tenth: a claim for three days in the field is two megabytes of JSON, on a link of 1.5
    Mbit/s. Pictures, clips and exports are compressed already, and byte ranges refer to their own bytes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._smaller = GZipMiddleware(app, minimum_size=1000, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = (
            scope["type"] != "http"
            or scope["path"].startswith(("/media/", exports_page.DOWNLOAD))
            or scope["path"].endswith((".mp4", ".jpg"))
        )
        await (self._plain if plain else self._smaller)(scope, receive, send)


def version_of(folder: Path) -> str:
    """A short hash that changes when any file of a folder does."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _templates(app: FastAPI) -> Jinja2Templates:
    """Jinja with the names that every template may use: t, translated, lang, user, nonce, static, may, languages;
    most_marks, many_marks."""

    def given(request: Request) -> dict[str, Any]:
        lang = texts.language_of(request)
        person = person_of(request)

        def may_do(rung: Rung) -> bool:
            return may(person, rung)

        def static(path: str) -> str:
            return f"/static/{app.state.static_version}/{path}"

        return {
            "t": texts.translator(lang, app.state.settings.words),
            "translated": partial(translated, lang),
            "lang": lang,
            "languages": texts.languages(),
            "user": person,
            "nonce": request.scope["state"]["nonce"],
            "static": static,
            "may": may_do,
        }

    templates = Jinja2Templates(HERE / "templates", context_processors=[given])
    templates.env.finalize = _written_out
    templates.env.globals |= {"most_marks": marks.MOST, "many_marks": marks.MANY}
    return templates


def _written_out(value: Any) -> Any:
    """A value with invisible characters written out: they could reverse a line (U+202E). Applied to all template
    values.
    """
    if not isinstance(value, str) or first_unseen(value) is None:
        return value
    text = visible(value)
    return Markup(text) if isinstance(value, Markup) else text  # noqa: S704


def _own_routes() -> APIRouter:
    router = APIRouter(dependencies=[Depends(everybody())], include_in_schema=False)

    @router.get("/static/{version}/{path:path}")
    def static_file(request: Request, version: str, path: str) -> Response:
        """A static file. The address holds the version of all files, so relative imports keep the version."""
        file = _static_file(path)
        if file is None:
            raise WebError(404, "no_file", "There is no such file.", "Load the page again.")
        current = version == request.app.state.static_version
        return FileResponse(
            file, headers={"Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache"}
        )

    @router.get("/api/openapi.json")
    def openapi(request: Request) -> Any:
        """The OpenAPI description of this interface."""
        return request.app.openapi()

    return router


def _static_file(path: str) -> Path | None:
    """The static file at a path; None if there is none, or no file can have this name."""
    try:
        file = (STATIC / path).resolve()
        return file if file.is_relative_to(STATIC.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _answer_errors(app: FastAPI) -> None:
    """Turns every error into the one JSON form of `errors.answer`. The first handler that fits answers."""

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        said = "the body is not JSON" if first["type"] == "json_invalid" else str(first["msg"])
        sentence = f"{where}: {said}." if where and first["type"] != "json_invalid" else f"{said.capitalize()}."
        return answer(422, "malformed", sentence[:300], "See /api/openapi.json.")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # the framework could not read the body, for example with unclosed brackets
            return answer(422, "malformed", "The request body cannot be read.", "See /api/openapi.json.")
        code = {404: "not_found", 405: "method", 413: "too_long"}.get(error.status_code, "refused")
        said = {404: "There is nothing at this address.", 405: "This address does not accept this method."}
        return answer(
            error.status_code, code, said.get(error.status_code, str(error.detail)), "", dict(error.headers or {})
        )

    @app.exception_handler(ChimpError)
    async def in_words(request: Request, error: ChimpError) -> Response:
        return _in_words(request, error)


def _in_words(request: Request, error: ChimpError) -> Response:
    if isinstance(error, WebError):
        page = request.method == "GET" and not request.url.path.startswith(("/api/", "/media/", "/static/"))
        if page and error.status == 401 and "text/html" in request.headers.get("accept", ""):
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(target)}", 303)
        if page and error.code == "password_must_change":
            return RedirectResponse("/password", 303)
        return answer(error.status, error.code, error.sentence, error.remedy, error.headers)
    if isinstance(error, BusyDatabaseError):
        return answer(
            503,
            "busy",
            "The database is busy.",
            "The page tries again by itself; nothing is lost.",
            {"Retry-After": str(RETRY_AFTER_S)},
        )
    _log.error("%s %r: %r", request.method, request.url.path, str(error))
    if isinstance(error, FullDiskError):
        return answer(507, "full", "There is no room left to store this.", "Tell the administrator; nothing is lost.")
    if type(error).__name__ in _OUR_SIDE:
        return answer(503, "away", "Something this page needs cannot be reached.", "Tell the administrator.")
    return answer(422, "refused", error.sentence, error.remedy)


# Sentences of these errors name paths and servers: they go to the log, not to the browser.
_OUR_SIDE = ("DatabaseError", "StoreError", "MissingBlobError", "ReplacedBlobError", "SettingsError", "PictureError")
