"""The steps of docs/operate/azure.md and compose.md name files, outputs, parameters and releases that are there.

Nobody can try these steps here, so what can be compared is compared.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest

from chimp_assets_tests.deploy.files import main_outputs
from chimp_assets_tests.paths import REPOSITORY

AZURE = (REPOSITORY / "docs/operate/azure.md").read_text(encoding="utf-8")
COMPOSE = (REPOSITORY / "docs/operate/compose.md").read_text(encoding="utf-8")
MAIN = (REPOSITORY / "azure/main.bicep").read_text(encoding="utf-8")
MADE = ("deploy/secrets", "deploy/archive", "deploy/compose.env")
"""What the steps themselves make."""


def missing_files(text: str) -> set[str]:
    named = set(re.findall(r"\b(?:deploy|azure)/[\w./-]*\w", text))
    return {name for name in named if not name.startswith(MADE) and not (REPOSITORY / name).exists()}


@pytest.mark.parametrize("text", [AZURE, COMPOSE], ids=["azure.md", "compose.md"])
def test_files_that_steps_name_are_there(text: str) -> None:
    assert re.findall(r"\b(?:deploy|azure)/", text)
    assert missing_files(text) == set()
    assert missing_files(f"{text} azure/bicep.main") == {"azure/bicep.main"}


def test_outputs_and_parameters_that_steps_name_are_there() -> None:
    assert set(re.findall(r"\$\(output (\w+)", AZURE)) <= set(main_outputs())
    parameters = set(re.findall(r"(?m)^param (\w+) ", MAIN))
    table = AZURE[AZURE.index("Parameters of `azure/main.bicep`") :].split("\n\n", 2)[1]
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named <= parameters
    undocumented = (
        parameters - named - {"location", "tags", "namespace", "systemSize", "recordsPassword", "oidcClientSecret"}
    )
    assert undocumented == set()
    assert set(re.findall(r"--parameters (\w+)=", AZURE)) <= parameters


def test_steps_are_numbered_and_say_what_was_not_tried() -> None:
    steps = AZURE[AZURE.index("## The steps") : AZURE.index("## What you may set")]
    numbers = [int(one) for one in re.findall(r"(?m)^(\d+)\. \*\*", steps)]
    assert numbers == list(range(1, len(numbers) + 1))
    for number, body in zip(numbers, re.split(r"(?m)^\d+\. \*\*", steps)[1:], strict=True):
        if re.search(r"\b(az|helm|azcopy|kubectl) (?!login|account)", body) and "kubectl exec" not in body:
            assert "(not tried" in body, number
    used = {int(one) for one in re.findall(r"step (\d+)", AZURE)}
    assert used <= set(numbers)


def test_the_values_are_laid_over_each_other_as_the_values_file_says() -> None:
    install = re.findall(r"helm upgrade --install dagster .*\\\n.*", AZURE)[0]
    assert "--values deploy/helm/dagster.values.yaml --values values/dagster.azure.yaml" in install
    assert install.index("dagster.values.yaml") < install.index("dagster.azure.yaml")


def test_parameters_that_must_be_given_are_in_the_file_but_for_secrets() -> None:
    given = set(json.loads((REPOSITORY / "azure/main.parameters.json").read_text(encoding="utf-8"))["parameters"])
    needed = set(re.findall(r"(?m)^param (\w+) \w+$", MAIN))
    assert needed - given == {"recordsPassword"}


def test_secrets_are_made_once_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    """Run twice by a stand-in of chown: the second time keeps what is there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/chown").write_text('#!/bin/sh\necho "$@" >> "$0.log"\n')
    (tmp_path / "bin/chown").chmod(0o755)
    script = tmp_path / "deploy/secrets.sh"
    script.parent.mkdir()
    script.write_text((REPOSITORY / "deploy/secrets.sh").read_text(encoding="utf-8"))
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    subprocess.run(["sh", str(script)], check=True, env=environment, capture_output=True)
    passfile = script.parent / "secrets/pgpass"
    password = (script.parent / "secrets/postgres_password").read_text()
    assert len(password) == 48
    assert passfile.read_text() == f"*:5432:*:chimp:{password}\n"
    assert {stat.S_IMODE(one.stat().st_mode) for one in passfile.parent.iterdir()} == {0o400}
    assert (tmp_path / "bin/chown.log").read_text().splitlines() == [
        "999:999 secrets/postgres_password",
        "10001:10001 secrets/pgpass",
    ]
    subprocess.run(["sh", str(script)], check=True, env=environment, capture_output=True)
    assert passfile.read_text() == f"*:5432:*:chimp:{password}\n"
