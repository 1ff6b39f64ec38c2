"""What a notebook may import from `chimp_assets.acquisition`, and what that costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chimp_assets import acquisition


@pytest.mark.parametrize("name", acquisition.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Names are loaded when they are asked for: a name that moved would fail only in somebody's notebook."""
    assert getattr(acquisition, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """`hasattr` and tab completion rest on it."""
    with pytest.raises(AttributeError, match="no attribute 'Plans'"):
        _ = acquisition.Plans  # type: ignore[attr-defined]


def test_a_sentence_of_the_room_does_not_load_faiss() -> None:
    """The commands' console says what labels have saved; with faiss each command would start a second later."""
    assert _loaded_by("chimp_assets.acquisition.returns.words") == "[]"


def test_torch_is_in_one_file_alone() -> None:
    """The room's docstring says so, and torch is half of a planner's memory."""
    every = (
        "import pkgutil, chimp_assets.acquisition as a;"
        "names = [m.name for m in pkgutil.walk_packages(a.__path__, a.__name__ + '.')];"
        "assert 'chimp_assets.acquisition.pool_pass.on_torch' in names;"
        "[__import__(n) for n in names if not n.endswith('.on_torch')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{every}\nimport sys; print([m for m in ('torch', 'sqlalchemy') if m in sys.modules])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


def _loaded_by(module: str) -> str:
    code = f"import sys, {module}; print([m for m in ('faiss', 'numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()
