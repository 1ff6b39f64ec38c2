"""Exports: what the database hands on to other programs, one format a file.

An export is a module of this folder, or of a room in it, with a value `EXPORT`; its name is that of the module. Nothing
else registers it.
Does not belong here: answers to questions (`insight.questions`, which writes each as CSV), labels as our own import
reads them (`database.files.label_files`).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from chimp_assets.exchange.exports.export import Export, ExportError


def exports() -> dict[str, Export]:
    """Every export by name, in alphabetical order."""
    found = [one.name for one in pkgutil.walk_packages(__path__, f"{__name__}.") if not one.ispkg]
    modules = {name.rpartition(".")[2]: importlib.import_module(name) for name in found}
    return {name: module.EXPORT for name, module in sorted(modules.items()) if hasattr(module, "EXPORT")}


def export(name: str) -> Export:
    """One of them. Raises ExportError with the nearest name."""
    known = exports()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    raise ExportError(
        f"There is no export {name!r}.{f' Did you mean {near[0]}?' if near else ''}", "`chimp export` lists them all."
    )
