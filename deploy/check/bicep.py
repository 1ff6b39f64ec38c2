"""The Bicep files: parsed by pycep, and whether what they name is there. There is no compiler here to check types.

Belongs here: modules, their parameters and outputs, names that nobody declares, parameters that nobody uses, doors that
stand open, the file of parameters. Does not belong here: policies (`policies`).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycep import BicepParser

from deploy.check.faults import Fault

MAIN = "azure/main.bicep"
PARAMETERS = "azure/main.parameters.json"
ASKED = ("recordsPassword", "oidcClientSecret")
"""Secrets, which are given on the command line and lie in no file."""
CLOSED = {
    "Microsoft.Storage/storageAccounts": {"allowBlobPublicAccess": False, "allowSharedKeyAccess": False},
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"publicAccess": "None"},
    "Microsoft.Sql/servers": {"publicNetworkAccess": "Disabled", "administrators.azureADOnlyAuthentication": True},
    "Microsoft.Sql/servers/auditingSettings": {"state": "Enabled"},
    "Microsoft.Sql/servers/securityAlertPolicies": {"state": "Enabled"},
    "Microsoft.DBforPostgreSQL/flexibleServers": {"network.publicNetworkAccess": "Disabled"},
    "Microsoft.KeyVault/vaults": {"enableRbacAuthorization": True, "networkAcls.defaultAction": "Deny"},
    "Microsoft.ContainerRegistry/registries": {"adminUserEnabled": False, "anonymousPullEnabled": False},
    "Microsoft.ContainerService/managedClusters": {
        "disableLocalAccounts": True,
        "oidcIssuerProfile.enabled": True,
        "securityProfile.workloadIdentity.enabled": True,
    },
    "Microsoft.MachineLearningServices/workspaces": {"systemDatastoresAuthMode": "identity"},
}  # fmt: skip
"""Properties by type of resource: what keeps the doors shut, and what checkov does not see in Bicep."""
_WORDS = frozenset(
    [
        "param",
        "var",
        "output",
        "resource",
        "module",
        "existing",
        "if",
        "for",
        "in",
        "true",
        "false",
        "null",
        "string",
        "int",
        "bool",
        "object",
        "array",
        "targetScope",
    ]
)
_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|'''.*?'''|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*|\S", re.DOTALL)
_INTERPOLATION = re.compile(r"(?<!\\)\$\{([^}]*)\}")


def bicep_faults(root: Path) -> Iterator[Fault]:
    """What cannot be read, is named and not there, or is there and not used."""
    parsed: dict[Path, dict[str, Any]] = {}
    for file in sorted((root / "azure").rglob("*.bicep")):
        place = str(file.relative_to(root))
        try:
            parsed[file] = dict(_parser().parse(file_path=file))
        except Exception as error:  # whatever the grammar raises
            yield Fault("pycep", place, str(error).split("Expected")[0].strip())
    if len(parsed) < len(list((root / "azure").rglob("*.bicep"))):
        return
    for file, tree in parsed.items():
        place, text = str(file.relative_to(root)), file.read_text(encoding="utf-8")
        yield from _names(place, text, tree)
        yield from _doors(place, tree)
        yield from _modules(place, text, tree, parsed, file)
    types = {resource["type"] for tree in parsed.values() for resource in _all(tree, "resources")}
    for kind in CLOSED.keys() - types:
        yield Fault("open", MAIN, f"there is no {kind}")
    used = {file.parent / module["detail"]["path"] for file, tree in parsed.items() for module in _all(tree, "modules")}
    for file in parsed.keys() - used - {root / MAIN}:
        yield Fault("unused", str(file.relative_to(root)), "no file uses this module")
    yield from _parameter_file(root, parsed[root / MAIN])


@functools.cache
def _parser() -> BicepParser:
    """Making one takes two seconds."""
    return BicepParser()


def _all(tree: dict[str, Any], part: str) -> list[Any]:
    return list(tree.get(part, {}).values())


def _expressions(text: str) -> list[tuple[str, str, str]]:
    """Each word outside of strings, and in the expressions within strings, with the signs before and behind it."""
    found: list[tuple[str, str, str]] = []
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith(("//", "/*"))]
    for before, token, behind in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token.startswith("'"):
            for inside in _INTERPOLATION.findall(token):
                found += _expressions(inside)
        elif re.match(r"[A-Za-z_]", token):
            found.append((before, token, behind))
    return found


def _names(place: str, text: str, tree: dict[str, Any]) -> Iterator[Fault]:
    declared = {name for part in ("parameters", "variables", "resources", "modules") for name in tree.get(part, {})}
    loops = set(re.findall(r"\[for (\w+) in", text))
    loops |= {name for pair in re.findall(r"\[for \((\w+), (\w+)\) in", text) for name in pair}
    decorators = set(re.findall(r"@(\w+)\(", text))
    uses: dict[str, int] = {}
    for before, word, behind in _expressions(text):
        if before == "." or behind == "(" or (behind == ":" and before not in ("?", ":", "in")):
            continue
        if word in declared:
            uses[word] = uses.get(word, 0) + 1
        elif word not in _WORDS | loops | decorators | set(tree.get("outputs", {})):
            yield Fault("name", place, f"{word} is declared nowhere")
    for name in {*tree.get("parameters", {}), *tree.get("variables", {})}:
        if uses.get(name, 0) < 2:
            yield Fault("unused", place, f"{name} is declared and never used")


def _doors(place: str, tree: dict[str, Any]) -> Iterator[Fault]:
    for name, resource in tree.get("resources", {}).items():
        if resource["existing"]:
            continue
        for path, wanted in CLOSED.get(resource["type"], {}).items():
            value: Any = _body(resource["config"]).get("properties", {})
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value != wanted:
                yield Fault("open", place, f"{name}: {path} must be {wanted}")


def _modules(
    place: str, text: str, tree: dict[str, Any], parsed: dict[Path, dict[str, Any]], file: Path
) -> Iterator[Fault]:
    for name, module in tree.get("modules", {}).items():
        target = parsed.get(file.parent / module["detail"]["path"])
        if target is None:
            yield Fault("module", place, f"{name}: {module['detail']['path']} is not there")
            continue
        given = set(_body(module["config"]).get("params", {}))
        known = target.get("parameters", {})
        needed = {one for one, facts in known.items() if facts.get("default") is None}
        for one in sorted(given - set(known)):
            yield Fault("parameter", place, f"{name}: the module has no parameter {one}")
        for one in sorted(needed - given):
            yield Fault("parameter", place, f"{name}: the parameter {one} must be given")
        for one in sorted(set(re.findall(rf"\b{name}\.outputs\.(\w+)", text)) - set(target.get("outputs", {}))):
            yield Fault("output", place, f"{name}: the module has no output {one}")


def _body(config: dict[str, Any]) -> dict[str, Any]:
    """The body of a module, inside a condition or a loop."""
    while isinstance(config.get("config"), dict):
        config = config["config"]
    return config


def _parameter_file(root: Path, main: dict[str, Any]) -> Iterator[Fault]:
    given = set(json.loads((root / PARAMETERS).read_text(encoding="utf-8"))["parameters"])
    known = main["parameters"]
    needed = {one for one, facts in known.items() if facts.get("default") is None} - set(ASKED)
    for one in sorted(given - set(known)):
        yield Fault("parameter", PARAMETERS, f"{MAIN} has no parameter {one}")
    for one in sorted(needed - given):
        yield Fault("parameter", PARAMETERS, f"the parameter {one} must be given")
    for one in sorted(given & set(ASKED)):
        yield Fault("secret", PARAMETERS, f"{one} is a secret and lies in a file")
    for one, facts in known.items():
        secure = any(decorator["type"] == "secure" for decorator in facts["decorators"])
        if secure != (one in ASKED):
            yield Fault("secret", MAIN, f"{one} must be @secure(), and named in ASKED, or neither")
