"""Which slice of an element a value belongs to: https://hl7.org/fhir/R4/profiling.html#discriminator"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from toro_core.definitions import Discriminator, ElementRules
from toro_core.validation.bindings import binding, fits
from toro_core.validation.compiling import Compiler
from toro_core.validation.context import Context
from toro_core.validation.patterns import pattern_test

__all__ = ["Matcher", "matcher"]

Matcher: TypeAlias = Callable[[Any, Context], bool]
"""Says whether a value belongs to the slice."""
Test: TypeAlias = Callable[[Any, Context], bool]

_STEPS: Final = re.compile(r"([A-Za-z]\w*)(?:\(([^)]*)\))?|\$this")


def matcher(discriminators: tuple[Discriminator, ...], rules: ElementRules, compiler: Compiler) -> Matcher | None:
    """Return what tells this slice, or None where the definitions do not say or the values cannot be known."""
    if (whole := _code_test(discriminators, rules)) is not None:
        return whole
    tests = []
    for discriminator in discriminators:
        test = _test(discriminator, rules, compiler)
        if test is None:
            return None
        tests.append(test)
    if len(tests) == 1:
        return tests[0]
    return (lambda value, context: all(test(value, context) for test in tests)) if tests else None


def _code_test(discriminators: tuple[Discriminator, ...], rules: ElementRules) -> Matcher | None:
    """Return a test for a fixed system and code of a coding, which two discriminators tell together."""
    paths = {one.path.removesuffix(".code").removesuffix(".system") for one in discriminators}
    ends = sorted(one.path.rpartition(".")[2] for one in discriminators)
    if len(discriminators) != 2 or paths != {"coding"} or ends != ["code", "system"]:
        return None
    coding = rules.children.get("coding")
    fixed = {name: child.fixed for name, child in coding.children.items()} if coding is not None else {}
    if not isinstance(fixed.get("code"), str) or not isinstance(fixed.get("system"), str):
        return None
    test = pattern_test({"coding": [{"system": fixed["system"], "code": fixed["code"]}]})
    return lambda value, context: test(value)


def _test(discriminator: Discriminator, rules: ElementRules, compiler: Compiler) -> Test | None:
    steps = _steps(discriminator.path)
    if discriminator.type == "exists":
        below = _rules_at(rules, steps)
        wanted = not (below is not None and below.max == 0)
        return lambda value, context: any(True for _ in _values(value, steps, context)) == wanted
    if discriminator.type == "type":
        return _type_test(steps, _rules_at(rules, steps))
    if discriminator.type == "profile":
        below = _rules_at(rules, steps)
        return _profile_test(steps, below, compiler) if below is not None and below.profiles else None
    return _value_test(steps, rules, compiler)


def _type_test(steps: tuple[str, ...], rules: ElementRules | None) -> Test | None:
    if rules is None or not rules.types:
        return None
    types = frozenset(rules.types)

    def test(value: Any, context: Context) -> bool:
        found = _values(value, steps, context)
        return any(isinstance(one, dict) and one.get("resourceType") in types for one in found)

    return test


def _profile_test(steps: tuple[str, ...], rules: ElementRules, compiler: Compiler) -> Test:
    check = compiler.one_of(rules.profiles)

    def test(value: Any, context: Context) -> bool:
        for one in _values(value, steps, context):
            found = check(one, context)
            if found is None or all(problem.severity != "error" for problem in found):
                return True
        return False

    return test


def _value_test(steps: tuple[str, ...], rules: ElementRules, compiler: Compiler) -> Test | None:
    """Test the values at the path by the first fixed value, pattern or binding on the way there."""
    if steps == ("url",) and rules.profiles:
        url = rules.profiles[0]
        return lambda value, context: isinstance(value, dict) and value.get("url") == url
    at: ElementRules | None = rules
    for done in range(len(steps) + 1):
        if at is None:
            return None
        if (judge := _judge(at, compiler)) is not None:
            return _at(steps[:done], judge)
        if done < len(steps):
            at = _child(at, steps[done])
    return _spread(rules, steps, compiler)


def _spread(rules: ElementRules, steps: tuple[str, ...], compiler: Compiler) -> Test | None:
    """Test by all that is fixed below the path."""
    at = _rules_at(rules, steps)
    tests = [_at(path, judge) for path, judge in _judges(at, compiler)] if at is not None else []
    if not tests:
        return None
    whole: Callable[[Any], bool]
    whole = lambda one: all(test(one, _NO_CONTEXT) for test in tests)  # noqa: E731
    return _at(steps, whole)


def _judges(rules: ElementRules, compiler: Compiler) -> Iterator[tuple[tuple[str, ...], Callable[[Any], bool]]]:
    for name, child in rules.children.items():
        if (judge := _judge(child, compiler)) is not None:
            yield (name,), judge
        else:
            yield from (((name, *path), judge) for path, judge in _judges(child, compiler))


def _judge(rules: ElementRules, compiler: Compiler) -> Callable[[Any], bool] | None:
    if rules.fixed is not None:
        fixed = rules.fixed
        return lambda value: bool(value == fixed)
    if rules.pattern is not None:
        return pattern_test(rules.pattern)
    for one in rules.slices.values():
        if one.min and (judge := _judge(one, compiler)) is not None:
            return judge
    if rules.value_set is not None:
        bound = binding(rules.value_set, compiler.definitions)
        if bound.systems is not None:
            return lambda value: fits(value, bound)
    return None


def _at(steps: tuple[str, ...], judge: Callable[[Any], bool]) -> Test:
    if not steps:
        return lambda value, context: judge(value)
    if len(steps) == 1 and "(" not in steps[0]:
        (step,) = steps

        def test_member(value: Any, context: Context) -> bool:
            below = value.get(step) if type(value) is dict else None
            if type(below) is dict or type(below) is str:
                return judge(below)
            return any(judge(one) for one in _values(value, steps, context))

        return test_member

    def test(value: Any, context: Context) -> bool:
        return any(judge(one) for one in _values(value, steps, context))

    return test


def _steps(path: str) -> tuple[str, ...]:
    found = []
    for step in _STEPS.finditer(path):
        name, argument = step[1], step[2]
        if name == "resolve":
            found.append("resolve()")
        elif name == "extension" and argument:
            found.append(f"extension({argument.strip(chr(39))})")
        elif name and name != "ofType":
            found.append(name)
    return tuple(found)


def _child(rules: ElementRules, step: str) -> ElementRules | None:
    if step == "resolve()":
        return rules
    if step.startswith("extension("):
        url = step[10:-1]
        extensions = rules.children.get("extension")
        slices = extensions.slices.values() if extensions else ()
        return next((one for one in slices if url in one.profiles), None)
    return rules.children.get(step)


def _rules_at(rules: ElementRules, steps: tuple[str, ...]) -> ElementRules | None:
    at: ElementRules | None = rules
    for step in steps:
        at = _child(at, step) if at is not None else None
    return at


def _values(value: Any, steps: tuple[str, ...], context: Context) -> Iterator[Any]:
    """Yield what a path leads to, a choice element under any of its members."""
    if not steps:
        yield value
        return
    if not isinstance(value, dict):
        return
    step, rest = steps[0], steps[1:]
    if step == "resolve()":
        reference = value.get("reference")
        below: Any = context.resolve(reference) if isinstance(reference, str) else None
    elif step.startswith("extension("):
        all_of = value.get("extension")
        below = (
            [e for e in all_of if isinstance(e, dict) and e.get("url") == step[10:-1]]
            if isinstance(all_of, list)
            else None
        )
    else:
        below = value.get(step)
        if below is None:
            below = next((v for k, v in value.items() if k.startswith(step) and k[len(step) :][:1].isupper()), None)
    for one in below if isinstance(below, list) else () if below is None else (below,):
        yield from _values(one, rest, context)


_NO_CONTEXT: Final = Context({})
