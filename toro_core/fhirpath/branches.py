"""Branches: what an expression compiles to, one for each static type its values can have.

A raw JSON value does not say its FHIR type, so a collection of mixed types is never built: `Observation.value` is eleven
branches, one a JSON member. A branch separates the members to walk (`path`) from the rest, so that an extractor can walk
the members of many expressions at once and leave out what a resource does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Branch", "Run", "closure", "filtered", "merged", "sealed", "stepped"]

Items: TypeAlias = "list[Any]"
Run: TypeAlias = "Callable[[Items], Items]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Values of `type`: those at the JSON members `path` below the input, then `run` over them.

    Below a non-empty path `run` treats each value by itself, so it may be given them in parts; with an empty path it is
    given the whole input. None leaves the values as they are. `element` is the name of the element last stepped to,
    `Patient.gender`, and `value_set` its required binding; `repeats` says whether there can be more than one value. Where `run`
    does nothing but keep the references to one type of resource, `target` names that type.
    """

    type: str
    path: tuple[str, ...] = ()
    run: Run | None = None
    element: str | None = None
    value_set: str | None = None
    repeats: bool = False
    target: str | None = None


def closure(branch: Branch) -> Run:
    """Return what computes the branch's values from the input."""
    run: Run | None = None
    for member in branch.path:
        run = _composed(run, _step(member))
    return _composed(run, branch.run) if branch.run else run or _same


def merged(branches: Sequence[Branch]) -> Run:
    """Return what computes the values of all branches, one branch after the other."""
    runs = [closure(branch) for branch in branches]
    if len(runs) == 1:
        return runs[0]
    return lambda items: [value for run in runs for value in run(items)]


def stepped(branch: Branch, member: str) -> tuple[tuple[str, ...], Run | None]:
    """Return path and run of the branch followed by a JSON member."""
    if branch.run is None:
        return (*branch.path, member), None
    return branch.path, _composed(branch.run, _step(member))


def filtered(branch: Branch, keep: Callable[[Any], bool]) -> Run:
    """Return the run of the branch that keeps only some values."""
    return _composed(branch.run, lambda items: [item for item in items if keep(item)])


def sealed(branch: Branch, function: Run) -> Run:
    """Return a run over the whole input for a function that looks at all values at once."""
    return _composed(closure(branch), function)


def _same(items: Items) -> Items:
    return items


def _composed(first: Run | None, second: Run) -> Run:
    if first is None or first is _same:
        return second
    return lambda items: second(first(items))


def _step(member: str) -> Run:
    def step(items: Items) -> Items:
        found: Items = []
        for item in items:
            value = item.get(member)
            if type(value) is list:
                found += [one for one in value if one is not None]
            elif value is not None:
                found.append(value)
        return found

    return step
