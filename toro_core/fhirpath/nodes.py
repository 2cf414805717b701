"""The syntax tree of FHIRPath 2.0: http://hl7.org/fhirpath/N1/#formal-specifications"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal, TypeAlias

from toro_core.fhirpath.quantities import Quantity

__all__ = [
    "Binary",
    "Call",
    "Constant",
    "Empty",
    "External",
    "Index",
    "Member",
    "Node",
    "Quantity",
    "Sign",
    "Temporal",
    "TypeTest",
    "Variable",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Temporal:
    """A date, dateTime or time literal as written, without its `@`."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: bool | int | Decimal | str | Quantity | Temporal


@dataclass(frozen=True, slots=True)
class Empty:
    """The empty collection, `{}`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """`%name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`, or `name` alone: a member of the input or the input's type."""

    of: Node | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`of.name(arguments)`, or `name(arguments)` on the input."""

    of: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`of[position]`."""

    of: Node
    position: Node


@dataclass(frozen=True, slots=True)
class Sign:
    """`+operand` or `-operand`."""

    sign: Literal["+", "-"]
    operand: Node


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type` or `operand as type`."""

    operator: Literal["is", "as"]
    operand: Node
    type: str


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


Node: TypeAlias = Binary | Call | Constant | Empty | External | Index | Member | Sign | TypeTest | Variable
"""Any node."""


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it."""
    yield node
    for field in fields(node):
        value = getattr(node, field.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Node):
                yield from walk(inner)
