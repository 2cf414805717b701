"""Checks of one member of an object. Each is made once per element and called for every value.

A member's check takes (value, the object it is a member of, the context); a value's check takes (value, context).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from toro_core.definitions import Choice, ElementFacts
from toro_core.validation.bindings import Binding, fits, leaves
from toro_core.validation.context import Context
from toro_core.validation.findings import Problems, joined, placed, problem
from toro_core.validation.primitives import Primitive

__all__ = [
    "LEAVES",
    "MemberCheck",
    "ValueCheck",
    "also",
    "both",
    "coded",
    "leaning",
    "nothing",
    "primitive",
    "primitives",
    "repeated",
    "siblings",
    "single",
]

ValueCheck: TypeAlias = Callable[[Any, Context], "Problems | None"]
MemberCheck: TypeAlias = Callable[[Any, dict[str, Any], Context], "Problems | None"]


LEAVES: Final = (
    "has a code that its system does not have, all of which is in the value set {url}; send one of its codes."
)
"""What is said of a code beside those of an extensible binding."""


def nothing(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
    """Accept any value."""


def both(first: ValueCheck, second: ValueCheck) -> ValueCheck:
    """Make both checks of a value."""

    def run(value: Any, context: Context) -> Problems | None:
        found, more = first(value, context), second(value, context)
        return found if more is None else joined(found, more)

    return run


def also(check: MemberCheck, name: str, second: ValueCheck) -> MemberCheck:
    """Check a member and, where it is sound, its value once more."""

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        found = check(value, node, context)
        if found is not None or type(value) is list:
            return found
        found = second(value, context)
        return None if found is None else placed(found, name)

    return run


def single(name: str, check: ValueCheck) -> MemberCheck:
    """Check the one value of the element `name`."""

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        found = check(value, context)
        return None if found is None else placed(found, name)

    return run


def repeated(name: str, check: ValueCheck) -> MemberCheck:
    """Check an array and each value in it."""

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        if type(value) is not list or not value:
            return placed(_no_array(value), name)
        problems: Problems | None = None
        for index, item in enumerate(value):
            found = check(item, context)
            if found is not None:
                problems = joined(problems, placed(found, index))
        return None if problems is None else placed(problems, name)

    return run


def coded(bound: Binding) -> ValueCheck:
    """Ask for a code of the value set; an extension may say why there is none."""
    if not bound.known:
        text = f"is bound to the value set {bound.url}, whose codes are not loaded; its code was not checked."
        return lambda value, context: problem("informational", text, severity="information")
    text = f"has no code of the value set {bound.url}; send one of its codes."

    def run(value: Any, context: Context) -> Problems | None:
        return None if fits(value, bound) else problem("code-invalid", text)

    return run


def leaning(url: str, systems: Mapping[str, frozenset[str]]) -> ValueCheck:
    """Warn of a code that is none of its system, in an extensible binding; codes of other systems are as good as any."""
    text = LEAVES.format(url=url)

    def run(value: Any, context: Context) -> Problems | None:
        return problem("code-invalid", text, severity="warning") if leaves(value, systems) else None

    return run


def primitive(element: ElementFacts, choice: Choice, kind: Primitive, bound: Binding | None) -> MemberCheck:
    """Check one primitive value and, where it is bound, that it is one of the codes."""
    name, test = element.name, kind.test
    if bound is not None and bound.systems is not None:
        codes = bound.codes

        def run_code(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
            if type(value) is str and value in codes:
                return None
            return placed(_refused(value, choice, kind, bound), name)

        return run_code
    if bound is not None:

        def run_form(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
            found = _refused(value, choice, kind, bound)
            return placed(found, name) if found else None

        return run_form

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        return None if test(value) else placed(_refused(value, choice, kind, None), name)

    return run


def primitives(element: ElementFacts, choice: Choice, kind: Primitive, bound: Binding | None) -> MemberCheck:
    """Check an array of primitive values, null where the array of their extensions fills the hole."""
    name, test = element.name, kind.test
    sibling = f"_{choice.json_name}"

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        if type(value) is not list or not value:
            return placed(_no_array(value), name)
        problems: Problems | None = None
        for index, item in enumerate(value):
            if bound is None and test(item):
                continue
            if item is not None:
                found = _refused(item, choice, kind, bound)
            elif not _fills(node.get(sibling), index):
                found = problem("structure", f"is null; send a value, or an object at this index of {sibling}.")
            else:
                continue
            if found:
                problems = joined(problems, placed(found, index))
        return None if problems is None else placed(problems, name)

    return run


def siblings(name: str, json_name: str, check: ValueCheck) -> MemberCheck:
    """Check the array `_x` beside an array of primitives `x`: as long, null where a value needs no extension."""

    def run(value: Any, node: dict[str, Any], context: Context) -> Problems | None:
        if type(value) is not list or not value:
            return placed(_no_array(value), name)
        problems: Problems | None = None
        values = node.get(json_name)
        if type(values) is list and len(values) != len(value):
            text = f"has arrays {json_name} and _{json_name} of different length; fill with null."
            problems = problem("structure", text)
        for index, item in enumerate(value):
            if item is not None:
                found = check(item, context)
            elif values is None:
                found = problem("structure", f"is null in _{json_name} and has no value; leave it out.")
            else:
                continue
            if found is not None:
                problems = joined(problems, placed(found, index))
        return None if problems is None else placed(problems, name)

    return run


def _refused(value: Any, choice: Choice, kind: Primitive, bound: Binding | None) -> Problems:
    """Say what is wrong with a primitive value, if anything is."""
    if not kind.is_json_type(value):
        found = "null" if value is None else "an array" if isinstance(value, list) else "another JSON type"
        return problem("structure", f"is of type {choice.type}, but {found} was sent; send one JSON {kind.json_type}.")
    if not kind.test(value):
        return problem("value", f"is no valid {choice.type}; send {kind.rule}.")
    if bound is None:
        return []
    if not bound.known:
        text = f"is bound to the value set {bound.url}, whose codes are not loaded; its code was not checked."
        return problem("informational", text, severity="information")
    if not bound.has_code(value):
        return problem("code-invalid", f"has a code outside of the value set {bound.url}; send one of its codes.")
    return []


def _fills(sibling: Any, index: int) -> bool:
    return isinstance(sibling, list) and index < len(sibling) and sibling[index] is not None


def _no_array(value: Any) -> Problems:
    if type(value) is list:
        return problem("structure", "is an empty array; give it content or leave it out.")
    return problem("structure", "repeats; send a JSON array.")
