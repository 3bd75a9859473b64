"""XML of a vehicle's network as plain elements, read within limits: its sender is not trusted.

Names are taken without their prefix. Attributes, comments and processing instructions are left out. A document type,
and with it every entity of its own, is refused before anything in it is looked at.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple
from xml.parsers import expat

MOST_BYTES: Final = 1024 * 1024
"""An answer with every stop of a long trip passes 280 kB."""
MOST_ELEMENTS: Final = 40_000
DEEPEST: Final = 32
LONGEST_TEXT: Final = 100
"""Characters of one value; a longer one is no reference and no name."""


class XmlFault(StrEnum):
    """Why a document was refused."""

    TOO_LARGE = "too_large"
    TOO_MANY_ELEMENTS = "too_many_elements"
    TOO_DEEP = "too_deep"
    DOCUMENT_TYPE = "document_type"
    NOT_XML = "not_xml"


class XmlRefused(ValueError):
    """`fault` says why; `line` is where, 0 for the document as a whole."""

    def __init__(self, fault: XmlFault, line: int = 0) -> None:
        super().__init__(f"{fault} in line {line}" if line else str(fault))
        self.fault = fault
        self.line = line


class XmlElement(NamedTuple):
    """`text` is what stands directly in it, without white space around; cut at `LONGEST_TEXT` + 1 characters."""

    name: str
    text: str
    children: tuple[XmlElement, ...]

    def first(self, *path: str) -> XmlElement | None:
        """The element reached through the first child of each name."""
        found: XmlElement | None = self
        for name in path:
            found = next((one for one in found.children if one.name == name), None) if found else None
        return found

    def every(self, name: str) -> tuple[XmlElement, ...]:
        """All children of that name."""
        return tuple(child for child in self.children if child.name == name)


def parse_elements(body: bytes) -> XmlElement:
    """The root of the document; raises `XmlRefused`."""
    if len(body) > MOST_BYTES:
        raise XmlRefused(XmlFault.TOO_LARGE)
    reading = _ElementsRead()
    try:
        reading.parser.Parse(body, True)
    except expat.ExpatError as error:
        raise XmlRefused(XmlFault.NOT_XML, error.lineno) from error
    except (
        LookupError,
        UnicodeError,
        ValueError,
    ) as error:  # an encoding Python does not know, or cannot use here
        if isinstance(error, XmlRefused):
            raise
        raise XmlRefused(XmlFault.NOT_XML) from error
    return reading.root


class _ElementsRead:
    """One document while it is read."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.root = XmlElement("", "", ())
        self._open: list[tuple[str, list[str], list[XmlElement]]] = []
        self._count = 0

    def _refuse(self, fault: XmlFault) -> XmlRefused:
        return XmlRefused(fault, self.parser.CurrentLineNumber)

    def _doctype(self, *_declared: object) -> None:
        raise self._refuse(XmlFault.DOCUMENT_TYPE)

    def _start(self, name: str, _attributes: object) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise self._refuse(XmlFault.TOO_MANY_ELEMENTS)
        if len(self._open) >= DEEPEST:
            raise self._refuse(XmlFault.TOO_DEEP)
        self._open.append((name.rpartition(":")[2], [], []))

    def _text(self, data: str) -> None:
        self._open[-1][1].append(data[: LONGEST_TEXT + 100])

    def _end(self, _name: str) -> None:
        name, texts, children = self._open.pop()
        element = XmlElement(name, "".join(texts).strip()[: LONGEST_TEXT + 1], tuple(children))
        if self._open:
            self._open[-1][2].append(element)
        else:
            self.root = element
