"""What the files of deploy/ and azure/ name is there: settings, commands, modules, files, ports, versions.

A misspelt variable would be ignored without a word, and a misspelt command fail on a machine far away.
"""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from typing import Any

import pytest
import typer

from chimp_assets.cli import app
from chimp_assets.settings import Settings
from chimp_assets_tests.deploy.files import CHART, compose, load, texts
from chimp_assets_tests.paths import REPOSITORY

VARIABLE = re.compile(r"\bCHIMP_[A-Z0-9_]*[A-Z0-9]\b")
DOCKERFILE = (REPOSITORY / "deploy/Dockerfile").read_text(encoding="utf-8")


def settings_as_variables(model: Any, prefix: str = "CHIMP_") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if hasattr(inner, "model_fields"):
            found |= settings_as_variables(inner, f"{prefix}{name.upper()}__")
        found.add(f"{prefix}{name.upper()}")
    return found


def unknown_variables(text: str, known: set[str]) -> set[str]:
    return set(VARIABLE.findall(text)) - known


@pytest.fixture(scope="module")
def known_variables() -> set[str]:
    """Settings, and what the product or a template of its instance reads from the environment itself."""
    named = {
        name
        for folder in ("chimp_assets", "deploy/dagster.celery.yaml", "deploy/dagster.k8s.yaml")
        for path in ([REPOSITORY / folder] if folder.endswith("yaml") else (REPOSITORY / folder).rglob("*.py"))
        for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    return settings_as_variables(Settings) | {name for name in named if "__" not in name}


def test_every_variable_is_a_setting_or_is_read_by_the_product(known_variables: set[str]) -> None:
    built = {"CHIMP_COMPUTE__AZUREML"}  # azure/values.py puts the rest of the name behind it; its test looks
    for path, text in texts().items():
        assert unknown_variables(text, known_variables | built) == set(), path


def test_a_misspelt_variable_is_found(known_variables: set[str]) -> None:
    assert unknown_variables("CHIMP_STORE_URI: az://store", known_variables) == {"CHIMP_STORE_URI"}
    assert unknown_variables("CHIMP_WEB__PORTS: 1", known_variables) == {"CHIMP_WEB__PORTS"}


def commands() -> list[tuple[str, list[str]]]:
    """Every command of compose and chart, as lists of words."""
    found = [(f"compose: {name}", list(map(str, one["command"]))) for name, one in compose().items()]
    for template in sorted((CHART / "templates").glob("*.yaml")):
        for words in re.findall(r"args: \[(.*)\]", template.read_text(encoding="utf-8")):
            found.append((template.name, [word.strip(' "') for word in words.split(",")]))
    found.append(("values: migration", load(CHART / "values.yaml")["migration"]["args"]))
    return found


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command of ours; None: nothing, or it is not ours."""
    if words[:2] == ["python", "-m"]:
        return None if importlib.util.find_spec(words[2]) else f"there is no module {words[2]}"
    if words[0] != "chimp":
        return None
    group: Any = typer.main.get_command(app)
    command: Any = group.get_command(None, words[1])
    if command is None:
        return f"there is no command chimp {words[1]}"
    options = {option for one in command.params for option in one.opts}
    return next((f"chimp {words[1]} has no option {word}" for word in words[2:] if word[:2] == "--" and word not in options), None)  # fmt: skip # noqa: E501


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda one: one if isinstance(one, str) else None)
def test_every_command_is_there(where: str, words: list[str]) -> None:
    assert complaint(words) is None


def test_a_misspelt_command_is_found() -> None:
    assert complaint(["chimp", "labour", "--queue", "cpu"]) == "there is no command chimp labour"
    assert complaint(["chimp", "web", "--porte", "1"]) == "chimp web has no option --porte"
    assert complaint(["python", "-m", "chimp_assets.loop.reranker"]) == "there is no module chimp_assets.loop.reranker"


def test_ports_agree() -> None:
    """The page listens on the default of web.port, which containers, probes and policies name."""
    page = Settings.model_fields["web"].default.port
    services = compose()
    assert services["page"]["ports"] == [f"127.0.0.1:{page}:{page}"]
    assert f":{page}/" in services["page"]["healthcheck"]["test"][-1]
    template = (CHART / "templates/page.yaml").read_text(encoding="utf-8")
    assert re.findall(r"containerPort: (\d+)", template) == [str(page)]
    policy = (CHART / "templates/networkpolicy.yaml").read_text(encoding="utf-8")
    assert re.findall(r"port: (\d{4,})", policy) == [str(page)]
    web_ui = services["webserver"]["command"]
    assert services["webserver"]["ports"] == [f"127.0.0.1:{web_ui[4]}:{web_ui[4]}"]
    code = load(REPOSITORY / "deploy/workspace.yaml")["load_from"][0]["grpc_server"]
    assert code["host"] in services
    assert (
        str(code["port"]) == services[code["host"]]["command"][-1] == services[code["host"]]["healthcheck"]["test"][-1]
    )


def test_probes_ask_what_the_page_answers() -> None:
    routes = (REPOSITORY / "chimp_assets/web/api/health.py").read_text(encoding="utf-8")
    asked = set(re.findall(r"path: (/\w+)\b", (CHART / "templates/page.yaml").read_text(encoding="utf-8")))
    asked |= set(re.findall(r"\d(/\w+)'", compose()["page"]["healthcheck"]["test"][-1]))
    assert asked
    assert asked <= set(re.findall(r'@router\.get\("(/\w+)"', routes))


def test_the_image_is_built_from_files_that_are_there_and_that_travel() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:].removesuffix("/**") for line in ignored if line.startswith("!")]
    copied = [
        name
        for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", DOCKERFILE)
        for name in line.split()[:-1]
    ]  # fmt: skip
    assert "requirements-scale-out.lock" in copied
    for name in copied:
        assert list(REPOSITORY.glob(name)), name
        assert name in allowed, f".dockerignore keeps {name} out"
    hidden = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = hidden["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(any(name == one or (REPOSITORY / name) in REPOSITORY.glob(one) for one in copied) for name in shipped)
    assert "--require-hashes -r /build/requirements-scale-out.lock" in DOCKERFILE
    assert "index-url" not in DOCKERFILE


def test_versions_agree() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == project
    assert f'image.version="{project}"' in DOCKERFILE
    assert compose()["page"]["image"] == f"${{CHIMP_IMAGE:-chimp-assets:{project}}}"
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"uv==([\d.]+)", DOCKERFILE) == re.findall(r"(?m)^UV_VERSION := (.*)$", makefile)
    azurite = json.loads((REPOSITORY / "chimp_assets_tests/azure/package.json").read_text())["dependencies"]["azurite"]
    assert compose()["azurite"]["image"].endswith(f":{azurite}")
    lock = (REPOSITORY / "requirements-scale-out.lock").read_text(encoding="utf-8")
    dagster = re.findall(r"(?m)^dagster==([\d.]+)", lock)
    values = (REPOSITORY / "deploy/helm/dagster.values.yaml").read_text(encoding="utf-8")
    assert re.findall(r"--version ([\d.]+)", values) == dagster


def test_one_user_owns_what_the_product_writes() -> None:
    """Image, compose, chart and values run as the same user, or one could not read what another wrote."""
    image = re.findall(r"(?m)^USER (\d+):(\d+)$", DOCKERFILE)
    assert image == [("10001", "10001")]
    assert compose()["page"]["user"] == "10001:10001"
    for path in ("deploy/helm/dagster.values.yaml", "deploy/helm/chimp-assets/templates/_helpers.tpl"):
        users = re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", (REPOSITORY / path).read_text(encoding="utf-8"))
        assert set(users) == {"10001"}, path


def test_files_that_compose_mounts_are_there_and_secrets_are_made() -> None:
    whole = load(REPOSITORY / "deploy/compose.yml")
    for name, one in whole["configs"].items():
        assert (REPOSITORY / "deploy" / one["file"]).is_file(), name
    script = (REPOSITORY / "deploy/secrets.sh").read_text(encoding="utf-8")
    for name, one in whole["secrets"].items():
        assert f"> {one['file'].removeprefix('./')}" in script, name
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"deploy/secrets/", "deploy/compose.env"} <= set(ignored)
