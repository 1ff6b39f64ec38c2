"""From the outputs of azure/main.bicep to what Helm and SQL are given. Needs Python alone.

    az deployment group show --resource-group RG --name main --query properties.outputs > outputs.json
    python azure/values.py outputs.json --tag 0.1.0 --host labels.example.org --tls-secret labels --out values

writes `chimp-assets.azure.yaml` (for deploy/helm/chimp-assets), `dagster.azure.yaml` (laid over
deploy/helm/dagster.values.yaml) and `grants.sql` (rights of the identities in Azure SQL). None holds a secret.

Belongs here: names and addresses that differ from place to place. Does not belong here: everything else, which the
values in deploy/helm say.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import Any

POOL = {"chimp/pool": "work"}
IDENTITY_LABEL = {"azure.workload.identity/use": "true"}
_MARK = "# Written by azure/values.py from the outputs of azure/main.bicep; JSON is YAML.\n"


def client_id(identity: str) -> dict[str, str]:
    """What makes a service account that identity."""
    return {"azure.workload.identity/client-id": identity}


def settings(outputs: dict[str, str]) -> dict[str, str]:
    """The environment of every process."""
    return {
        "CHIMP_DATABASE_URL": f"mssql+mssqlpython://@{outputs['sqlHost']}/{outputs['sqlDatabase']}?entra=default",
        "CHIMP_STORE_URL": "az://store",
        "CHIMP_ARCHIVE_URL": "az://archive",
        "AZURE_STORAGE_ACCOUNT_NAME": outputs["storageName"],
    }


def compute(outputs: dict[str, str], tag: str) -> dict[str, str]:
    """Where the pipeline sends its heavy steps: to the clusters of Azure ML."""
    named = {
        "SUBSCRIPTION_ID": outputs["subscriptionId"],
        "RESOURCE_GROUP": outputs["resourceGroupName"],
        "WORKSPACE": outputs["workspaceName"],
        "CPU_COMPUTE": outputs["cpuClusterName"],
        "GPU_COMPUTE": outputs["gpuClusterName"],
        "ENVIRONMENT": f"chimp-assets:{tag}",
        "IDENTITY_CLIENT_ID": outputs["machinesClientId"],
    }
    return {
        "CHIMP_COMPUTE__KIND": "azureml",
        "CHIMP_COMPUTE__GPUS": "1",
        **{f"CHIMP_COMPUTE__AZUREML__{name}": value for name, value in named.items()},
    }


def chimp_values(outputs: dict[str, str], tag: str, host: str, tls_secret: str, oidc: str | None) -> dict[str, Any]:
    """Values of deploy/helm/chimp-assets. oidc: the application that people sign in through, if any."""
    page: dict[str, Any] = {"serviceAccount": {"name": "chimp-page", "annotations": client_id(outputs["pageClientId"])}}
    vault = {
        "chimp-migration-secrets": {
            "clientId": outputs["migrationClientId"],
            "keys": {"postgresql-password": "dagster-postgres-password"},
        },
        "dagster-records": {
            "clientId": outputs["pipelineClientId"],
            "keys": {"postgresql-password": "dagster-postgres-password"},
        },
    }
    of_page = {"CHIMP_WEB__PROXIES": json.dumps([outputs["ingressPrefix"], "10.244.0.0/16"])}
    if oidc:
        tenant = outputs["tenantId"]
        vault["chimp-page-secrets"] = {
            "clientId": outputs["pageClientId"],
            "keys": {"CHIMP_OIDC_CLIENT_SECRET": "oidc-client-secret"},
        }
        page |= {"envSecrets": ["chimp-page-secrets"], "keyVaultSecret": "chimp-page-secrets"}
        of_page["CHIMP_WEB__OIDC__CLIENT_ID"] = oidc
        of_page["CHIMP_WEB__OIDC__METADATA_URL"] = (
            f"https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
        )
    return {
        "image": {"repository": f"{outputs['registryServer']}/chimp-assets", "tag": tag},
        "settings": {**settings(outputs), **of_page},
        "podLabels": IDENTITY_LABEL,
        "nodeSelector": POOL,
        "page": page,
        "ranker": {"serviceAccount": {"name": "chimp-ranker", "annotations": client_id(outputs["pageClientId"])}},
        "pipeline": {
            "serviceAccount": {"name": "chimp-pipeline", "annotations": client_id(outputs["pipelineClientId"])},
        },
        "migration": {
            "serviceAccount": {"name": "chimp-migration", "annotations": client_id(outputs["migrationClientId"])},
            "keyVaultSecret": "chimp-migration-secrets",
            "extraEnv": [
                {
                    "name": "PGPASSWORD",
                    "valueFrom": {"secretKeyRef": {"name": "chimp-migration-secrets", "key": "postgresql-password"}},
                },
                {
                    "name": "CHIMP_DAGSTER_POSTGRES_URL",
                    "value": f"postgresql+psycopg2://dagster@{outputs['recordsHost']}/dagster?sslmode=require",
                },
            ],
        },
        "ingress": {"className": "webapprouting.kubernetes.azure.com", "host": host, "tlsSecret": tls_secret},
        "keyVault": {
            "enabled": True, "name": outputs["vaultName"], "tenantId": outputs["tenantId"], "secrets": vault,
        },
    }  # fmt: skip


def dagster_values(outputs: dict[str, str], tag: str) -> dict[str, Any]:
    """Values of Dagster's chart, beside deploy/helm/dagster.values.yaml."""
    image = {"repository": f"{outputs['registryServer']}/chimp-assets", "tag": tag, "pullPolicy": "IfNotPresent"}
    environment = {**settings(outputs), **compute(outputs, tag)}
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "dagsterWebserver": {"image": image, "nodeSelector": POOL},
        "dagsterDaemon": {"image": image, "nodeSelector": POOL},
        "postgresql": {"postgresqlHost": outputs["recordsHost"]},
        "dagster-user-deployments": {
            "deployments": [  # as a whole: Helm does not merge lists
                {
                    "name": "chimp-assets",
                    "image": image,
                    "dagsterApiGrpcArgs": ["--python-module", "chimp_assets.definitions"],
                    "port": 4000,
                    "includeConfigInLaunchedRuns": {"enabled": False},
                    "labels": IDENTITY_LABEL,
                    "nodeSelector": POOL,
                    "env": environment,
                    "volumes": [
                        {
                            "name": "vault",
                            "csi": {
                                "driver": "secrets-store.csi.k8s.io",
                                "readOnly": True,
                                "volumeAttributes": {"secretProviderClass": "dagster-records"},
                            },
                        }
                    ],
                    "volumeMounts": [{"name": "vault", "mountPath": "/run/secrets/vault", "readOnly": True}],
                    "podSecurityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                        "runAsGroup": 10001,
                        "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "securityContext": closed,
                    "resources": {
                        "requests": {"cpu": "250m", "memory": "1Gi"},
                        "limits": {"cpu": "1", "memory": "2Gi"},
                    },
                }
            ]
        },
        "runLauncher": {
            "config": {
                "k8sRunLauncher": {
                    "labels": IDENTITY_LABEL,
                    "envVars": [f"{name}={value}" for name, value in environment.items()],
                    "runK8sConfig": {"podSpecConfig": {"nodeSelector": POOL}},
                }
            }
        },
    }


def grants(outputs: dict[str, str]) -> str:
    """T-SQL that makes the identities members of the roles of sql/azure/roles.sql; run again it changes nothing.

    By SID, so that the server need not look anybody up in Entra ID.
    """
    members = (
        ("pageIdentityName", "pageClientId", "chimp_labeller"),
        ("pipelineIdentityName", "pipelineClientId", "chimp_operator"),
        ("machinesIdentityName", "machinesClientId", "chimp_operator"),
    )
    lines = []
    for name, identity, role in members:
        user = outputs[name].replace("]", "]]")
        sid = uuid.UUID(outputs[identity]).bytes_le.hex().upper()
        text = outputs[name].replace("'", "''")
        lines += [
            f"IF DATABASE_PRINCIPAL_ID(N'{text}') IS NULL CREATE USER [{user}] WITH SID = 0x{sid}, TYPE = E;",
            "GO",
            f"ALTER ROLE {role} ADD MEMBER [{user}];",
            "GO",
        ]
    return "\n".join(lines[:-1]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Writes the three files and says so."""
    parser = argparse.ArgumentParser(description="Values for Helm and grants for SQL, from the outputs of main.bicep.")
    parser.add_argument("outputs", type=Path, help="JSON of `az deployment group show --query properties.outputs`")
    parser.add_argument("--tag", required=True, help="version of the image in the registry")
    parser.add_argument("--host", required=True, help="the name that people type for the labelling page")
    parser.add_argument("--tls-secret", required=True, help="the Kubernetes secret with its certificate")
    parser.add_argument("--oidc-client-id", help="the application through which people sign in with Entra ID")
    parser.add_argument("--out", type=Path, default=Path("values"), help="folder that is written")
    given = parser.parse_args(arguments)
    outputs = {name: one["value"] for name, one in json.loads(given.outputs.read_text(encoding="utf-8")).items()}
    try:
        files = {
            "chimp-assets.azure.yaml": _MARK
            + json.dumps(
                chimp_values(outputs, given.tag, given.host, given.tls_secret, given.oidc_client_id), indent=2
            ),
            "dagster.azure.yaml": _MARK + json.dumps(dagster_values(outputs, given.tag), indent=2),
            "grants.sql": grants(outputs),
        }
    except KeyError as missing:
        print(f"{given.outputs} has no {missing}. Deploy azure/main.bicep of this version first.", file=sys.stderr)  # noqa: T201
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (given.out / name).write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
        print(f"Wrote {given.out / name}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
