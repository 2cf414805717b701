"""String and uri search: https://hl7.org/fhir/R4/search.html#string, https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from toro_core.search.combine import all_of, any_of
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.layout import Searchable
from toro_core.search.plan import Criterion, Text, Uri
from toro_core.search.text import fold
from toro_core.search.values import unescaped

__all__ = ["Strings", "Uris"]

_DEEPEST: Final = 100
_MATCHES: Final[dict[str, Literal["starts", "contains", "exact"]]] = {
    "": "starts",
    "contains": "contains",
    "exact": "exact",
}


class Strings:
    """Compiles strings."""

    modifiers = ("exact", "contains")

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        texts = [self._text(modifier, unescaped(value)) for value in values]
        match = _MATCHES[modifier]
        found = [Text(param=part.param, value=text, match=match) for text in texts for part in searchable.parts]
        if match != "exact":
            return any_of(found)
        # What is exactly so starts so, too, by which a storage finds it.
        return any_of(all_of((Text(param=one.param, value=fold(one.value)), one)) for one in found)

    @staticmethod
    def _text(modifier: str, value: str) -> str:
        folded = fold(value)
        if not folded:
            raise InvalidParameter("value", "needs at least one letter or digit")
        return value if modifier == "exact" else folded


class Uris:
    """Compiles uris; `:above` and `:below` go by the segments of a path."""

    modifiers = ("above", "below")

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        found: list[Criterion] = []
        for value in map(unescaped, values):
            if modifier and value.lower().startswith("urn:"):
                raise InvalidParameter("not-supported", f"supports :{modifier} for URLs only: a URN has no path")
            for part in searchable.parts:
                if modifier == "below":
                    start = value if value.endswith("/") else f"{value}/"
                    found.append(Uri(param=part.param, value=start, match="starts"))
                exact = _above(value) if modifier == "above" else [value]
                found += [Uri(param=part.param, value=one) for one in exact]
        return any_of(found)


def _above(url: str) -> list[str]:
    """Return the URL and those its path passes through, each with and without a slash at its end."""
    start = url.find("://") + 3
    if start < 3:
        return [url]
    found = [url]
    trimmed = url.rstrip("/")
    while len(trimmed) > start and len(found) < _DEEPEST:
        found += [trimmed, f"{trimmed}/"]
        cut = trimmed.rfind("/", start)
        trimmed = trimmed[:cut].rstrip("/") if cut > 0 else ""
    return list(dict.fromkeys(found))
