import pytest

from toro_core.references import Local, References

BASES = ["https://toro.example/fhir", "http://localhost:8080/fhir/"]


@pytest.fixture(scope="module")
def references() -> References:
    return References(BASES, {"Patient", "Group"})


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Patient/1", Local("Patient", "1", "")),
        ("Patient/1/_history/2", Local("Patient", "1", "2")),
        ("https://toro.example/fhir/Patient/1", Local("Patient", "1", "")),
        ("http://localhost:8080/fhir/Group/a-b.C/_history/9", Local("Group", "a-b.C", "9")),
        ("https://toro.example/fhir/Foo/1", "https://toro.example/fhir/Foo/1"),
        ("https://toro.example/fhirs/Patient/1", "https://toro.example/fhirs/Patient/1"),
        ("https://other.example/fhir/Patient/1", "https://other.example/fhir/Patient/1"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
        ("URN:UUID:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
        ("#contained", None),
        ("#", None),
        ("", None),
        ("Foo/1", None),
        ("Patient", None),
        ("Patient/", None),
        ("Patient/1/", None),
        ("Patient/1 2", None),
        ("Patient/1/_history/", None),
        ("Patient/1/extra", None),
        ("Patient/" + "x" * 65, None),
        ("Patient?identifier=1", None),
        ("/Patient/1", None),
        ("Patient/1\n", None),
    ],
)
def test_what_a_reference_means(text: str, meaning: Local | str | None, references: References) -> None:
    assert references.parse(text) == meaning
    assert references.parse(text) == meaning  # the second time from memory
