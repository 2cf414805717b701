"""From JSON to XML. https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from itertools import zip_longest
from typing import Any, Final

from lxml import etree

from toro_core import json
from toro_core.xml.errors import InvalidXml, NoXml
from toro_core.xml.parsing import parse
from toro_core.xml.shapes import DEFAULT_XHTML, FHIR, XHTML, Member, Shape, Shapes

__all__ = ["write"]

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_XML_ENTITIES: Final = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_DEFAULT_FHIR: Final[Any] = {None: FHIR}
_FHIR_TAG: Final = f"{{{FHIR}}}"


def write(data: bytes, shapes: Shapes, *, pretty: bool) -> bytes:
    """Translate a resource. Raises NoXml."""
    resource = json.loads(data)
    root = etree.Element(_FHIR_TAG + _resource_type(resource, shapes), nsmap=_DEFAULT_FHIR)
    _Writer(shapes).members(root, shapes.shape(_resource_type(resource, shapes)), resource)
    if pretty:
        _indent(root, "\n")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


class _Writer:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def members(self, node: etree._Element, shape: Shape, values: dict[str, Any]) -> None:
        """Write an object's members into a node, in the order of the definition."""
        named: dict[str, Member] = {}
        for key in values:
            if key in shape.attributes:
                node.set(key, _text(values[key]))
                continue
            name = key.removeprefix("_")
            if name in shape.members:
                named[name] = shape.members[name]
            elif key != "resourceType" or not shape.is_resource:
                raise _no_xml(node)
        for member in sorted(named.values(), key=_place):
            self._member(node, member, values.get(member.name), values.get(f"_{member.name}"))

    def _member(self, node: etree._Element, member: Member, value: Any, other: Any) -> None:
        if member.repeats:
            many = value if value is not None else []
            others = other if other is not None else []
            if not isinstance(many, list) or not isinstance(others, list):
                raise _no_xml(node)
            for one, its_other in zip_longest(many, others):
                self._one(node, member, one, its_other)
        else:
            self._one(node, member, value, other)

    def _one(self, node: etree._Element, member: Member, value: Any, other: Any) -> None:
        if member.content == "xhtml":
            node.append(_xhtml(value))
            return
        child = etree.SubElement(node, member.tag)
        if member.content == "complex" or member.content == "resource":
            if not isinstance(value, dict) or other is not None:
                raise _no_xml(child)
            if member.content == "resource":
                name = _resource_type(value, self._shapes)
                self.members(etree.SubElement(child, _FHIR_TAG + name), self._shapes.shape(name), value)
            else:
                self.members(child, self._shapes.shape(member.type), value)
            return
        if isinstance(value, dict | list) or not isinstance(other, dict | None):
            raise _no_xml(child)
        if value is not None:
            child.set("value", _text(value))
        if other:
            self.members(child, self._shapes.shape(member.type), other)


def _resource_type(resource: dict[str, Any], shapes: Shapes) -> str:
    name = resource.get("resourceType")
    if not isinstance(name, str) or not shapes.is_resource(name):
        raise NoXml
    return name


def _place(member: Member) -> int:
    return member.place


def _no_xml(node: etree._Element) -> NoXml:
    path = ".".join(etree.QName(above).localname for above in (*reversed(list(node.iterancestors())), node))
    return NoXml(f"{path} has something for which R4 has no XML; ask for it in JSON.")


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    return json.dumps(value).decode()


def _xhtml(value: Any) -> etree._Element:
    """Parse formatted text; one that is no XHTML, which only an unchecked import can bring, is shown as it is."""
    text = _ENTITY.sub(_character, _text(value))
    try:
        node = parse(text.encode())
    except InvalidXml:
        node = None
    if node is None or node.tag != f"{{{XHTML}}}div":
        node = etree.Element(f"{{{XHTML}}}div", nsmap=DEFAULT_XHTML)
        node.text = _text(value)
    return node


def _character(found: re.Match[str]) -> str:
    """Write HTML's named characters as themselves: XML knows but five of them."""
    return found[0] if found[1] in _XML_ENTITIES else html5.get(found[1], found[0])


def _indent(node: etree._Element, start: str) -> None:
    """Indent FHIR's elements; white space in formatted text has a meaning."""
    inner = start + "  "
    children: Iterator[etree._Element] = iter(node)
    last = None
    for last in children:
        last.tail = inner
        if last.tag.startswith(_FHIR_TAG):
            _indent(last, inner)
    if last is not None:
        node.text = inner
        last.tail = start
