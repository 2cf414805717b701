"""From XML to JSON. https://hl7.org/fhir/R4/xml.html

What XML alone can get wrong is refused here: names, order, repetition. Whatever JSON can express is left to the validator: a
number that is none becomes a string, which it will not take.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final

import msgspec
from lxml import etree

from toro_core.errors import Issue
from toro_core.json import MAX_DEPTH
from toro_core.xml.errors import InvalidXml
from toro_core.xml.parsing import parse
from toro_core.xml.shapes import DEFAULT_XHTML, FHIR, XHTML, Member, Shape, Shapes

__all__ = ["read"]

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SCHEMA_HINTS: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_FHIR_TAG: Final = f"{{{FHIR}}}"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MOST_ISSUES: Final = 50
_BOOLEANS: Final = {"true": True, "false": False}


def read(data: bytes, shapes: Shapes) -> bytes:
    """Translate a document. Raises InvalidXml, with every issue at once."""
    reader = _Reader(shapes)
    tree = reader.resource(parse(data), 1)
    if reader.issues:
        raise InvalidXml(issues=tuple(reader.issues))
    return msgspec.json.encode(tree)


class _Reader:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self.issues: list[Issue] = []

    def resource(self, node: etree._Element, depth: int) -> dict[str, Any]:
        name = _local(node)
        if node.tag != _FHIR_TAG + name or not self._shapes.is_resource(name):
            self._refuse(node, f"is no resource of R4 in the namespace {FHIR}")
            return {}
        return {"resourceType": name, **self._members(node, self._shapes.shape(name), depth)}

    def _members(self, node: etree._Element, shape: Shape, depth: int) -> dict[str, Any]:
        """Read the attributes and elements of a node."""
        if depth > MAX_DEPTH:
            text = f"The XML is nested more than {MAX_DEPTH} deep; send a flatter resource."
            raise InvalidXml(issues=(Issue(code="too-long", diagnostics=text),))
        found: dict[str, Any] = self._attributes(node, shape)
        extras: dict[str, list[Any]] = {}
        place = -1
        self._no_text(node, node.text)
        for child in node:
            self._no_text(node, child.tail)
            if isinstance(child, etree._Comment):
                continue
            member = shape.tags.get(str(child.tag))
            if member is None:
                self._refuse(child, "is no element of its parent")
                continue
            if member.place < place:
                self._refuse(child, "is out of order; send the elements in the order of the definition")
            elif not member.repeats and (member.name in found or f"_{member.name}" in found):
                self._refuse(child, "stands twice; send it once")
            place = max(place, member.place)
            self._add(found, extras, member, child, depth)
        for name, others in extras.items():
            if any(other is not None for other in others):
                found[f"_{name}"] = others
            if all(value is None for value in found[name]):
                del found[name]
        return found

    def _add(
        self, found: dict[str, Any], extras: dict[str, list[Any]], member: Member, node: etree._Element, depth: int
    ) -> None:
        if member.content in ("complex", "resource", "xhtml"):
            value = self._value(member, node, depth)
            if member.repeats:
                found.setdefault(member.name, []).append(value)
            else:
                found[member.name] = value
            return
        value, other = self._primitive(member, node, depth)
        if member.repeats:
            found.setdefault(member.name, []).append(value)
            extras.setdefault(member.name, []).append(other)
            return
        if value is not None:
            found[member.name] = value
        if other is not None:
            found[f"_{member.name}"] = other

    def _value(self, member: Member, node: etree._Element, depth: int) -> Any:
        if member.content == "xhtml":
            return _xhtml(node)
        if member.content == "complex":
            return self._members(node, self._shapes.shape(member.type), depth + 1)
        held = [child for child in node if not isinstance(child, etree._Comment)]
        if len(held) != 1 or node.attrib:
            self._refuse(node, "does not hold exactly one resource")
            return {}
        for text in (node.text, *(child.tail for child in node)):
            self._no_text(node, text)
        return self.resource(held[0], depth + 1)

    def _primitive(self, member: Member, node: etree._Element, depth: int) -> tuple[Any, dict[str, Any] | None]:
        """Read a primitive, and its id and extensions where it has some; one with nothing at all is left to the validator."""
        text = node.get("value")
        value = None if text is None else _primitive(member, text)
        if len(node) == 0 and len(node.attrib) == 1 and text is not None and not node.text:
            return value, None
        others = self._members(node, self._shapes.shape(member.type), depth + 1)
        return value, None if text is not None and not others else others

    def _attributes(self, node: etree._Element, shape: Shape) -> dict[str, Any]:
        found = {}
        for name, value in node.attrib.items():
            if name in shape.attributes:
                found[str(name)] = value
            elif not (name == "value" and shape.is_primitive) and not str(name).startswith(_SCHEMA_HINTS):
                self._refuse(node, "has an attribute that FHIR does not know")
        return found

    def _no_text(self, node: etree._Element, text: str | None) -> None:
        if text and not text.isspace():
            self._refuse(node, "holds text; in FHIR, values are attributes")

    def _refuse(self, node: etree._Element, what: str) -> None:
        if len(self.issues) > _MOST_ISSUES:
            return
        if len(self.issues) == _MOST_ISSUES:
            text = f"There are more than {_MOST_ISSUES} issues; the rest is left out."
            self.issues.append(Issue(severity="information", code="informational", diagnostics=text))
            return
        path = ".".join([*(_local(above) for above in reversed(list(node.iterancestors()))), _local(node)])
        text = f"{path} at line {node.sourceline} {what}."
        self.issues.append(Issue(code="structure", diagnostics=text))


def _primitive(member: Member, text: str) -> Any:
    if member.content == "number":
        return msgspec.Raw(text.encode()) if _NUMBER.fullmatch(text) else text
    return _BOOLEANS.get(text, text) if member.content == "boolean" else text


def _xhtml(node: etree._Element) -> str:
    """Write the formatted text by itself, in its own namespace and without those that it does not use."""
    if any(below.prefix for below in node.iter(f"{{{XHTML}}}*")):
        alone = _without_prefix(node)
    else:
        alone = deepcopy(node)
        etree.cleanup_namespaces(alone)
    return etree.tostring(alone, encoding="unicode", with_tail=False)


def _without_prefix(node: etree._Element) -> etree._Element:
    alone = etree.Element(node.tag, {str(name): str(value) for name, value in node.attrib.items()}, nsmap=DEFAULT_XHTML)
    alone.text = node.text
    for child in node:
        made = deepcopy(child) if isinstance(child, etree._Comment) else _without_prefix(child)
        made.tail = child.tail
        alone.append(made)
    return alone


def _local(node: etree._Element) -> str:
    """Return the name without its namespace; one that is no element's may be somebody's data."""
    name = etree.QName(node).localname
    return name if _NAME.fullmatch(name) else "(other)"
