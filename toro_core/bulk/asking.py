"""What a kick-off asks for, understood or refused. https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Final

from toro_core.access import Access, Forbidden
from toro_core.bulk.errors import InvalidExport
from toro_core.bulk.job import Ask, Clause, Filter, Format, Level, Provenance
from toro_core.caller import Caller
from toro_core.definitions import Definitions
from toro_core.errors import Issue, Severity
from toro_core.search.parse import SearchParser
from toro_core.search.query import InvalidSearch, Parameter
from toro_core.search.results import RESULT_PARAMETERS
from toro_core.v1 import ExportLevel, Handling, StartExportRequest

__all__ = ["SUPPORTING", "Asking", "compartment_types"]

SUPPORTING: Final = frozenset(
    ("Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Provenance", "Specimen")
)
"""Types that go out at Patient and Group level where the resources of patients refer to them, or Provenance is about those."""

_LEVELS: Final[dict[int, Level]] = {
    ExportLevel.EXPORT_LEVEL_SYSTEM: "system",
    ExportLevel.EXPORT_LEVEL_PATIENT: "patient",
    ExportLevel.EXPORT_LEVEL_GROUP: "group",
}
_FORMATS: Final[dict[str, Format]] = {
    "": "ndjson",
    "application/fhir+ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "ndjson": "ndjson",
    "application/vnd.apache.parquet": "parquet",
    "parquet": "parquet",
}
_ASSOCIATED: Final = ("LatestProvenanceResources", "RelevantProvenanceResources")
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+ -]\d\d:\d\d))?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ELEMENT: Final = re.compile(r"(?:([A-Z][A-Za-z]*)\.)?([a-z][A-Za-z0-9]*)", re.ASCII)


def compartment_types(definitions: Definitions) -> frozenset[str]:
    """Return the types whose resources lie in patients' compartments, and Device, which R4 leaves out of them.

    US Core's implantable devices are a patient's own: a Device goes where its `patient` goes.
    """
    own = ("Patient", "Device")
    return frozenset(name for name in definitions.resource_types if name in own or definitions.compartment(name))


class Asking:
    """Understands kick-offs."""

    def __init__(self, definitions: Definitions, parser: SearchParser, access: Access) -> None:
        """Know the types, how filters are parsed, and what callers may have."""
        self._definitions = definitions
        self._parser = parser
        self._access = access

    def understood(self, caller: Caller, request: StartExportRequest) -> tuple[Ask, tuple[Issue, ...]]:
        """Return what is asked for, without the patients, and what was left out of it by leniency.

        Raises InvalidExport, Forbidden.
        """
        level = _LEVELS.get(request.level)
        if level is None:
            raise InvalidExport("Say whether the system, all patients or a Group is exported.")
        notes = _Notes(lenient=request.handling == Handling.HANDLING_LENIENT)
        for name in request.unknown:
            notes.say("not-supported", f"Parameter `{_shown(name)}` is not supported; leave it out.")
        since, until = _moment("_since", request.since, up=False), _moment("_until", request.until, up=True)
        types = self._types(caller, request, level, notes)
        provenance = _provenance(request.associated_data, notes)
        if provenance and "Provenance" not in types and self._may_have(caller, request, "Provenance"):
            types = (*types, "Provenance")
        ask = Ask(
            level=level,
            types=types,
            since=since,
            until=until,
            filters=self._filters(request, types, notes),
            elements=self._elements(request.elements, notes),
            provenance=provenance if "Provenance" in types else "",
            format=_format(request.output_format),
            url=request.request_url,
            base=request.base_url.rstrip("/"),
        )
        if notes.errors:
            raise InvalidExport(issues=tuple(notes.errors))
        return ask, tuple(notes.notes)

    def _may_have(self, caller: Caller, request: StartExportRequest, name: str) -> bool:
        return self._is_offered(request, name) and self._access.visible(caller, name) is not None

    @staticmethod
    def _is_offered(request: StartExportRequest, name: str) -> bool:
        return not request.exposed_types or name in request.exposed_types

    def _types(self, caller: Caller, request: StartExportRequest, level: Level, notes: _Notes) -> tuple[str, ...]:
        known = self._definitions.resource_types
        members = known if level == "system" else compartment_types(self._definitions)
        possible = known if level == "system" else members | SUPPORTING
        asked = [name for text in request.types for name in [text.strip()] if name]
        if not asked:
            # A patient's Binary goes out as the DocumentReference that links to it.
            found = [name for name in sorted(possible - {"Binary"}) if self._may_have(caller, request, name)]
            if not found:
                raise Forbidden("system/*.rs")
            return tuple(found)
        found, forbidden = [], ""
        for name in dict.fromkeys(asked):
            if name not in known or not self._is_offered(request, name):
                notes.say(
                    "not-supported",
                    f"Parameter `_type` names {_shown(name)}, which is not exported here; leave it out.",
                )
            elif name not in possible:
                notes.say(
                    "not-supported",
                    f"Parameter `_type` names {name}, which lies in no patient's compartment; leave it out.",
                )
            elif self._access.visible(caller, name) is None:
                forbidden = forbidden or name
                notes.note("forbidden", f"{name} is left out: the access token lacks system/{name}.rs.")
            else:
                found.append(name)
        if forbidden and not (notes.lenient and found):
            raise Forbidden(f"system/{forbidden}.rs")
        if not any(name in members for name in found):
            notes.fail(
                "value",
                "Parameter `_type` names only types that are not exported here, or lie in no patient's compartment.",
            )
        return tuple(found)

    def _filters(self, request: StartExportRequest, types: Sequence[str], notes: _Notes) -> tuple[Filter, ...]:
        filters = []
        for asked in request.type_filters:
            name = asked.resource_type
            if name not in types:
                notes.say(
                    "value", f"Parameter `_typeFilter` filters {_shown(name)}, which is not among the types exported."
                )
                continue
            refused = [one.code for one in asked.parameters if one.code in RESULT_PARAMETERS]
            for code in refused:
                notes.say("not-supported", f"Parameter `_typeFilter` has {code}, which filters nothing; leave it out.")
            given = [
                Parameter(code=one.code, modifier=one.modifier, values=tuple(one.values))
                for one in asked.parameters
                if one.code not in RESULT_PARAMETERS
            ]
            try:
                query = self._parser.parse(name, given, lenient=notes.lenient)
            except InvalidSearch as error:
                notes.errors += [_of_filter(name, issue) for issue in error.issues]
                continue
            notes.notes += [_of_filter(name, issue) for issue in query.issues]
            clauses = [Clause(code=one.code, modifier=one.modifier, values=one.values) for one in query.applied]
            filters.append(Filter(type=name, clauses=tuple(clauses)))
        return tuple(filters)

    def _elements(self, given: Sequence[str], notes: _Notes) -> tuple[str, ...]:
        found = []
        for text in given:
            match = _ELEMENT.fullmatch(text.strip())
            if match and (match[1] is None or match[1] in self._definitions.resource_types):
                found.append(match[0])
            elif text.strip():
                notes.say(
                    "value", "Parameter `_elements` has a value that is no root element, as in `id` or `Patient.id`."
                )
        return tuple(dict.fromkeys(found))


class _Notes:
    """What is to be told: an error unless the client is lenient, then a note."""

    def __init__(self, *, lenient: bool) -> None:
        self.lenient = lenient
        self.errors: list[Issue] = []
        self.notes: list[Issue] = []

    def say(self, code: str, text: str) -> None:
        if self.lenient:
            self.note(code, text)
        else:
            self.fail(code, text)

    def note(self, code: str, text: str, severity: Severity = "warning") -> None:
        self.notes.append(Issue(severity=severity, code=code, diagnostics=text))

    def fail(self, code: str, text: str) -> None:
        self.errors.append(Issue(code=code, diagnostics=text))


def _provenance(given: Sequence[str], notes: _Notes) -> Provenance:
    asked = {text.strip() for text in given} - {""}
    if asked - set(_ASSOCIATED):
        notes.say("not-supported", f"Parameter `includeAssociatedData` takes {' or '.join(_ASSOCIATED)}.")
    if "RelevantProvenanceResources" in asked:
        return "relevant"
    return "latest" if "LatestProvenanceResources" in asked else ""


def _format(given: str) -> Format:
    found = _FORMATS.get(given.strip().replace(" ", "+"))
    if found is None or (found == "parquet" and find_spec("pyarrow") is None):
        issue = Issue(code="not-supported", diagnostics="Parameter `_outputFormat` is application/fhir+ndjson here.")
        raise InvalidExport(issues=(issue,))
    return found


def _moment(name: str, text: str, *, up: bool) -> int | None:
    """Read an instant as milliseconds since 1970 UTC, rounded down or up; a date alone is its start in UTC."""
    if not text:
        return None
    match = _INSTANT.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        date, time, seconds, fraction, zone = match.groups()
        zone = "+00:00" if zone in (None, "Z") else zone.replace(" ", "+")
        moment = datetime.fromisoformat(f"{date}T{time or '00:00'}:{seconds or '00'}{zone}")
    except (ValueError, OverflowError):
        issue = Issue(code="value", diagnostics=f"Parameter `{name}` is no instant, as 2026-01-31T08:00:00.000Z.")
        raise InvalidExport(issues=(issue,)) from None
    nanos = int((fraction or "0").ljust(9, "0"))
    millis = -(-nanos // 1_000_000) if up else nanos // 1_000_000
    return (moment - _EPOCH) // timedelta(milliseconds=1) + millis


def _of_filter(name: str, issue: Issue) -> Issue:
    return Issue(
        severity=issue.severity, code=issue.code, diagnostics=f"In `_typeFilter` of {name}: {issue.diagnostics}"
    )


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:64])
