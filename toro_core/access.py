"""What a caller may do: grants become clauses that are folded into every plan. What no grant allows is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from toro_core.auth.scopes import Grant, spell
from toro_core.caller import Caller
from toro_core.errors import ToroError
from toro_core.search.evaluate import matches
from toro_core.search.plan import AllOf, AnyOf, Criterion
from toro_core.storage import Key, Rows

__all__ = ["Access", "CompileConstraint", "Decision", "Forbidden", "permits", "sees_everything"]

CompileConstraint: TypeAlias = Callable[[str, str], Criterion]
"""Compiles a scope's constraint: (resource type, query such as `category=…|laboratory`). Raises ToroError where it cannot."""

_EVERYTHING: Final = AllOf(())


class Forbidden(ToroError):
    """The access token does not allow this; ask for a token with the scope that does."""

    reason = "INSUFFICIENT_SCOPE"
    issue = "forbidden"

    def __init__(self, scope: str) -> None:
        """Name the scope that is missing, such as `system/Observation.r`."""
        super().__init__(f"the access token does not allow this; it needs the scope {scope}")
        self.scope = scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The caller may do it to resources for which the clause holds; to the others it is as if they did not exist."""

    clause: Criterion

    @property
    def unconstrained(self) -> bool:
        """Say whether it holds for every resource of the type."""
        return self.clause == _EVERYTHING


_UNCONSTRAINED: Final = Decision(clause=_EVERYTHING)


class Access:
    """Decides what callers may do."""

    def __init__(self, compile_constraint: CompileConstraint) -> None:
        """Compile the constraints of granular scopes with this."""
        self._compile = lru_cache(maxsize=1024)(lambda type_, query: compiled(compile_constraint, type_, query))

    def decide(self, caller: Caller, resource_type: str, permissions: str) -> Decision:
        """Decide whether the caller has every one of the permissions, letters of "cruds", on the type. Raises Forbidden."""
        clauses: dict[Criterion, None] = {}
        missing = ""
        for permission in permissions:
            clause = self._clause(caller, resource_type, permission)
            if clause is None:
                missing += permission
            elif clause != _EVERYTHING:
                clauses[clause] = None
        if missing or not permissions:
            raise Forbidden(spell(Grant(type=resource_type, permissions=missing or "cruds")))
        if not clauses:
            return _UNCONSTRAINED
        return Decision(clause=next(iter(clauses)) if len(clauses) == 1 else AllOf(tuple(clauses)))

    def visible(self, caller: Caller, resource_type: str) -> Criterion | None:
        """Return what of a type the caller may both read and search, as chains and includes need it; None for nothing."""
        try:
            return self.decide(caller, resource_type, "rs").clause
        except Forbidden:
            return None

    def _clause(self, caller: Caller, resource_type: str, permission: str) -> Criterion | None:
        alternatives: dict[Criterion, None] = {}
        for grant in caller.grants:
            if grant.type not in ("*", resource_type) or permission not in grant.permissions:
                continue
            if not grant.query:
                return _EVERYTHING
            if (clause := self._compile(resource_type, grant.query)) is not None:
                alternatives[clause] = None
        return AnyOf(tuple(alternatives)) if alternatives else None


def compiled(compile_constraint: CompileConstraint, resource_type: str, query: str) -> Criterion | None:
    """Compile a constraint; None where it cannot be compiled or constrains nothing, for which nobody is let in."""
    try:
        clause = compile_constraint(resource_type, query)
    except ToroError:
        return None
    return None if clause == _EVERYTHING else clause


def permits(decision: Decision, key: Key, at: int, rows: Rows) -> bool:
    """Say whether the clause holds for this content: for a write the new one, for an update the old one as well."""
    return decision.unconstrained or matches(decision.clause, key, at, rows)


def sees_everything(caller: Caller) -> bool:
    """Say whether the caller may read and search every resource of every type."""
    granted = {
        letter for grant in caller.grants if grant.type == "*" and not grant.query for letter in grant.permissions
    }
    return {"r", "s"} <= granted
