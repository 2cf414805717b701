from __future__ import annotations

import pytest

from toro_facade.media import (
    FHIR_JSON,
    FHIR_XML,
    JSON,
    XML,
    Media,
    accepted,
    format_named,
    is_json_body,
    is_xml_body,
)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", FHIR_JSON),
        ("*/*", FHIR_JSON),
        ("application/*", FHIR_JSON),
        ("application/fhir+json", FHIR_JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON; charset=UTF-8", JSON),
        ("application/fhir+json; fhirVersion=4.0", FHIR_JSON),
        ("application/fhir+json;fhirVersion=5.0, application/json;q=0.1", JSON),
        ("application/fhir+json;fhirVersion=3.0", None),
        ("application/fhir+json; charset=iso-8859-1", None),
        ("application/json, text/plain, */*", JSON),
        ("application/fhir+json;q=0.4, application/json;q=0.5", JSON),
        ("application/fhir+json;q=0, */*", JSON),
        ("application/json, application/fhir+json", FHIR_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR_JSON),
        ("text/html", None),
        ("application/fhir+xml", None),
        ("application/json;q=0", None),
        ("application/json;q=2", None),
        ("nonsense", None),
    ],
)
def test_accept_chooses_by_q_then_by_precision(accept: str, media: Media | None) -> None:
    assert accepted(accept) == media


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", FHIR_JSON),
        ("application/*", FHIR_JSON),
        ("application/fhir+xml", FHIR_XML),
        ("application/fhir+xml; fhirVersion=4.0", FHIR_XML),
        ("application/fhir+xml;fhirVersion=3.0", None),
        ("application/xml", XML),
        ("application/fhir+xml, application/json;q=0.1", FHIR_XML),
        ("application/fhir+json, application/fhir+xml", FHIR_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
        ("text/html", None),
    ],
)
def test_accept_chooses_xml_where_that_is_live(accept: str, media: Media | None) -> None:
    assert accepted(accept, xml=True) == media


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("xml", b"application/fhir+xml"),
        ("application/fhir+xml", b"application/fhir+xml"),
        ("application/fhir xml", b"application/fhir+xml"),
        ("application/xml", b"application/xml"),
        ("text/xml", b"text/xml"),
        ("json", b"application/fhir+json"),
    ],
)
def test_format_names_xml_where_that_is_live(name: str, content_type: bytes) -> None:
    media = format_named(name, xml=True)
    assert media is not None
    assert media.content_type == content_type + b"; charset=utf-8"
    assert format_named("application/fhir+xml; fhirVersion=5.0", xml=True) is None


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/fhir+xml", True),
        ("application/xml; charset=utf-8", True),
        ("text/xml", True),
        ("text/xml; charset=iso-8859-1", False),
        ("application/fhir+xml; fhirVersion=3.0", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_xml_bodies_are_known_by_their_type(content_type: str, taken: bool) -> None:
    assert is_xml_body(content_type) is taken


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("json", FHIR_JSON),
        ("application/fhir+json", FHIR_JSON),
        ("application/fhir json", FHIR_JSON),
        ("application/json", JSON),
        ("xml", None),
        ("application/fhir+xml", None),
        ("", None),
    ],
)
def test_format_names_a_media_type_even_where_its_plus_was_not_escaped(name: str, media: Media | None) -> None:
    assert format_named(name) == media


@pytest.mark.parametrize(
    ("content_type", "sniffed", "taken"),
    [
        ("", False, True),
        ("application/fhir+json", False, True),
        ("application/json; charset=utf-8", False, True),
        ('application/fhir+json; charset="UTF-8"; fhirVersion=4.0', False, True),
        ("text/plain;charset=UTF-8", False, True),
        ("application/x-www-form-urlencoded", True, True),
        ("application/x-www-form-urlencoded", False, False),
        ("application/fhir+json; fhirVersion=3.0", True, False),
        ("application/json; charset=utf-16", True, False),
        ("application/fhir+xml", True, False),
        ("application/octet-stream", True, False),
    ],
)
def test_bodies_are_taken_for_json_only_where_they_may_be(content_type: str, sniffed: bool, taken: bool) -> None:
    assert is_json_body(content_type, sniffed=sniffed) is taken


def test_indenting_leaves_the_text_of_numbers_and_strings_alone() -> None:
    body = '{"a":1.00,"b":100000000000000000000000001,"c":1e-7,"d":"\\u00e9é\\/","e":[]}'.encode()
    pretty = Media(content_type=b"", pretty=True).render(body)
    assert b"\n" in pretty
    assert pretty.replace(b"\n", b"").replace(b" ", b"") == body
