"""A recipe of docs/extend as a program: its code blocks, followed on a copy of the product.

Belongs here: reading blocks and following them. Does not belong here: the recipes (`docs/extend`), the test of them.

A block says in its first line what it is for:

```python title="PATH"     a new file (any language)
```diff title="PATH"       lines to add (+) to a file and to take out (-), after and before lines that are there
```python run             a check; what it prints must be the `text output` block that follows, where one does
```sh run                 commands, of which `chimp` is the product's

`HEAD` and `NEXT` in quotes stand for the newest migration and the number after it. Other blocks are for the reader.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
PARTS = ("chimp_assets", "sql", "dagster.yaml", "workspace.yaml")
"""What a recipe may change: the package and what ships with it."""


@dataclass(frozen=True)
class Block:
    """One block of code. kind: file, diff, python, sh or output; path: of file and diff."""

    kind: str
    path: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What a check printed, and what the page says that it prints (None: nothing is said)."""

    printed: str
    promised: str | None


class RecipeError(AssertionError):
    """A step of a recipe cannot be followed."""


def blocks_of(page: Path) -> list[Block]:
    """The steps of a page, in order."""
    blocks = []
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        language, _, rest = found["info"].partition(" ")
        title = _TITLE.search(rest)
        if title:
            blocks.append(Block("diff" if language == "diff" else "file", title[1], found["text"]))
        elif rest.strip() == "run":
            blocks.append(Block(language, "", found["text"]))
        elif found["info"].strip() == "text output":
            blocks.append(Block("output", "", found["text"]))
    return blocks


def copy_product(source: Path, target: Path) -> None:
    """What a clean clone would hold of the product."""
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        else:
            shutil.copy2(source / part, target / part)


def follow(page: Path, product: Path, home: Path) -> list[Outcome]:
    """Follow every step of a page on a copy of the product. Raises RecipeError with what the reader would see."""
    outcomes: list[Outcome] = []
    for block in blocks_of(page):
        text = _numbered(block.text, product)
        if block.kind == "file":
            file = product / block.path
            if file.exists():
                raise RecipeError(f"{page.name}: {block.path} is there already")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif block.kind == "diff":
            _apply(product / block.path, text, page.name)
        elif block.kind == "output":
            outcomes[-1] = Outcome(outcomes[-1].printed, text.strip())
        else:
            outcomes.append(Outcome(_run(block.kind, text, product, home, page.name).strip(), None))
    return outcomes


def _numbered(text: str, product: Path) -> str:
    """The text with the numbers of this product's migrations."""
    versions = sorted(int(file.name[:4]) for file in (product / "sql" / "migrations" / "versions").glob("[0-9]*.py"))
    return text.replace('"HEAD"', f'"{versions[-1]:04}"').replace('"NEXT"', f'"{versions[-1] + 1:04}"')


def _apply(file: Path, diff: str, page: str) -> None:
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    text = file.read_text(encoding="utf-8")
    found = text.count(f"{before}\n")
    if found != 1:
        raise RecipeError(f"{page}: these lines are {found} times in {file.name}, not once:\n{before}")
    file.write_text(text.replace(f"{before}\n", f"{after}\n"), encoding="utf-8")


def _run(language: str, text: str, product: Path, home: Path, page: str) -> str:
    chimp = f'chimp() {{ "{sys.executable}" -W ignore -m chimp_assets.cli "$@"; }}\nset -e\n'
    command = [sys.executable, "-W", "ignore", "-c", text] if language == "python" else ["bash", "-c", chimp + text]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHIMP_")},
        "CHIMP_HOME": str(home),
        "PYTHONPATH": str(product),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "160",
    }
    done = subprocess.run(command, cwd=product, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RecipeError(f"{page}: this step ends with {done.returncode}:\n{text}\n{done.stdout}\n{done.stderr}")
    return done.stdout
