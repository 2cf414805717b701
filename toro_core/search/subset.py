"""Parts of resources: https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from toro_core.definitions import Definitions
from toro_core.json import JsonObject, dumps, loads
from toro_core.search.query import Summary

__all__ = ["Subset"]

_TAG: Final[JsonObject] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


class Subset:
    """Leaves out of resources what was not asked for, and marks them."""

    def __init__(self, definitions: Definitions, summary: Summary, elements: Collection[str]) -> None:
        """Keep a kind of summary, else the elements named; all where neither is given."""
        self._definitions = definitions
        self._summary = summary
        self._elements = frozenset(elements)
        self.whole = summary in {"false", "count"} and not elements
        """Whether everything is kept."""

    def __call__(self, json: bytes) -> bytes:
        """Return the JSON of a part of the resource."""
        if self.whole:
            return json
        resource = loads(json)
        type_ = str(resource["resourceType"])
        kept = self._summarised(type_, resource) if self._summary == "true" else self._picked(type_, resource)
        meta: Any = kept.get("meta") or {}
        kept["meta"] = {**meta, "tag": [*meta.get("tag", ()), _TAG]}
        return dumps(kept)

    def _picked(self, type_: str, resource: JsonObject) -> JsonObject:
        if self._summary == "data":
            return {name: value for name, value in resource.items() if name != "text"}
        structure = self._definitions.structure(type_)
        wanted = self._elements | {"text"} if self._summary == "text" else self._elements
        wanted |= {element.name for element in structure.elements.values() if element.min}
        wanted |= self._definitions.modifiers(type_)
        names = {name for name, (element, _) in structure.members.items() if element.name in wanted} | wanted | _ALWAYS
        return {name: value for name, value in resource.items() if name.removeprefix("_") in names}

    def _summarised(self, type_: str, value: JsonObject) -> JsonObject:
        """Keep what the definitions mark as part of the summary, at every depth."""
        structure = self._definitions.structure(type_)
        summary = self._definitions.summary(type_)
        kept: JsonObject = {}
        for name, inner in value.items():
            found = structure.members.get(name.removeprefix("_"))
            if found is None or name.startswith("_") or name == "id":
                keep = found is None or summary is None or found[0].name in summary or name == "id"
                if keep:
                    kept[name] = inner
                continue
            element, choice = found
            if summary is None or element.name in summary:
                kept[name] = self._inner(choice.type, inner)
        return kept

    def _inner(self, type_: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._inner(type_, one) for one in value]
        if isinstance(value, dict) and "resourceType" not in value:
            return self._summarised(type_, value)
        return value
