"""The files of deploy/ and azure/ as these tests read them.

Does not belong here: a test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from chimp_assets_tests.paths import REPOSITORY

CHART = REPOSITORY / "deploy/helm/chimp-assets"
EXAMPLES = REPOSITORY / "deploy/helm/examples"
ENDINGS = (".yml", ".yaml", ".tpl", ".txt", ".example", ".sh", ".py", ".sql", ".bicep", ".json", "Dockerfile")


def texts() -> dict[str, str]:
    """All files that are deployed, by their path; not the checkers."""
    files = [path for folder in ("deploy", "azure") for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
        for path in sorted(files)
        if path.name.endswith(ENDINGS) and not {"check", "secrets", "__pycache__"} & set(path.parts)
    }


def compose() -> dict[str, Any]:
    """The services of deploy/compose.yml, with what they share."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "deploy/compose.yml").read_text(encoding="utf-8"))["services"]
    return found


def main_outputs() -> list[str]:
    """Names of what azure/main.bicep gives."""
    return re.findall(r"(?m)^output (\w+) ", (REPOSITORY / "azure/main.bicep").read_text(encoding="utf-8"))


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
