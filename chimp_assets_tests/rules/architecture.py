"""The rules of the house, as functions of a tree of sources.

Belongs here: the floors, what may import what, how large folders and files may be, and reading imports from sources.
Does not belong here: running the rules on this repository and on copies with a fault (`test_architecture`).

A tree maps the path of each file, from the root of the repository, to its text ("" for files that are not read). Every
rule returns its faults; a fault names the file, the line and the rule that is broken, and says what to do.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

PRODUCT = "chimp_assets"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "addresses", "statistics", "arrays", "private_files", "settings"),
    ("database",),
    ("archive",),
    ("home", "dagster_home", "markdown", "pipes_session"),
    ("vision", "acquisition"),
    ("loop", "operations", "compute", "resources", "monitoring"),
    ("assets", "insight"),
    ("exchange",),
    ("web", "automation", "checks", "console"),
    ("cli", "definitions", "demo"),
)
"""The rooms of the product from the ground up. A room may import its own floor and the floors below it."""

MAY_IMPORT: dict[tuple[str, ...], dict[str, str]] = {
    (
        "dagster",
        "dagster_azure",
        "dagster_k8s",
        "dagster_pipes",
        "dagster_postgres",
        "dagster_shared",
        "dagster_webserver",
    ): {
        "chimp_assets.assets": "what exists",
        "chimp_assets.checks": "what must hold",
        "chimp_assets.automation": "when it happens",
        "chimp_assets.definitions": "the wiring",
        "chimp_assets.resources": "how assets reach the home",
        "chimp_assets.compute": "runs heavy steps by Dagster Pipes",
        "chimp_assets.dagster_home": "prepares Dagster's own instance",
        "chimp_assets.web.dagster": "serves Dagster's web UI behind our sign-in",
        "chimp_assets.demo": "watches the runs of the instance that it starts",
        "chimp_assets.pipes_session": "what a heavy step reports to, where Dagster Pipes started it",
    },
    ("fastapi", "starlette"): {"chimp_assets.web": "the pages and the interface"},
}
"""Libraries that only some modules may import, eagerly or lazily, and the reason of each permission."""

HEAVY = {
    "torch": "seconds of import",
    "torchvision": "brings torch",
    "timm": "brings torch",
    "pytorch_metric_learning": "brings torch",
    "trackers": "brings torch",
    "supervision": "brings cv2 and matplotlib",
    "cleanlab": "brings pandas and sklearn",
    "safetensors": "is needed beside torch only",
    "av": "FFmpeg's libraries",
    "azure": "a client for each service",
    "dagster_azure": "brings azure",
    "dagster_webserver": "brings the web server",
    "kubernetes": "a class for every resource of a cluster",
    "obstore": "a client for object stores",
    "cv2": "80 MB of libraries",
    "faiss": "loads OpenMP",
    "pandas": "half a second of import",
    "sqlalchemy": "half a second of import",
    "matplotlib": "a second of import",
}
"""What loading the definitions must not import, since every run, daemon and code server pays for it."""

DEFINITIONS = "chimp_assets.definitions"

MOST_FILES = 15
MOST_LINES = 500
CODE = (".py", ".js", ".css", ".html", ".sql", ".md")
"""Files whose lines are counted. Others (texts of the page, locks, pictures) are data."""

ONE_ITEM_A_FILE = (
    "sql/views",
    "sql/queries",
    "sql/migrations/versions",
)
"""Folders that hold one item a file on purpose: people look for an item by its name."""

LONG_ON_PURPOSE = (
    "chimp_assets/database/schema.py",  # all tables on one page
    "sql/migrations/versions/",  # history is never cut
    "chimp_assets/web/static/vendor/",  # other people's files
    "docs/reference/",  # generated
)


@dataclass(frozen=True)
class Fault:
    """One place that breaks a rule."""

    path: str
    line: int
    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.sentence}"


@dataclass(frozen=True)
class Import:
    """One import. lazy: inside a function; typing: under `if TYPE_CHECKING`; target: a module of the product where
    there is one of this name, else the name as written."""

    path: str
    line: int
    target: str
    lazy: bool
    typing: bool


Tree = Mapping[str, str]


def read_tree(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """The files of these folders, but caches and hidden files. Only files in CODE are read."""
    tree = {}
    for folder in folders:
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.is_dir() or any(part.startswith((".", "__pycache__")) for part in path.split("/")):
                continue
            tree[path] = file.read_text(encoding="utf-8") if file.suffix in CODE else ""
    return tree


def module_of(path: str) -> str:
    """chimp_assets/database/__init__.py -> chimp_assets.database."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The room of a module of the product: what follows `chimp_assets.`; None for the root and for other libraries."""
    parts = module.split(".")
    return parts[1] if parts[0] == PRODUCT and len(parts) > 1 else None


def imports(tree: Tree) -> list[Import]:
    """Every import of the product's Python files, in order of file and line."""
    modules = {module_of(path): path for path in tree if path.startswith(f"{PRODUCT}/") and path.endswith(".py")}
    return [found for path in modules.values() for found in _imports_of(path, tree[path], modules)]


def _imports_of(path: str, text: str, modules: Mapping[str, str]) -> Iterator[Import]:
    for line, names, lazy, typing in _written(path, text):
        for name in dict.fromkeys(name if name in modules else base for name, base in names):
            yield Import(path, line, name, lazy, typing)


@lru_cache(maxsize=2048)
def _written(path: str, text: str) -> tuple[tuple[int, tuple[tuple[str, str], ...], bool, bool], ...]:
    """Imports as they are written: line, names (each with the module that it is in), lazy, typing.

    Kept, because every rule reads the same files and parsing is most of the work.
    """
    found: list[tuple[int, tuple[tuple[str, str], ...], bool, bool]] = []
    waiting: list[tuple[ast.AST, bool, bool]] = [(ast.parse(text, path), False, False)]
    by_name = "import_module" in text
    while waiting:
        node, lazy, typing = waiting.pop()
        names = _names(node, path)
        if names:
            found.append((node.lineno, names, lazy, typing))  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.expr) and not by_name:
            continue
        only_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            waiting.append((child, inside, typing or (only_types and child not in node.orelse)))  # type: ignore[attr-defined]
    return tuple(sorted(found))


def _names(node: ast.AST, path: str) -> tuple[tuple[str, str], ...]:
    """What a statement imports, or what `import_module("...")` does: each name with the module that it is in."""
    if isinstance(node, ast.Import):
        return tuple((alias.name, alias.name) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = [*module_of(path).split("."), *([""] if path.endswith("__init__.py") else [])]
            base = ".".join([*package[: -node.level], *([base] if base else [])])
        return tuple((f"{base}.{alias.name}", base) for alias in node.names)
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "import_module" and isinstance(node.args[0].value, str):
            return ((node.args[0].value, node.args[0].value),)
    return ()


def floors_are_complete(tree: Tree) -> list[Fault]:
    """Each room stands on exactly one floor, and each name on a floor is a room."""
    listed = [room for floor in FLOORS for room in floor]
    faults = [
        Fault(f"{PRODUCT}/{room}", 1, "floors", f"the room {room} stands on more than one floor: strike all but one")
        for room in sorted(set(listed))
        if listed.count(room) > 1
    ]
    rooms: dict[str, str] = {}
    for path in sorted(tree):
        if path.endswith(".py") and (room := room_of(module_of(path))):
            rooms.setdefault(room, path)
    faults += [
        Fault(path, 1, "floors", f"the room {room} stands on no floor: add it to FLOORS in rules/architecture.py")
        for room, path in rooms.items()
        if room not in listed
    ]
    faults += [
        Fault(f"{PRODUCT}/{room}", 1, "floors", f"there is no room {room}: strike it from FLOORS")
        for room in listed
        if room not in rooms
    ]
    return faults


def imports_point_down(tree: Tree) -> list[Fault]:
    """No file imports a room of a higher floor: neither eagerly nor lazily, nor for its types alone."""
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    faults = []
    for found in imports(tree):
        here, there = room_of(module_of(found.path)), room_of(found.target)
        if here is None or there is None or here == there or here not in floor_of or there not in floor_of:
            continue
        if floor_of[there] > floor_of[here]:
            how = " for its types" if found.typing else " inside a function" if found.lazy else ""
            sentence = (
                f"{here} (floor {floor_of[here]}) imports {found.target} (floor {floor_of[there]}){how}: imports point "
                "down; move what both need to the lower floor"
            )
            faults.append(Fault(found.path, found.line, "upward import", sentence))
    return faults


def no_cycle_of_files(tree: Tree) -> list[Fault]:
    """No file imports itself by way of others. Lazy imports count: they hide a cycle and do not undo it.

    Imports under TYPE_CHECKING do not count here: they never run, and two files may name each other's types.
    """
    edges: dict[str, dict[str, int]] = {}
    modules = {module_of(path): path for path in tree if path.endswith(".py")}
    for found in imports(tree):
        target = modules.get(found.target)
        if target and target != found.path and not found.typing:
            edges.setdefault(found.path, {}).setdefault(target, found.line)
    return [_cycle("cycle of files", cycle, lambda a, b: (a, edges[a][b])) for cycle in _cycles(edges)]


def no_cycle_of_rooms(tree: Tree) -> list[Fault]:
    """In no folder do the subfolders and files beside each other import each other in a circle, at any depth.

    At the top these are the rooms, so that two rooms of one floor may import each other in one direction only.
    """
    modules = {module_of(path): path for path in tree if path.endswith(".py")}
    inside: dict[str, dict[str, dict[str, int]]] = {}
    where: dict[tuple[str, str, str], tuple[str, int]] = {}
    for found in imports(tree):
        target = modules.get(found.target)
        if target is None or found.typing:
            continue
        here, there = PurePosixPath(found.path).parts, PurePosixPath(target).parts
        shared = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), None)
        if shared is None or "__init__.py" in (here[shared], there[shared]):
            continue
        folder = "/".join(here[:shared])
        inside.setdefault(folder, {}).setdefault(here[shared], {}).setdefault(there[shared], found.line)
        where.setdefault((folder, here[shared], there[shared]), (found.path, found.line))
    faults = []
    for folder, edges in sorted(inside.items()):
        for cycle in _cycles(edges):
            if all(name.endswith(".py") for name in cycle):
                continue  # a cycle of files, and named as one
            faults.append(
                _cycle(f"cycle of rooms in {folder}", cycle, lambda a, b, folder=folder: where[folder, a, b])  # type: ignore[misc]
            )
    return faults


def _cycle(rule: str, cycle: list[str], where: Callable[[str, str], tuple[str, int]]) -> Fault:
    """A fault that names each step of a cycle."""
    steps = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    path, line = where(*steps[0])
    told = ", ".join(f"{a} -> {b} ({'{}:{}'.format(*where(a, b))})" for a, b in steps)
    return Fault(path, line, rule, f"{told}: move what both need to a third place")


def _cycles(edges: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """A shortest cycle of each group of nodes that reach each other, from its first node by name."""
    reach = {node: _reached(edges, node) for node in edges}
    faults, seen = [], set()
    for node in sorted(edges):
        if node in seen or node not in reach[node]:
            continue
        group = {other for other in reach[node] if node in reach.get(other, ())}
        seen |= group
        faults.append(min((_shortest_cycle(edges, other) for other in sorted(group)), key=len))
    return faults


def _reached(edges: Mapping[str, Mapping[str, int]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for after in edges.get(waiting.pop(), ()):
            if after not in reached:
                reached.add(after)
                waiting.append(after)
    return reached


def _shortest_cycle(edges: Mapping[str, Mapping[str, int]], start: str) -> list[str]:
    waiting = deque([[start]])
    seen = set()
    while waiting:
        way = waiting.popleft()
        for after in edges.get(way[-1], ()):
            if after == start:
                return way
            if after not in seen:
                seen.add(after)
                waiting.append([*way, after])
    raise AssertionError(f"{start} is in no cycle")


def libraries_stay_in_their_rooms(tree: Tree) -> list[Fault]:
    """Dagster and the web framework are imported by the modules of MAY_IMPORT alone."""
    faults = []
    for found in imports(tree):
        here, library = module_of(found.path), found.target.split(".")[0]
        for libraries, permitted in MAY_IMPORT.items():
            if library in libraries and not any(here == to or here.startswith(to + ".") for to in permitted):
                sentence = (
                    f"{here} imports {library}: only {', '.join(sorted(permitted))} may; pass plain values instead"
                )
                faults.append(Fault(found.path, found.line, f"{libraries[0]} outside its rooms", sentence))
    return faults


def definitions_stay_light(tree: Tree) -> list[Fault]:
    """Following eager imports from the definitions leads to no library of HEAVY."""
    modules = {module_of(path): path for path in tree if path.endswith(".py")}
    by_path: dict[str, list[Import]] = {}
    for found in imports(tree):
        if not found.lazy and not found.typing:
            by_path.setdefault(found.path, []).append(found)
    faults = []
    came_from: dict[str, str] = {DEFINITIONS: ""}
    waiting = deque([DEFINITIONS])
    while waiting:
        module = waiting.popleft()
        for found in by_path.get(modules.get(module, ""), []):
            library = found.target.split(".")[0]
            if library in HEAVY:
                way = [module]
                while came_from[way[-1]]:
                    way.append(came_from[way[-1]])
                sentence = (
                    f"{library} ({HEAVY[library]}) is imported whenever the definitions load "
                    f"({' -> '.join(reversed(way))}): import it inside the function that needs it"
                )
                faults.append(Fault(found.path, found.line, f"{library} in the definitions", sentence))
            parts = found.target.split(".")
            # Importing a.b.c runs the __init__ files of a and a.b as well.
            for step in (".".join(parts[: n + 1]) for n in range(len(parts))):
                if step in modules and step not in came_from:
                    came_from[step] = module
                    waiting.append(step)
    return faults


def folders_are_small(tree: Tree) -> list[Fault]:
    """No folder holds more than MOST_FILES files, but those that hold one item a file."""
    counts: dict[str, int] = {}
    for path in tree:
        folder = str(PurePosixPath(path).parent)
        counts[folder] = counts.get(folder, 0) + 1
    return [
        Fault(
            folder, 1, "size of folders", f"{count} files, {MOST_FILES} are allowed: give what belongs together a room"
        )
        for folder, count in sorted(counts.items())
        if count > MOST_FILES and folder not in ONE_ITEM_A_FILE
    ]


def files_are_short(tree: Tree) -> list[Fault]:
    """No file of code or prose is longer than MOST_LINES lines, but those of LONG_ON_PURPOSE."""
    faults = []
    for path, text in sorted(tree.items()):
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines > MOST_LINES and not path.startswith(LONG_ON_PURPOSE):
            sentence = f"{lines} lines, {MOST_LINES} are allowed: split it by what changes together"
            faults.append(Fault(path, MOST_LINES + 1, "size of files", sentence))
    return faults


RULES: tuple[Callable[[Tree], list[Fault]], ...] = (
    floors_are_complete,
    imports_point_down,
    no_cycle_of_files,
    no_cycle_of_rooms,
    libraries_stay_in_their_rooms,
    definitions_stay_light,
    folders_are_small,
    files_are_short,
)
