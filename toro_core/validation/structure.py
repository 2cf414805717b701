"""What FHIR R4 itself demands: https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/validation.html

Each structure is compiled into a table of member checks when it is first met: elements and their cardinality, primitive
formats, choices, required codes, reference targets and invariants.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Final, TypeAlias

from toro_core.definitions import Choice, Definitions, ElementFacts, StructureFacts
from toro_core.errors import Issue
from toro_core.json import JsonObject
from toro_core.validation import members
from toro_core.validation.bindings import CODED, LEANING, binding, leaning
from toro_core.validation.bundles import check_entry
from toro_core.validation.containment import check_contained, check_reference
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems, issues, joined, problem
from toro_core.validation.invariants import constraint_check
from toro_core.validation.members import MemberCheck, ValueCheck
from toro_core.validation.primitives import PRIMITIVES
from toro_core.validation.targets import target_check

__all__ = ["ExtensionCheck", "Structures", "check"]

ExtensionCheck: TypeAlias = Callable[[str, bool], ValueCheck]
"""Makes a check of the extensions of a structure by its name, of the modifier extensions with True."""


def check(resource: JsonObject, definitions: Definitions) -> tuple[Issue, ...]:
    """Return what breaks FHIR R4 itself, at most 100 issues and a note that there may be more; none where it is sound."""
    name = resource.get("resourceType")
    root = name if isinstance(name, str) and name in definitions.resource_types else "Resource"
    found = definitions.derived(Structures).resource(resource, Context(resource)) or []
    return issues(root, [one for one in found if one.severity == "error"])


class Structures:
    """The compiled structures of some definitions, each compiled when first met."""

    __slots__ = ("_compiled", "_extension_check", "_lock", "_making", "definitions")

    def __init__(self, definitions: Definitions, extension_check: ExtensionCheck | None = None) -> None:
        """Compile from these definitions; `extension_check` judges extensions by their definitions."""
        self.definitions: Final = definitions
        self._extension_check = extension_check
        self._compiled: dict[str, ValueCheck] = {}
        self._making: dict[str, ValueCheck] = {}
        self._lock = RLock()

    def __getitem__(self, name: str) -> ValueCheck:
        """Return the check of a structure."""
        found = self._compiled.get(name)
        return self._compile(name) if found is None else found

    def _compile(self, name: str) -> ValueCheck:
        """Compile a structure and what it is made of; others see them only when all are complete."""
        with self._lock:
            outermost = not self._making
            check = self._compiled.get(name) or self._make(name)
            if outermost:
                self._compiled.update(self._making)
                self._making.clear()
            return check

    def _make(self, name: str) -> ValueCheck:
        if name not in self._making:
            # The table is filled after the check is known, as structures refer to themselves and to each other.
            facts = self.definitions.structure(name)
            table: dict[str, MemberCheck] = {}
            accepted: dict[str, Callable[[str], object]] = {}
            rules: list[ValueCheck] = []
            self._making[name] = _structure(facts, table, accepted, rules)
            table.update(self._members(facts))
            accepted.update(self._accepted(facts))
            found = constraint_check(facts.invariants, name, self.definitions)
            if name == "Bundle.entry" and found is not None:
                found = members.both(found, check_entry)
            rules += [found] if found is not None else []
        return self._making[name]

    def resource(self, value: Any, context: Context) -> Problems | None:
        """Check a whole resource of any type, in its own context."""
        if type(value) is not dict:
            return problem("structure", "is a resource; send a JSON object.")
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in self.definitions.resource_types:
            return problem("structure", "has no known resourceType; send the name of an R4 resource type.")
        found = self[name](value, context)
        if "contained" in value and context.container is None and (more := check_contained(value)):
            found = joined(found, more)
        return None if found is None else _in_context(found)

    def _below(self, value: Any, context: Context) -> Problems | None:
        """Check a resource that is an entry of a Bundle or a parameter."""
        return (
            self.resource(value, Context(value, bundle=context))
            if type(value) is dict
            else self.resource(value, context)
        )

    def _contained(self, value: Any, context: Context) -> Problems | None:
        """Check a contained resource."""
        if type(value) is not dict:
            return self.resource(value, context)
        return self.resource(value, Context(value, container=context.root, bundle=context.bundle))

    def _members(self, facts: StructureFacts) -> dict[str, MemberCheck]:
        table: dict[str, MemberCheck] = {"resourceType": members.nothing} if facts.kind == "resource" else {}
        for json_name, (element, choice) in facts.members.items():
            table[json_name] = self._member(facts, element, choice)
            if choice.type in PRIMITIVES:
                below = self[choice.type]
                if element.repeats:
                    table[f"_{json_name}"] = members.siblings(element.name, json_name, below)
                else:
                    table[f"_{json_name}"] = members.single(element.name, below)
        return table

    def _accepted(self, facts: StructureFacts) -> dict[str, Callable[[str], object]]:
        """Return for single primitives without further rules what says at once that most values are sound."""
        found: dict[str, Callable[[str], object]] = {}
        for json_name, (element, choice) in facts.members.items():
            primitive = PRIMITIVES.get(choice.type)
            if primitive is None or element.repeats or element.invariants:
                continue
            bound = binding(element.value_set, self.definitions) if element.value_set and choice.type in CODED else None
            if bound is not None and bound.systems is not None:
                found[json_name] = bound.codes.__contains__
            elif bound is None and primitive.accepts is not None:
                found[json_name] = primitive.accepts
        if facts.name == "Reference":
            del found["reference"]
        return found

    def _member(self, facts: StructureFacts, element: ElementFacts, choice: Choice) -> MemberCheck:
        if choice.type in PRIMITIVES:
            return self._primitive(facts, element, choice)
        check = self._value(facts, element, choice)
        if found := self._constraints(element, choice):
            check = members.both(check, found)
        return (members.repeated if element.repeats else members.single)(element.name, check)

    def _primitive(self, facts: StructureFacts, element: ElementFacts, choice: Choice) -> MemberCheck:
        bound = binding(element.value_set, self.definitions) if element.value_set and choice.type in CODED else None
        make = members.primitives if element.repeats else members.primitive
        check = make(element, choice, PRIMITIVES[choice.type], bound)
        if facts.name == "Reference" and element.name == "reference":
            return members.also(check, element.name, check_reference)
        found = self._constraints(element, choice)
        return members.also(check, element.name, found) if found else check

    def _constraints(self, element: ElementFacts, choice: Choice) -> ValueCheck | None:
        several = len(element.choices) > 1
        return constraint_check(element.invariants, choice.type, self.definitions, chosen=several)

    def _value(self, facts: StructureFacts, element: ElementFacts, choice: Choice) -> ValueCheck:
        if choice.type == "Resource":
            return self._contained if element.name == "contained" else self._below
        check = self[choice.type]
        if choice.type == "Extension" and self._extension_check is not None:
            return members.both(check, self._extension_check(facts.name, element.name == "modifierExtension"))
        if choice.type == "Reference" and choice.targets:
            check = members.both(check, target_check(choice.targets, self.definitions.resource_types))
        if choice.targets == ("SimpleQuantity",):
            check = members.both(check, _simple_quantity)
        if element.value_set and choice.type in CODED:
            bound = binding(element.value_set, self.definitions, optional=element.code_optional)
            check = members.both(check, members.coded(bound))
        if element.leans_on and choice.type in LEANING:
            systems = leaning(element.leans_on, self.definitions)
            check = members.both(check, members.leaning(element.leans_on, systems)) if systems else check
        return check


def _structure(
    facts: StructureFacts,
    table: dict[str, MemberCheck],
    accepted: dict[str, Callable[[str], object]],
    rules: list[ValueCheck],
) -> ValueCheck:
    """Return the check of an object; `table`, `accepted` and `rules` are filled later."""
    get, accepts = table.get, accepted.get
    name, is_extension = facts.name, facts.name == "Extension"
    may_be_id_only = facts.kind not in ("complex", "backbone")
    required = tuple(e.name for e in facts.elements.values() if e.min and len(e.choices) == 1)
    choices = tuple(_Choices(e) for e in facts.elements.values() if len(e.choices) > 1)
    any_choice = frozenset(n for choice in choices for n in choice.names)

    def run(node: Any, context: Context) -> Problems | None:
        if type(node) is not dict:
            return _no_object(node)
        problems: Problems | None = None
        for key, value in node.items():
            if type(value) is str and (accept := accepts(key)) is not None and accept(value):
                continue
            member = get(key)
            if member is None:
                text = f"is not an element of {name}; remove it or correct its name."
                problems = joined(problems, problem("structure", text, key))
            else:
                found = member(value, node, context)
                if found is not None:
                    problems = joined(problems, found)
        for key in required:
            if key not in node and f"_{key}" not in node:
                problems = joined(problems, problem("required", "is required; send it.", key))
        if choices and not (is_extension and _is_ordinary(node)):
            given = node.keys() & any_choice
            for choice in choices:
                if (more := choice.check(given)) is not None:
                    problems = joined(problems, more)
            if is_extension and ("extension" in node) == bool(given):
                text = "has both or neither of a value and extensions; send exactly one of the two."
                problems = joined(problems, problem("invariant", text))
        if len(node) < 2 and (not node or (not may_be_id_only and "id" in node)):
            problems = joined(problems, problem("structure", "is empty; give it content or leave it out."))
        if problems is not None:
            _settle(name, problems)
        if rules and (problems is None or not _has_errors(problems)) and (more := rules[0](node, context)) is not None:
            problems = joined(problems, more)
        return problems

    return run


def _is_ordinary(extension: dict[str, Any]) -> bool:
    """Say whether an extension is a url and one other member that can only be its value or its extensions."""
    return len(extension) == 2 and "url" in extension and "id" not in extension and "_url" not in extension


class _Choices:
    """The members that may carry an element with several types."""

    __slots__ = ("_name", "_required", "names")

    def __init__(self, element: ElementFacts) -> None:
        self._name = element.name
        self._required = bool(element.min)
        plain = [choice.json_name for choice in element.choices]
        below = [f"_{choice.json_name}" for choice in element.choices if choice.type in PRIMITIVES]
        self.names = frozenset(plain + below)

    def check(self, given: set[str]) -> Problems | None:
        """Judge the members that are given, of this choice and of others."""
        if not given or (mine := given & self.names) == set():
            return problem("required", "is required; send it.", self._name) if self._required else None
        if len(mine) > 1 and len({name.removeprefix("_") for name in mine}) > 1:
            return problem("structure", "has values of several types; send one of them.", self._name)
        return None


def _simple_quantity(value: Any, context: Context) -> Problems | None:
    if type(value) is dict and "comparator" in value:
        return problem("invariant", "breaks the rule sqty-1: a comparator is not allowed here; leave it out.")
    return None


def _has_errors(problems: Problems) -> bool:
    return any(one.severity == "error" and one.layer == "base" for one in problems)


def _no_object(value: Any) -> Problems:
    if isinstance(value, list):
        return problem("structure", "does not repeat; send one JSON object, not an array.")
    return problem("structure", "is a structure; send a JSON object.")


def _settle(name: str, problems: Problems) -> None:
    """Note which extensions may stand where they do, seen from an object of this structure."""
    for one in problems:
        if one.contexts:
            path = ".".join([name, *(step for step in reversed(one.steps) if isinstance(step, str))][:-1])
            if path in one.contexts:
                one.contexts = frozenset()


def _in_context(problems: Problems) -> Problems | None:
    """Drop what turned out to be no problem because of where it stands."""
    kept: list[Problem] = []
    for one in problems:
        if one.contexts is None or one.contexts:
            one.contexts = None
            kept.append(one)
    return kept or None
