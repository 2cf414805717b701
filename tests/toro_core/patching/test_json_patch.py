from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.errors import ToroError
from toro_core.json import dumps, loads
from toro_core.patching.json_patch import parse_json_patch
from toro_core.rejections import InvalidPatch, PatchFailed


def _apply(document: str, patch: Any) -> str:
    text = patch if isinstance(patch, str) else json.dumps(patch)
    return dumps(parse_json_patch(text.encode()).apply(loads(document.encode()))).decode()


@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ('{"a":1}', {"op": "add", "path": "/b", "value": [1]}, '{"a":1,"b":[1]}'),
        ('{"a":1}', {"op": "add", "path": "/a", "value": None}, '{"a":null}'),
        ('{"a":[1,3]}', {"op": "add", "path": "/a/1", "value": 2}, '{"a":[1,2,3]}'),
        ('{"a":[1]}', {"op": "add", "path": "/a/-", "value": 2}, '{"a":[1,2]}'),
        ('{"a":[1]}', {"op": "add", "path": "/a/1", "value": 2}, '{"a":[1,2]}'),
        ('{"a":1}', {"op": "add", "path": "", "value": {"b": 2}}, '{"b":2}'),
        ('{"a":{"b":1},"c":2}', {"op": "remove", "path": "/a/b"}, '{"a":{},"c":2}'),
        ('{"a":[1,2,3]}', {"op": "remove", "path": "/a/1"}, '{"a":[1,3]}'),
        ('{"a":[1,2]}', {"op": "replace", "path": "/a/0", "value": {}}, '{"a":[{},2]}'),
        ('{"a":{"b":1}}', {"op": "move", "from": "/a/b", "path": "/c"}, '{"a":{},"c":1}'),
        ('{"a":[1,2,3]}', {"op": "move", "from": "/a/0", "path": "/a/2"}, '{"a":[2,3,1]}'),
        ('{"a":[1]}', {"op": "move", "from": "/a", "path": "/a"}, '{"a":[1]}'),
        ('{"a":[1]}', {"op": "copy", "from": "/a", "path": "/a/-"}, '{"a":[1,[1]]}'),
        ('{"a":1.00}', {"op": "copy", "from": "/a", "path": "/b"}, '{"a":1.00,"b":1.00}'),
        ('{"a":{"x":1,"y":[2]}}', {"op": "test", "path": "/a", "value": {"y": [2], "x": 1}}, '{"a":{"x":1,"y":[2]}}'),
        ('{"a/b":{"m~n":1}}', {"op": "replace", "path": "/a~1b/m~0n", "value": 2}, '{"a/b":{"m~n":2}}'),
        ('{"":1}', {"op": "remove", "path": "/"}, "{}"),
        ('{"a":1}', {"op": "add", "path": "/~01", "value": 2}, '{"a":1,"~1":2}'),
    ],
)
def test_an_operation_does_what_the_rfc_says(document: str, operation: Any, expected: str) -> None:
    assert _apply(document, [operation]) == expected


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        ('{"a":1}', {"op": "remove", "path": "/b"}),
        ('{"a":1}', {"op": "replace", "path": "/b", "value": 1}),
        ('{"a":1}', {"op": "add", "path": "/b/c", "value": 1}),
        ('{"a":1}', {"op": "add", "path": "/a/c", "value": 1}),
        ('{"a":[1]}', {"op": "add", "path": "/a/2", "value": 1}),
        ('{"a":[1]}', {"op": "add", "path": "/a/01", "value": 1}),
        ('{"a":[1]}', {"op": "add", "path": "/a/x", "value": 1}),
        ('{"a":[1]}', {"op": "remove", "path": "/a/-"}),
        ('{"a":[1]}', {"op": "remove", "path": ""}),
        ('{"a":1}', {"op": "add", "path": "", "value": [1]}),
        ('{"a":{"b":1}}', {"op": "move", "from": "/a", "path": "/a/b"}),
        ('{"a":1}', {"op": "copy", "from": "/b", "path": "/c"}),
        ('{"a":1}', {"op": "test", "path": "/a", "value": "1"}),
        ('{"a":1}', {"op": "test", "path": "/a", "value": True}),
        ('{"a":[1,2]}', {"op": "test", "path": "/a", "value": [1]}),
        ('{"a":null}', {"op": "test", "path": "/b", "value": None}),
    ],
)
def test_what_does_not_apply_is_refused(document: str, operation: Any) -> None:
    with pytest.raises(PatchFailed, match="nothing was written"):
        _apply(document, [{"op": "test", "path": "", "value": json.loads(document)}, operation])


def test_numbers_are_tested_by_value_and_kept_by_their_digits() -> None:
    patch = '[{"op":"test","path":"/a","value":1.0},{"op":"add","path":"/b","value":2.50},{"op":"add","path":"/c","value":1e3}]'
    assert _apply('{"a":1.00}', patch) == '{"a":1.00,"b":2.50,"c":1e3}'


@pytest.mark.parametrize(
    "patch",
    [
        "{}",
        "[1]",
        '[{"op":"merge","path":"/a"}]',
        '[{"op":"add","path":"/a"}]',
        '[{"op":"add","path":"a","value":1}]',
        '[{"op":"add","path":"/a~2","value":1}]',
        '[{"op":"move","path":"/a"}]',
        '[{"op":"copy","path":"/a","from":1}]',
        '[{"path":"/a","value":1}]',
        '[{"op":["add"],"path":"/a","value":1}]',
        "[",
        "",
    ],
)
def test_a_malformed_patch_is_refused_before_it_is_applied(patch: str) -> None:
    with pytest.raises(ToroError) as caught:
        parse_json_patch(patch.encode())
    assert caught.value.reason in {"INVALID_PATCH", "INVALID_JSON"}


def test_copies_of_copies_do_not_grow_without_end() -> None:
    patch = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 64
    with pytest.raises(PatchFailed, match="copies too much"):
        _apply('{"a":[1]}', patch)
    with pytest.raises(InvalidPatch, match="more than"):
        parse_json_patch(json.dumps([{"op": "remove", "path": "/a"}] * 10_001).encode())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab~/", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(st.text("ab~/", max_size=2), _JSON, max_size=4)


def _pointers(value: Any, path: str = "") -> list[str]:
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        found += _pointers(one, f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}")
    return found


@given(_OBJECTS, st.data())
def test_every_place_can_be_tested_and_replaced_by_itself(document: Any, data: st.DataObject) -> None:
    pointers = _pointers(document)[1:]
    if not pointers:
        return
    pointer = data.draw(st.sampled_from(pointers))
    value = document
    for name in pointer.split("/")[1:]:
        value = value[int(name) if isinstance(value, list) else name.replace("~1", "/").replace("~0", "~")]
    patch = [{"op": "test", "path": pointer, "value": value}, {"op": "replace", "path": pointer, "value": value}]
    assert json.loads(_apply(json.dumps(document), patch)) == document


@given(_OBJECTS, _JSON, st.data())
def test_what_is_added_is_found_and_its_removal_undoes_it(document: Any, value: Any, data: st.DataObject) -> None:
    pointer = data.draw(st.sampled_from(_pointers(document))) + "/new"
    add = [{"op": "add", "path": pointer, "value": value}]
    try:
        added = _apply(json.dumps(document), add)
    except PatchFailed:
        return
    check = [{"op": "test", "path": pointer, "value": value}, {"op": "remove", "path": pointer}]
    assert json.loads(_apply(added, check)) == document


@given(_OBJECTS, _OBJECTS)
def test_a_patch_may_be_applied_again(document: Any, value: Any) -> None:
    patch = parse_json_patch(
        json.dumps(
            [
                {"op": "add", "path": "/new", "value": value},
                {"op": "add", "path": "/new/more", "value": 1},
                {"op": "copy", "from": "/new", "path": "/copied"},
            ]
        ).encode()
    )
    first, second = (dumps(patch.apply(loads(json.dumps(document).encode()))) for _ in range(2))
    assert first == second
