"""What a page drawn by scripts needs: import map, boot data, and the list of files for offline work.

Belongs here: the names of modules in the browser. Does not belong here: routes (`pages.label`), the modules.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from chimp_assets.web.wording import texts

STATIC = Path(__file__).with_name("static")

MODULES = {
    "preact": "vendor/preact@11.2.0/preact.js",
    "preact/hooks": "vendor/preact@11.2.0/hooks.js",
    "@preact/signals": "vendor/preact-signals@2.11.4/signals.js",
    "@preact/signals-core": "vendor/preact-signals-core@1.14.5/signals-core.js",
    "htm": "vendor/htm@3.1.1/htm.js",
    "idb": "vendor/idb@8.0.4/idb.js",
    "ufuzzy": "vendor/ufuzzy@1.0.19/ufuzzy.js",
}
"""Bare names in `import` statements and the vendored file of each."""

OFFLINE_PAGES = ("/label",)
"""Pages that open offline."""
# Texts that every screen needs; each screen adds its own.
_COMMON_TEXTS = ("common.", "status.", "tray.", "sign_in.", "label.")


def import_map(version: str) -> str:
    """The JSON of the import map. Our own modules import each other by relative paths, which keep the version."""
    return script_json({"imports": {name: f"/static/{version}/{path}" for name, path in MODULES.items()}})


def boot_json(
    version: str, lang: str, prefixes: Collection[str] = (), words: Mapping[str, str] | None = None, **facts: Any
) -> str:
    """Data for the script of a page: facts, version, language, and the texts whose keys begin with prefixes.

    words: the words of the deployment, as in `texts.spoken`.
    """
    wanted = (*_COMMON_TEXTS, *prefixes)
    said = {key: sentence for key, sentence in texts.spoken(lang, words or {}).items() if key.startswith(wanted)}
    return script_json({"version": version, "lang": lang, "texts": said, **facts})


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: nothing in it ends the element."""
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return said.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def shell(version: str) -> dict[str, Any]:
    """Files that the service worker keeps: those of the labelling screen, and the offline pages."""
    own = [*sorted((STATIC / "label").glob("*.js")), *sorted((STATIC / "lib").glob("*.js"))]
    files = [str(file.relative_to(STATIC)) for file in own]
    files += [*MODULES.values(), "app.css", "theme.js", "masthead.js", "leaving.js", "pictures.js", "icon.svg"]
    return {"version": version, "shell": [f"/static/{version}/{file}" for file in files], "pages": list(OFFLINE_PAGES)}


def service_worker(version: str) -> str:
    """The code of the service worker: the file list, then the program. A new version is a new file to the browser."""
    return f"self.CHIMP_SHELL = {script_json(shell(version))};\n{(STATIC / 'sw.js').read_text(encoding='utf-8')}"
