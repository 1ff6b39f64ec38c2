"""Faults that the checkers must find: a checker that finds nothing in a broken tree keeps nothing.

Belongs here: each fault as a change of one file, and the rule that must be reported. Does not belong here: checkers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from deploy.check.bicep import bicep_faults
from deploy.check.charts import chart_faults
from deploy.check.containers import compose_faults, dockerfile_faults
from deploy.check.faults import Fault

FOLDERS = ("deploy", "azure")
Checker = Callable[[Path], Iterator[Fault]]


class Mutation(NamedTuple):
    """what: in words; file, old, new: the change; rule: what must be reported; text: a part of it or of its place."""

    what: str
    file: str
    old: str
    new: str
    rule: str
    text: str = ""


DOCKERFILE = "deploy/Dockerfile"
COMPOSE = "deploy/compose.yml"
PAGE = "deploy/helm/chimp-assets/templates/page.yaml"
HELPERS = "deploy/helm/chimp-assets/templates/_helpers.tpl"

FOUND_BY: dict[Checker, list[Mutation]] = {
    dockerfile_faults: [
        Mutation("an image of no version", DOCKERFILE, "FROM python:3.11-slim-bookworm\n", "FROM python\n", "DL3006"),
        Mutation("the last user is root", DOCKERFILE, "USER 10001:10001", "USER root", "DL3002"),
    ],
    compose_faults: [
        Mutation("a privileged container", COMPOSE, "  user: \"10001:10001\"\n", "  privileged: true\n", "privileged"),
        Mutation("a port for everybody", COMPOSE, '"127.0.0.1:3001:3001"', '"3001:3001"', "port"),
        Mutation("a word that compose does not know", COMPOSE, "    stop_signal:", "    stop_word:", "compose"),
        Mutation("an image of no version", COMPOSE, "postgres:17-bookworm", "postgres", "tag"),
        Mutation("a password in an address", COMPOSE, "//chimp@postgres/chimp", "//chimp:x@postgres/chimp", "secret"),
    ],
    chart_faults: [
        Mutation("a word that Kubernetes does not know", PAGE, "periodSeconds: 20", "periodSecond: 20", "kubernetes"),
        Mutation("a template that cannot be rendered", PAGE, ".Values.page.replicas", ".Values.page | nope", "helm"),
        Mutation("a schema that lets everything in", "deploy/helm/chimp-assets/values.schema.json",
                 '"additionalProperties": false', '"additionalProperties": true', "schema", "not known"),
    ],
    bicep_faults: [
        Mutation("a file that is no Bicep", "azure/modules/sql.bicep", "resource server", "resourc server", "pycep"),
        Mutation("a misspelt parameter", "azure/main.bicep", "coolAfterDays: cool", "coolDays: cool", "parameter"),
        Mutation("a misspelt output", "azure/main.bicep", "vault.outputs.name", "vault.outputs.label", "output"),
        Mutation("a name of nothing", "azure/modules/storage.bicep", "name: sku\n", "name: skuu\n", "name", "skuu"),
        Mutation("storage for everybody", "azure/modules/storage.bicep", "allowBlobPublicAccess: false",
                 "allowBlobPublicAccess: true", "open"),
        Mutation("storage with keys", "azure/modules/storage.bicep", "allowSharedKeyAccess: false\n", "", "open"),
        Mutation("a secret in the clear", "azure/main.bicep", "@secure()\n@minLength(24)", "@minLength(24)", "secret"),
    ],
}  # fmt: skip
"""For the quick checkers: each fault alone."""

FOUND_BY_POLICY = [
    Mutation("an image of root", DOCKERFILE, "USER 10001:10001", "USER root", "CKV_DOCKER_8"),
    Mutation("a privileged page", HELPERS, "allowPrivilegeEscalation: false", "privileged: true", "CKV_K8S_16"),
    Mutation("a root file system that is written", HELPERS, "readOnlyRootFilesystem: true\n", "", "CKV_K8S_22"),
    Mutation("public storage", "azure/modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'",
             "CKV_AZURE_34", "storage.bicep"),
    Mutation("SQL open to the world", "azure/modules/sql.bicep", "publicNetworkAccess: 'Disabled'",
             "publicNetworkAccess: 'Enabled'", "CKV_AZURE_113", "sql.bicep"),
    Mutation("a vault that can be emptied", "azure/modules/vault.bicep", "enablePurgeProtection: true",
             "enablePurgeProtection: false", "CKV_AZURE_110", "vault.bicep"),
    Mutation("a registry with a password", "azure/modules/registry.bicep", "adminUserEnabled: false",
             "adminUserEnabled: true", "CKV_AZURE_137", "registry.bicep"),
    Mutation("local accounts of AKS", "azure/modules/kubernetes.bicep", "disableLocalAccounts: true",
             "disableLocalAccounts: false", "CKV_AZURE_141", "kubernetes.bicep"),
]  # fmt: skip
"""For checkov: all at once, since it is slow to start."""


def copy(root: Path, folder: Path) -> Path:
    """What the checkers read, in another place."""
    for name in FOLDERS:
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    return folder


def apply(root: Path, mutation: Mutation) -> None:
    """Makes the change. Raises ValueError if there is nothing to change any more."""
    file = root / mutation.file
    text = file.read_text(encoding="utf-8")
    if mutation.old not in text:
        raise ValueError(
            f"{mutation.file} has no {mutation.old!r}: the mutation {mutation.what!r} must be written anew."
        )
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def is_found(mutation: Mutation, faults: list[Fault]) -> bool:
    """Whether the fault was reported as it should be."""
    return any(fault.rule == mutation.rule and mutation.text in f"{fault.place} {fault.text}" for fault in faults)


def missed(checker: Checker, root: Path, folder: Path) -> Iterator[Fault]:
    """Faults that a quick checker does not find. folder: an empty one for copies."""
    for number, mutation in enumerate(FOUND_BY[checker]):
        tree = copy(root, folder / f"{checker.__name__}-{number}")
        apply(tree, mutation)
        faults = list(checker(tree))
        if not is_found(mutation, faults):
            yield Fault(
                "mutation", mutation.file, f"{checker.__name__} does not find {mutation.what}; it says {faults}"
            )
