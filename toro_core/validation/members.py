"""Checks of one member of an object. Each is made once per element and called for every value.

A member's check takes (value, the object it is a member of, that object's place, findings) and adds what is wrong; a value's
check takes the value's own place. They write no text and no place while all is well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from toro_core.definitions import Choice, ElementFacts
from toro_core.validation.findings import Findings, Place
from toro_core.validation.primitives import Primitive

__all__ = [
    "MemberCheck",
    "ValueCheck",
    "coded",
    "nothing",
    "objects",
    "primitive",
    "primitives",
    "repeated",
    "siblings",
    "single",
]

MemberCheck: TypeAlias = Callable[[Any, dict[str, Any], Place, Findings], None]
ValueCheck: TypeAlias = Callable[[Any, Place, Findings], None]


def nothing(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
    """Accept any value."""


def single(name: str, value_check: ValueCheck) -> MemberCheck:
    """Check the one value of the element `name`."""

    def run(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
        value_check(value, (place, name), findings)

    return run


def repeated(name: str, value_check: ValueCheck) -> MemberCheck:
    """Check an array and each value in it."""

    def run(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
        here = (place, name)
        if _is_array(value, here, findings):
            for index, item in enumerate(value):
                value_check(item, (here, index), findings)

    return run


def objects(check: Callable[[dict[str, Any], Place, Findings], None]) -> ValueCheck:
    """Ask for an object and check it."""

    def run(value: Any, place: Place, findings: Findings) -> None:
        if isinstance(value, dict):
            check(value, place, findings)
        elif isinstance(value, list):
            findings.add("structure", place, "does not repeat; send one JSON object, not an array.")
        else:
            findings.add("structure", place, "is a structure; send a JSON object.")

    return run


def coded(value_check: ValueCheck, codes: frozenset[str], value_set: str) -> ValueCheck:
    """Ask a CodeableConcept or Coding for a code of the value set; an extension may say why there is none."""

    def run(value: Any, place: Place, findings: Findings) -> None:
        value_check(value, place, findings)
        if not isinstance(value, dict) or "extension" in value:
            return
        codings = value.get("coding", [value])
        given = [c.get("code") for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
        if not any(isinstance(code, str) and code in codes for code in given):
            findings.add("code-invalid", place, f"has no code of the value set {value_set}; send one of its codes.")

    return run


def primitive(element: ElementFacts, choice: Choice, kind: Primitive, codes: frozenset[str] | None) -> MemberCheck:
    """Check one primitive value and, where codes are given, that it is one of them."""
    test = _test(kind, codes)

    def run(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
        if not test(value):
            _refuse(value, element, choice, kind, (place, element.name), findings)

    return run


def primitives(element: ElementFacts, choice: Choice, kind: Primitive, codes: frozenset[str] | None) -> MemberCheck:
    """Check an array of primitive values, null where the array of their extensions fills the hole."""
    test = _test(kind, codes)
    sibling = f"_{choice.json_name}"

    def run(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
        here = (place, element.name)
        if not _is_array(value, here, findings):
            return
        for index, item in enumerate(value):
            if test(item):
                continue
            if item is not None:
                _refuse(item, element, choice, kind, (here, index), findings)
            elif not _fills(node.get(sibling), index):
                text = f"is null; send a value, or an object at this index of {sibling}."
                findings.add("structure", (here, index), text)

    return run


def siblings(name: str, json_name: str, value_check: ValueCheck) -> MemberCheck:
    """Check the array `_x` beside an array of primitives `x`: as long, null where a value needs no extension."""

    def run(value: Any, node: dict[str, Any], place: Place, findings: Findings) -> None:
        here = (place, name)
        if not _is_array(value, here, findings):
            return
        values = node.get(json_name)
        if isinstance(values, list) and len(values) != len(value):
            text = f"has arrays {json_name} and _{json_name} of different length; fill with null."
            findings.add("structure", here, text)
        for index, item in enumerate(value):
            if item is not None:
                value_check(item, (here, index), findings)
            elif values is None:
                findings.add("structure", (here, index), f"is null in _{json_name} and has no value; leave it out.")

    return run


def _test(kind: Primitive, codes: frozenset[str] | None) -> Callable[[object], bool]:
    if codes is None:
        return kind.test
    return lambda value: isinstance(value, str) and value in codes


def _refuse(
    value: Any, element: ElementFacts, choice: Choice, kind: Primitive, place: Place, findings: Findings
) -> None:
    if not kind.is_json_type(value):
        found = "null" if value is None else "an array" if isinstance(value, list) else "another JSON type"
        findings.add("structure", place, f"is of type {choice.type} but {found}; send one JSON {kind.json_type}.")
    elif not kind.test(value):
        findings.add("value", place, f"is no valid {choice.type}; send {kind.rule}.")
    else:
        text = f"has a code outside of the value set {element.value_set}; send one of its codes."
        findings.add("code-invalid", place, text)


def _fills(sibling: Any, index: int) -> bool:
    return isinstance(sibling, list) and index < len(sibling) and sibling[index] is not None


def _is_array(value: Any, place: Place, findings: Findings) -> bool:
    if not isinstance(value, list):
        findings.add("structure", place, "repeats; send a JSON array.")
        return False
    if not value:
        findings.add("structure", place, "is an empty array; give it content or leave it out.")
    return True
