"""How much of a patient's record is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from toro_core.operations.contract import InvalidArguments
from toro_core.search.dates import InvalidDate, interval
from toro_core.search.extract import Extractor

__all__ = ["Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose record, and how much of it: dates of care, and of storage, as FHIR writes them; no `types` mean all."""

    patient: str
    start: str = ""
    end: str = ""
    since: str = ""
    types: tuple[str, ...] = ()

    def check(self, extractor: Extractor, readable: frozenset[str] | None) -> None:
        """Raise InvalidArguments for what cannot be understood."""
        for name, text in (("start", self.start), ("end", self.end), ("_since", self.since)):
            try:
                interval(text or "2000")
            except InvalidDate:
                raise InvalidArguments(f"{name} is no date or time as FHIR writes it, like 2024-05-31.") from None
        known = extractor.definitions.resource_types
        if unknown := sum(name not in known for name in self.types):
            raise InvalidArguments(f"_type has {unknown} values that are no FHIR resource types.")
        if readable is not None and (hidden := [name for name in self.types if name not in readable]):
            raise InvalidArguments(f"_type names types that are not offered here: {', '.join(hidden)}.")
