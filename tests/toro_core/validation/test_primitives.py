from __future__ import annotations

from base64 import b64encode, encodebytes
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core import json
from toro_core.definitions import load
from toro_core.validation.primitives import PRIMITIVES

GOOD: dict[str, list[str]] = {
    "base64Binary": ['"AA=="', '"AAAA"', '"AA A\\nA"'],
    "boolean": ["true", "false"],
    "canonical": ['"http://example.org/a|1#b"'],
    "code": ['"a"', '"a b c"', '"<="'],
    "date": ['"2024"', '"2024-02"', '"2024-02-29"', '"0001-01-31"', '"9999-12-31"', '"2000-02-29"'],
    "dateTime": [
        '"2024"',
        '"2024-02"',
        '"2024-02-29"',
        '"2024-02-29T00:00:00Z"',
        '"2024-02-29T23:59:60.123456789+14:00"',
    ],
    "decimal": ["0", "-0", "1.00", "1e3", "-1.5E-10", "123456789012345678901234567890.5"],
    "id": ['"a"', '"A-1.b"', '"' + "x" * 64 + '"'],
    "instant": ['"2024-02-29T00:00:00Z"', '"2024-02-29T00:00:00.000-05:30"'],
    "integer": ["0", "-0", "-2147483648", "2147483647"],
    "markdown": ['"# x\\n"', '" "'],
    "oid": ['"urn:oid:1.2.3"', '"urn:oid:2.999"'],
    "positiveInt": ["1", "2147483647"],
    "string": ['"x"', '"\\u00a0"', '"a\\tb\\r\\n"'],
    "time": ['"00:00:00"', '"23:59:60.5"'],
    "unsignedInt": ["0", "2147483647"],
    "uri": ['"urn:x"', '"#a"', '"x"'],
    "url": ['"http://example.org"'],
    "uuid": ['"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"'],
    "xhtml": ['"<div>x</div>"'],
}
BAD: dict[str, list[str]] = {
    "base64Binary": ['""', '" "', '"AAA"', '"A"', '"A=AA"', '"ÄÄÄÄ"', '"AA-_"', "1"],
    "boolean": ['"true"', "1", "0", "null"],
    "canonical": ['""', '"a b"'],
    "code": ['""', '" a"', '"a "', '"a  b"', "1"],
    "date": [
        '""', '"24"', '"2024-1"', '"2024-13"', '"2024-00"', '"2024-02-30"', '"2023-02-29"', '"2024-04-31"', '"1900-02-29"',
        '"0000"', '"0000-01-01"', '"2024-02-29T00:00:00Z"', '"2024-02-29\\n"', '"٢٠٢٤"', "2024",
    ],
    "dateTime": [
        '"2024-02-29T00:00:00"', '"2024-02-29T00:00Z"', '"2024-02-29T24:00:00Z"', '"2024-02-29T00:60:00Z"',
        '"2023-02-29T00:00:00Z"',
        '"2024-02-29 00:00:00Z"', '"2024-02-29T00:00:00+15:00"', '"2024-02T00:00:00Z"', '"2024-02-29T00:00:00.Z"',
    ],
    "decimal": ['"1"', "true", "null"],
    "id": ['""', '"a_b"', '"a/b"', '"' + "x" * 65 + '"', '"ä"', '"a\\n"'],
    "instant": ['"2024-02-29"', '"2024"', '"2023-02-29T00:00:00Z"'],
    "integer": ["1.0", "1e3", "2147483648", "-2147483649", '"1"', "true", "-0.0"],
    "markdown": ['""', "1"],
    "oid": ['"1.2.3"', '"urn:oid:3.1"', '"urn:oid:1.02"', '"urn:oid:1"'],
    "positiveInt": ["0", "-1", "2147483648", "1.0", "true"],
    "string": ['""', "1", "null", '"a\\u0000b"', '"\\u001f"', '"\\u000b"'],
    "time": ['"24:00:00"', '"8:00:00"', '"08:00"', '"08:00:00Z"'],
    "unsignedInt": ["-1", "2147483648", "false"],
    "uri": ['""', '"a b"', "1"],
    "url": ['""', '"a\\tb"'],
    "uuid": ['"c757873d-ec9a-4326-a141-556f43239520"', '"urn:uuid:x"'],
    "xhtml": ['""', "1", '"<div/>"', '"<div> </div>"', '"<p>x</p>"', '"<div>x"', '"<div>&bogus;x</div>"'],
}  # fmt: skip


def value(text: str) -> Any:
    return json.loads(f'{{"value":{text}}}'.encode())["value"]


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in table.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), cases(GOOD))
def test_a_value_of_the_format_passes(name: str, text: str) -> None:
    assert PRIMITIVES[name].test(value(text))
    assert PRIMITIVES[name].is_json_type(value(text))


@pytest.mark.parametrize(("name", "text"), cases(BAD))
def test_another_value_is_refused(name: str, text: str) -> None:
    assert not PRIMITIVES[name].test(value(text))


def test_a_text_over_a_megabyte_is_refused() -> None:
    assert PRIMITIVES["string"].test("x" * 1024 * 1024)
    assert not PRIMITIVES["string"].test("x" * (1024 * 1024 + 1))


def test_every_primitive_type_of_r4_has_a_format() -> None:
    definitions = load()
    assert GOOD.keys() == BAD.keys() == PRIMITIVES.keys()
    assert all(definitions.structure(name).kind == "primitive" for name in PRIMITIVES)


@settings(deadline=None)
@given(st.dates(), st.times(), st.sampled_from(["Z", "+00:00", "-13:59"]))
def test_every_day_of_the_calendar_is_accepted(day: Any, clock: Any, zone: str) -> None:
    assert PRIMITIVES["date"].test(day.isoformat())
    assert PRIMITIVES["instant"].test(f"{day.isoformat()}T{clock.isoformat()}{zone}")


@settings(deadline=None)
@given(st.binary(min_size=1))
def test_every_base64_is_accepted(data: bytes) -> None:
    assert PRIMITIVES["base64Binary"].test(b64encode(data).decode())
    assert PRIMITIVES["base64Binary"].test(encodebytes(data).decode())
