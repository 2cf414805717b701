from typing import Any

import pytest

from toro_core.search.dates import interval
from toro_core.search.evaluate import matches
from toro_core.search.extract import Extractor
from toro_core.search.parse import MAX_VALUES, NEWEST_FIRST, SearchParser
from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Composite,
    Criterion,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.search.query import InvalidSearch, Parameter, Query
from toro_core.search.values import split_escaped, unescaped
from toro_core.storage import Key

GENDER = "http://hl7.org/fhir/administrative-gender"


@pytest.fixture(scope="module")
def parser(extractor: Extractor) -> SearchParser:
    return SearchParser(extractor, max_count=100)


def search(parser: SearchParser, resource_type: str, text: str, *, lenient: bool = False) -> Query:
    return parser.parse(resource_type, parameters(text), lenient=lenient)


def parameters(text: str) -> list[Parameter]:
    """Split as a facade does."""
    found = []
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        code, _, modifier = name.partition(":")
        found.append(Parameter(code=code, modifier=modifier, values=tuple(split_escaped(value, ","))))
    return found


def problems(parser: SearchParser, resource_type: str, text: str, *, lenient: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(InvalidSearch) as caught:
        search(parser, resource_type, text, lenient=lenient)
    assert caught.value.reason == "INVALID_SEARCH"
    return [(issue.code, issue.diagnostics) for issue in caught.value.issues]


def period(prefix: Any, text: str, param: str = "date") -> Period:
    low, high = interval(text)
    return Period(param=param, prefix=prefix, low=low, high=high)


@pytest.mark.parametrize(
    ("resource_type", "text", "criterion"),
    [
        ("Observation", "code=8302-2", Token(param="code", code="8302-2")),
        ("Observation", "code=http://loinc.org|8302-2", Token(param="code", system="http://loinc.org", code="8302-2")),
        ("Observation", "code=|x", Token(param="code", system="", code="x")),
        ("Observation", "code=http://loinc.org|", Token(param="code", system="http://loinc.org")),
        ("Observation", r"code=a\,b\|c\\d\$", Token(param="code", code=r"a,b|c\d$")),
        ("Observation", "code=a,b", AnyOf((Token(param="code", code="a"), Token(param="code", code="b")))),
        (
            "Observation",
            "code=a&status=final",
            AllOf((Token(param="code", code="a"), Token(param="status", code="final"))),
        ),
        ("Observation", "", AllOf(())),
        ("Patient", "active=true", Token(param="active", code="true")),
        ("Patient", "active=http://hl7.org/fhir/special-values|true", Token(param="active", code="true")),
        ("Patient", f"gender={GENDER}|male", Token(param="gender", system=GENDER, code="male")),
        ("DocumentReference", "contenttype=urn:ietf:bcp:13|text/plain", Token(param="contenttype", code="text/plain")),
        ("Patient", "family=  Müller ", Text(param="family", value="muller")),
        ("Patient", "name=a\0b", AnyOf(())),
        ("Patient", "birthdate=2024-01-31", period("eq", "2024-01-31", "birthdate")),
        ("Observation", "date=ge2024-01-31T08:00:00+01:00", period("ge", "2024-01-31T08:00:00+01:00")),
        ("Observation", "date=2024-01-31T08:00:00 01:00", period("eq", "2024-01-31T08:00:00+01:00")),
        (
            "Encounter",
            "date=ge2024-01-01&date=le2024-12-31",
            AllOf((period("ge", "2024-01-01"), period("le", "2024-12-31"))),
        ),
        ("Observation", "patient=1", Reference(param="subject", type="Patient", id="1")),
        ("Observation", "patient=Group/1", AnyOf(())),
        (
            "Observation",
            "patient=https://x.example/Patient/1",
            Uri(param="subject", value="https://x.example/Patient/1"),
        ),
        ("Observation", "patient=https://x.example/Group/1", AnyOf(())),
        (
            "Observation",
            "combo-code=a",
            AnyOf((Token(param="code", code="a"), Token(param="component-code", code="a"))),
        ),
        (
            "Patient",
            "family:exact=Müller",
            AllOf((Text(param="family", value="muller"), Text(param="family", value="Müller", match="exact"))),
        ),
        ("Patient", "family:contains=ÜLL", Text(param="family", value="ull", match="contains")),
        ("Patient", "gender:not=male", Not(Token(param="gender", code="male"))),
        (
            "Patient",
            "gender:not=male,other",
            Not(AnyOf((Token(param="gender", code="male"), Token(param="gender", code="other")))),
        ),
        ("Patient", "gender:missing=true", Not(Present(param="gender"))),
        ("Patient", "gender:missing=false", Present(param="gender")),
        ("Patient", "_id:missing=true", AnyOf(())),
        (
            "Observation",
            "patient:missing=false",
            AnyOf((Present(param="subject", type="Patient"), Present(param="subject:Patient"))),
        ),
        ("Observation", "code:text=Gluc", Uri(param="code:text", value="gluc", match="starts")),
        (
            "Patient",
            "identifier:of-type=http://t|MR|7",
            Token(param="identifier:of-type", system="http://t", code="MR|7"),
        ),
        ("Observation", "subject:identifier=s|7", Token(param="subject:identifier", system="s", code="7")),
        ("Observation", "patient:identifier=7", Token(param="subject:identifier:Patient", code="7")),
        (
            "Observation",
            "_profile:below=http://a/b",
            AnyOf(
                (Uri(param="_profile", value="http://a/b/", match="starts"), Uri(param="_profile", value="http://a/b"))
            ),
        ),
        (
            "Observation",
            "_source:above=http://a/b",
            AnyOf(tuple(Uri(param="_source", value=f"http://a{end}") for end in ("/b", "/b/", "", "/"))),
        ),
        ("RiskAssessment", "probability=0.5", Number(param="probability", prefix="eq", low=0.45, high=0.55)),
        ("RiskAssessment", "probability=gt0.5", Number(param="probability", prefix="gt", low=0.5, high=0.5)),
        (
            "Observation",
            "value-quantity=le5.4|http://unitsofmeasure.org|mg",
            Quantity(
                param="value-quantity",
                prefix="le",
                low=0.0054,
                high=0.0054,
                system="http://unitsofmeasure.org",
                code="g",
            ),
        ),
        (
            "Observation",
            "value-quantity=5||mg",
            Quantity(param="value-quantity", prefix="eq", low=4.5, high=5.5, code="mg"),
        ),
        ("Observation", "value-quantity=5", Quantity(param="value-quantity", prefix="eq", low=4.5, high=5.5)),
        (
            "Observation",
            "code-value-concept=a$b",
            AllOf((Token(param="code", code="a"), Token(param="value-concept", code="b"))),
        ),
        (
            "Observation",
            "component-code-value-concept=a$b",
            AllOf(
                (
                    Token(param="component-code", code="a"),
                    Token(param="component-value-concept", code="b"),
                    Composite(
                        param="component",
                        criteria=(
                            Token(param="component-code", code="a"),
                            Token(param="component-value-concept", code="b"),
                        ),
                    ),
                )
            ),
        ),
        ("Observation", "subject=1", Reference(param="subject", id="1")),
        ("Observation", "subject:Patient=1", Reference(param="subject", type="Patient", id="1")),
        ("Observation", "subject:Patient=Patient/1", Reference(param="subject", type="Patient", id="1")),
        ("Observation", "subject=Group/1", Reference(param="subject", type="Group", id="1")),
        ("Observation", "subject=https://toro.example/fhir/Group/1", Reference(param="subject", type="Group", id="1")),
        ("Observation", "subject=Group/1/_history/2", Reference(param="subject", type="Group", id="1", version="2")),
        ("Observation", "subject=https://x.example/Group/1", Uri(param="subject", value="https://x.example/Group/1")),
        (
            "ServiceRequest",
            "instantiates-canonical=http://a|1",
            Uri(param="instantiates-canonical", value="http://a|1"),
        ),
        ("ServiceRequest", "instantiates-uri=http://a", Uri(param="instantiates-uri", value="http://a")),
        ("Observation", "_profile=http://a", Uri(param="_profile", value="http://a")),
        ("Observation", "_id=1,2", Ids(ids=("1", "2"))),
        (
            "Observation",
            "_lastUpdated=gt2024",
            LastUpdated(prefix="gt", low=interval("2024")[0], high=interval("2024")[1]),
        ),
    ],
)
def test_what_parameters_mean(resource_type: str, text: str, criterion: Criterion, parser: SearchParser) -> None:
    query = search(parser, resource_type, text)
    assert query.criterion == criterion
    assert query.applied == tuple(parameters(text))
    assert query.issues == ()


@pytest.mark.parametrize(
    ("resource_type", "text", "sort"),
    [
        ("Observation", "", NEWEST_FIRST[0]),
        ("Observation", "_sort=date", SortKey()),
        ("Observation", "_sort=-date", SortKey(descending=True)),
        ("Observation", "_sort=-code", SortKey(param="code", descending=True)),
        ("Patient", "_sort=birthdate", SortKey(param="birthdate")),
        ("Patient", "_sort=_id", SortKey(param="_id")),
        ("Patient", "_sort=-_lastUpdated", SortKey(param="_lastUpdated", descending=True)),
    ],
)
def test_the_order(resource_type: str, text: str, sort: SortKey, parser: SearchParser) -> None:
    assert search(parser, resource_type, text).sort == (sort,)


def test_the_order_has_several_keys(parser: SearchParser) -> None:
    keys = (SortKey(param="family"), SortKey(param="birthdate", descending=True))
    assert search(parser, "Patient", "_sort=family,-birthdate,-family").sort == keys
    assert search(parser, "Patient", "_sort=name").sort == (SortKey(param="name+"),)
    assert search(parser, "Patient", "_sort=phonetic").sort == (SortKey(param="name+"),)
    assert search(parser, "Observation", "_sort=patient").sort == (SortKey(param="subject"),)
    assert search(parser, "Observation", "_sort=combo-code").sort == (SortKey(param="code"),)


@pytest.mark.parametrize("total", ["none", "estimate", "accurate"])
def test_the_total_is_as_asked(total: str, parser: SearchParser) -> None:
    assert search(parser, "Patient", f"_total={total}").total == total
    assert search(parser, "Patient", "").total is None


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("1", 1), ("0099", 99), ("100", 100)])
def test_the_page_size_is_as_asked(text: str, count: int, parser: SearchParser) -> None:
    query = search(parser, "Patient", f"_count={text}")
    assert (query.count, query.issues) == (count, ())


@pytest.mark.parametrize("text", ["101", "9" * 10, "9" * 9000])
def test_a_large_page_size_is_capped_and_said_so(text: str, parser: SearchParser) -> None:
    query = search(parser, "Patient", f"_count={text}")
    assert query.count == 100
    assert query.applied == (Parameter(code="_count", values=("100",)),)
    assert [(issue.severity, issue.code) for issue in query.issues] == [("information", "informational")]


@pytest.mark.parametrize(
    ("resource_type", "text", "code", "said"),
    [
        ("Patient", "birthdate=2024-02-30", "value", "Parameter `birthdate` takes dates that exist"),
        ("Patient", "birthdate=ge", "value", "takes dates"),
        ("Patient", "active=yes", "value", "`true` or `false`"),
        ("Patient", "name:below=A", "not-supported", "supports as modifiers :missing, :exact, :contains"),
        ("Patient", "birthdate:exact=2024", "not-supported", "supports as modifiers :missing"),
        ("Patient", "gender:missing=maybe", "value", "`true` or `false`"),
        ("Patient", "gender:text=x", "not-supported", "no texts"),
        ("Patient", "gender:of-type=a|b|c", "not-supported", "only on identifiers"),
        ("Patient", "identifier:of-type=b|c", "value", "`system|code|value`"),
        ("Patient", "gender:in=http://example.org/vs", "not-supported", "knows one by one"),
        ("Patient", "gender:below=male", "not-supported", "`system|code`"),
        ("Observation", "code:below=http://loinc.org|1", "not-supported", "hierarchy this server knows"),
        ("Observation", "_source:below=urn:oid:1", "not-supported", "URLs only"),
        ("Observation", "value-quantity=x", "value", "numbers such as"),
        ("Observation", "value-quantity=5|mg", "value", "`number|system|code`"),
        ("Observation", "value-quantity=5|http://unitsofmeasure.org|", "value", "`number|system|code`"),
        ("RiskAssessment", "probability=1e9999", "value", "numbers such as"),
        ("Observation", "code-value-concept=a", "value", "`code$value-concept`"),
        ("Observation", "code-value-concept:missing=true", "not-supported", "no modifiers"),
        ("Observation", "patient:Group=1", "not-supported", "types it can refer to: Patient"),
        ("Observation", "subject:Patient=Group/1", "value", "limited to Patient"),
        ("Observation", "subject:Patient=http://other.org/fhir/Group/1", "value", "limited to Patient"),
        ("Observation", "subject=Foo/1", "value", "`Type/id`"),
        ("Observation", "subject=urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "value", "`Type/id`"),
        ("Observation", "code=a|b|c", "value", "`system|code`"),
        ("Observation", "code=|", "value", "`system|code`"),
        ("Patient", "name=\u0301", "value", "at least one letter"),
        ("Patient", "_sort=name,family,given,gender,birthdate,active", "too-costly", "up to 5 keys"),
        ("Patient", "_include:recurse=Patient:link", "not-supported", ":iterate"),
        ("Patient", "_summary=all", "value", "true, text, data, count, false"),
        ("Patient", "_summary=text&_include=Patient:link", "invalid", "cannot be mixed"),
        ("Patient", "_include=Patient:link&_summary=text", "invalid", "cannot be mixed"),
        ("Patient", "_elements=a.b", "value", "at the top"),
        ("Patient", "_contained=true", "not-supported", "contained"),
        ("Patient", "organization.name=x", "not-supported", "may follow no references here"),
        ("Patient", "_count=-1", "value", "whole number"),
        ("Patient", "_count=٣", "value", "whole number"),
        ("Patient", "_count=1&_count=2", "invalid", "more than once"),
        ("Patient", "_count:x=1", "not-supported", "no modifiers"),
        ("Patient", "_total=all", "value", "none, estimate, accurate"),
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_what_is_wrong_is_refused_whatever_the_handling(
    resource_type: str, text: str, code: str, said: str, lenient: bool, parser: SearchParser
) -> None:
    ((found_code, diagnostics),) = problems(parser, resource_type, text, lenient=lenient)
    assert found_code == code
    assert said in diagnostics


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("adress=x", "not-supported", "did you mean `address`?"),
        ("foo=x", "not-supported", "Parameter `foo` is not supported for Patient (supported: _id, _lastUpdated,"),
        ("_include=Patient:foo", "not-supported", "names `foo`, which is not supported"),
        ("_include=Patient:name", "value", "no reference of Patient"),
        ("_include=Patient:link:Group", "value", "does not refer to"),
        ("_include=Foo:link", "value", "takes `Type:reference`"),
        ("_revinclude=*", "value", "takes `Type:reference`"),
        ("_revinclude=Encounter:location", "value", "does not refer to"),
        ("_elements=foo", "value", "does not have"),
        ("_text=x", "not-supported", "not supported by this storage"),
        ("_content=x", "not-supported", "not supported by this storage"),
        ("_filter=x", "not-supported", "not supported"),
        ("_sort=foo", "not-supported", "Parameter `_sort` does not support this key"),
        ("birthdate=", "value", "`birthdate` has an empty value"),
        ("_sort=", "value", "`_sort` has an empty value"),
        ("x\n\0=1", "not-supported", "Parameter `x??` is not supported"),
    ],
)
def test_what_is_unknown_or_empty_is_refused_or_ignored_and_said(
    text: str, code: str, said: str, parser: SearchParser
) -> None:
    assert [(found, said in diagnostics) for found, diagnostics in problems(parser, "Patient", text)] == [(code, True)]
    query = search(parser, "Patient", f"{text}&family=a", lenient=True)
    assert query.criterion == Text(param="family", value="a")
    assert query.applied == (Parameter(code="family", values=("a",)),)
    ((issue),) = query.issues
    assert (issue.severity, issue.code, issue.diagnostics.endswith("it was ignored.")) == ("warning", code, True)


def test_an_empty_alternative_is_refused_or_left_out(parser: SearchParser) -> None:
    assert len(problems(parser, "Patient", "name=a,,b")) == 1
    query = search(parser, "Patient", "name=a,,b", lenient=True)
    assert query.applied == (Parameter(code="name", values=("a", "b")),)
    assert len(query.issues) == 1


def test_summary_false_changes_nothing(parser: SearchParser) -> None:
    assert search(parser, "Patient", "_summary=false").criterion == AllOf(())


def test_every_problem_is_reported_at_once_and_no_value_is_quoted(parser: SearchParser) -> None:
    found = problems(parser, "Patient", "foo=Secret&birthdate=Secret&active=Secret&name:below=Secret&_count=Secret")
    assert [code for code, _ in found] == ["not-supported", "value", "value", "not-supported", "value"]
    assert not any("Secret" in diagnostics for _, diagnostics in found)


def test_too_many_values_are_refused(parser: SearchParser) -> None:
    ids = Parameter(code="_id", values=("1",) * MAX_VALUES)
    assert parser.parse("Patient", [ids]).criterion == Ids(ids=("1",) * MAX_VALUES)
    with pytest.raises(InvalidSearch) as caught:
        parser.parse("Patient", [ids, Parameter(code="name", values=("a",))])
    assert [issue.code for issue in caught.value.issues] == ["too-costly"]


def test_an_unknown_type_is_a_key_error(parser: SearchParser) -> None:
    with pytest.raises(KeyError):
        search(parser, "Foo", "name=a")


def test_a_constraint_of_a_scope_is_a_criterion(parser: SearchParser) -> None:
    text = "category=http://terminology.hl7.org/CodeSystem/observation-category%7Claboratory&status=final,amended"
    laboratory = Token(
        param="category", system="http://terminology.hl7.org/CodeSystem/observation-category", code="laboratory"
    )
    status = AnyOf((Token(param="status", code="final"), Token(param="status", code="amended")))
    assert parser.constraint("Observation", text) == AllOf((laboratory, status))


@pytest.mark.parametrize(
    "text", ["", "foo=1", "category", "category=", "category=a,,b", "_sort=date", "_count=1", "date=x"]
)
def test_a_constraint_that_does_not_filter_is_refused(text: str, parser: SearchParser) -> None:
    with pytest.raises(InvalidSearch):
        parser.constraint("Observation", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gender=male", True),
        (f"gender={GENDER}|male", True),
        ("gender=http://example.org|male", False),
        ("gender=|male", False),
        ("active=http://terminology.hl7.org/CodeSystem/special-values|true", True),
        ("active=http://example.org|true", False),
        ("identifier=urn:oid:1|", True),
        ("identifier=7", True),
        ("identifier=|7", False),
        ("family=dia", True),
        ("family=az", False),
        ("birthdate=1980", True),
        ("birthdate=lt1980-05-05", True),
        ("birthdate=lt1980-05-04", False),
        ("general-practitioner=Practitioner/9", True),
        ("general-practitioner:Organization=9", False),
        ("deceased=false", True),
    ],
)
def test_a_search_finds_a_resource_by_its_rows(
    text: str, found: bool, parser: SearchParser, extractor: Extractor
) -> None:
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "gender": "male",
        "active": True,
        "identifier": [{"system": "urn:oid:1", "value": "7"}],
        "name": [{"family": "Díaz"}],
        "birthDate": "1980-05-04",
        "generalPractitioner": [{"reference": "Practitioner/9"}],
    }
    criterion = search(parser, "Patient", text).criterion
    assert matches(criterion, Key("Patient", "1"), 0, extractor.rows(patient)) is found


def test_escapes_split_and_resolve() -> None:
    assert split_escaped(r"a\,b,c\\,d,", ",") == [r"a\,b", r"c\\", "d", ""]
    assert split_escaped("a\\", ",") == ["a\\"]
    assert split_escaped("", ",") == [""]
    assert unescaped(r"a\,b\|c\$d\\,\n") == "a,b|c$d\\,\\n"
