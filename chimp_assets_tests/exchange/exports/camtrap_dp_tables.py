"""What the tables of Camtrap DP 1.0 must be (https://camtrap-dp.tdwg.org/data), to validate without a network.

Belongs here: fields with type and constraints, as the standard tells them. Does not belong here: tests.
"""

from __future__ import annotations

from typing import Any

MOMENT = "%Y-%m-%dT%H:%M:%S%z"
_TYPES = ("animal", "human", "vehicle", "blank", "unknown", "unclassified")
_SHARE = {"minimum": 0, "maximum": 1}
_FIELDS = {
    "deployments": """deploymentID! locationID locationName latitude:number! longitude:number!
        coordinateUncertainty:integer deploymentStart:datetime! deploymentEnd:datetime! setupBy cameraID cameraModel
        cameraDelay:integer cameraHeight:number cameraDepth:number cameraTilt:integer cameraHeading:integer
        detectionDistance:number timestampIssues:boolean baitUse:boolean featureType habitat deploymentGroups
        deploymentTags deploymentComments""",
    "media": """mediaID! deploymentID! captureMethod timestamp:datetime! filePath! filePublic:boolean! fileName
        fileMediatype! exifData:object favorite:boolean mediaComments""",
    "observations": """observationID! deploymentID! mediaID eventID eventStart:datetime! eventEnd:datetime!
        observationLevel! observationType! cameraSetupType scientificName count:integer lifeStage sex behavior
        individualID individualPositionRadius:number individualPositionAngle:number individualSpeed:number bboxX:number
        bboxY:number bboxWidth:number bboxHeight:number classificationMethod classifiedBy
        classificationTimestamp:datetime classificationProbability:number observationTags observationComments""",
}
_CONSTRAINTS: dict[str, dict[str, Any]] = {
    "latitude": {"minimum": -90, "maximum": 90},
    "longitude": {"minimum": -180, "maximum": 180},
    "coordinateUncertainty": {"minimum": 1},
    "captureMethod": {"enum": ["activityDetection", "timeLapse"]},
    "filePath": {"pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"},
    "fileMediatype": {"pattern": r"^(image|video|audio)/.*$"},
    "observationLevel": {"enum": ["media", "event"]},
    "observationType": {"enum": list(_TYPES)},
    "count": {"minimum": 1},
    "lifeStage": {"enum": ["adult", "subadult", "juvenile"]},
    "sex": {"enum": ["female", "male"]},
    "bboxX": _SHARE, "bboxY": _SHARE, "bboxWidth": {"minimum": 1e-15, "maximum": 1},
    "bboxHeight": {"minimum": 1e-15, "maximum": 1},
    "classificationMethod": {"enum": ["human", "machine"]},
    "classificationProbability": _SHARE,
}  # fmt: skip
_KEYS = {"deployments": "deploymentID", "media": "mediaID", "observations": "observationID"}


def schema(table: str) -> dict[str, Any]:
    """The table schema, as Frictionless reads it."""
    fields = []
    for text in _FIELDS[table].split():
        name, _, kind = text.rstrip("!").partition(":")
        constraints = {**_CONSTRAINTS.get(name, {}), "required": text.endswith("!")}
        if name == _KEYS[table]:
            constraints["unique"] = True
        field = {"name": name, "type": kind or "string", "constraints": constraints}
        fields.append(field | ({"format": MOMENT} if kind == "datetime" else {}))
    foreign = {"media": ["deployments"], "observations": ["deployments", "media"]}.get(table, [])
    keys = [{"fields": _KEYS[to], "reference": {"resource": to, "fields": _KEYS[to]}} for to in foreign]
    return {"fields": fields, "missingValues": [""], "primaryKey": _KEYS[table], "foreignKeys": keys}
