"""Sign-in through an identity provider (Entra ID). Off unless `web.oidc.metadata_url` is set."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

router = APIRouter(include_in_schema=False)


def prepare(app: FastAPI) -> None:
    """Registers the provider, where one is set."""
