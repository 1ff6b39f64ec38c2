"""What exists is documented: commands, options, settings, the asset graph, addresses, views, tables, questions.

And what is documented exists: links lead to files and headings, and code names pages that are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chimp_assets.database import schema
from chimp_assets.database.upkeep.views import VIEW_NAMES, query_names
from chimp_assets.definitions import build_definitions
from chimp_assets_tests.paths import REPOSITORY
from documentation import commands, http, settings
from documentation.__main__ import PAGES, REFERENCE

DOCS = REPOSITORY / "docs"
PAGES_OF_PEOPLE = sorted(
    [
        *DOCS.rglob("*.md"),
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "sql/README.md")),
    ]
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text_of(*pages: str) -> str:
    return "\n".join((REPOSITORY / page).read_text(encoding="utf-8") for page in pages)


def everything() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES_OF_PEOPLE)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """`make docs` writes it."""
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/reference/{name}: run make docs"


def test_every_command_is_documented_and_says_what_it_does() -> None:
    page = text_of("docs/reference/commands.md")
    found = dict(commands.commands())
    assert len(found) > 30
    assert [name for name in found if f"\n## {name}\n" not in page] == []
    assert [name for name, command in found.items() if not commands.summary(command)] == []


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {one.name}"
        for name, command in commands.commands()
        for one in commands.parameters(command)
        if not one.help
    ]
    assert silent == []


def test_every_setting_is_described() -> None:
    """A setting without a sentence is a number that nobody dares to change."""
    page = text_of("docs/reference/settings.md")
    assert [name for name, _ in settings.settings() if f"| `{name}` |" not in page] == []
    assert [name for name, field in settings.settings() if len(field.description or "") < 10] == []


def test_every_variable_of_the_environment_is_documented() -> None:
    """Secrets and what programs say to each other are no settings; people must find them all the same."""
    known = {f"CHIMP_{name.upper().replace('.', '__')}" for name, _ in settings.settings()} | set(settings.VARIABLES)
    code = "\n".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "chimp_assets").rglob("*.py"))
    used = set(re.findall(r"\bCHIMP_[A-Z][A-Z_]*[A-Z]\b", code))
    assert {name for name in used - known if not name.startswith(("CHIMP_SENSOR_", "CHIMP_SHELL"))} == set()


def test_the_asset_graph_is_documented() -> None:
    page = text_of("docs/reference/graph.md")
    repository = build_definitions().get_repository_def()
    names = [
        *(key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()),
        *(spec.name for checks in repository.asset_checks_defs_by_key.values() for spec in checks.check_specs),
        *(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        *(sensor.name for sensor in repository.sensor_defs),
        *(schedule.name for schedule in repository.schedule_defs),
    ]
    assert len(names) > 40
    assert [name for name in names if f"| `{name}` |" not in page] == []
    assert re.findall(r"^\|.*\| *\|$", page, re.MULTILINE) == [], "each says what it is for"


def test_every_address_is_documented_and_says_what_it_does() -> None:
    page = text_of("docs/reference/http.md")
    routes = http.routes()
    assert len(routes) > 40
    assert [route.path for route in routes if f"| `{route.path}` |" not in page] == []
    assert [route.path for route in routes if len(route.what) < 10] == []


def test_every_view_table_and_question_is_documented() -> None:
    page = text_of("sql/README.md")
    assert [name for name in VIEW_NAMES if f"`{name}`" not in page] == []
    assert [name for name in schema.metadata.tables if f"`{name}`" not in page] == []
    assert [name for name in query_names() if f"queries/{name}.sql" not in page] == []


def test_every_page_is_in_an_index() -> None:
    """A page that no index names is found by chance."""
    for folder in (DOCS, DOCS / "extend", DOCS / "decisions"):
        index = folder / "README.md"
        linked = {(folder / link.split("#")[0]).resolve() for link in links_of(index)}
        pages = folder.glob("*.md") if folder != DOCS else (p for p in DOCS.rglob("*.md") if p.parent.name not in _OWN)
        assert [page.name for page in pages if page != index and page.resolve() not in linked] == []


_OWN = ("extend", "decisions")


def links_of(page: Path) -> list[str]:
    """Targets of links outside code."""
    text = re.sub(
        r"^```.*?^```$|^    .*$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return _LINK.findall(text)


def headings_of(page: Path) -> Iterator[str]:
    """Anchors as GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in headings_of(target)):
            broken.append(link)
    assert broken == []


def test_code_and_settings_name_pages_that_are_there() -> None:
    """Errors and help send people to pages of docs/."""
    files = [
        *(file for folder in ("chimp_assets", "benchmarks", "documentation", "licences", "chimp_assets_tests")
          for file in (REPOSITORY / folder).rglob("*.py")),
        REPOSITORY / "pyproject.toml",
        REPOSITORY / "Makefile",
    ]  # fmt: skip
    lost = {
        f"{file.relative_to(REPOSITORY)}: {name}"
        for file in files
        for name in re.findall(r"(?<![\w/])docs/[\w/]+\.(?:md|png)", file.read_text(encoding="utf-8"))
        if not (REPOSITORY / name).exists()
    }
    assert lost == set()


def test_no_page_names_a_python_name_that_is_gone() -> None:
    """`chimp_assets.x.y` in prose is a promise: the module, or the name in it, is there."""
    import importlib

    gone = []
    for name in sorted(set(re.findall(r"`(chimp_assets(?:\.\w+)+)", everything()))):
        module, _, rest = name, "", ""
        while module:
            try:
                found = importlib.import_module(module)
                break
            except ModuleNotFoundError:
                module, _, last = module.rpartition(".")
                rest = f"{last}.{rest}".rstrip(".")
        try:
            for part in filter(None, rest.split(".")):
                found = getattr(found, part)
        except AttributeError:
            gone.append(name)
    assert gone == []


def test_no_page_names_a_file_of_the_product_that_is_gone() -> None:
    names = set(
        re.findall(r"(?<![\w/])((?:chimp_assets|chimp_assets_tests|sql|benchmarks|licences)/[\w/]+\.\w+)", everything())
    )
    example = {"sql/views/v_individual_camera.sql", "sql/queries/days_of_individual.sql"}
    written = {
        block for page in (DOCS / "extend").glob("*.md") for block in re.findall(r'title="([^"]+)"', page.read_text())
    }
    assert sorted(name for name in names - example - written if not (REPOSITORY / name).exists()) == []


def test_commands_in_pages_are_commands() -> None:
    """`chimp labels exprot` in a page costs somebody an hour."""
    known = {name for name, _ in commands.commands()}
    groups = {name.rpartition(" ")[0] for name in known if name.count(" ") > 1}
    unknown = set()
    for page in PAGES_OF_PEOPLE:
        for line in re.findall(
            r"(?:^(?:    )?|`)chimp ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = line.split()
            called = f"chimp {words[0]}"
            if called in groups and len(words) > 1:
                called = f"{called} {words[1]}"
            if called not in known | groups:
                unknown.add(f"{page.name}: {called}")
    assert unknown == set()


PROMISED = {
    "chimp_assets.acquisition.pool": ("TrackPool",),
    "chimp_assets.acquisition.plan": ("plan", "Policy"),
    "chimp_assets.definitions": ("build_definitions", "defs"),
    "chimp_assets.home": ("Home",),
    "chimp_assets.insight.questions": ("ask",),
}


@pytest.mark.parametrize("module", PROMISED)
def test_the_public_python_names_import_from_where_the_docs_say(module: str) -> None:
    import importlib

    missing = [name for name in PROMISED[module] if not hasattr(importlib.import_module(module), name)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_python_in_pages_imports_what_is_there(page: Path) -> None:
    """The imports of every Python block are run; recipes are followed as a whole (`test_extend`)."""
    import ast
    import importlib

    if page.parent.name == "extend":
        return
    missing = []
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chimp_assets"):
                module = importlib.import_module(node.module or "")
                missing += [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]
    assert missing == []


def test_nothing_is_misspelt() -> None:
    """With codespell where it is installed (`make lint` installs it)."""
    pytest.importorskip("codespell_lib")
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "sql"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
