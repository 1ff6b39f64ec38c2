"""The chart of page and ranker: linted and rendered by Helm's own code, each object against its schema of Kubernetes.

Dagster's own chart is not here, so our values for it are checked with the product's packages
(`chimp_assets_tests/deploy/test_dagster_values.py`). Does not belong here: policies (`policies`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

from deploy.check.faults import Fault

CHART = "deploy/helm/chimp-assets"
EXAMPLES = "deploy/helm/examples"
VERSIONS = ("1.31", "1.37")
"""The oldest Kubernetes that is looked after, and the newest whose schemas are here."""
WITHOUT_SCHEMA = ("SecretProviderClass",)
"""Kinds of others than Kubernetes itself."""
REFUSED = {
    "a password in an address": {"settings": {"CHIMP_DATABASE_URL": "postgresql+psycopg://me:secret@host/chimp"}},
    "a secret among the settings": {"settings": {"CHIMP_OIDC_CLIENT_SECRET": "secret"}},
    "a moving tag": {"image": {"tag": "latest"}},
    "a store that other pods do not see": {"settings": {"CHIMP_STORE_URL": "file:///data/store"}},
    "a value that is not known": {"pages": {"replicas": 2}},
    "an ingress without a certificate": {"ingress": {"tlsSecret": ""}},
}
"""Values that must not be installed, each laid over the example for Azure."""


def chart_faults(root: Path) -> Iterator[Fault]:
    """What Helm or the schemas of Kubernetes find in the chart with each example, and what the chart should refuse."""
    for file in sorted((root / EXAMPLES).glob("chimp-assets.*.yaml")):
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        report = helm.lint(str(root / CHART), values, strict=True, namespace="chimp-assets")
        for message in report["messages"]:
            if message["severity"] >= 2:
                yield Fault("helm", f"{CHART} with {file.name}", message["error"])
        try:
            text = rendered(root, file)
        except helm.HelmError as error:
            yield Fault("helm", f"{CHART} with {file.name}", str(error)[:400])
            continue
        yield from _schema_faults(text, file.name)
    yield from _accepted(root)


def rendered(root: Path, values: Path) -> str:
    """All objects of the chart with these values, as one YAML text. Raises helm.HelmError."""
    with helm.Chart.load(str(root / CHART)) as chart:
        files = chart.render(
            yaml.safe_load(values.read_text(encoding="utf-8")), name="chimp-assets", namespace="chimp-assets",
            is_install=True,
        )  # fmt: skip
    return "\n---\n".join(text for name, text in sorted(files.items()) if name.endswith(".yaml") and text.strip())


def _schema_faults(text: str, name: str) -> Iterator[Fault]:
    for one in yaml.safe_load_all(text):
        if one is None:
            continue
        where = f"{one['kind']}/{one['metadata']['name']} with {name}"
        for version in () if one["kind"] in WITHOUT_SCHEMA else VERSIONS:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield Fault("kubernetes", where, f"{'.'.join(map(str, error.path))}: {error.message}"[:400])
            except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.VersionNotSupportedError) as error:
                yield Fault("kubernetes", where, f"no schema for {version}: {error}"[:400])


def _accepted(root: Path) -> Iterator[Fault]:
    good = yaml.safe_load((root / EXAMPLES / "chimp-assets.azure.yaml").read_text(encoding="utf-8"))
    for what, change in REFUSED.items():
        values = {**good, **{name: {**good.get(name, {}), **part} for name, part in change.items()}}
        try:
            with helm.Chart.load(str(root / CHART)) as chart:
                chart.render(values, name="chimp-assets", namespace="chimp-assets", is_install=True)
        except helm.HelmError:
            continue
        yield Fault("schema", CHART, f"it accepts {what}")
