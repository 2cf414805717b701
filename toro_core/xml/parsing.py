"""Parsing of untrusted XML: no DTD, no entity, nothing from outside, and limits on size."""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree

from toro_core.xml.errors import InvalidXml

__all__ = ["parse"]

_MOST_TAGS: Final = 2_000_000
"""More `<` than this are refused: a tree takes a hundred bytes and more for each element, however short that is."""

_PROLOG: Final = re.compile(rb"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def parse(data: bytes) -> etree._Element:
    """Parse a document of UTF-8. Raises InvalidXml with line and column, and never with what stands there.

    Whatever encoding is declared, only UTF-8 is read, so that a declaration cannot hide from the check for it.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data or data.isspace():
        raise InvalidXml("The body is empty; send one resource.")
    declared = _DECLARED.match(data)
    if declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        raise InvalidXml("The XML declares another encoding than UTF-8; send UTF-8.")
    prolog = _PROLOG.match(data)
    if prolog and data.startswith(b"<!", prolog.end()):
        raise InvalidXml("A document type or entity declaration is not allowed in FHIR; send the resource without it.")
    if data.count(b"<") > _MOST_TAGS:
        raise InvalidXml(f"The XML has more than {_MOST_TAGS // 2} elements; send fewer at once.")
    try:
        return etree.fromstring(data, _parser())
    except etree.XMLSyntaxError as error:
        raise InvalidXml(_malformed(error)) from None


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,  # libxml2 then refuses values above 10 MB
        remove_pis=True,
    )


def _malformed(error: etree.XMLSyntaxError) -> str:
    """Say kind and place: libxml2's own message quotes the document."""
    line, column = error.position
    log: Any = error.error_log  # the stubs lack its members
    kind = log.last_error.type_name.removeprefix("ERR_").replace("_", " ").lower() if log.last_error else "syntax"
    if kind == "resource limit":
        return (
            f"The XML has too long a value at line {line}, column {column}, or is nested too deep; send less at once."
        )
    return f"The XML is malformed at line {line}, column {column}: {kind}; send well-formed XML in UTF-8."
