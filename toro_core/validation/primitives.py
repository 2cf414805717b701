"""The primitive types in JSON and their formats: https://hl7.org/fhir/R4/datatypes.html#primitive

Every pattern runs in linear time: no two neighbouring repetitions match the same character.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from toro_core.validation.narrative import is_narrative

__all__ = ["PRIMITIVES", "JsonType", "Primitive"]

JsonType: TypeAlias = Literal["string", "number", "boolean"]

_TEXT_LIMIT: Final = 1024 * 1024
_INTEGER_LIMIT: Final = 2**31

_ORDINARY: Final = re.compile(r"[\t\n\r -\U0010ffff]{1,4096}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_VISIBLE: Final = r"[^\s\x00-\x1f]"
_DATE: Final = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_PARTIAL: Final = r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """A primitive type: its JSON type, a test for a value of any JSON type, and the rule in words.

    `accepts` is true of most strings that pass the test and of no other; it is C code, so that most values cost one call.
    """

    json_type: JsonType
    test: Callable[[object], bool]
    rule: str
    accepts: Callable[[str], object] | None = None

    def is_json_type(self, value: object) -> bool:
        """Say whether the value has the JSON type, whatever its format."""
        if self.json_type == "string":
            return isinstance(value, str)
        return isinstance(value, bool) == (self.json_type == "boolean") and isinstance(value, int | Decimal)


def _pattern(pattern: str) -> Callable[[object], bool]:
    match = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and match(value) is not None


def _calendar(pattern: str) -> Callable[[object], bool]:
    match = re.compile(pattern).fullmatch

    def test(value: object) -> bool:
        if not isinstance(value, str) or match(value) is None:
            return False
        day = value[8:10]
        return day <= "28" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]

    return test


def _integer(low: int) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, int) and value is not True and value is not False and low <= value < _INTEGER_LIMIT
    )


def _decimal(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _TEXT_LIMIT and _is_clean(value)


def _is_clean(text: str) -> bool:
    """Say whether the text has no control characters but tab, line feed and carriage return."""
    return text.isprintable() or _CONTROL.search(text) is None


def _base64(value: object) -> bool:
    if not isinstance(value, str) or not (packed := "".join(value.split())):
        return False
    try:
        a2b_base64(packed, strict_mode=True)
    except (Error, ValueError):
        return False
    return True


_TEXT: Final = Primitive(
    json_type="string",
    test=_text,
    accepts=_ORDINARY.fullmatch,
    rule="text that is not empty, has at most 1 MB and no control characters but tab and line ends",
)
_URI: Final = Primitive(
    json_type="string",
    test=_pattern(rf"{_VISIBLE}+"),
    accepts=re.compile(rf"{_VISIBLE}+").fullmatch,
    rule="a URI without white space and control characters",
)
_CODE: Final = rf"{_VISIBLE}+(?:\s{_VISIBLE}+)*"
_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
# Every month has 28 days: what lies within needs no calendar.
_EARLY: Final = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"

PRIMITIVES: Final[Mapping[str, Primitive]] = MappingProxyType(
    {
        "base64Binary": Primitive(json_type="string", test=_base64, rule="base64 with its padding, not empty"),
        "boolean": Primitive(json_type="boolean", test=lambda value: isinstance(value, bool), rule="true or false"),
        "canonical": _URI,
        "code": Primitive(
            json_type="string",
            test=_pattern(_CODE),
            accepts=re.compile(_CODE).fullmatch,
            rule="a code with single spaces only and none at its ends",
        ),
        "date": Primitive(
            json_type="string",
            test=_calendar(rf"{_DATE}|{_PARTIAL}"),
            accepts=re.compile(_EARLY).fullmatch,
            rule="YYYY, YYYY-MM or YYYY-MM-DD, a day that exists",
        ),
        "dateTime": Primitive(
            json_type="string",
            test=_calendar(rf"{_DATE}(?:T{_TIME}{_ZONE})?|{_PARTIAL}"),
            accepts=re.compile(rf"{_EARLY}(?:T{_TIME}{_ZONE})?").fullmatch,
            rule="YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz, a day that exists",
        ),
        "decimal": Primitive(json_type="number", test=_decimal, rule="a number"),
        "id": Primitive(
            json_type="string",
            test=_pattern(_ID),
            accepts=re.compile(_ID).fullmatch,
            rule="1 to 64 letters, digits, hyphens and dots",
        ),
        "instant": Primitive(
            json_type="string",
            test=_calendar(rf"{_DATE}T{_TIME}{_ZONE}"),
            accepts=re.compile(rf"{_EARLY}T{_TIME}{_ZONE}").fullmatch,
            rule="YYYY-MM-DDThh:mm:ss.sss+zz:zz, a day that exists",
        ),
        "integer": Primitive(
            json_type="number",
            test=_integer(-_INTEGER_LIMIT),
            rule="a whole number of 32 bits without fraction or exponent",
        ),
        "markdown": _TEXT,
        "oid": Primitive(
            json_type="string", test=_pattern(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"), rule="an OID as urn:oid:1.2.3"
        ),
        "positiveInt": Primitive(json_type="number", test=_integer(1), rule="a whole number from 1 to 2147483647"),
        "string": _TEXT,
        "time": Primitive(json_type="string", test=_pattern(_TIME), rule="hh:mm:ss"),
        "unsignedInt": Primitive(json_type="number", test=_integer(0), rule="a whole number from 0 to 2147483647"),
        "uri": _URI,
        "url": _URI,
        "uuid": Primitive(
            json_type="string",
            test=_pattern(r"urn:uuid:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
            rule="a UUID as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        ),
        "xhtml": Primitive(
            json_type="string",
            test=is_narrative,
            rule="one well-formed XHTML div with content, of FHIR's formatting elements only",
        ),
    }
)
