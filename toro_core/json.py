"""The only JSON parser and writer: every value survives digit for digit and in order. https://hl7.org/fhir/R4/json.html

Integers of any size and most decimals are native values of msgspec. A decimal that Python would write differently (`1e3`,
`0.0000001`) keeps its text beside its value. Writing a tree back and comparing bytes proves cheaply that nothing was lost:
neither a member given twice nor the sign of -0; only input written in another style is looked at again.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias, cast

import msgspec

from toro_core.errors import Issue, ToroError

__all__ = ["MAX_DEPTH", "InvalidJson", "JsonObject", "JsonValue", "dumps", "loads", "loads_array", "pretty"]

JsonValue: TypeAlias = "bool | int | Decimal | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

MAX_DEPTH: Final = 100
"""Objects and arrays may be nested this deep."""
_MAX_EXPONENT: Final = 9999  # arithmetic on larger ones takes gigabytes

_BYTE = re.compile(r"^(?:JSON is malformed: )?(.*?) \(byte (\d+)\)$")
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"(\s*+:)?')
_NEGATIVE_ZERO = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|(?<![0-9eE])-0(?![0-9.eE])')


class InvalidJson(ToroError):
    """The JSON cannot be read; send one well-formed JSON object in UTF-8."""

    reason = "INVALID_JSON"
    issue = "structure"


def loads(data: bytes) -> JsonObject:
    """Parse one JSON object; raises InvalidJson with line and column where they are known."""
    tree = _tree(data, "object")
    if not isinstance(tree, dict):
        raise InvalidJson("The JSON is not an object; send one JSON object.")
    return tree


def loads_array(data: bytes) -> list[JsonValue]:
    """Parse one JSON array; raises InvalidJson as `loads` does."""
    tree = _tree(data, "array")
    if not isinstance(tree, list):
        raise InvalidJson("The JSON is not an array; send one JSON array.")
    return tree


def _tree(data: bytes, kind: str) -> JsonValue:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data or data.isspace():
        raise InvalidJson(f"The body is empty; send one JSON {kind}.")
    tree: JsonValue = _decode(data, _DECODER)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _refuse_depth(tree)
    written = _ENCODER.encode(tree)
    if written != data and written != msgspec.json.format(data, indent=-1):
        return _restyled(data, tree)
    return tree


def dumps(value: JsonValue) -> bytes:
    """Write compact UTF-8 JSON; numbers that came from `loads` are written as they were read."""
    return _ENCODER.encode(value)


def pretty(data: bytes, indent: int = 2) -> bytes:
    """Indent JSON without touching a value."""
    return msgspec.json.format(data, indent=indent)


class _TextDecimal(Decimal):
    """A decimal whose text is not what Decimal writes by itself."""

    text: str

    def __new__(cls, text: str) -> _TextDecimal:
        decimal = super().__new__(cls, text)
        decimal.text = text
        return decimal

    def __deepcopy__(self, memo: dict[int, Any]) -> _TextDecimal:
        return self


class _NegativeZero(int):
    """The integer -0."""

    text = "-0"


def _decimal(text: str) -> Decimal:
    decimal = Decimal(text)
    if str(decimal) == text and "E" not in text:
        return decimal
    if abs(decimal.as_tuple().exponent) > _MAX_EXPONENT + len(text):  # type: ignore[arg-type]  # JSON has no NaN
        raise InvalidOperation
    return _TextDecimal(text)


def _write(value: Any) -> msgspec.Raw:
    if isinstance(value, _TextDecimal | _NegativeZero):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"JSON has no {type(value).__name__}")


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_write, decimal_format="number")


def _decode(data: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(data)
    except RecursionError:
        raise _too_deep() from None
    except (InvalidOperation, msgspec.ValidationError):
        raise InvalidJson("A number has too many digits or too large an exponent; send it shorter.") from None
    except UnicodeDecodeError:
        raise _not_unicode(data) from None
    except msgspec.DecodeError as error:
        raise _malformed(data, str(error)) from None


def _too_deep() -> InvalidJson:
    text = f"The JSON is nested more than {MAX_DEPTH} deep; send a flatter resource."
    return InvalidJson(issues=(Issue(code="too-long", diagnostics=text),))


def _not_unicode(data: bytes) -> InvalidJson:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return InvalidJson(f"The body is not UTF-8 {_place(data, error.start)}; send UTF-8.")
    return InvalidJson("The body is not UTF-8; send UTF-8.")


def _malformed(data: bytes, message: str) -> InvalidJson:
    """Say where: Python's parser tells the place more precisely than the one that parses, and of a text that ends too early too."""
    try:
        json.loads(data.decode())
    except json.JSONDecodeError as error:
        end = len(error.doc.rstrip())
        if error.pos >= end:
            place = _place(data, len(error.doc[:end].encode()))
            return InvalidJson(f"The JSON ends too early {place}; send the whole text.")
        what, place = error.msg.removesuffix(" at"), f"at line {error.lineno}, column {error.colno}"
        return InvalidJson(f"The JSON is malformed {place}: {what[:1].lower()}{what[1:]}; send well-formed JSON.")
    except (RecursionError, ValueError):
        pass
    if found := _BYTE.match(message):
        return InvalidJson(f"The JSON is malformed {_place(data, int(found[2]))}: {found[1]}; send well-formed JSON.")
    return InvalidJson("The JSON ends too early or holds half a surrogate pair; send the whole text, well-formed.")


def _place(data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode(errors="replace")) + 1
    return f"at line {line}, column {column}"


def _refuse_depth(tree: JsonValue) -> None:
    level: list[Any] = [tree]
    for _ in range(MAX_DEPTH):
        below = (node.values() if type(node) is dict else node for node in level)
        level = [value for values in below for value in values if type(value) is dict or type(value) is list]
        if not level:
            return
    raise _too_deep()


def _restyled(data: bytes, tree: JsonValue) -> JsonValue:
    """Look exactly at what writing back did not prove: names given twice, and -0."""
    given = sum(1 for colon in _STRINGS.findall(data) if colon)
    if given != _count_members(tree):
        text = "An object has the same member twice; send each member once."
        raise InvalidJson(issues=(Issue(code="structure", diagnostics=text),))
    zeros = [found for found in _NEGATIVE_ZERO.finditer(data) if found[1] is None]
    return _keep_negative_zero(data) if zeros else tree


def _count_members(tree: JsonValue) -> int:
    members = 0
    level: list[Any] = [tree]
    while level:
        members += sum(len(node) for node in level if type(node) is dict)
        below = (node.values() if type(node) is dict else node for node in level)
        level = [value for values in below for value in values if type(value) is dict or type(value) is list]
    return members


def _keep_negative_zero(data: bytes) -> JsonValue:
    """Parse again with each -0 written as a decimal that the input does not contain."""
    marker = b"-0.0"
    while marker in data:
        marker += b"0"
    text = marker.decode()
    marked = _NEGATIVE_ZERO.sub(lambda found: found[1] or marker, data)
    decoder = msgspec.json.Decoder(float_hook=lambda number: _NegativeZero() if number == text else _decimal(number))
    return cast(JsonValue, _decode(marked, decoder))
