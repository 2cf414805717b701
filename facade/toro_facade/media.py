"""Content negotiation: https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

__all__ = [
    "FHIR_JSON",
    "FHIR_XML",
    "JSON",
    "NO_XML",
    "XML",
    "Media",
    "accepted",
    "format_named",
    "is_json_body",
    "is_xml_body",
    "names_fhir",
    "prefers_fhir",
]

_FHIR_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
_UTF8: Final = frozenset({"utf-8", "utf8"})
_Q: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_JSON_NAMES: Final = ("application/fhir+json", "application/json")
_XML_NAMES: Final = ("application/fhir+xml", "application/xml", "text/xml")
_NAMES: Final = _JSON_NAMES + _XML_NAMES
_FHIR: Final = (*_NAMES[:3], "application/json", "application/fhir+turtle")
_FORMATS: Final = {"json": 0, "xml": 2, **{name: position for position, name in enumerate(_NAMES)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A media type to answer in, indented or not. Interactions answer in JSON; the gateway makes XML of it."""

    content_type: bytes
    pretty: bool = False
    xml: bool = False

    def render(self, body: bytes) -> bytes:
        """Indent JSON where that was asked for; the text of numbers and strings stays as it is."""
        return msgspec.json.format(body, indent=2) if self.pretty and body and not self.xml else body


FHIR_JSON: Final = Media(content_type=b"application/fhir+json; charset=utf-8")
JSON: Final = Media(content_type=b"application/json; charset=utf-8")
FHIR_XML: Final = Media(content_type=b"application/fhir+xml; charset=utf-8", xml=True)
XML: Final = Media(content_type=b"application/xml; charset=utf-8", xml=True)
_TEXT_XML: Final = Media(content_type=b"text/xml; charset=utf-8", xml=True)
NO_XML: Final = "For XML the operator has to install toro-fhir[xml]."
"""What to say to whoever asks for XML where lxml is not installed."""
_MEDIA: Final = (FHIR_JSON, JSON, FHIR_XML, XML, _TEXT_XML)


@lru_cache(maxsize=256)
def accepted(accept: str, *, xml: bool = False) -> Media | None:
    """Choose by an Accept header (RFC 9110, 12.5.1): the highest q, then the narrower range, then FHIR's own type. None is 406.

    `xml` says whether the server speaks it.
    """
    if not accept.strip():
        return FHIR_JSON
    ranges = [parsed for text in accept.split(",") if (parsed := _range(text))]
    best: tuple[float, int, int] = (0.0, 0, 0)
    for position, name in enumerate(_NAMES if xml else _JSON_NAMES):
        family = name.partition("/")[0] + "/*"
        matching = [(specificity, q) for kind, specificity, q in ranges if kind in (name, family, "*/*")]
        if matching:
            specificity, q = max(matching)
            best = max(best, (q, specificity, -position))
    q, _, position = best
    return _MEDIA[-position] if q > 0 else None


def format_named(name: str, *, xml: bool = False) -> Media | None:
    """Choose by a `_format` parameter, in which an unescaped plus has become a space. None is 406."""
    essence, parameters = _media_type(name.replace(" ", "+").replace(";+", ";"))
    found = _FORMATS.get(essence)
    if found is None or not _speaks(parameters) or (_MEDIA[found].xml and not xml):
        return None
    return _MEDIA[found]


@lru_cache(maxsize=256)
def is_json_body(content_type: str, *, sniffed: bool) -> bool:
    """Tell whether a body of this Content-Type may be FHIR JSON; `sniffed` says that it begins as a JSON object does.

    What clients send when nobody told them what to send is taken for JSON if it looks like it: nothing, `text/plain`
    (fetch), `application/x-www-form-urlencoded` (curl -d).
    """
    if not content_type:
        return True
    essence, parameters = _media_type(content_type)
    if essence == "application/x-www-form-urlencoded":
        return sniffed and _speaks(parameters)
    return essence in (*_JSON_NAMES, "text/plain") and _speaks(parameters)


@lru_cache(maxsize=256)
def is_xml_body(content_type: str) -> bool:
    """Tell whether a body of this Content-Type is FHIR XML."""
    essence, parameters = _media_type(content_type)
    return essence in _XML_NAMES and _speaks(parameters)


@lru_cache(maxsize=256)
def prefers_fhir(accept: str) -> bool:
    """Tell whether an Accept header names a media type of FHIR's, and none that it likes better."""
    ranges = [parsed for text in accept.split(",") if (parsed := _range(text))]
    best = {kind: q for kind, _, q in sorted(ranges, key=lambda one: one[2])}
    liked = max((q for kind, q in best.items() if kind in _FHIR), default=0.0)
    return liked > 0 and liked >= max((q for kind, q in best.items() if kind not in (*_FHIR, "*/*")), default=0.0)


def names_fhir(content_type: str) -> bool:
    """Tell whether a Content-Type is of FHIR's, or says nothing."""
    return not content_type or _media_type(content_type)[0] in _FHIR


def _range(text: str) -> tuple[str, int, float] | None:
    essence, parameters = _media_type(text)
    weight = parameters.pop("q", "1")
    if "/" not in essence or not _Q.fullmatch(weight) or not _speaks(parameters):
        return None
    specificity = 0 if essence == "*/*" else 1 if essence.endswith("/*") else 2
    return essence, specificity, float(weight)


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    essence, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest if part.strip())
    return essence.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _speaks(parameters: dict[str, str]) -> bool:
    return (
        parameters.get("charset", "utf-8").lower() in _UTF8 and parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS
    )
