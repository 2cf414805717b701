"""Clinical notes, signed PDFs and the documents composed of a record's parts."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import ILLNESSES, PROBLEMS, loinc
from toro_core.synthetic.elements import LOINC, Code, Json, coding, concept, identifier, local, ref
from toro_core.synthetic.pdf import Signer
from toro_core.synthetic.staff import Clinician
from toro_core.synthetic.visits import attending

__all__ = ["compose", "consent", "discharge", "file_report", "write_note"]

_FORMAT = {
    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
}
_NOTES = {
    "wellness": loinc("34117-2", "History and physical"),
    "problem": loinc("11506-3", "Progress note"),
    "virtual": loinc("11488-4", "Consultation note"),
    "emergency": loinc("28570-0", "Procedure note"),
}
_SUMMARY = loinc("34133-9", "Summary of care")
_DISCHARGE = loinc("18842-5", "Discharge summary")
_LABORATORY = loinc("11502-2", "Laboratory report")


def write_note(chart: Chart, visit: Visit, encounter: str) -> None:
    """Write the clinician's note on a visit, in plain text."""
    if visit.kind not in _NOTES:
        return
    lines = _story(chart, visit)
    body = _document(chart, visit, encounter, _NOTES[visit.kind], attending(chart, visit))
    body["content"] = [_inline("text/plain", "\n".join(lines).encode(), _NOTES[visit.kind].text)]
    chart.add("DocumentReference", "us-core-documentreference", body)
    if "lab report" in chart.known and "lab note" not in chart.known and visit.kind == "wellness":
        text = b"All results of this visit have been reviewed."
        body = _document(chart, visit, encounter, _LABORATORY, attending(chart, visit))
        body["content"] = [_inline("text/plain", text, _LABORATORY.text)]
        chart.known["lab note"] = chart.add("DocumentReference", "us-core-documentreference", body)


def discharge(chart: Chart, visit: Visit, encounter: str, signer: Signer) -> None:
    """Close a stay: the signed discharge summary as a PDF in a Binary, and the same as a Composition."""
    author = attending(chart, visit)
    data = signer.pdf(_DISCHARGE.text, _story(chart, visit), visit.end)
    binary = _binary(chart, "application/pdf", data)
    body = _document(chart, visit, encounter, _DISCHARGE, author)
    attachment = {"contentType": "application/pdf", "url": binary, "size": len(data), "title": _DISCHARGE.text}
    body["content"] = [{"attachment": attachment, "format": dict(_FORMAT)}]
    chart.add("DocumentReference", "us-core-documentreference", body)
    _composition(chart, _DISCHARGE, encounter, author, visit.end)


def consent(chart: Chart, visit: Visit, encounter: str, signer: Signer) -> None:
    """File the signed consent to treatment, a PDF within the DocumentReference itself."""
    person = chart.person
    code = loinc("59284-0", "Consent to treatment")
    words = [f"{person.given} {person.family}, born {person.born}", "consents to treatment by", person.site.name]
    body = _document(chart, visit, encounter, code, person.doctor)
    body["content"] = [_inline("application/pdf", signer.pdf(code.text, words, visit.start), code.text)]
    chart.add("DocumentReference", "us-core-documentreference", body)


def compose(chart: Chart, encounter: str, when: datetime) -> None:
    """Write the summary of care, a Composition that refers to the record's parts."""
    _composition(chart, _SUMMARY, encounter, chart.person.doctor, when)


def file_report(
    chart: Chart, visit: Visit, encounter: str, code: Code, author: Clinician, when: datetime, words: list[str]
) -> str:
    """File a report's text as a Binary with its DocumentReference, and refer to the Binary."""
    data = "\n".join([code.text, *words]).encode()
    binary = _binary(chart, "text/plain", data)
    body = _document(chart, visit, encounter, code, author) | {"date": chart.at(when)}
    attachment = {"contentType": "text/plain", "url": binary, "size": len(data), "title": code.text}
    body["content"] = [{"attachment": attachment, "format": dict(_FORMAT)}]
    chart.add("DocumentReference", "us-core-documentreference", body)
    return binary


def _binary(chart: Chart, kind: str, data: bytes) -> str:
    content = {"contentType": kind, "securityContext": chart.subject, "data": b64encode(data).decode()}
    return chart.add("Binary", None, content)


def _inline(kind: str, data: bytes, title: str) -> Json:
    attachment = {"contentType": kind, "data": b64encode(data).decode(), "size": len(data), "title": title}
    return {"attachment": attachment, "format": dict(_FORMAT)}


def _document(chart: Chart, visit: Visit, encounter: str, code: Code, author: Clinician) -> Json:
    categories = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
    return {
        "identifier": [identifier(local("document"), f"{chart.person.number + 1}-{len(chart.resources)}")],
        "status": "current",
        "docStatus": "final",
        "type": concept(code),
        "category": [coding(categories, "clinical-note")],
        "subject": chart.subject,
        "date": chart.at(visit.end),
        "author": [ref(author.practitioner)],
        "custodian": ref(author.site.organization),
        "context": {"encounter": [ref(encounter)], "period": chart.between(visit.start, visit.end)},
    }


def _story(chart: Chart, visit: Visit) -> list[str]:
    person = chart.person
    reason = (ILLNESSES | PROBLEMS)[visit.reason].codes[0].text.lower() if visit.reason else "a checkup"
    history = ", ".join(PROBLEMS[name].codes[0].text.lower() for name in person.problems) or "nothing of note"
    return [
        f"{person.given} {person.family}, {person.sex}, {int(person.age(visit.day))} years old, came for {reason}.",
        f"Past history: {history}.",
        "Examined; findings as recorded. Plan explained and understood.",
        f"Signed: Dr. {attending(chart, visit).family}",
    ]


def _composition(chart: Chart, code: Code, encounter: str, author: Clinician, when: datetime) -> None:
    sections = [
        ("Problems", "11450-4", [chart.known[name] for name in chart.known if name.startswith("problem:")]),
        ("Medications", "10160-0", [chart.known[name] for name in chart.known if name.startswith("drug:")]),
        ("Allergies", "48765-2", [chart.known["allergy"]]),
        ("Results", "30954-2", [chart.known[name] for name in ("lab", "lab report") if name in chart.known]),
        ("Procedures", "47519-4", [chart.known[name] for name in ("biopsy", "implantation") if name in chart.known]),
        ("Plan", "18776-5", [chart.known[name] for name in ("plan", "goal")]),
    ]
    chart.add(
        "Composition",
        None,
        {
            "identifier": identifier(local("composition"), f"{chart.person.number + 1}-{len(chart.resources)}"),
            "status": "final",
            "type": concept(code),
            "category": [coding(LOINC, "11503-0")],
            "subject": chart.subject,
            "encounter": ref(encounter),
            "date": chart.at(when + timedelta(hours=1)),
            "author": [ref(author.practitioner)],
            "title": f"{code.text}: {chart.person.given} {chart.person.family}",
            "confidentiality": "N",
            "attester": [{"mode": "professional", "time": chart.at(when), "party": ref(author.practitioner)}],
            "custodian": ref(author.site.organization),
            "section": [_section(*section) for section in sections],
        },
    )


def _section(title: str, code: str, entries: list[str]) -> Json:
    body: Json = {"title": title, "code": coding(LOINC, code)}
    if entries:
        return body | {"entry": [ref(entry) for entry in entries]}
    empty = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
    words = '<div xmlns="http://www.w3.org/1999/xhtml"><p>None recorded.</p></div>'
    return body | {"text": {"status": "generated", "div": words}, "emptyReason": coding(empty, "nilknown")}
