"""Checkov's policies over the Bicep files, the Dockerfile and the rendered objects of Kubernetes, less the skips.

It takes ten seconds to start, so the tree and a copy of it with faults are looked at in one run. Does not belong here:
which faults the copy has (`mutations`).
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.check import charts
from deploy.check.faults import Fault, program

SKIPS = "deploy/check/skips.toml"
FRAMEWORKS = ("bicep", "dockerfile", "kubernetes")
_PARTS = ("as_is", "broken")


def policy_faults(root: Path, broken: Path) -> tuple[list[Fault], list[Fault]]:
    """What checkov finds in a tree, less the skips, and in a copy of it with faults, without them."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder).resolve()
        for part, tree in zip(_PARTS, (root, broken), strict=True):
            _lay_out(tree, stage / part)
        found = subprocess.run(  # noqa: S603
            [program("checkov"), "--directory", str(stage), "--framework", *FRAMEWORKS, "--output", "json", "--quiet",
             "--compact", "--skip-download", "--soft-fail"],
            capture_output=True, text=True, check=False, cwd=stage, env={**os.environ, "LOG_LEVEL": "ERROR"},
        )  # fmt: skip
    try:
        reports: Any = json.loads(found.stdout)
    except json.JSONDecodeError:
        return [Fault("checkov", str(root), (found.stderr or found.stdout)[-600:])], []
    faults: dict[str, list[Fault]] = {part: [] for part in _PARTS}
    seen = set()
    for report in reports if isinstance(reports, list) else [reports]:
        seen.add(report["check_type"])
        for file in report["results"].get("parsing_errors", []):
            faults[_part_of(file, stage)].append(Fault("checkov", file, "it cannot be read"))
        for one in report["results"]["failed_checks"]:
            _, part, *path = Path(one["file_path"]).parts
            place = f"{'/'.join(path)}:{one['resource']}"
            faults[part].append(Fault(one["check_id"], place, one["check_name"]))
    for framework in set(FRAMEWORKS) - seen:
        faults["as_is"].append(Fault("checkov", framework, "nothing was looked at"))
    return list(_without_skips(root, faults["as_is"])), faults["broken"]


def _part_of(file: str, stage: Path) -> str:
    return Path(file).relative_to(stage if file.startswith(str(stage)) else "/").parts[0]


def _lay_out(tree: Path, folder: Path) -> None:
    """What checkov reads: the Bicep files, the Dockerfile and each example of the chart, rendered."""
    shutil.copytree(tree / "azure", folder / "azure")
    shutil.copy(tree / "deploy/Dockerfile", folder / "Dockerfile")
    (folder / "kubernetes").mkdir()
    for values in sorted((tree / charts.EXAMPLES).glob("chimp-assets.*.yaml")):
        (folder / "kubernetes" / values.name).write_text(charts.rendered(tree, values), encoding="utf-8")


def _without_skips(root: Path, faults: Iterable[Fault]) -> Iterable[Fault]:
    skips = tomllib.loads((root / SKIPS).read_text(encoding="utf-8"))["skip"]
    needed = set()
    for fault in faults:
        for number, skip in enumerate(skips):
            if fault.rule == skip["check"] and fnmatch.fnmatch(fault.place, skip.get("on", "*")):
                needed.add(number)
                break
        else:
            yield fault
    for number, skip in enumerate(skips):
        if number not in needed:
            yield Fault("skip", SKIPS, f"nothing needs the skip of {skip['check']} on {skip.get('on', 'everything')}")
        if not skip.get("reason"):
            yield Fault("skip", SKIPS, f"the skip of {skip['check']} has no reason")
