"""Which versions go out, judged by each one's own content, and in what form."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from toro_core.access import Access, Decision, permits, sees_everything
from toro_core.auth.scopes import grants_of
from toro_core.bulk.asking import SUPPORTING, compartment_types
from toro_core.bulk.job import Ask, Job
from toro_core.caller import Caller
from toro_core.json import JsonObject, loads
from toro_core.lines import on_one_line
from toro_core.search.combine import any_of
from toro_core.search.evaluate import matches
from toro_core.search.extract import Extractor
from toro_core.search.parse import SearchParser
from toro_core.search.plan import Criterion
from toro_core.search.query import Parameter
from toro_core.search.subset import Subset
from toro_core.storage import Key, Lines, Stored

__all__ = ["Selection", "Tools"]

_LINK: Final = b'"url":"Binary/'
_WIDE: Final = re.compile("[\u0080-\U0010ffff]")


class Tools:
    """What selections are made with."""

    def __init__(self, extractor: Extractor, parser: SearchParser, access: Access, *, ascii_only: bool = False) -> None:
        """Extract, parse and decide with these; escape what is not ASCII where `ascii_only`."""
        self.extractor = extractor
        self.parser = parser
        self.access = access
        self.ascii_only = ascii_only


class Selection:
    """What one export selects."""

    def __init__(self, job: Job, tools: Tools, patients: Collection[str] | None) -> None:
        """Select for the job; `patients` are those whose compartments are exported, None all of them."""
        ask = job.ask
        self.ask: Final = ask
        self.patients: Final = patients
        self._only: Final = frozenset(patients) if patients is not None and ask.patients is not None else None
        self._group: Final = ask.groups[0][0] if ask.groups else ""
        self._extractor = tools.extractor
        definitions = tools.extractor.definitions
        self._ascii = tools.ascii_only
        self._of_device = {part.param for part in tools.extractor.layout("Device").searchables["patient"].parts}
        caller = Caller(client_id=job.owner, grants=grants_of(job.scopes))
        self._sees_everything = sees_everything(caller)
        self._decisions = {name: tools.access.decide(caller, name, "rs") for name in ask.types}
        self._filters = {name: found for name in ask.types if (found := _criterion(ask, name, tools.parser))}
        self._subsets = {name: Subset(definitions, "false", _elements(ask, name)) for name in ask.types}
        by_patient = ask.level != "system"
        members = compartment_types(definitions) if by_patient else frozenset(ask.types)
        # Provenance is about other resources: whether it goes out depends on those.
        later = {"Provenance"} if by_patient or ask.provenance else set()
        self.scanned: Final = frozenset(ask.types) & members - later
        """The types whose own versions say whether they go out."""
        self.supporting: Final = frozenset(ask.types) & SUPPORTING - later if by_patient else frozenset()
        """The types that go out where exported resources refer to them."""
        self.provenance: Final = bool(later) and "Provenance" in ask.types
        self.by_patient: Final = by_patient
        self._plain: Final = frozenset(name for name in self.scanned if not by_patient and self._is_plain(name))
        unbounded = ask.since is None and ask.until is None and not ask.elements and not self._ascii
        self.copies: Final = bool(self._plain) and self._plain == self.scanned and unbounded
        """Whether all that is current goes out, but for a few links as it is stored."""
        self.references = _finder(self.supporting, ask.base) if self.supporting else None

    def _is_plain(self, name: str) -> bool:
        unhidden = name != "Binary" or self._sees_everything
        return unhidden and self._decisions[name].unconstrained and name not in self._filters

    def copied(self, lines: Lines) -> bytes:
        """Return versions as they go out where `copies`, each on one line."""
        if lines.resources == 1:
            return self.line(lines.type, lines.json)
        if _LINK not in lines.json:
            return lines.json
        return b"\n".join([self.line(lines.type, json) for json in lines.json.split(b"\n")])

    def is_plain(self, name: str) -> bool:
        """Say whether every version of the type goes out."""
        return name in self._plain

    def in_time(self, at: int) -> bool:
        """Say whether what was stored then is asked for."""
        ask = self.ask
        return (ask.since is None or at > ask.since) and (ask.until is None or at < ask.until)

    def takes(self, stored: Stored) -> bool:
        """Say whether a version of a scanned type goes out, by its content; its time and its deletion are not looked at."""
        name = stored.key.type
        if name in self._plain:
            return True
        resource = loads(stored.json)
        if self.by_patient and not self._is_in_compartment(stored.key, resource):
            return False
        return self.allows(stored, resource)

    def allows(self, stored: Stored, resource: JsonObject | None = None) -> bool:
        """Say whether grants and filters let a version out; a Binary with a security context goes to who sees everything."""
        if stored.key.type == "Binary" and not self._sees_everything:
            resource = loads(stored.json) if resource is None else resource
            if "securityContext" in resource:
                return False
        decision: Decision = self._decisions[stored.key.type]
        criterion = self._filters.get(stored.key.type)
        if decision.unconstrained and criterion is None:
            return True
        rows = self._extractor.rows(loads(stored.json) if resource is None else resource)
        return permits(decision, stored.key, stored.at, rows) and (
            criterion is None or matches(criterion, stored.key, stored.at, rows)
        )

    def _is_in_compartment(self, key: Key, resource: JsonObject) -> bool:
        if key.type == "Group" and self._group:
            # Other Groups tell who else is in them.
            return key.id == self._group and self.of_patients(self.compartments(resource))
        return self.of_patients(self.compartments(resource))

    def of_patients(self, compartments: Collection[str]) -> bool:
        """Say whether a resource in these compartments is of the patients exported, and where they were named of no other."""
        if self.patients is None:
            return bool(compartments)
        if self._only is not None and not self._only.issuperset(compartments):
            return False
        return any(patient in self.patients for patient in compartments)

    def compartments(self, resource: JsonObject) -> Collection[str]:
        """Return the ids of the patients in whose compartments a resource lies."""
        if resource["resourceType"] == "Device":
            rows = self._extractor.references_in(resource, self._of_device)
            return {row.id for row in rows if row.type == "Patient"}
        return self._extractor.compartments(resource)

    def may_support(self, resource: JsonObject) -> bool:
        """Say whether a resource that is referred to is of nobody else than the patients exported."""
        compartments = self.compartments(resource)
        return not compartments or self.of_patients(compartments)

    def line(self, resource_type: str, json: bytes) -> bytes:
        """Return a version as it goes out, on one line."""
        json = self._subsets[resource_type](json)
        if _LINK in json and resource_type != "Bundle":
            json = json.replace(_LINK, f'"url":"{self.ask.base}/Binary/'.encode())
        json = on_one_line(json)
        if self._ascii and not json.isascii():
            json = _WIDE.sub(_escaped, json.decode()).encode()
        return json


def _criterion(ask: Ask, name: str, parser: SearchParser) -> Criterion | None:
    """Return what a type's filters come to: any of them has to hold."""
    queries = [
        parser.parse(
            name, [Parameter(code=one.code, modifier=one.modifier, values=one.values) for one in asked.clauses]
        )
        for asked in ask.filters
        if asked.type == name
    ]
    return any_of([query.criterion for query in queries]) if queries else None


def _elements(ask: Ask, name: str) -> list[str]:
    split = [text.rpartition(".") for text in ask.elements]
    return [element for type_, _, element in split if type_ in ("", name)]


def _finder(types: Collection[str], base: str) -> Callable[[bytes], list[bytes]]:
    """Return what finds the references to these types in JSON, each as `Type/id`."""
    pattern = rf'"reference":"(?:{re.escape(base)}/)?((?:{"|".join(sorted(types))})/[A-Za-z0-9.-]{{1,64}})["/]'
    return re.compile(pattern.encode()).findall


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
