"""Identity and server-owned members of a resource."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.errors import ToroError
from toro_core.json import dumps, loads
from toro_core.rejections import InvalidArgument, InvalidResource, UnsupportedType
from toro_core.resources import body, etag, message, new_id, parse_etag, parse_name, parse_version
from toro_core.storage import Key, Stored, stamp

TYPES = frozenset({"Patient"})


def stamped(json: bytes, resource_id: str = "new") -> bytes:
    return stamp(body(loads(json), resource_id), 3, 1_700_000_000_123)


META = b'"versionId":"3","lastUpdated":"2023-11-14T22:13:20.123Z"'


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b'{"resourceType":"Patient"}', b'{"resourceType":"Patient","id":"new","meta":{%s}}'),
        (
            b'{"resourceType":"Patient","active":true}',
            b'{"resourceType":"Patient","id":"new","meta":{%s},"active":true}',
        ),
        (b'{"id":"old","resourceType":"Patient","a":1}', b'{"id":"new","meta":{%s},"resourceType":"Patient","a":1}'),
        (
            b'{"resourceType":"Patient","a":1.0,"meta":{"profile":["x"],"versionId":"9","lastUpdated":"y"},"b":[2]}',
            b'{"resourceType":"Patient","id":"new","a":1.0,"meta":{%s,"profile":["x"]},"b":[2]}',
        ),
        (b'{"resourceType":"Patient","id":"o","meta":{}}', b'{"resourceType":"Patient","id":"new","meta":{%s}}'),
        (
            b'{"meta":{"source":"s"},"active":true,"resourceType":"Patient"}',
            b'{"meta":{%s,"source":"s"},"active":true,"resourceType":"Patient","id":"new"}',
        ),
    ],
)
def test_only_id_and_meta_are_the_servers(sent: bytes, stored: bytes) -> None:
    assert stamped(sent) == stored % META


def test_meta_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(InvalidResource) as caught:
        body({"resourceType": "Patient", "meta": []}, "1")
    assert caught.value.issues[0].expressions == ("Patient.meta",)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {"id", "meta", "resourceType"}
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, values, max_size=5), st.data())
def test_every_other_member_keeps_its_value_and_order(members: dict[str, Any], data: st.DataObject) -> None:
    own: list[tuple[str, Any]] = [("id", "old"), ("meta", {"source": "s"})]
    sent = [("resourceType", "Patient"), *members.items(), *data.draw(st.lists(st.sampled_from(own), unique_by=str))]
    items = data.draw(st.permutations(sent))
    read = loads(stamped(dumps(dict(items))))
    kept = [(name, value) for name, value in read.items() if name not in {"id", "meta"}]
    assert kept == [(name, value) for name, value in items if name not in {"id", "meta"}]
    assert read["id"] == "new"
    assert read["meta"]["versionId"] == "3"  # type: ignore[index, call-overload]


def test_decimals_keep_their_digits() -> None:
    text = b'{"resourceType":"Patient","x":[1.00,0.0000001,1e3,123456789012345678901234567890]}'
    assert text[1:-1].partition(b'"x":')[2] in stamped(text)
    numbers: Any = loads(text)["x"]
    assert numbers[0] == Decimal("1.00")


def test_ids_are_uuid7_and_ordered_by_time() -> None:
    ids = [new_id() for _ in range(100)]
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
    assert len(set(ids)) == 100
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


def test_a_name_is_type_and_id() -> None:
    assert parse_name("Patient/a-1.B", TYPES) == Key("Patient", "a-1.B")


@pytest.mark.parametrize(
    "name", ["Patient", "Patient/", "Patient/a b", "Patient/" + "a" * 65, "Patient/a/b", "Patient/é"]
)
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_name(name, TYPES)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnsupportedType):
        parse_name("Person2/1", TYPES)


@pytest.mark.parametrize("tag", ['W/"3"', '"3"', ' W/"3" '])
def test_an_entity_tag_is_weak_or_strong(tag: str) -> None:
    assert parse_etag(tag) == 3
    assert etag(3) == 'W/"3"'


@pytest.mark.parametrize("tag", ["3", 'W/"0"', 'W/"x"', '"1","2"', "*"])
def test_a_malformed_entity_tag_is_refused(tag: str) -> None:
    with pytest.raises(ToroError):
        parse_etag(tag)


def test_a_version_is_a_positive_whole_number() -> None:
    assert parse_version("") is None
    assert parse_version("12") == 12
    for text in ("0", "-1", "x", "٣"):
        with pytest.raises(InvalidArgument):
            parse_version(text)


def test_json_is_left_out_where_it_is_too_large_or_not_wanted() -> None:
    stored = Stored(key=Key("Patient", "1"), version=2, seq=1, at=1_500, deleted=False, json=b"12345")
    assert message(stored).json == b"12345"
    assert message(stored, max_bytes=4).json == b""
    assert message(stored, content=False).json == b""
    assert message(stored, max_bytes=4).size == 5
    assert message(stored).update_time.ToMilliseconds() == 1_500
    assert (message(stored).name, message(stored).etag) == ("Patient/1", 'W/"2"')
