"""Imports: annotations of other programs, one format a file.

An import is a module of this folder with a value `IMPORT`; its name is that of the module. Nothing else registers it.
Does not belong here: labels as our own export writes them (`database.files.label_files`).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from chimp_assets.exchange.imports.annotations import ImportFileError, ImportFormat


def imports() -> dict[str, ImportFormat]:
    """Every import by name, in alphabetical order."""
    modules = {one.name: importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)}
    return {name: module.IMPORT for name, module in sorted(modules.items()) if hasattr(module, "IMPORT")}


def import_format(name: str) -> ImportFormat:
    """One of them, however its name is parted: `camtrap-dp` is `camtrapdp`. Raises ImportFileError with the nearest."""
    known = imports()
    for key, one in known.items():
        if _joined(key) == _joined(name):
            return one
    near = difflib.get_close_matches(name, known, 1)
    raise ImportFileError(
        f"There is no import {name!r}.{f' Did you mean {near[0]}?' if near else ''}", "`chimp import` lists them all."
    )


def _joined(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
