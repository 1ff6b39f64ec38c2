"""Health checks and metrics."""

from __future__ import annotations

import hmac
import os
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from chimp_assets.database import schema as t
from chimp_assets.database.work.queue import pending_count
from chimp_assets.web.auth.roles import everybody, may
from chimp_assets.web.auth.sessions import person_of
from chimp_assets.web.errors import SignedOutError, WebError
from chimp_assets.web.metrics import gauge

router = APIRouter(tags=["health"])

TOKEN = "CHIMP_METRICS_TOKEN"  # noqa: S105  the name of the variable that holds it


@router.get("/healthz", dependencies=[Depends(everybody())])
def healthz(request: Request) -> JSONResponse:
    """200 if the database answers, else 503. No details, because nobody needs to sign in."""
    try:
        with request.app.state.db.read() as conn:
            conn.execute(sa.select(sa.literal(1)))
    except Exception:
        return JSONResponse({"status": "ill"}, 503)
    return JSONResponse({"status": "well"})


@router.get("/livez", dependencies=[Depends(everybody())])
async def livez() -> JSONResponse:
    """200 while this process answers, whatever else is away: starting it again would mend nothing."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", dependencies=[Depends(everybody())])
async def readyz(request: Request) -> JSONResponse:
    """200 if database, schema and store are as they should be and this server was not asked to end; else 503 and which
    of database, schema, store and leaving is the reason."""
    lacking = await request.app.state.readiness.lacking()
    return (
        JSONResponse({"status": "not ready", "lacking": lacking}, 503) if lacking else JSONResponse({"status": "ready"})
    )


@router.get("/metrics", dependencies=[Depends(everybody())], response_class=PlainTextResponse)
def metrics(request: Request) -> PlainTextResponse:
    """Prometheus' text format, for administrators, or with the token from the environment."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    expected = os.environ.get(TOKEN, "")
    if not (expected and hmac.compare_digest(given.encode(), expected.encode())):
        person = person_of(request)
        if person is None:
            raise SignedOutError
        if not may(person, "admin"):
            raise WebError(403, "role", "These numbers are for administrators.", f"Ask one, or set {TOKEN}.")
    with request.app.state.db.read() as conn:
        facts = _facts(conn)
    lines = [gauge(name, value, **labels) for name, value, labels in facts]
    return PlainTextResponse("\n".join([*request.app.state.metrics.lines(), *lines, ""]))


def _facts(conn: sa.Connection) -> list[tuple[str, float, dict[str, str]]]:
    q = t.acquisition_queue.c
    leased = conn.scalar(sa.select(sa.func.count()).select_from(t.acquisition_queue).where(q.state == "leased"))
    labels = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0)))
    failed: Any = conn.scalar(sa.select(sa.func.count()).select_from(t.video).where(t.video.c.state == "failed"))
    return [
        ("chimp_queue_claimable", pending_count(conn), {}),
        ("chimp_queue_leased", leased or 0, {}),
        ("chimp_labels", labels or 0, {}),
        ("chimp_videos_failed", failed or 0, {}),
    ]
