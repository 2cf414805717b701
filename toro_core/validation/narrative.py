"""The rules of narrative XHTML: https://hl7.org/fhir/R4/narrative.html"""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final
from xml.parsers import expat

__all__ = ["is_narrative"]

# fmt: off
_ELEMENTS: Final = frozenset({
    "a", "abbr", "acronym", "address", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
    "del", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "ol", "p",
    "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "tt", "u", "ul", "var",
})
_ATTRIBUTES: Final = frozenset({
    "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing", "cellvalign",
    "char", "charoff", "charset", "cite", "class", "clear", "color", "colspan", "compact", "coords", "dir", "face", "frame",
    "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nohref", "noshade", "nowrap", "rel",
    "rev", "rowspan", "rules", "scope", "shape", "size", "span", "src", "start", "style", "summary", "tabindex", "target",
    "title", "type", "valign", "value", "vspace", "width", "xml:lang", "xml:space", "xmlns",
})
# fmt: on
_TEXT: Final = re.compile(r">\s*[^<\s]|<img\b")
_DIV: Final = re.compile(r"\s*<div[\s>]")
_DECLARATION: Final = re.compile(r"<[!?](?!--)")
_SCRIPT: Final = re.compile(r"\s*(?:javascript|vbscript):", re.IGNORECASE)
_NAMESPACE: Final = "http://www.w3.org/1999/xhtml"


def is_narrative(value: object) -> bool:
    """Say whether a value is a well-formed `div` of XHTML with nothing but formatting, and something to read in it."""
    if not isinstance(value, str) or not _TEXT.search(value) or not _DIV.match(value):
        return False
    if ("<!" in value or "<?" in value) and _DECLARATION.search(value):
        return False
    return _is_formatting(value)


def _is_formatting(text: str) -> bool:
    elements: set[str] = set()
    attributes: set[str] = set()
    values: list[str | None] = []
    unknown: list[str] = []

    def start(name: str, found: dict[str, str]) -> None:
        elements.add(name)
        if found:
            attributes.update(found)
            if "href" in found or "src" in found:
                values.extend((found.get("href"), found.get("src")))
            if found.get("xmlns", _NAMESPACE) != _NAMESPACE:
                unknown.append("xmlns")

    def entity(name: str, is_parameter: bool) -> None:
        if f"{name};" not in html5:
            unknown.append(name)

    parser = expat.ParserCreate()
    parser.UseForeignDTD(True)  # an entity is then told by its name instead of being an error
    parser.StartElementHandler = start
    parser.SkippedEntityHandler = entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        return False
    scripts = any(value is not None and _SCRIPT.match(value) for value in values)
    return not unknown and not scripts and elements <= _ELEMENTS and attributes <= _ATTRIBUTES
