from __future__ import annotations

import sys

import pytest
from lxml import etree

from toro_core.xml import NoXml, Xml, open_xml

XML = Xml()
ROOT = b"<?xml version='1.0' encoding='UTF-8'?>\n"


def written(data: bytes) -> str:
    made = XML.to_xml(data)
    assert made.startswith(ROOT)
    return made.removeprefix(ROOT).decode()


def test_elements_stand_in_the_order_of_the_definition_whatever_json_has() -> None:
    data = b'{"birthDate":"2000","_active":{"id":"x"},"name":[{"given":["B"],"family":"A"}],"id":"1","resourceType":"Patient"}'
    assert written(data) == (
        '<Patient xmlns="http://hl7.org/fhir"><id value="1"/><active id="x"/>'
        '<name><family value="A"/><given value="B"/></name><birthDate value="2000"/></Patient>'
    )


def test_an_extension_has_its_url_and_an_element_its_id_as_attributes() -> None:
    data = b'{"resourceType":"Patient","extension":[{"id":"e","url":"u","valueInteger":-0}]}'
    assert '<extension id="e" url="u"><valueInteger value="-0"/></extension>' in written(data)


def test_an_element_may_be_called_resource_type() -> None:
    data = b'{"resourceType":"ExampleScenario","instance":[{"resourceId":"a","resourceType":"Patient"}]}'
    assert '<instance><resourceId value="a"/><resourceType value="Patient"/></instance>' in written(data)


def test_named_characters_of_html_are_written_as_themselves() -> None:
    div = '<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a&nbsp;&lt;&amp;&eacute;</div>'
    text = f'{{"resourceType":"Patient","text":{{"status":"generated","div":"{div}"}}}}'.encode()
    made = written(text)
    assert '<div xmlns="http://www.w3.org/1999/xhtml">a\u00a0&lt;&amp;\u00e9</div>' in made


def test_text_that_is_no_xhtml_is_shown_as_it_is() -> None:
    data = b'{"resourceType":"Patient","text":{"status":"generated","div":"<div><script>"}}'
    assert '<div xmlns="http://www.w3.org/1999/xhtml">&lt;div&gt;&lt;script&gt;</div>' in written(data)


def test_what_no_xml_can_hold_is_replaced() -> None:
    assert '<family value="a\ufffdb"/>' in written(b'{"resourceType":"Patient","name":[{"family":"a\\u0001b"}]}')


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType":"Nothing"}',
        b'{"id":"1"}',
        b'{"resourceType":"Patient","nickname":"a"}',
        b'{"resourceType":"Patient","name":"a"}',
        b'{"resourceType":"Patient","name":["a"]}',
        b'{"resourceType":"Patient","birthDate":{}}',
        b'{"resourceType":"Patient","contained":[{"id":"1"}]}',
    ],
)
def test_what_r4_has_no_xml_for_is_said(data: bytes) -> None:
    with pytest.raises(NoXml, match="ask for it in JSON"):
        XML.to_xml(data)


def test_indenting_leaves_formatted_text_alone() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a</p><p>b</p></div>'
    text = '{"resourceType":"Patient","text":{"status":"generated","div":"' + div.replace('"', '\\"') + '"}}'
    made = XML.to_xml(text.encode(), pretty=True).decode()
    assert made.count("\n") == 6
    assert div in made
    assert etree.fromstring(made.encode()).tag == "{http://hl7.org/fhir}Patient"


def test_without_lxml_there_is_no_xml(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_xml() is not None
    monkeypatch.setitem(sys.modules, "lxml", None)
    assert open_xml() is None
