"""Nothing that comes from outside becomes Markdown: a file name must not make the browser of whoever looks at an asset
ask for an address.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import chimp_assets
from chimp_assets.assets.parts import markdown_table, picture_markdown
from chimp_assets.database.texts import visible_line as visible
from chimp_assets.markdown import MOST_ROWS, code, picture

HOSTILE = (
    "![x](../graphql?query=mutation{wipeAssets}).mp4",
    "![x](http://evil.example/a.png)",
    "![x][1]\n\n[1]: http://evil.example/a.png",
    "[click](javascript:alert(1))",
    "<http://evil.example/>",
    "http://evil.example/a?b=c",
    "www.evil.example",
    "someone@evil.example",
    "<img src=http://evil.example/a.png>",
    "<script>alert(1)</script>",
    "&lt;img&gt; &#60;img&#62;",
    "a`b``c```d",
    "`",
    "``![x](y)``",
    "a|b",
    "a\\|b",
    "a\\",
    "|",
    "||",
    "` | `![x](y)` | `",
    "# heading",
    "- item\n- item",
    "    indented",
    "---",
    "x\n---",
    "a\r\nb\x00c\x1b[31md",
    "text[^1]\n\n[^1]: note",
    "gpj.\u202e![x](y)",
    "a\u200bb\ufeff",
    "~~struck~~ **bold** _em_ $x$ ^sup^ :smile:",
    "\ud800",
    "",
    " ",
    "  two  ",
)
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# What GitHub's autolinks are found by, after everything else was parsed: in text, never in code.
AUTOLINK = re.compile(r"https?://|www\.|\S@\S", re.IGNORECASE)


def shown(text: str) -> str:
    """What a text should look like. One space at each end of a cell has no meaning."""
    return visible(text).strip()


def cells(markdown: str) -> list[str]:
    """The texts of all cells of a rendered table, asserting that it holds text and code only."""
    found: list[str] = []
    for token in RENDERER.parse(markdown):
        assert token.type.removesuffix("_open").removesuffix("_close") in (
            "table", "thead", "tbody", "tr", "th", "td", "inline",
        ), token  # fmt: skip
        if token.type == "inline":
            children = token.children or []
            assert {child.type for child in children} <= {"text", "code_inline", "text_special"}, children
            words = "".join("\0" if child.type == "code_inline" else child.content for child in children)
            assert not AUTOLINK.search(words), words
            found.append("".join(child.content for child in children))
    return found


def _each_hostile(test: Callable[..., None]) -> Callable[..., None]:
    for text in HOSTILE:
        test = example(text)(test)
    return test


@given(st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet="`|\\![]()<>:/ w.@\n&#;a1_*~", max_size=40))
@_each_hostile
def test_a_table_shows_any_text_as_it_is_and_holds_no_picture_link_or_tag(text):
    """The first one was a file name whose picture wiped every materialisation when somebody opened the asset."""
    found = cells(markdown_table([{text: text, "error": f"before {text} after"}]).value)
    assert [cell.strip() for cell in found[2:]] == [shown(text), shown(f"before {text} after")]
    assert found[0].strip() == shown(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_outside_a_table_is_one_paragraph_of_that_text(text):
    tokens = [token for token in RENDERER.parse(f"Found {code(text)}.") if token.type == "inline"]
    assert len(tokens) == 1
    assert {child.type for child in tokens[0].children} <= {"text", "code_inline", "text_special"}


@pytest.mark.parametrize("title", [*HOSTILE, "](http://evil.example) ![x", "\\](x"])
def test_a_picture_has_no_address_but_its_own_bytes(title):
    [token] = [token for token in RENDERER.parse(picture_markdown(b"\x89PNG", "png", title).value) if token.children]
    assert [child.type for child in token.children] == ["image"]
    assert token.children[0].attrs["src"] == "data:image/png;base64,iVBORw=="


def test_only_two_kinds_of_picture_are_shown_inline():
    """An SVG can hold a script."""
    with pytest.raises(ValueError, match="svg"):
        picture(b"<svg/>", "svg+xml", "drawing")


def test_words_and_numbers_stay_plain_and_long_tables_are_counted():
    text = markdown_table([{"lane": "audit", "share": "12.5%"}] * (MOST_ROWS + 2)).value
    assert text.splitlines()[2] == "| audit | 12.5% |"
    assert text.endswith("... and 2 more")
    assert markdown_table([]).value == "none"


def test_what_cannot_be_seen_is_shown():
    assert visible("a\nb\u202ec\x1b\U000e0041") == "a\\x0ab\\u202ec\\x1b\\U000e0041"
    assert visible("Pâté 黒 👍") == "Pâté 黒 👍"


def _sources(*folders: str) -> list[Path]:
    root = Path(chimp_assets.__file__).parent
    return [file for folder in folders for file in sorted((root / folder).rglob("*.py"))]


def _is_fixed(node: ast.expr) -> bool:
    """Whether an expression holds nothing but words of our own."""
    if isinstance(node, ast.JoinedStr):
        return all(isinstance(part, ast.Constant) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _is_fixed(node.left) and _is_fixed(node.right)
    return isinstance(node, ast.Constant)


def _makes_markdown(tree: ast.AST) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("md", "MarkdownMetadataValue", "notebook"):
            lines.append(node.lineno)
        if isinstance(node, ast.Name) and node.id == "MarkdownMetadataValue":
            lines.append(node.lineno)
        if isinstance(node, ast.Dict):
            entries = dict(zip((getattr(key, "value", None) for key in node.keys), node.values, strict=True))
            kind, value = entries.get("type"), entries.get("raw_value")
            if getattr(kind, "value", None) == "md":
                made = isinstance(value, ast.Call) and ast.unparse(value.func).startswith("markdown.")
                lines += [] if made else [node.lineno]
    return lines


def _describes_with_outside_words(tree: ast.AST) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "value", None) is not None
        if ast.unparse(node.func).startswith("dg.")
        for given in node.keywords
        if given.arg == "description" and not _is_fixed(given.value)
    ]


def test_markdown_is_made_in_one_place():
    """The rule that keeps the fault from coming back by another asset."""
    for file in _sources("."):
        if file.name == "parts.py" and file.parent.name == "assets":
            continue
        assert _makes_markdown(ast.parse(file.read_text(encoding="utf-8"))) == [], file


def test_descriptions_hold_no_words_from_outside():
    """Dagster's web UI renders the description of an asset, a materialisation and a check as Markdown."""
    for file in _sources("assets", "checks", "automation"):
        assert _describes_with_outside_words(ast.parse(file.read_text(encoding="utf-8"))) == [], file


def test_the_rules_see_what_they_forbid():
    for line in (
        "dg.MetadataValue.md(name)", "MarkdownMetadataValue(name)", "x = {'type': 'md', 'raw_value': name}",
    ):  # fmt: skip
        assert _makes_markdown(ast.parse(line)), line
    assert _describes_with_outside_words(ast.parse("dg.AssetCheckResult(passed=False, description=f'{name} is bad')"))
    assert _describes_with_outside_words(ast.parse("dg.AssetMaterialization('x', description=name)"))
    assert not _describes_with_outside_words(ast.parse("dg.AssetCheckResult(passed=True, description='All well.')"))


def test_metadata_that_is_a_string_is_text():
    """Dagster could guess Markdown from a string; it does not."""
    made = dg.AssetMaterialization("a", metadata={"savings": HOSTILE[0]}).metadata["savings"]
    assert isinstance(made, dg.TextMetadataValue)
