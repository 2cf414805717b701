"""What an operation is: the contract of the core's own and of those that plugins add.

An operation acts through `Invocation.resources`, which lets it do what the caller may do and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from toro_core.caller import Caller
from toro_core.errors import Issue, ToroError
from toro_core.search.query import Parameter
from toro_core.storage import Key, Stored

__all__ = [
    "Answer",
    "Arguments",
    "InvalidArguments",
    "Invocation",
    "Level",
    "Operation",
    "OperationFacts",
    "ParameterFacts",
    "Resources",
    "ResultPage",
]

Level = Literal["system", "type", "instance"]


class InvalidArguments(ToroError):
    """The operation cannot be invoked like this."""

    reason = "INVALID_OPERATION"
    issue = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterFacts:
    """An input parameter: `type` is a FHIR type, `max` 1 or None for any number."""

    name: str
    type: str
    min: int = 0
    max: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFacts:
    """What the OperationDefinition says. https://hl7.org/fhir/R4/operationdefinition.html

    `code` is without the dollar sign; no `types` mean every type. `permissions`, letters of "cruds", are what the caller needs on
    the type, checked before the operation is invoked; on the whole system, on every type.
    """

    code: str
    url: str
    levels: tuple[Level, ...]
    types: tuple[str, ...] = ()
    parameters: tuple[ParameterFacts, ...] = ()
    permissions: str = ""
    affects_state: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What the operation was invoked with, checked by its facts.

    `texts` holds values of simple types as FHIR writes them, a Coding as `system|code`, a Reference as its reference; `trees` holds
    everything else as JSON.
    """

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trees: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return the one value of a parameter, "" where it is not given."""
        return next(iter(self.texts.get(name, ())), "")

    def flag(self, name: str) -> bool:
        """Return the value of a boolean parameter, False where it is not given."""
        return self.text(name) == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """A page of resources, in REST a Bundle of type searchset: what was asked for, then what comes with it."""

    matches: Sequence[Stored]
    included: Sequence[Stored] = ()
    next_page_token: str = ""
    total: int | None = None
    issues: tuple[Issue, ...] = ()
    applied: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A resource as FHIR JSON: the one that is returned, or Parameters; and what the operation stored, if anything."""

    json: bytes
    stored: Stored | None = None


class Resources(Protocol):
    """The server's resources as the caller may see and change them. Every method raises ToroError."""

    async def read(self, key: Key) -> Stored:
        """Return the current version."""

    async def search(self, resource_type: str, parameters: Sequence[Parameter], page_token: str = "") -> ResultPage:
        """Return a page of what matches; the next one with its token and no parameters."""

    async def put(self, key: Key, json: bytes) -> Stored:
        """Store a new version, or the first one, under this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One invocation. `type` is "" on the whole system; `target` is the resource where it is invoked on one."""

    level: Level
    type: str = ""
    id: str = ""
    target: Stored | None = None
    arguments: Arguments = Arguments()
    resources: Resources
    caller: Caller
    base_url: str
    """FHIR base URL of the server, without a slash at its end."""
    readable: frozenset[str] | None = None
    """Types that may be part of the answer; None for no limit."""
    creatable: frozenset[str] | None = None
    """Types that may be stored; None for no limit."""
    page_token: str = ""


class Operation(Protocol):
    """An operation."""

    @property
    def facts(self) -> OperationFacts:
        """What it is."""

    async def invoke(self, invocation: Invocation) -> ResultPage | Answer:
        """Do it. Raises ToroError: `InvalidArguments` for what the caller did wrong."""
