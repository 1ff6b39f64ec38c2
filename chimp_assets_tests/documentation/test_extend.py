"""Every recipe of docs/extend is followed, step by step, on a copy of the product: a page that rots fails here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chimp_assets.home import init_home
from chimp_assets_tests.database.study_database import make_study, write_study
from chimp_assets_tests.documentation.recipes import RecipeError, blocks_of, copy_product, follow
from chimp_assets_tests.paths import REPOSITORY

PAGES = sorted(page for page in (REPOSITORY / "docs" / "extend").glob("*.md") if page.name != "README.md")


@pytest.fixture(scope="module")
def study_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small field study in it: life histories, sightings, answers and predictions."""
    folder = tmp_path_factory.mktemp("study")
    home = init_home(folder / "home")
    write_study(home.database, make_study(9), folder)
    home.database.dispose()
    return home.settings.home


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_recipe_works_as_written(page: Path, study_home: Path, tmp_path: Path) -> None:
    product, home = tmp_path / "product", tmp_path / "home"
    copy_product(REPOSITORY, product)
    shutil.copytree(study_home, home)
    outcomes = follow(page, product, home)
    assert any(outcome.promised for outcome in outcomes), "the page shows what its check prints"
    assert [outcome.printed for outcome in outcomes if outcome.promised is not None] == [
        outcome.promised for outcome in outcomes if outcome.promised is not None
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_recipe_asks_for_little(page: Path) -> None:
    """One new file and a line or two of registration: more would mean that the product is not made to be extended."""
    added = [line for block in blocks_of(page) if block.kind == "diff" for line in block.text.splitlines()]
    registration = [line for line in added if line.startswith("+")]
    assert len(registration) <= 5, registration


def test_the_index_lists_every_recipe() -> None:
    index = (REPOSITORY / "docs" / "extend" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == []


def test_a_recipe_whose_lines_have_gone_fails(tmp_path: Path) -> None:
    """The test of the test: registration in a file that has changed must be noticed."""
    product = tmp_path / "product"
    (product / "sql" / "migrations" / "versions").mkdir(parents=True)
    (product / "sql" / "migrations" / "versions" / "0001_first.py").write_text("")
    (product / "registry.py").write_text("NAMES = (\n    'a',\n)\n")
    page = tmp_path / "page.md"
    page.write_text("```diff title=\"registry.py\"\n     'b',\n+    'c',\n```\n")
    with pytest.raises(RecipeError, match=r"0 times in registry\.py"):
        follow(page, product, tmp_path)
    page.write_text("```diff title=\"registry.py\"\n     'a',\n+    'c',\n```\n")
    follow(page, product, tmp_path)
    assert (product / "registry.py").read_text() == "NAMES = (\n    'a',\n    'c',\n)\n"
    page.write_text('```python title="registry.py"\n```\n')
    with pytest.raises(RecipeError, match="is there already"):
        follow(page, product, tmp_path)
    page.write_text("```python run\nraise SystemExit(3)\n```\n")
    with pytest.raises(RecipeError, match="ends with 3"):
        follow(page, product, tmp_path)
