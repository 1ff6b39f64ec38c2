"""XML files in pieces, without what makes XML dangerous.

Belongs here: the reader. Does not belong here: what elements mean.

A document type, and with it every entity, is refused at its first character (billion laughs, external entities); depth,
text and the size of one element are bounded. Expat is the parser of the standard library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets.exchange.imports.reading.sources import Source, broken, told

PIECE = 1 << 16
MOST_DEPTH = 32
MOST_TEXT = 1 << 20
MOST_SILENCE = 1 << 24
"""Bytes without the end of any element: masks are long, but not as long."""

Event = tuple[str, str, dict[str, str], str, int]


def xml_events(source: Source) -> Iterator[Event]:
    """("start", name, attributes, "", line) and ("end", name, {}, text, line) of each element, in the file's order.

    text: what stands in the element before its first child and between its children. Raises ImportFileError where the
    file is no XML, is damaged, cut off, has a document type or entities, or is deeper than 32 elements.
    """
    events: list[Event] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    texts: list[list[str]] = []
    sizes: list[int] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(texts) >= MOST_DEPTH:
            raise broken(
                source.name, f"line {parser.CurrentLineNumber}", "it is nested more than 32 deep", "Export it again."
            )
        texts.append([])
        sizes.append(0)
        events.append(("start", name, attributes, "", parser.CurrentLineNumber))

    def end(name: str) -> None:
        sizes.pop()
        events.append(("end", name, {}, "".join(texts.pop()), parser.CurrentLineNumber))

    def characters(text: str) -> None:
        if texts:
            sizes[-1] += len(text)
            if sizes[-1] > MOST_TEXT:
                raise broken(source.name, f"line {parser.CurrentLineNumber}", "a text here never ends")
            texts[-1].append(text)

    def refuse(*_: Any) -> Any:
        raise broken(
            source.name,
            f"line {parser.CurrentLineNumber}",
            "it declares a document type or entities, which can read and fill what they should not",
            "Export it again, or delete the lines of <!DOCTYPE ...>.",
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    with told(source.name), source.open() as raw:
        silence, piece = 0, b"."
        try:
            while piece:
                piece = raw.read(PIECE)
                parser.Parse(piece, not piece)
                silence = 0 if events else silence + len(piece)
                if silence > MOST_SILENCE:
                    raise broken(source.name, f"line {parser.CurrentLineNumber}", "an element here never ends")
                yield from events
                events.clear()
        except expat.ExpatError as error:
            raise broken(
                source.name,
                f"line {error.lineno}",
                f"it is no proper XML ({expat.ErrorString(error.code)})",
                "The file is damaged or cut off: copy or export it again.",
            ) from None
        except LookupError:
            raise ImportFileError(f"{source.name} says an encoding that is unknown.", "Save it as UTF-8.") from None
