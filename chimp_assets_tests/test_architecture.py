"""The house keeps its floors: every rule of `rules.architecture`, on this repository and on copies with a fault.

A rule that cannot fail keeps nothing, so each is shown a copy of the sources in which somebody broke it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chimp_assets_tests.paths import REPOSITORY
from chimp_assets_tests.rules.architecture import (
    FLOORS,
    HEAVY,
    MAY_IMPORT,
    MOST_FILES,
    MOST_LINES,
    RULES,
    Fault,
    Tree,
    definitions_stay_light,
    files_are_short,
    floors_are_complete,
    folders_are_small,
    imports,
    imports_point_down,
    libraries_stay_in_their_rooms,
    module_of,
    no_cycle_of_files,
    no_cycle_of_rooms,
    read_tree,
)
from chimp_assets_tests.test_definitions import HEAVY as HEAVY_AT_RUN_TIME

FOLDERS = ("chimp_assets", "chimp_assets_tests", "benchmarks", "docs", "documentation", "licences", "sql")
Rule = Callable[[Tree], list[Fault]]


@pytest.fixture(scope="module")
def tree() -> dict[str, str]:
    return read_tree(REPOSITORY, FOLDERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule, tree: dict[str, str]) -> None:
    faults = rule(tree)
    if faults:
        pytest.fail(f"{len(faults)} faults\n" + "\n".join(map(str, faults)), pytrace=False)


# A small house of the same shape: what the rules find in it depends on nothing that changes.
HOUSE = {
    "chimp_assets/__init__.py": '"""The product."""\n',
    "chimp_assets/errors.py": "class ChimpError(Exception): ...\n",
    "chimp_assets/database/__init__.py": "",
    "chimp_assets/database/schema.py": "from chimp_assets.errors import ChimpError\n",
    "chimp_assets/database/labels/__init__.py": "",
    "chimp_assets/database/labels/events.py": "from chimp_assets.database.schema import track\n",
    "chimp_assets/database/work/__init__.py": "",
    "chimp_assets/database/work/due.py": "from chimp_assets.database.labels import events\n",
    "chimp_assets/vision/__init__.py": "",
    "chimp_assets/vision/head.py": "import torch\nfrom chimp_assets.database import schema\n",
    "chimp_assets/assets/__init__.py": "",
    "chimp_assets/assets/models.py": "import dagster as dg\n\n\ndef head():\n    from "
    "chimp_assets.vision import head\n",
    "chimp_assets/web/__init__.py": "",
    "chimp_assets/web/app.py": "from fastapi import FastAPI\n",
    "chimp_assets/definitions.py": "import dagster as dg\n\nfrom chimp_assets.assets import models\n",
}


def broken(path: str, text: str, *, after: str = "") -> dict[str, str]:
    """The small house with one more file, or with text instead of a file, or after what it holds."""
    return {**HOUSE, path: (HOUSE[path] if after else "") + text}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule is not floors_are_complete], ids=lambda r: r.__name__)
def test_the_small_house_keeps_every_rule(rule: Rule) -> None:
    """So that whatever a rule finds below is the fault that was put there."""
    assert rule(HOUSE) == []


def in_function(statement: str) -> str:
    return f"\n\ndef late():\n    {statement}\n"


MUTATIONS: list[tuple[str, Rule, dict[str, str], str]] = [
    (
        "an upward import",
        imports_point_down,
        broken("chimp_assets/database/schema.py", "import json\nfrom chimp_assets.vision import head\n"),
        "chimp_assets/database/schema.py:2: upward import: database (floor 1) imports "
        "chimp_assets.vision.head (floor 4): "
        "imports point down",
    ),
    (
        "an upward import inside a function",
        imports_point_down,
        broken("chimp_assets/vision/head.py", in_function("import chimp_assets.web.app")),
        "chimp_assets/vision/head.py:4: upward import: vision (floor 4) imports chimp_assets.web.app (floor "
        "8) inside a "
        "function",
    ),
    (
        "an upward import for types alone",
        imports_point_down,
        broken(
            "chimp_assets/errors.py",
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from chimp_assets.database import schema\n",
        ),
        "chimp_assets/errors.py:4: upward import: errors (floor 0) imports chimp_assets.database.schema "
        "(floor 1) for its "
        "types",
    ),
    (
        "an upward import by name",
        imports_point_down,
        broken("chimp_assets/errors.py", "import importlib\n\nweb = importlib.import_module('chimp_assets.web.app')\n"),
        "chimp_assets/errors.py:3: upward import: errors (floor 0) imports chimp_assets.web.app (floor 8)",
    ),
    (
        "a cycle of files",
        no_cycle_of_files,
        broken("chimp_assets/database/schema.py", "from chimp_assets.database.labels.events import record\n"),
        "chimp_assets/database/labels/events.py:1: cycle of files: chimp_assets/database/labels/events.py -> "
        "chimp_assets/database/schema.py (chimp_assets/database/labels/events.py:1), "
        "chimp_assets/database/schema.py -> "
        "chimp_assets/database/labels/events.py (chimp_assets/database/schema.py:1)",
    ),
    (
        "a lazy cycle",
        no_cycle_of_files,
        broken("chimp_assets/database/labels/events.py", in_function("from chimp_assets.database.work import due")),
        "cycle of files: chimp_assets/database/labels/events.py -> chimp_assets/database/work/due.py "
        "(chimp_assets/database/labels/events.py:4)",
    ),
    (
        "a cycle of three files",
        no_cycle_of_files,
        broken("chimp_assets/database/schema.py", in_function("from chimp_assets.database.work import due")),
        "chimp_assets/database/work/due.py -> chimp_assets/database/labels/events.py",
    ),
    (
        "a cycle of subrooms without a cycle of files",
        no_cycle_of_rooms,
        broken("chimp_assets/database/labels/splits.py", in_function("from chimp_assets.database.work import due")),
        "chimp_assets/database/labels/splits.py:4: cycle of rooms in chimp_assets/database: labels -> work "
        "(chimp_assets/database/labels/splits.py:4), work -> labels (chimp_assets/database/work/due.py:1)",
    ),
    (
        "two rooms of one floor that import each other",
        no_cycle_of_rooms,
        {
            **HOUSE,
            "chimp_assets/acquisition/plan.py": "from chimp_assets.vision import head\n",
            "chimp_assets/vision/ranks.py": "from chimp_assets.acquisition import pool\n",
            "chimp_assets/acquisition/pool.py": "",
        },
        "cycle of rooms in chimp_assets: acquisition -> vision (chimp_assets/acquisition/plan.py:1), vision "
        "-> acquisition "
        "(chimp_assets/vision/ranks.py:1)",
    ),
    (
        "torch in the definitions",
        definitions_stay_light,
        broken("chimp_assets/assets/models.py", "import dagster as dg\nimport torch.nn\n"),
        "chimp_assets/assets/models.py:2: torch in the definitions: torch (seconds of import) is imported whenever the "
        "definitions load (chimp_assets.definitions -> chimp_assets.assets.models): import it inside the function",
    ),
    (
        "a library that brings torch, two files away",
        definitions_stay_light,
        {
            **HOUSE,
            "chimp_assets/assets/models.py": "from chimp_assets.vision import ranks\n",
            "chimp_assets/vision/ranks.py": "if True:\n    from trackers import ByteTrack\n",
        },
        "chimp_assets/vision/ranks.py:2: trackers in the definitions: trackers (brings torch) is imported whenever the "
        "definitions load (chimp_assets.definitions -> chimp_assets.assets.models -> chimp_assets.vision.ranks)",
    ),
    (
        "azure in the __init__ of a room that the definitions pass through",
        definitions_stay_light,
        broken("chimp_assets/assets/__init__.py", "import azure.identity\n"),
        "chimp_assets/assets/__init__.py:1: azure in the definitions",
    ),
    (
        "dagster in a domain room",
        libraries_stay_in_their_rooms,
        broken("chimp_assets/vision/head.py", "import dagster as dg\n"),
        "chimp_assets/vision/head.py:1: dagster outside its rooms: chimp_assets.vision.head imports dagster: only",
    ),
    (
        "dagster in a domain room, inside a function",
        libraries_stay_in_their_rooms,
        broken("chimp_assets/database/schema.py", in_function("from dagster import DagsterInstance")),
        "chimp_assets/database/schema.py:4: dagster outside its rooms",
    ),
    (
        "the web framework outside web",
        libraries_stay_in_their_rooms,
        broken("chimp_assets/database/schema.py", "from starlette.requests import Request\n"),
        "chimp_assets/database/schema.py:1: fastapi outside its rooms: chimp_assets.database.schema imports "
        "starlette: only "
        "chimp_assets.web may",
    ),
    (
        "a room whose name begins like a permitted one",
        libraries_stay_in_their_rooms,
        broken("chimp_assets/webhooks.py", "import fastapi\n"),
        "chimp_assets/webhooks.py:1: fastapi outside its rooms",
    ),
    (
        "a new room on no floor",
        floors_are_complete,
        broken("chimp_assets/attic/boxes.py", ""),
        "chimp_assets/attic/boxes.py:1: floors: the room attic stands on no floor: add it to FLOORS",
    ),
    (
        "a folder that is too full",
        folders_are_small,
        {**HOUSE, **{f"chimp_assets/web/page_{n}.html": "" for n in range(MOST_FILES)}},
        "chimp_assets/web:1: size of folders: 17 files, 15 are allowed",
    ),
    (
        "a file that is too long",
        files_are_short,
        broken("chimp_assets/web/app.py", "pass\n" * (MOST_LINES + 1)),
        "chimp_assets/web/app.py:501: size of files: 501 lines, 500 are allowed",
    ),
]


@pytest.mark.parametrize(("rule", "tree", "sentence"), [m[1:] for m in MUTATIONS], ids=[m[0] for m in MUTATIONS])
def test_the_test_finds(rule: Rule, tree: dict[str, str], sentence: str) -> None:
    found = [str(fault) for fault in rule(tree)]
    assert any(sentence in fault for fault in found), found


REAL_MUTATIONS: list[tuple[str, Rule, str, str, str]] = [
    (
        "an upward import",
        imports_point_down,
        "chimp_assets/database/schema.py",
        "\nfrom chimp_assets.web import app\n",
        "upward import: database (floor 1) imports chimp_assets.web.app",
    ),
    (
        "a lazy cycle",
        no_cycle_of_files,
        "chimp_assets/errors.py",
        in_function("from chimp_assets import settings"),
        "chimp_assets/errors.py -> chimp_assets/settings/__init__.py",
    ),
    (
        "torch in the definitions",
        definitions_stay_light,
        "chimp_assets/automation/schedules.py",
        "\nimport torch\n",
        "torch in the definitions: torch (seconds of import) is imported whenever the definitions load",
    ),
    (
        "dagster in a domain room",
        libraries_stay_in_their_rooms,
        "chimp_assets/acquisition/pool.py",
        "\nimport dagster\n",
        "dagster outside its rooms: chimp_assets.acquisition.pool imports dagster",
    ),
]


@pytest.mark.parametrize(
    ("rule", "path", "added", "sentence"), [m[1:] for m in REAL_MUTATIONS], ids=[m[0] for m in REAL_MUTATIONS]
)
def test_the_test_finds_in_the_product_itself(
    rule: Rule, path: str, added: str, sentence: str, tree: dict[str, str]
) -> None:
    """The same on the real sources: a rule that overlooked the real tree would pass the small house only."""
    text = tree[path] + added
    before = rule(tree)
    new = [str(fault) for fault in rule({**tree, path: text}) if fault not in before]
    assert any(sentence in fault for fault in new), new
    if rule is not no_cycle_of_files:
        assert len(new) == 1, new
        assert new[0].startswith(f"{path}:{text.count(chr(10))}: "), new


def test_types_may_name_each_other_without_a_cycle() -> None:
    """`if TYPE_CHECKING` never runs: it counts for the floors and not for cycles."""
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from chimp_assets.database.labels import events\n"
    tree = broken("chimp_assets/database/schema.py", text)
    assert no_cycle_of_files(tree) == no_cycle_of_rooms(tree) == []


def test_what_comes_of_a_function_is_lazy_and_of_a_class_is_not() -> None:
    text = (
        "class A:\n    import json\n    def f(self):\n        import re\n"
        "try:\n    import os\nexcept ImportError:\n    pass\n"
    )
    found = {i.target: i.lazy for i in imports({"chimp_assets/a.py": text})}
    assert found == {"json": False, "re": True, "os": False}


def test_an_import_names_the_module_that_is_meant() -> None:
    """`from package import module` and `from module import name` read alike."""
    text = (
        "from chimp_assets.database import schema, labels\n"
        "from chimp_assets.errors import ChimpError\nfrom . import errors\n"
    )
    found = [i.target for i in imports({**HOUSE, "chimp_assets/a.py": text}) if i.path == "chimp_assets/a.py"]
    assert found == [
        "chimp_assets.database.schema", "chimp_assets.database.labels", "chimp_assets.errors", "chimp_assets.errors",
    ]  # fmt: skip


def test_permissions_are_used(tree: dict[str, str]) -> None:
    """A permission that nobody needs any more is one that somebody will misuse."""
    used = {(module_of(i.path), i.target.split(".")[0]) for i in imports(tree)}
    for libraries, permitted in MAY_IMPORT.items():
        for to in permitted:
            assert any(m == to or m.startswith(to + ".") for m, name in used if name in libraries), to


def test_both_tests_of_light_definitions_know_the_same_libraries() -> None:
    """`test_definitions` sees what is loaded, this what would be: a library that one of them forgets "
    "slips in lazily."""
    known = {name for name in HEAVY_AT_RUN_TIME if "." not in name}
    assert known <= set(HEAVY)


def test_floors_are_as_the_architecture_page_draws_them() -> None:
    """docs/architecture.md shows the floors from the top down; nobody may have to guess which of the two is right."""
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.split("```floors\n")[1].split("```")[0].strip().splitlines()
    assert [tuple(line.split(", ")) for line in reversed(drawn)] == list(FLOORS)
