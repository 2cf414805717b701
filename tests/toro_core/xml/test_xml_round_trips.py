"""Nothing is lost on the way to XML and back: no digit, no character, no order of lists."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from toro_core import json
from toro_core.synthetic import generate
from toro_core.xml import Xml

EXAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "hl7-r4-spec-examples.tar.xz"
needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="the sample data is not beside the repository")
XML = Xml()


def canonical(value: Any) -> Any:
    """Numbers as they are written, formatted text in canonical XML."""
    if isinstance(value, dict):
        return {key: _formatted(one) if key == "div" else canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return [canonical(one) for one in value]
    return value if value is None or isinstance(value, str | bool) else json.dumps(value)


def _formatted(value: Any) -> Any:
    if not isinstance(value, str):
        return canonical(value)
    return etree.tostring(etree.fromstring(value.encode()), method="c14n")


def check(data: bytes) -> None:
    xml = XML.to_xml(data)
    back = XML.to_json(xml)
    assert canonical(json.loads(back)) == canonical(json.loads(data))
    assert XML.to_json(XML.to_xml(data, pretty=True)) == back
    assert XML.to_xml(back) == xml


def examples(step: int) -> None:
    checked = 0
    with tarfile.open(EXAMPLES) as archive:
        for number, member in enumerate(archive):
            content = archive.extractfile(member) if member.name.endswith(".json") else None
            if content is None or member.name.endswith("/package.json") or number % step:
                continue
            check(content.read())
            checked += 1
    assert checked > 700 // step


@needs_examples
def test_one_in_ten_examples_of_r4_comes_back_as_it_was() -> None:
    examples(10)


@needs_examples
@pytest.mark.slow
def test_every_example_of_r4_comes_back_as_it_was() -> None:
    examples(1)


def test_synthetic_records_come_back_as_they_were() -> None:
    for resource in generate(patients=2):
        check(json.dumps(resource))


@settings(deadline=None)  # the definitions are read on first use
@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1),
)
def test_decimals_keep_every_digit_and_texts_every_character(number: str, text: str) -> None:
    code = json.dumps(text).decode()
    data = f'{{"resourceType":"Observation","valueQuantity":{{"value":{number},"unit":{code}}}}}'.encode()
    assert f'value="{number}"'.encode() in XML.to_xml(data)
    assert json.dumps(json.loads(XML.to_json(XML.to_xml(data)))) == json.dumps(json.loads(data))


def test_white_space_in_values_survives() -> None:
    data = b'{"resourceType":"Patient","name":[{"text":"a\\n\\tb\\r\\n  c "}]}'
    assert XML.to_json(XML.to_xml(data)) == data
