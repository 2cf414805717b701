"""What a profile demands of a value, compiled: only what goes beyond the type, so that it is checked beside the type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from toro_core.definitions import Choice, ElementFacts, ElementRules
from toro_core.validation.bindings import CODED, LEANING, binding, leaning
from toro_core.validation.compiling import Compiler
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems, joined, placed
from toro_core.validation.invariants import constraint_check
from toro_core.validation.limits import limit_check
from toro_core.validation.members import ValueCheck
from toro_core.validation.primitives import PRIMITIVES
from toro_core.validation.slices import slices_check
from toro_core.validation.targets import target_check
from toro_core.validation.wording import Wording, all_of

__all__ = ["RuleCompiler"]

_MANY: Final = 1 << 30


class RuleCompiler:
    """Compiles the rules of one profile, of which its messages speak by `label`."""

    def __init__(self, label: str, compiler: Compiler) -> None:
        """Compile with these other profiles at hand."""
        self._label = label
        self._say = Wording(label)
        self._compiler = compiler
        self._definitions = compiler.definitions

    def value(self, rules: ElementRules, type_name: str, *, chosen: bool = False) -> ValueCheck | None:
        """Return a check of one value of this type or backbone element, or None where nothing is demanded.

        `chosen` says that the element may have other types too.
        """
        return all_of(self._parts(rules, type_name, chosen))

    def _parts(self, rules: ElementRules, type_name: str, chosen: bool) -> Iterable[ValueCheck | None]:
        if rules.fixed is not None:
            yield self._say.fixed(rules.fixed)
        if rules.pattern is not None:
            yield self._say.pattern(rules.pattern)
        if rules.value_set is not None and type_name in CODED:
            yield self._say.bound(binding(rules.value_set, self._definitions, optional=rules.code_optional))
        if rules.leans_on is not None and type_name in LEANING:
            yield self._say.leaning(rules.leans_on, leaning(rules.leans_on, self._definitions))
        if rules.min_value is not None or rules.max_value is not None or rules.max_length is not None:
            yield limit_check(rules, self._say)
        if rules.targets and type_name == "Reference":
            yield target_check(rules.targets, self._definitions.resource_types, "profile")
        if rules.target_profiles and type_name == "Reference":
            yield self._compiler.target(rules.target_profiles, self._say)
        if rules.profiles and type_name != "Extension":
            yield self._compiler.one_of(rules.profiles)
        yield constraint_check(rules.invariants, type_name, self._definitions, "profile", chosen=chosen)
        yield self._children(rules, type_name)

    def _children(self, rules: ElementRules, type_name: str) -> ValueCheck | None:
        if not rules.children or type_name == "Resource":
            return None
        elements = self._definitions.structure(type_name).elements
        found = [self._child(elements[name], child) for name, child in rules.children.items() if name in elements]
        checks = [check for check in found if check is not None]
        if not checks:
            return None

        def run(value: Any, context: Context) -> Problems | None:
            if type(value) is not dict:
                return None
            problems: Problems | None = None
            for check in checks:
                more = check(value, context)
                if more is not None:
                    problems = joined(problems, more)
            return problems

        return run

    def _child(self, element: ElementFacts, rules: ElementRules) -> ValueCheck | None:
        """Return a check of the object that has the element."""
        if len(element.choices) > 1:
            return self._choice(element, rules)
        if element.repeats:
            return self._array(element, rules)
        return self._single(element, element.choices[0], rules)

    def _single(self, element: ElementFacts, choice: Choice, rules: ElementRules) -> ValueCheck | None:
        name, json_name, sibling = element.name, choice.json_name, f"_{choice.json_name}"
        check = self.value(rules, choice.type)
        missing = self._say.missing(name) if rules.min and not element.min else None
        prohibited = self._say.prohibited(name) if rules.max == 0 else None
        if check is None and missing is None and prohibited is None:
            return None

        def run(node: Any, context: Context) -> Problems | None:
            value = node.get(json_name)
            if value is None:
                if missing is not None and sibling not in node:
                    return missing()
                return prohibited() if prohibited is not None and sibling in node else None
            if prohibited is not None:
                return prohibited()
            if check is None:
                return None
            found = check(value, context)
            return None if found is None else placed(found, name)

        return run

    def _array(self, element: ElementFacts, rules: ElementRules) -> ValueCheck | None:
        name, json_name, sibling = element.name, element.choices[0].json_name, f"_{element.choices[0].json_name}"
        type_name = element.choices[0].type
        check = self.value(rules, type_name)
        sliced = slices_check(rules, type_name, self, self._compiler, self._label) if rules.slices else None
        low, high = rules.min or 0, _MANY if rules.max is None else rules.max
        count_text = self._say.text(
            f"has another number of values than {low}..{'*' if high == _MANY else high}; send so many."
        )
        missing = self._say.missing(name) if low and not element.min else None
        if check is None and sliced is None and high == _MANY and not low:
            return None

        def run(node: Any, context: Context) -> Problems | None:
            values = node.get(json_name)
            if type(values) is not list:
                if values is None and sibling not in node:
                    if missing is not None:
                        return missing()
                    found = sliced([], context) if sliced is not None else None
                    return None if found is None else placed(found, name)
                return None
            problems: Problems | None = None
            if not low <= len(values) <= high:
                problems = [Problem("structure", count_text, layer="profile")]
            if check is not None:
                for index, value in enumerate(values):
                    if value is not None and (found := check(value, context)) is not None:
                        problems = joined(problems, placed(found, index))
            if sliced is not None and (found := sliced(values, context)) is not None:
                problems = joined(problems, found)
            return None if problems is None else placed(problems, name)

        return run

    def _choice(self, element: ElementFacts, rules: ElementRules) -> ValueCheck | None:
        """Check an element of several types; its slices are told apart by type."""
        name = element.name
        allowed = frozenset(rules.types or (choice.type for choice in element.choices))
        if rules.slicing is not None and rules.slicing.rules == "closed" and rules.slices:
            sliced_types = {type_name for one in rules.slices.values() for type_name in one.types}
            allowed &= sliced_types or allowed
        names = {c.json_name: c for c in element.choices}
        names |= {f"_{c.json_name}": c for c in element.choices if c.type in PRIMITIVES}
        checks: dict[str, ValueCheck | None] = {}
        for choice in element.choices:
            merged = [rules, *(one for one in rules.slices.values() if choice.type in one.types)]
            plain = (replace(one, slices={}, slicing=None) for one in merged)
            checks[choice.json_name] = all_of(self.value(one, choice.type, chosen=True) for one in plain)
        wrong = self._say.text(f"has another type than {', '.join(sorted(allowed))}; send one of these.")
        low, prohibited = bool(rules.min) and not element.min, rules.max == 0
        demanded = [(t, one) for one in rules.slices.values() if one.min for t in one.types[:1]]
        if (
            not low
            and not prohibited
            and not demanded
            and not any(checks.values())
            and len(allowed) == len(element.choices)
        ):
            return None

        usual = next(c.json_name for c in element.choices if c.type in allowed) if allowed else ""
        usual_check = checks.get(usual) if not prohibited and not demanded else _never_usual

        def run(node: Any, context: Context) -> Problems | None:
            if usual in node and usual_check is not _never_usual:
                # Another type beside it breaks FHIR R4 and is told elsewhere.
                found = usual_check(node[usual], context) if usual_check is not None else None
                return None if found is None else placed(found, name)
            given = [key for key in node if key in names]
            if not given:
                return self._say.missing(name)() if low or demanded else None
            if prohibited:
                return self._say.prohibited(name)()
            problems: Problems | None = None
            for json_name in given:
                choice = names[json_name]
                if choice.type not in allowed:
                    problems = joined(problems, [Problem("structure", wrong, name, layer="profile")])
                elif (check := checks.get(json_name)) is not None and (
                    found := check(node[json_name], context)
                ) is not None:
                    problems = joined(problems, placed(found, name))
            for type_name, _ in demanded:
                if not any(names[json_name].type == type_name for json_name in given):
                    text = self._say.text(f"has no value of type {type_name}; send one.")
                    problems = joined(problems, [Problem("required", text, name, layer="profile")])
            return problems

        return run


def _never_usual(value: Any, context: Context) -> Problems | None:
    """Stand for the check of a usual type where there is none."""
