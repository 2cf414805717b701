"""The structural checks of every write: https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/validation.html

Each structure is compiled into a table of member checks when it is first met.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from toro_core.definitions import Choice, Definitions, ElementFacts
from toro_core.errors import Issue
from toro_core.json import JsonObject
from toro_core.validation import members
from toro_core.validation.findings import Enough, Findings, Place
from toro_core.validation.members import MemberCheck, ValueCheck
from toro_core.validation.primitives import PRIMITIVES

__all__ = ["check"]

_ROOT: Final[Place] = "Resource"
"""The place of a resource whose type is not known yet."""


def check(resource: JsonObject, definitions: Definitions) -> tuple[Issue, ...]:
    """Return every structural error of a resource, at most 100 and a note that there may be more; none where it is sound."""
    findings = Findings()
    with suppress(Enough):
        definitions.derived(_Structures).resource(resource, _ROOT, findings)
    return findings.issues()


class _Structures:
    """The compiled structures of some definitions, each compiled when first met."""

    __slots__ = ("_by_name", "definitions")

    def __init__(self, definitions: Definitions) -> None:
        self.definitions: Final = definitions
        self._by_name: dict[str, _Structure] = {}

    def __getitem__(self, name: str) -> _Structure:
        if name not in self._by_name:
            self._by_name[name] = _Structure(name, self)
        return self._by_name[name]

    def resource(self, value: Any, place: Place, findings: Findings) -> None:
        """Check a whole resource of any type."""
        if not isinstance(value, dict):
            return findings.add("structure", place, "is a resource; send a JSON object.")
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in self.definitions.resource_types:
            return findings.add("structure", place, "has no known resourceType; send the name of an R4 resource type.")
        return self[name].check(value, name if place is _ROOT else place, findings)

    def contained(self, value: Any, place: Place, findings: Findings) -> None:
        """Check a contained resource, which must not contain another."""
        if isinstance(value, dict) and "contained" in value:
            findings.add("invariant", (place, "contained"), "is nested; contain it in the outermost resource.")
        self.resource(value, place, findings)


class _Structure:
    """One compiled structure."""

    __slots__ = ("_choices", "_is_extension", "_kind", "_members", "_name", "_required", "_structures")

    def __init__(self, name: str, structures: _Structures) -> None:
        facts = structures.definitions.structure(name)
        self._name = name
        self._kind = facts.kind
        self._structures = structures
        self._is_extension = name == "Extension"
        self._members: dict[str, MemberCheck] | None = None
        names = {element.name: _json_names(element, structures.definitions) for element in facts.elements.values()}
        self._required = [(names[e.name], e.name) for e in facts.elements.values() if e.min]
        self._choices = [(frozenset(names[e.name]), e.name) for e in facts.elements.values() if len(e.choices) > 1]

    def check(self, node: dict[str, Any], place: Place, findings: Findings) -> None:
        """Check an object of this structure."""
        checks = self._members or self._compile()
        for name, value in node.items():
            member = checks.get(name)
            if member is not None:
                member(value, node, place, findings)
            else:
                findings.add(
                    "structure", (place, name), f"is not an element of {self._name}; remove it or correct its name."
                )
        for names, element in self._required:
            if not any(name in node for name in names):
                findings.add("required", (place, element), "is required; send it.")
        for choice, element in self._choices:
            given = node.keys() & choice
            if len(given) > 1 and len({name.removeprefix("_") for name in given}) > 1:
                findings.add("structure", (place, element), "has values of several types; send one of them.")
        if self._is_extension and ("extension" in node) != node.keys().isdisjoint(self._choices[0][0]):
            findings.add(
                "invariant", place, "has both or neither of a value and extensions; send exactly one of the two."
            )
        if not node or (len(node) == 1 and "id" in node and self._kind in ("complex", "backbone")):
            findings.add("structure", place, "is empty; give it content or leave it out.")

    def _compile(self) -> dict[str, MemberCheck]:
        facts = self._structures.definitions.structure(self._name)
        checks: dict[str, MemberCheck] = {"resourceType": members.nothing} if self._kind == "resource" else {}
        for json_name, (element, choice) in facts.members.items():
            checks[json_name] = self._value(element, choice)
            if choice.type in PRIMITIVES:
                below = members.objects(self._structures[choice.type].check)
                if element.repeats:
                    checks[f"_{json_name}"] = members.siblings(element.name, json_name, below)
                else:
                    checks[f"_{json_name}"] = members.single(element.name, below)
        self._members = checks
        return checks

    def _value(self, element: ElementFacts, choice: Choice) -> MemberCheck:
        codes = self._structures.definitions.codes(element.value_set) if element.value_set else None
        if choice.type in PRIMITIVES:
            primitive = members.primitives if element.repeats else members.primitive
            return primitive(element, choice, PRIMITIVES[choice.type], codes)
        value: ValueCheck
        if choice.type == "Resource":
            value = self._structures.contained if element.name == "contained" else self._structures.resource
        else:
            value = members.objects(self._structures[choice.type].check)
        if codes is not None and element.value_set and choice.type in ("CodeableConcept", "Coding"):
            value = members.coded(value, codes, element.value_set)
        return (members.repeated if element.repeats else members.single)(element.name, value)


def _json_names(element: ElementFacts, definitions: Definitions) -> tuple[str, ...]:
    """Return the members that may carry an element; a primitive's extensions stand for it too."""
    plain = tuple(choice.json_name for choice in element.choices)
    return plain + tuple(f"_{choice.json_name}" for choice in element.choices if choice.type in PRIMITIVES)
