"""docs/reference/http.md: every address that the page answers, who may ask and what it does.

Belongs here: how a route looks on the page. Does not belong here: descriptions (docstrings in `chimp_assets.web`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from chimp_assets.home import init_home
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth.roles import RoleRequirement
from documentation.tables import first_paragraph, table

HEAD = """\
# HTTP

Every address of the labelling page: what a browser opens, and what a program asks. This page is written by
`make docs` from the routes and their docstrings. Bodies and answers of the interface are described at
`/api/openapi.json`.

The role is the least that may ask. Each role may do what those before it may: viewer, annotator (the role
`volunteer`), identifier, reviewer (`reviewer` and `expert`), admin. Whoever is not signed in gets 401, whoever lacks
the role 403. A request that changes something is JSON and must come from the page's own origin
([security](../operate/security.md)). An error is JSON as well: a code, a sentence, and what to do.
"""

GROUPS = (
    (
        "Screens",
        lambda path: not path.startswith(("/api/", "/media/", "/static/")),
        "What a person opens in a browser.",
    ),
    ("Interface", lambda path: path.startswith("/api/"), "What the page's own scripts ask, and programs may."),
    (
        "Pictures and files",
        lambda path: path.startswith(("/media/", "/static/")),
        "Named by what they hold, or by a track.",
    ),
)


@dataclass(frozen=True)
class Route:
    """One address. role: the least that may ask, `everybody` where nobody needs to sign in."""

    methods: tuple[str, ...]
    path: str
    role: str
    what: str


def page() -> str:
    """The page as Markdown."""
    found = routes()
    lines = [HEAD]
    for name, belongs, what in GROUPS:
        lines += [f"## {name}", "", what, ""]
        rows = [[", ".join(r.methods), f"`{r.path}`", r.role, r.what] for r in found if belongs(r.path)]
        lines += [*table(["method", "address", "role", "what"], rows), ""]
    return "\n".join(lines)


def routes() -> list[Route]:
    """Every route of the application, by address."""
    with tempfile.TemporaryDirectory() as folder:
        application = create_app(init_home(Path(folder) / "home"), Options(make_media=False))
        found = [
            Route(
                tuple(sorted((route.methods or set()) - {"HEAD"})),
                route.path,
                _role(route),
                first_paragraph(route.endpoint.__doc__),
            )
            for route in _of(application)
        ]
        application.state.db.dispose()
        application.state.home.database.dispose()
    return sorted(found, key=lambda route: (route.path, route.methods))


def _of(application: FastAPI) -> Iterator[APIRoute]:
    """All routes, those of included routers too, which newer versions of the framework keep apart."""
    waiting: list[Any] = list(application.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            yield route
            continue
        inner = getattr(route, "routes", None) or getattr(getattr(route, "router", None), "routes", None)
        waiting += inner or getattr(getattr(route, "original_router", None), "routes", [])


def _role(route: APIRoute) -> str:
    """The role that the route declares; the test of roles sees to it that each declares one."""
    declared = [rung for rung in _rungs(route.dependant)]
    return next((rung for rung in declared if rung), "everybody")


def _rungs(dependant: Any) -> Iterator[str | None]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, RoleRequirement):
            yield inner.call.rung
        yield from _rungs(inner)
