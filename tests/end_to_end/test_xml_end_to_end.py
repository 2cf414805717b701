"""The API in XML, from a body to the error that refuses it. https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

import httpx
import pytest
from lxml import etree

NAMES = {"f": "http://hl7.org/fhir", "h": "http://www.w3.org/1999/xhtml"}
XML = {"accept": "application/fhir+xml", "content-type": "application/fhir+xml"}
OBSERVATION = b"""<?xml version="1.0" encoding="UTF-8"?>
<Observation xmlns="http://hl7.org/fhir">
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>a &lt; <b>b</b><br/></p></div></text>
  <status value="final"/>
  <code><text value="Caf\xc3\xa9 &amp; t\xc3\xa9"/></code>
  <valueQuantity><value value="1.50"/><unit value="mg"/></valueQuantity>
  <component><code><text value="x"/></code><valueQuantity><value value="1.0E-2"/></valueQuantity></component>
</Observation>
"""


def at(answer: httpx.Response, path: str) -> list[str]:
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8", answer.text
    found = etree.fromstring(answer.content).xpath(path, namespaces=NAMES)
    assert isinstance(found, list)
    return [str(one) for one in found]


def test_what_is_written_in_xml_is_read_in_both(partner: httpx.Client) -> None:
    created = partner.post("Observation", content=OBSERVATION, headers=XML)
    assert created.status_code == 201, created.text
    place = f"Observation/{at(created, '/f:Observation/f:id/@value')[0]}"
    assert '"value":1.50,' in partner.get(place).text
    assert '"value":1.0E-2}' in partner.get(place).text
    read = partner.get(place, headers=XML)
    assert at(read, "//f:value/@value") == ["1.50", "1.0E-2"]
    assert at(read, "//h:b/text()") == ["b"]
    assert at(read, "f:code/f:text/@value") == ["Caf\u00e9 & t\u00e9"]
    assert at(partner.get(f"{place}/_history?_format=xml"), "//f:Observation/f:status/@value") == ["final"]


def test_searches_pages_and_included_resources_come_in_xml(partner: httpx.Client) -> None:
    query = {"_count": "3", "_include": "Encounter:patient", "_format": "xml"}
    page = partner.get("Encounter", params=query)
    assert at(page, "/f:Bundle/f:type/@value") == ["searchset"]
    assert len(at(page, "//f:resource/f:Encounter/f:id/@value")) == 3
    assert at(page, "//f:resource/f:Patient/f:id/@value")
    following = at(page, "f:link[f:relation/@value='next']/f:url/@value")[0]
    assert len(at(partner.get(following, headers=XML), "//f:resource/f:Encounter/f:id/@value")) == 3
    form = partner.post("Patient/_search", data={"_format": "xml", "_count": "1"})
    assert at(form, "/f:Bundle/f:entry/f:search/f:mode/@value") == ["match"]


def test_a_transaction_goes_in_and_out_in_xml(partner: httpx.Client) -> None:
    bundle = (
        b'<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><fullUrl value="urn:uuid:'
        b'0b4e1a3a-6a3f-4c6e-8f0a-2d7f3c9a9f01"/><resource><Patient><name><family value="Xml"/></name></Patient></resource>'
        b'<request><method value="POST"/><url value="Patient"/></request></entry></Bundle>'
    )
    answer = partner.post("", content=bundle, headers=XML)
    assert answer.status_code == 200, answer.text
    assert at(answer, "//f:response/f:status/@value") == ["201 Created"]


@pytest.mark.parametrize(
    ("old", "new", "status", "said"),
    [
        (b'value="final"', b'value="done"', 400, "Observation.status"),
        (b'<status value="final"/>', b"", 400, "Observation.status"),
        (b'value="1.50"', b'value="1,50"', 400, "Observation.value.value"),
    ],
)
def test_what_breaks_r4_is_refused_in_xml_with_its_place(
    partner: httpx.Client, old: bytes, new: bytes, status: int, said: str
) -> None:
    answer = partner.post("Observation", content=OBSERVATION.replace(old, new), headers=XML)
    assert answer.status_code == status
    assert said in at(answer, "/f:OperationOutcome/f:issue/f:expression/@value")


def test_malformed_xml_is_refused_with_line_and_column(partner: httpx.Client) -> None:
    answer = partner.post("Observation", content=OBSERVATION.replace(b"</code>\n", b"\n"), headers=XML)
    assert answer.status_code == 400
    assert "at line 8, column 15" in at(answer, "//f:diagnostics/@value")[0]


def test_validating_and_patching_speak_xml(partner: httpx.Client) -> None:
    sound = partner.post("Observation/$validate", content=OBSERVATION, headers=XML)
    assert "error" not in at(sound, "//f:severity/@value")
    patient = partner.post("Patient", content=b'<Patient xmlns="http://hl7.org/fhir"/>', headers=XML)
    place = f"Patient/{at(patient, 'f:id/@value')[0]}"
    parts = "".join(
        f'<part><name value="{name}"/>{value}</part>'
        for name, value in {
            "type": '<valueCode value="add"/>',
            "path": '<valueString value="Patient"/>',
            "name": '<valueString value="birthDate"/>',
            "value": '<valueDate value="2001-02-03"/>',
        }.items()
    )
    patch = (
        f'<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>{parts}</parameter></Parameters>'
    )
    assert at(partner.patch(place, content=patch, headers=XML), "f:birthDate/@value") == ["2001-02-03"]


def test_the_capability_statement_lists_xml(partner: httpx.Client) -> None:
    assert "xml" in at(partner.get("metadata?_format=xml"), "f:format/@value")
