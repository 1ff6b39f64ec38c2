"""The description of a Camtrap DP: project, people, licences, where, when, which species.

Belongs here: datapackage.json. Does not belong here: its tables (`camtrap_dp`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from chimp_assets.exchange.exports.export import ExportError
from chimp_assets.exchange.exports.places import HandedPlace
from chimp_assets.exchange.exports.sidecar import product_version
from chimp_assets.settings.project import ProjectSettings

VERSION = "1.0.1"
_STANDARD = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
ROLES = ("contact", "principalInvestigator", "rightsHolder", "publisher", "contributor")
_CONTRIBUTOR = re.compile(r"(?P<name>[^<(]*)(?:<(?P<mail>[^>]*)>)?\s*(?:\((?P<role>[^)]*)\))?\s*")


def contributors(project: ProjectSettings) -> list[dict[str, str]]:
    """People and institutes as Camtrap DP has them. Raises ExportError for a role that it does not know."""
    found = []
    for text in project.contributors:
        said = _CONTRIBUTOR.fullmatch(text.strip())
        name = said["name"].strip() if said else ""
        if said is None or not name:
            raise ExportError(
                f"The contributor {text!r} of project.contributors cannot be read.", "Write it as: Name <mail> (role)."
            )
        role = (said["role"] or "contributor").strip()
        known = {one.casefold(): one for one in ROLES}.get(role.replace(" ", "").casefold())
        if known is None:
            raise ExportError(
                f"The contributor {name} of project.contributors has the role {role!r}.",
                f"Camtrap DP knows {', '.join(ROLES)}.",
            )
        one = {"title": name, "role": known}
        if said["mail"]:
            one["email"] = said["mail"].strip()
        if project.organisation and known != "rightsHolder":
            one["organization"] = project.organisation
        found.append(one)
    if project.organisation and not any(one["role"] == "rightsHolder" for one in found):
        found.append({"title": project.organisation, "role": "rightsHolder"})
    return found


def data_package(
    project: ProjectSettings,
    capture_method: str,
    days: tuple[date, date],
    places: Sequence[HandedPlace],
    individuals: dict[str, Any],
    comment: str,
) -> dict[str, Any]:
    """datapackage.json. The tables name the addresses of their schemas, as the profile demands: embed the schemas only
    to validate without a network."""
    now = datetime.now(UTC).replace(microsecond=0)
    species = {"scientificName": project.species, "taxonRank": "species" if " " in (project.species or "") else "genus"}
    taxon: dict[str, Any] = {**species}
    if project.vernacular:
        taxon["vernacularNames"] = {"eng": project.vernacular}
    described = {
        "profile": f"{_STANDARD}/camtrap-dp-profile.json",
        "name": f"{_slug(project.title or '')}-{now:%Y%m%d%H%M%S}",
        "created": now.isoformat().replace("+00:00", "Z"),
        "title": project.title,
        "description": "\n\n".join(one for one in (project.description, comment) if one),
        "version": "1.0",
        "contributors": contributors(project),
        "sources": [{"title": "Chimp Assets", "version": product_version()}],
        "licenses": [licence(project.data_licence, "data"), licence(project.media_licence, "media")],
        "project": {
            "title": project.title,
            **({"description": project.description} if project.description else {}),
            **({"path": project.homepage} if project.homepage else {}),
            "samplingDesign": project.sampling_design,
            "captureMethod": [capture_method],
            "individualAnimals": True,
            "observationLevel": ["media", "event"],
        },
        "coordinatePrecision": max((place.precision for place in places), default=None),
        "spatial": _spatial(places),
        "temporal": {"start": days[0].isoformat(), "end": days[1].isoformat()},
        "taxonomic": [taxon],
        "resources": [*(_resource(name) for name in ("deployments", "media", "observations")), individuals],
    }
    if project.citation:
        described["bibliographicCitation"] = project.citation
    if project.homepage:
        described["homepage"] = project.homepage
    return {key: value for key, value in described.items() if value is not None}


def licence(text: str | None, scope: str) -> dict[str, str]:
    """A licence by its SPDX name or its address."""
    return {"path" if "://" in (text or "") else "name": text or "", "scope": scope}


def _resource(name: str) -> dict[str, Any]:
    return {
        "name": name, "path": f"{name}.csv", "profile": "tabular-data-resource", "format": "csv",
        "mediatype": "text/csv", "encoding": "utf-8", "schema": f"{_STANDARD}/{name}-table-schema.json",
    }  # fmt: skip


def _spatial(places: Sequence[HandedPlace]) -> dict[str, Any]:
    """The rectangle around all places, as GeoJSON (RFC 7946); of one place that place."""
    if not places:
        return {"type": "Point", "coordinates": [0.0, 0.0]}
    west, east = min(one.longitude for one in places), max(one.longitude for one in places)
    south, north = min(one.latitude for one in places), max(one.latitude for one in places)
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "bbox": [west, south, east, north], "coordinates": [ring]}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:60] or "camera-traps"
