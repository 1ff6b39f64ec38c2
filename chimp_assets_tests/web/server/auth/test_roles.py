"""Every route says who may use it, and keeps to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from chimp_assets.database.labels.answers import ROLE_ORDER
from chimp_assets.database.schema import CORRECTING_ROLES, ROLES
from chimp_assets.web.auth.roles import LADDER, RUNG_OF, RoleRequirement, Rung
from chimp_assets_tests.web.server.conftest import Browser

# Somebody on each rung.
PERSON = {"viewer": "lotte", "annotator": "vera", "identifier": "ida", "reviewer": "rita", "admin": "ada"}
# What a request needs to be answered, where it is not nothing.
BODIES = {
    "/api/queue/claim": {"n": 1},
    "/api/events": {"events": [{"annotation_id": "7e1a3d7e-0c57-4a54-8a1d-0f6d5c7b1a11", "kind": "skip"}]},
    "/api/me": {"lang": "en"},
    "/api/grid/check": {"page_id": "none", "marked": []},
    "/api/individuals/{anim_id:path}/references": {"tracks": []},
    "/api/individuals/{anim_id:path}/not-this-one": {"track_id": 1},
    "/api/individuals/{anim_id:path}/merge": {"into": "FF"},
    "/api/password": {"old": "not this one", "new": "not this one either"},
}
# Without an account one may ask for these, and nothing else.
OPEN = {
    "/api/sign-in", "/healthz", "/livez", "/readyz", "/metrics", "/sign-in", "/sign-in/oidc",
    "/sign-in/oidc/callback", "/sw.js", "/static/{version}/{path:path}", "/api/openapi.json",
}  # fmt: skip


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """All routes, those of included routers too."""
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            yield route
            continue
        inner = getattr(route, "routes", None) or getattr(getattr(route, "router", None), "routes", None)
        inner = inner or getattr(getattr(route, "original_router", None), "routes", None)
        assert inner, f"{route!r} is a route of a kind that this test does not see through"
        waiting += inner


def declared(route: APIRoute) -> list[Rung | None]:
    """Rungs that the dependencies of a route declare, at any depth."""
    found: list[Rung | None] = []
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, RoleRequirement):
            found.append(dependant.call.rung)
        waiting += dependant.dependencies
    return found


def test_every_route_declares_one_role(app: FastAPI) -> None:
    """A route whose author forgot the role is open to the world."""
    routes = {route.path: declared(route) for route in routes_of(app)}
    assert len(routes) >= 20, "the walk sees too few routes to prove anything"
    assert {path: rungs for path, rungs in routes.items() if len(set(rungs)) != 1} == {}
    assert {path for path, rungs in routes.items() if rungs == [None]} <= OPEN


def test_every_route_refuses_who_stands_below_its_role_and_nobody_else(app: FastAPI) -> None:
    """A declared role that is not kept is worse than none."""
    browsers = {rung: Browser(app).sign_in(name) for rung, name in PERSON.items()}
    nobody = Browser(app)
    for route in routes_of(app):
        rung = declared(route)[0]
        if rung is None or route.path in ("/api/sign-out", "/api/sessions/revoke"):
            continue
        path = re.sub(r"\{[^}]+\}", "1", route.path)
        for method in sorted(route.methods or ()):
            sent = {"json": BODIES.get(route.path, {})} if method == "POST" else {}
            assert nobody.request(method, path, **sent).status_code == 401, (method, path)
            for have, browser in browsers.items():
                answer = browser.request(method, path, **sent)
                refused = answer.status_code == 403 and answer.json()["code"] == "role"
                assert refused == (LADDER.index(have) < LADDER.index(rung)), (method, path, have, answer.text)
                assert answer.status_code < 500, (method, path, have, answer.text)


def test_the_rungs_hold_every_role_and_keep_the_weights_of_answers() -> None:
    """A role without a rung could do nothing; a rung that lets the wrong people correct changes labels."""
    assert set(RUNG_OF) == set(ROLES)
    assert {role for role, rung in RUNG_OF.items() if LADDER.index(rung) >= LADDER.index("reviewer")} == set(
        CORRECTING_ROLES
    )
    assert ROLE_ORDER == {"expert": 0, "admin": 1, "reviewer": 1}


@pytest.mark.parametrize(("name", "status"), [("vera", "rejected"), ("ida", "stored"), ("rita", "stored")])
def test_naming_needs_the_rung_of_namers(browser: Callable[..., Browser], name: str, status: str) -> None:
    """A volunteer who may draw boxes must not name animals by hand-made requests."""
    event = {
        "annotation_id": "7e1a3d7e-0c57-4a54-8a1d-0f6d5c7b1a11",
        "kind": "identify",
        "track_id": 1 << 20,
        "anim_id": "FF",
    }
    result = browser(name).post("/api/events", json={"events": [event]}).json()["results"][0]
    assert result["status"] == status
    assert (result["field"] == "kind") == (status == "rejected")
