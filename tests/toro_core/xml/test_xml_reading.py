from __future__ import annotations

import pytest

from toro_core import json
from toro_core.xml import InvalidXml, Xml

FHIR = 'xmlns="http://hl7.org/fhir"'
XML = Xml()


def read(text: str) -> dict[str, json.JsonValue]:
    return json.loads(XML.to_json(text.encode()))


def refusals(data: bytes) -> list[str]:
    with pytest.raises(InvalidXml) as refused:
        XML.to_json(data)
    return [issue.diagnostics for issue in refused.value.issues]


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE Patient [<!ENTITY who "x">]><Patient {FHIR}><id value="&who;"/></Patient>',
        f'<?xml version="1.0"?><!-- - -->\n<!DOCTYPE Patient SYSTEM "file:///etc/passwd"><Patient {FHIR}/>',
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
        f'<Patient {FHIR}><id value="&c;"/></Patient>',
    ],
)
def test_document_types_and_entities_are_refused(text: str) -> None:
    assert refusals(text.encode()) == [
        "A document type or entity declaration is not allowed in FHIR; send the resource without it."
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ('{"resourceType":"Patient"}', "malformed at line 1, column 1"),
        (f"<Patient {FHIR}>\n  <active", "malformed at line 2"),
        (f'<Patient {FHIR}><id value="&nbsp;"/></Patient>', "undeclared entity"),
        (f'<?xml version="1.0" encoding="latin-1"?><Patient {FHIR}/>', "another encoding"),
        ("<Patient/>", "no resource of R4 in the namespace"),
        (f"<Nothing {FHIR}/>", "no resource of R4"),
        (f"<Patient {FHIR}>\n<nickname/></Patient>", "Patient.nickname at line 2 is no element of its parent"),
        (
            f'<Patient {FHIR}><gender value="male"/><active value="true"/></Patient>',
            "Patient.active at line 1 is out of",
        ),
        (f'<Patient {FHIR}><active value="true"/><active value="true"/></Patient>', "Patient.active at line 1 stands"),
        (f"<Patient {FHIR}><Ann-1/></Patient>", "Patient.(other) at line 1 is no element"),
        (f"<Patient {FHIR}><contained/></Patient>", "exactly one resource"),
        (f"<Patient {FHIR}><contained><Basic/><Basic/></contained></Patient>", "exactly one resource"),
        (f'<Patient {FHIR}><active value="true" colour="red"/></Patient>', "attribute that FHIR does not know"),
        (f'<Patient {FHIR}><name value="Ann"/></Patient>', "attribute that FHIR does not know"),
        (f"<Patient {FHIR}><name><family>Ann</family></name></Patient>", "Patient.name.family at line 1 holds text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_its_value(text: str, said: str) -> None:
    issues = refusals(text.encode())
    assert said in issues[0]
    assert not any("Ann" in issue or "nbsp" in issue for issue in issues)


def test_every_issue_is_said_at_once_up_to_a_limit() -> None:
    assert len(refusals(f"<Patient {FHIR}><a/><b/><c/></Patient>".encode())) == 3
    many = refusals(f"<Patient {FHIR}>{'<a/>' * 1000}</Patient>".encode())
    assert len(many) == 51
    assert "the rest is left out" in many[-1]


def test_depth_and_length_are_limited() -> None:
    deep = '<extension url="a">' * 120 + "</extension>" * 120
    assert "nested" in refusals(f"<Patient {FHIR}>{deep}</Patient>".encode())[0]
    assert "nested" in refusals(f"<Patient {FHIR}>{'<contact>' * 5000}".encode())[0]
    assert "too long a value" in refusals(f'<Patient {FHIR}><id value="{"a" * 10_000_001}"/></Patient>'.encode())[0]
    assert "elements" in refusals(b"<a>" + b"<b/>" * 2_000_001)[0]


def test_another_encoding_cannot_hide_a_declaration() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-7"):
        assert refusals('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode(encoding))


def test_primitives_keep_their_ids_and_extensions_in_the_places_of_json() -> None:
    extension = '<extension url="http://example.org/why"><valueCode value="unknown"/></extension>'
    other = {"extension": [{"url": "http://example.org/why", "valueCode": "unknown"}]}
    given = f'<given id="a" value="A"/><given>{extension}</given><given value="C"/>'
    patient = f"<Patient {FHIR}><name>{given}</name><birthDate>{extension}</birthDate></Patient>"
    assert read(patient) == {
        "resourceType": "Patient",
        "name": [{"given": ["A", None, "C"], "_given": [{"id": "a"}, other, None]}],
        "_birthDate": other,
    }


def test_types_decide_what_json_a_value_becomes() -> None:
    made = XML.to_json(
        f'<Observation {FHIR}><id value="1"/><valueQuantity><value value="1.0E2"/></valueQuantity></Observation>'.encode()
    )
    assert made == b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":1.0E2}}'
    wrong = f'<Patient {FHIR}><active value="yes"/><multipleBirthInteger value="07"/></Patient>'
    assert read(wrong) == {"resourceType": "Patient", "active": "yes", "multipleBirthInteger": "07"}
    assert read(f"<Patient {FHIR}><active/></Patient>") == {"resourceType": "Patient", "_active": {}}
    once = f'<Patient {FHIR}><name><given value="A"/></name></Patient>'
    assert read(once) == {"resourceType": "Patient", "name": [{"given": ["A"]}]}


def test_resources_within_resources_are_read() -> None:
    bundle = (
        f'<Bundle {FHIR}><type value="batch"/><entry><resource><Patient><id value="1"/></Patient></resource>'
        '<request><method value="PUT"/><url value="Patient/1"/></request></entry></Bundle>'
    )
    assert read(bundle)["entry"] == [
        {"resource": {"resourceType": "Patient", "id": "1"}, "request": {"method": "PUT", "url": "Patient/1"}}
    ]


def test_prefixes_comments_and_schema_hints_do_not_matter() -> None:
    patient = (
        '<!-- made by --><f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"><?ignore me?>'
        '<f:text><f:status value="generated"/><h:div>a &lt; <h:b class="c">b</h:b>c</h:div></f:text>'
        '<!-- now --><f:active value="true"/></f:Patient>'
    )
    div = '<div xmlns="http://www.w3.org/1999/xhtml">a &lt; <b class="c">b</b>c</div>'
    assert read(patient) == {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": div},
        "active": True,
    }


def test_formatted_text_is_a_string_in_its_own_namespace() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">\n <p>a<br/>\u00e9 &amp; <!-- b --><i>c</i> d</p>\n</div>'
    patient = f'<Patient {FHIR} xmlns:x="urn:x"><text><status value="generated"/>{div}</text></Patient>'
    assert read(patient)["text"] == {"status": "generated", "div": div}


def test_a_byte_order_mark_is_not_in_the_way() -> None:
    assert read(f"\ufeff<Patient {FHIR}/>") == {"resourceType": "Patient"}
