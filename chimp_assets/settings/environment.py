"""Settings as environment variables: what a job on another machine gets, and what a process on this one inherits.

Belongs here: which variables are handed on, and that no secret is among those of a job. Does not belong here: reading
settings (`load`), starting anything (`operations`, `compute`).

A job of Azure ML or a pod shows its variables to everybody who may look at it, so it gets settings and nothing else. A
child on this machine needs what any program needs there, and the product's own; it does not get what other programs
keep in the environment, such as tokens of a CI server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from chimp_assets.addresses import redacted
from chimp_assets.errors import SettingsError
from chimp_assets.settings.load import Settings

KEEP = "CHIMP_KEEP_ENVIRONMENT"
"""Names of more variables that children inherit, with commas between them."""

# fmt: off
INHERITED = frozenset((
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TERM", "COLUMNS", "LANG", "LANGUAGE", "TZ",
    "TMPDIR", "TEMP", "TMP", "HOSTNAME", "VIRTUAL_ENV", "NO_COLOR", "FORCE_COLOR",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "GLIBC_TUNABLES",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET",
    "IMDS_ENDPOINT", "ARM_CLOUD_METADATA_URL", "ODBCINI", "ODBCSYSINI", "ODBCINSTINI",
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "OS", "USERNAME", "USERPROFILE", "HOMEDRIVE",
    "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
))
"""Names, in capitals: the system, its locale and folders, libraries, certificates, proxies, managed identities, ODBC,
the cluster, ranks of a training, Windows."""

INHERITED_PREFIXES = (
    "CHIMP_", "DAGSTER_", "CELERY_", "AZURE_",
    "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASS", "PGSERVICE", "PGSSL", "PGGSS", "PGKRB", "PGOPTIONS",
    "PGCONNECT", "PGTARGET", "PGCHANNEL", "PGREQUIRE", "PGSYSCONFDIR",
    "LC_", "XDG_", "PYTHON", "COVERAGE_", "COV_CORE_", "MPL",
    "CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "TORCH", "PYTORCH_", "HF_HOME", "HF_HUB_", "HF_ENDPOINT",
    "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "KMP_", "GOMP_", "MALLOC_", "OPENCV_", "GRPC_",
)
"""Prefixes, in capitals: our own, Dagster and its engines, Azure's and PostgreSQL's ways to sign in, Python, and the
libraries that compute."""
# fmt: on


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child on this machine gets of the environment: `INHERITED`, `INHERITED_PREFIXES` and what `KEEP` names."""
    kept = {name.strip() for name in environment.get(KEEP, "").split(",")}
    return {
        name: value
        for name, value in environment.items()
        if name in kept or name.upper() in INHERITED or name.upper().startswith(INHERITED_PREFIXES)
    }


def as_variables(settings: Settings) -> dict[str, str]:
    """Every setting that differs from its default as CHIMP_...: settings read from them alone are these again.

    Not among them: `home`, which each machine has of its own. Always among them: the addresses of the database and the
    store. Raises SettingsError if a value carries a secret, since whoever looks at a job reads its variables.
    """
    found = {
        "CHIMP_DATABASE_URL": settings.database_url,
        "CHIMP_STORE_URL": settings.store_url,
        **_differing(settings, "CHIMP_", but=("home", "database_url", "store_url")),
    }
    for name, value in found.items():
        if redacted(value) != value:
            raise SettingsError(
                f"{name} holds a secret ({redacted(value)}), which everybody could read who may look at the job.",
                "Leave the secret out and give the job's managed identity access: Azure SQL takes a token of Entra ID "
                "(?entra=managed_identity), and so does Blob storage; PostgreSQL takes PGPASSWORD, from a secret of "
                "the cluster (docs/operate/hosts.md).",
            )
    return found


def _differing(values: BaseModel, prefix: str, but: tuple[str, ...] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in type(values).model_fields.items():
        value, usual = getattr(values, name), field.get_default(call_default_factory=True)
        if name in but or value == usual:
            continue
        variable = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            found |= _differing(value, f"{variable}__")
        else:
            found[variable] = _text(values.model_dump(mode="json", include={name})[name])
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
