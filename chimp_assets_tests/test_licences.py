"""What users install: no more than the product needs, under licences that we allow, pinned alike in every lock."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chimp_assets_tests.paths import REPOSITORY
from licences.check import TABLE, Allowed, Stated, check, is_allowed, names_of, stated

ROOT = REPOSITORY
LOCKS = ("requirements.lock", "requirements-scale-out.lock", "requirements-dev.lock", "requirements-bench.lock")
DEPLOY_LOCK = "requirements-deploy.lock"  # an environment of its own: it agrees with nobody
ALLOWED = Allowed.read()


def pins(lock: str) -> dict[tuple[str, str], str]:
    """(package, marker) -> version."""
    found = {}
    for line in (ROOT / lock).read_text().splitlines():
        if line and line[0] not in " #-":
            wanted = Requirement(line.rstrip("\\ "))
            found[canonicalize_name(wanted.name), str(wanted.marker or "")] = str(wanted.specifier)
    return found


def test_what_users_install_is_under_licences_that_we_allow() -> None:
    found, stale = check(names_of((ROOT / LOCKS[1]).read_text()), ALLOWED)
    assert [f"{one.name} {one.fault}" for one in found if one.fault] == []
    assert stale == []
    assert len(found) > 100


@pytest.mark.parametrize(
    ("said", "fine"),
    [
        (Stated("1", "MIT"), True),
        (Stated("1", "GPL-3.0-or-later"), False),
        (Stated("1", "AGPL-3.0-only OR MIT"), True),
        (Stated("1", "AGPL-3.0-only AND MIT"), False),
        (Stated("1", "(GPL-2.0-only OR MIT) AND BSD-3-Clause"), True),
        (Stated("1", "MIT OR GPL-2.0-only AND BSD-3-Clause"), True),
        (Stated("1", "GPL-2.0-only WITH Classpath-exception-2.0"), False),
        (Stated("1", "LGPL-3.0-only"), False),
        (Stated("1", "MIT AND"), False),
        (Stated("1", "(MIT"), False),
        (Stated("1", "", ("GNU General Public License v3 (GPLv3)",)), False),
        (Stated("1", "", ("MIT License", "GNU Affero General Public License v3"), "MIT"), False),
        (Stated("1", "", ("MIT License", "Apache Software License")), True),
        (Stated("1", "", (), "BSD"), True),
        (Stated("1", "", (), "UNKNOWN"), False),
        (Stated("1", "", (), "Whatever the author likes"), False),
        (Stated("1"), False),
    ],
)
def test_a_package_is_allowed_by_what_it_states_and_never_by_silence(said: Stated, fine: bool) -> None:
    (found,), stale = check(["thing"], ALLOWED, lambda name: said)
    assert (found.fault == "") is fine
    assert stale == []


def test_an_exception_is_for_what_a_package_states_now_and_for_nothing_else() -> None:
    """The next release of a driver may change its licence; an exception by name alone would let it in."""
    (kept,), _ = check(["psycopg"], ALLOWED, lambda name: Stated("3", "LGPL-3.0-only"))
    assert (kept.fault, bool(kept.reason)) == ("", True)
    (changed,), _ = check(["psycopg"], ALLOWED, lambda name: Stated("4", "AGPL-3.0-only"))
    assert "AGPL-3.0-only" in changed.fault
    (freed,), _ = check(["psycopg"], ALLOWED, lambda name: Stated("5", "MIT"))
    assert freed.fault
    table = Allowed(ALLOWED.licences, ALLOWED.names, {"thing": {"stated": "MIT", "licence": "MIT", "reason": "old"}})
    assert check(["thing"], table, lambda name: Stated("1", "MIT"))[1], "an exception that nobody needs is taken out"
    (missing,), _ = check(["thing"], ALLOWED, lambda name: None)
    assert "not installed" in missing.fault


def test_every_exception_has_a_reason_and_no_gpl_is_allowed_in_general() -> None:
    said = tomllib.loads(TABLE.read_text())
    assert all(len(one["reason"]) > 20 and one["licence"] for one in said["packages"].values())
    for licence in ("GPL-2.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "LGPL-3.0-only", "SSPL-1.0"):
        assert not is_allowed(licence, ALLOWED)


def test_the_locks_of_one_environment_agree_and_each_pin_has_a_hash() -> None:
    """Two versions of one package, by the order of commands, is a fault that nobody finds."""
    for earlier, later in itertools.combinations([pins(lock) for lock in LOCKS], 2):
        shared = earlier.keys() & later.keys()
        assert {key: later[key] for key in shared} == {key: earlier[key] for key in shared}
    assert pins(LOCKS[0]).keys() <= pins(LOCKS[1]).keys(), "several machines need what one needs, and more"
    for lock in (*LOCKS, DEPLOY_LOCK):
        text = (ROOT / lock).read_text()
        assert not re.search(r"index|https?://", re.sub(r"(?m)^[^\s].*$", "", text)), "no address of an index"
        blocks = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_users_install_neither_tests_nor_what_carries_gpl_programs() -> None:
    first, scale_out, dev = ({name for name, _ in pins(lock)} for lock in LOCKS[:3])
    tools = {"pytest", "hypothesis", "mypy", "ruff", "playwright", "imageio-ffmpeg", "sqlglot", "litdata", "webdataset"}
    assert not tools & (first | scale_out)
    assert {"pytest", "imageio-ffmpeg", "ruff", "mypy"} <= dev
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for line in wanted["project"]["dependencies"]:
        assert canonicalize_name(Requirement(line).name) in first, line
    for line in wanted["project"]["optional-dependencies"]["scale-out"]:
        assert canonicalize_name(Requirement(line).name) in scale_out, line
    for line in wanted["dependency-groups"]["dev"]:
        assert canonicalize_name(Requirement(line).name) in dev, line


def test_the_product_imports_nothing_that_only_tests_install() -> None:
    """Where everything is installed nobody notices; at a user's the command ends in a traceback."""
    shipped = {name for name, _ in pins(LOCKS[0])} | {"chimp-assets"}
    optional = {"timm"}  # said to be missing in a sentence: an extra
    # The extra scale-out: only these modules import it, and they are loaded where a deployment names them.
    scale_out = {name for name, _ in pins(LOCKS[1])}
    of_scale_out = ("chimp_assets/compute/", "chimp_assets/automation/launchers/")
    provided = packages_distributions()
    foreign = {}
    for file in sorted((ROOT / "chimp_assets").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for top in {name.split(".")[0] for name in names}:
                if top in sys.stdlib_module_names or top in optional:
                    continue
                path = file.relative_to(ROOT).as_posix()
                allowed = shipped | (scale_out if path.startswith(of_scale_out) else set())
                if not {canonicalize_name(one) for one in provided.get(top, [])} & allowed:
                    foreign[path] = top
    assert foreign == {}


def test_a_lock_is_read_as_an_installer_reads_it() -> None:
    text = (
        "# a comment\n--no-binary :none:\nA_b==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n"
        "c.d[e]==2 ; sys_platform == 'win32' \\\n    --hash=sha256:00\nf==3 \\\n    --hash=sha256:00\n"
    )
    assert names_of(text, {"sys_platform": "linux"}) == ["a-b", "f"]
    assert names_of(text, {"sys_platform": "win32"}) == ["c-d", "f"]


def test_an_installed_package_says_its_licence() -> None:
    said = stated("numpy")
    assert said is not None
    assert said.version
    assert said.words != "nothing"
    assert stated("no-such-package-anywhere") is None
