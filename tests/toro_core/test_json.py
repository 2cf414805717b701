from __future__ import annotations

import copy
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core.json import MAX_DEPTH, InvalidJson, dumps, loads, pretty

NUMBERS = [
    "1.00", "1e3", "1E3", "1E+3", "1e-3", "0.0000001", "1E-9", "-0.0", "-0", "0", "-1", "0.10", "100.0e-2", "12345678901234567890",
    "-98765432109876543210987654321", "18446744073709551616", "3.141592653589793238462643383279502884197", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_every_number_is_written_as_it_was_read(text: str) -> None:
    data = f'{{"value":{text},"list":[{text},"-0, {text}"],"next":{{"last":{text}}}}}'.encode()
    assert dumps(loads(data)) == data


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_has_its_value(text: str) -> None:
    value = loads(f'{{"value": {text}}}'.encode())["value"]
    assert isinstance(value, int | Decimal)
    assert value == Decimal(text)


def test_a_deep_copy_keeps_the_digits() -> None:
    data = b'{"value":1e3}'
    assert dumps(copy.deepcopy(loads(data))) == data


def test_member_order_and_unicode_survive() -> None:
    data = '{"z":"ß🩺\\u2028","a":{"ö":1,"b":2},"":"\\u0000"}'.encode()
    assert list(loads(data)) == ["z", "a", ""]
    assert loads(dumps(loads(data))) == loads(data)
    assert dumps(loads('{"ß":"🩺"}'.encode())) == '{"ß":"🩺"}'.encode()


def test_a_byte_order_mark_is_tolerated() -> None:
    assert loads(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_pretty_changes_only_white_space() -> None:
    data = b'{"a":1.00,"b":[1e3,-0],"c":"\\u00e9"}'
    assert pretty(data) == b'{\n  "a": 1.00,\n  "b": [\n    1e3,\n    -0\n  ],\n  "c": "\\u00e9"\n}'


@pytest.mark.parametrize("data", [b"", b"  \n", b"[]", b'"text"', b"null", b"1"])
def test_anything_but_an_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson, match="send one JSON object"):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{", b'{"a":}', b'{"a":1,}', b'{"a":1} x', b'{a:1}', b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":NaN}',
        b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":"\n"}', b"{'a':1}", b'{"a":tru}', b"\x00", b"{}{}", b'{"a":"\\x"}',
    ],
)  # fmt: skip
def test_malformed_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        loads(data)


def test_the_place_of_an_error_is_named() -> None:
    with pytest.raises(InvalidJson, match="line 3, column 7") as caught:
        loads('{\n "ä": 1,\n "ö": x\n}'.encode())
    assert caught.value.reason == "INVALID_JSON"
    for data, place in ((b'{\n "a": tru\n}', "line 2, column 7"), (b'{"a":\n[1', "line 2, column 3"), (b"{", "line 1")):
        with pytest.raises(InvalidJson, match=place):
            loads(data)
    with pytest.raises(InvalidJson, match="not UTF-8 at line 2, column 6"):
        loads(b'{\n"a":"\xe4"}')


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\u0041", "\\udc00\\ud800"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(InvalidJson):
        loads(f'{{"a":"{text}"}}'.encode())


def test_an_encoded_surrogate_is_refused() -> None:
    with pytest.raises(InvalidJson, match="UTF-8"):
        loads(b'{"a":"\xed\xa0\x80"}')


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":"1","id":"1"}',
        b'{"id":"1", "id" : "2"}',
        b'{"id":"1","\\u0069d":"2"}',
        b'{"a":[{"b":{"c\\"":1,"c\\"":1}}]}',
        b'{"a\\\\":1,"a\\\\":2}',
        b'{"text":"\\u003a","text":":"}',
        b'{"a":":b","a":":b"}',
        b'{"a":"\\": \\"","a":1}',
    ],
)
def test_a_member_given_twice_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson, match="twice"):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":":","b":"\\":","c":"\\\\"}',
        b'{ "a" : "\\": \\"" , "b\\"" :\t{"a" :1}, "\\u0069d": "id" }',
        b'{"a":{"id":1},"b":{"id":1},"\\/":"\\/"}',
    ],
)
def test_members_that_only_look_alike_are_accepted(data: bytes) -> None:
    assert loads(data)


def nested(depth: int, array: bool) -> bytes:
    if array:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize("array", [True, False])
def test_nesting_is_limited(array: bool) -> None:
    assert loads(nested(MAX_DEPTH, array))
    for depth in (MAX_DEPTH + 1, 500, 10_000, 200_000):
        with pytest.raises(InvalidJson, match="deep"):
            loads(nested(depth, array))


def test_many_flat_containers_are_not_deep() -> None:
    assert len(loads(b'{"a":[' + b"{},[]," * 500 + b"{}]}")["a"]) == 1001  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["1e10000000", "1e99999999999999999999", "-1E-10000000", "1" * 5000])
def test_a_number_nobody_can_compute_with_is_refused(text: str) -> None:
    with pytest.raises(InvalidJson, match="number"):
        loads(f'{{"value":{text}}}'.encode())


def test_no_value_is_quoted_in_a_message() -> None:
    for data in (
        b'{"name":"Secret" "x"}',
        b'{"Secret":1,"Secret":2}',
        b'{"a":"Secret\xff"}',
        b'{"a":1e99999999999999999999}',
    ):
        with pytest.raises(InvalidJson) as caught:
            loads(data)
        assert "Secret" not in str(caught.value)
        assert "999" not in str(caught.value)


def test_what_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})  # type: ignore[dict-item]


@st.composite
def numbers(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["", "-"]))
    whole = str(draw(st.integers(0, 10**30)))
    fraction = draw(
        st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=20).map(lambda digits: f".{digits}"))
    )
    exponent = draw(st.sampled_from(["", "", "e3", "E-7", "e+05", "E0"]))
    return sign + whole + fraction + exponent


SPACE = st.text(" \n\t\r", max_size=2)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ESCAPES = st.sampled_from(
    ["", '\\"', "\\u003a", ":", "\\\\", "\\u0069d", "\\ud83e\\ude7a", "-0,", ' " : '.replace('"', '\\"')]
)


@st.composite
def json_strings(draw: st.DrawFn) -> str:
    return dumps(draw(STRINGS)).decode()[:-1] + draw(ESCAPES) + '"'


def containers(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    @st.composite
    def value(draw: st.DrawFn) -> str:
        values = draw(st.lists(children, max_size=4))
        spaces = [draw(SPACE) for _ in range(4)]
        if draw(st.booleans()):
            return "[" + f"{spaces[0]},{spaces[1]}".join(values) + "]"
        names = draw(st.lists(json_strings(), min_size=len(values), max_size=len(values), unique_by=decoded))
        members = (f"{n}{spaces[2]}:{spaces[3]}{v}" for n, v in zip(names, values, strict=True))
        return "{" + f"{spaces[0]},{spaces[1]}".join(members) + "}"

    return value()


def decoded(text: str) -> str:
    return str(loads(f'{{"x":{text}}}'.encode())["x"])


VALUES = st.recursive(st.one_of(numbers(), json_strings(), st.sampled_from(["true", "false", "null"])), containers)


@settings(deadline=None)
@given(VALUES)
def test_what_was_read_is_written_with_the_same_digits_and_order(text: str) -> None:
    tree = loads(f'{{"v":{text}}}'.encode())
    written = dumps(tree)
    assert loads(written) == tree
    assert dumps(loads(written)) == written
    assert numbers_of(written) == numbers_of(text.encode())


@settings(deadline=None)
@given(VALUES, json_strings())
def test_a_member_repeated_anywhere_is_refused(text: str, name: str) -> None:
    again = dumps(decoded(name)).decode()
    with pytest.raises(InvalidJson, match="twice"):
        loads(f'{{"v":[{{{name}:{text},"":[], {again}:0}}]}}'.encode() if decoded(name) else b'{"":1,"":2}')


def numbers_of(data: bytes) -> list[str]:
    """Read the numbers outside of strings, by a scanner of its own."""
    found, token, inside, escaped = [], "", False, False
    for character in data.decode() + " ":
        if inside:
            escaped, inside = character == "\\" and not escaped, character != '"' or escaped
        elif character in "0123456789+-.eE" and (token or character in "-0123456789"):
            token += character
        else:
            found += [token] if token else []
            token, inside = "", character == '"'
    return found
