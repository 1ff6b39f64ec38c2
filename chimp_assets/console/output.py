"""How anything reaches the terminal: sentences, tables, errors, the one line of JSON.

Belongs here: the two terminals and the few functions that write to them. Does not belong here: what is written
(the modules beside this one).

Nothing that is printed is read as markup or as emoji, and every unseen character is written out: names of files and
people come from elsewhere, and an escape sequence in one would write elsewhere on the screen (`Terminal`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

from chimp_assets.database.texts import visible, visible_json
from chimp_assets.errors import ChimpError


class Terminal(Console):
    """A console that prints texts as they are: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)
        self.push_render_hook(_VisibleHook())

    def render_str(self, text: str, **options: Any) -> Text:
        """As the base class does it, with unseen characters written out before anything is measured."""
        return super().render_str(visible(text), **options)


class _VisibleHook(RenderHook):
    """The net below `render_str`: checks what reaches the console as a `Text`, too."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_VisibleRenderable(one) for one in renderables]


class _VisibleRenderable:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out = Terminal()
err = Terminal(stderr=True)


def say(*lines: str | Text) -> None:
    """Prints each line whole: the terminal breaks it, so that paths and commands can be copied."""
    for line in lines:
        out.print(line, soft_wrap=True)


def show(renderable: RenderableType) -> None:
    """Prints a table or a text that is broken at words to fit the terminal."""
    out.print(renderable)


def show_indented(text: str | Text, columns: int) -> None:
    """Prints a text broken at words, every line of it indented."""
    show(Padding(styled(text) if isinstance(text, str) else text, (0, 0, 0, columns), expand=False))


def say_json(answer: dict[str, Any]) -> None:
    """Prints one line of JSON."""
    print(visible_json(json.dumps(answer, default=str, ensure_ascii=False)))  # noqa: T201


def say_error(error: ChimpError) -> None:
    """Prints the sentence and the remedy of an error on the error stream."""
    err.print(error.sentence, style="red", soft_wrap=True)
    if error.remedy:
        err.print(error.remedy, soft_wrap=True)


def say_notes(notes: Iterable[str]) -> None:
    """Prints what was assumed about a file, a sentence each, on the error stream."""
    for note in notes:
        err.print(f"Note: {note}.", style="yellow", soft_wrap=True)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Joins texts; a part may be a pair of text and style."""
    return Text.assemble(*(visible(one) if isinstance(one, str) else (visible(one[0]), one[1]) for one in parts))
