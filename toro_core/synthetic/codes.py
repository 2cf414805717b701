"""The few problems, drugs, vaccines, allergies and tests that synthetic records use, as plain codes."""

from __future__ import annotations

from typing import NamedTuple

from toro_core.synthetic.elements import LOINC, SNOMED, Code

__all__ = [
    "ALLERGIES",
    "DRUGS",
    "ILLNESSES",
    "NO_ALLERGY",
    "PANELS",
    "PROBLEMS",
    "VACCINES",
    "Allergy",
    "Drug",
    "Panel",
    "Problem",
    "Test",
    "icd10",
    "loinc",
    "snomed",
]


def loinc(code: str, text: str) -> Code:
    """Give a LOINC code with our own text."""
    return Code(LOINC, code, text)


def snomed(code: str, text: str) -> Code:
    """Give a SNOMED CT code with our own text."""
    return Code(SNOMED, code, text)


def icd10(code: str, text: str) -> Code:
    """Give an ICD-10-CM code with our own text."""
    return Code("http://hl7.org/fhir/sid/icd-10-cm", code, text)


class Drug(NamedTuple):
    """A clinical drug, how it is dosed and how much is dispensed."""

    code: Code
    dose: float
    unit: str
    times_a_day: int
    dispensed: int


class Problem(NamedTuple):
    """A diagnosis in two code systems and the drugs usual for it."""

    codes: tuple[Code, Code]
    drugs: tuple[str, ...]


class Allergy(NamedTuple):
    """What is not tolerated, what kind of thing it is and how it shows."""

    code: Code
    category: str
    manifestation: Code


class Test(NamedTuple):
    """A measured quantity with its UCUM unit and its normal range."""

    code: Code
    unit: str
    low: float
    high: float
    digits: int


class Panel(NamedTuple):
    """Tests ordered and reported together."""

    code: Code
    specimen: Code
    tests: tuple[Test, ...]


def _rxnorm(code: str, text: str) -> Code:
    return Code("http://www.nlm.nih.gov/research/umls/rxnorm", code, text)


def _problem(snomed_code: str, icd_code: str, text: str, *drugs: str) -> Problem:
    return Problem((snomed(snomed_code, text), icd10(icd_code, text)), drugs)


def _test(code: str, text: str, unit: str, low: float, high: float, digits: int) -> Test:
    return Test(loinc(code, text), unit, low, high, digits)


DRUGS = {
    "lisinopril": Drug(_rxnorm("314076", "lisinopril 10 mg tablet"), 1, "tablet", 1, 30),
    "amlodipine": Drug(_rxnorm("197361", "amlodipine 5 mg tablet"), 1, "tablet", 1, 30),
    "metformin": Drug(_rxnorm("860975", "metformin 500 mg tablet, 24 hours"), 2, "tablet", 1, 60),
    "atorvastatin": Drug(_rxnorm("259255", "atorvastatin 80 mg tablet"), 1, "tablet", 1, 90),
    "furosemide": Drug(_rxnorm("313988", "furosemide 40 mg tablet"), 1, "tablet", 2, 60),
    "aspirin": Drug(_rxnorm("243670", "aspirin 81 mg tablet"), 1, "tablet", 1, 90),
    "albuterol": Drug(_rxnorm("745679", "albuterol inhaler"), 2, "puff", 2, 1),
    "fluticasone": Drug(_rxnorm("895994", "fluticasone inhaler"), 2, "puff", 2, 1),
    "levothyroxine": Drug(_rxnorm("10582", "levothyroxine"), 50, "ug", 1, 90),
    "sertraline": Drug(_rxnorm("36437", "sertraline"), 50, "mg", 1, 30),
    "amoxicillin": Drug(_rxnorm("308182", "amoxicillin 250 mg capsule"), 1, "capsule", 3, 30),
    "acetaminophen": Drug(_rxnorm("313782", "acetaminophen 325 mg tablet"), 2, "tablet", 3, 60),
    "ibuprofen": Drug(_rxnorm("310965", "ibuprofen 200 mg tablet"), 2, "tablet", 3, 60),
}

PROBLEMS = {
    "hypertension": _problem("38341003", "I10", "High blood pressure", "lisinopril", "amlodipine"),
    "diabetes": _problem("44054006", "E11.9", "Diabetes, type 2", "metformin"),
    "lipids": _problem("55822004", "E78.5", "High cholesterol", "atorvastatin"),
    "heart failure": _problem("42343007", "I50.9", "Heart failure", "furosemide", "aspirin"),
    "heart block": _problem("27885002", "I44.2", "Complete heart block"),
    "asthma": _problem("195967001", "J45.909", "Asthma", "albuterol", "fluticasone"),
    "hypothyroidism": _problem("40930008", "E03.9", "Underactive thyroid", "levothyroxine"),
    "depression": _problem("370143000", "F32.9", "Depression", "sertraline"),
    "pregnancy": _problem("77386006", "Z33.1", "Pregnancy"),
    "fracture": _problem("16114001", "S82.899A", "Broken ankle", "acetaminophen"),
}

ILLNESSES = {
    "sinusitis": _problem("444814009", "J01.90", "Sinus infection", "ibuprofen"),
    "bronchitis": _problem("10509002", "J20.9", "Acute bronchitis", "acetaminophen"),
    "throat": _problem("195662009", "J02.9", "Sore throat", "acetaminophen"),
    "ear": _problem("65363002", "H66.90", "Middle ear infection", "amoxicillin"),
    "sprain": _problem("44465007", "S93.409A", "Sprained ankle", "ibuprofen"),
}

ALLERGIES = (
    Allergy(snomed("91935009", "Peanuts"), "food", snomed("247472004", "Hives")),
    Allergy(snomed("300913006", "Shellfish"), "food", snomed("271807003", "Rash")),
    Allergy(snomed("373270004", "Penicillins"), "medication", snomed("271807003", "Rash")),
    Allergy(snomed("115556009", "Sulfonamides"), "medication", snomed("247472004", "Hives")),
    Allergy(snomed("418689008", "Grass pollen"), "environment", snomed("76067001", "Sneezing")),
    Allergy(snomed("232350006", "House dust mite"), "environment", snomed("76067001", "Sneezing")),
)
NO_ALLERGY = snomed("716186003", "No known allergy")


def _cvx(code: str, text: str) -> Code:
    return Code("http://hl7.org/fhir/sid/cvx", code, text)


VACCINES = {
    "hepatitis B": _cvx("08", "Hepatitis B, child"),
    "rotavirus": _cvx("116", "Rotavirus"),
    "DTaP": _cvx("20", "Diphtheria, tetanus, pertussis"),
    "Hib": _cvx("49", "Haemophilus influenzae b"),
    "pneumococcal": _cvx("133", "Pneumococcal conjugate"),
    "polio": _cvx("10", "Polio, inactivated"),
    "MMR": _cvx("03", "Measles, mumps, rubella"),
    "varicella": _cvx("21", "Chickenpox"),
    "Tdap": _cvx("115", "Tetanus, diphtheria, pertussis booster"),
    "HPV": _cvx("165", "Human papillomavirus"),
    "meningococcal": _cvx("114", "Meningococcal"),
    "influenza": _cvx("140", "Influenza, seasonal"),
    "zoster": _cvx("187", "Shingles"),
}

_SERUM = snomed("119364003", "Serum")
_BLOOD = snomed("119297000", "Blood")

PANELS = {
    "metabolic": Panel(
        loinc("24323-8", "Metabolic panel"),
        _SERUM,
        (
            _test("2345-7", "Glucose", "mg/dL", 70, 99, 0),
            _test("3094-0", "Urea nitrogen", "mg/dL", 7, 20, 0),
            _test("2160-0", "Creatinine", "mg/dL", 0.6, 1.2, 2),
            _test("2951-2", "Sodium", "mmol/L", 136, 145, 0),
            _test("2823-3", "Potassium", "mmol/L", 3.5, 5.1, 1),
            _test("17861-6", "Calcium", "mg/dL", 8.6, 10.2, 1),
        ),
    ),
    "blood count": Panel(
        loinc("58410-2", "Blood count"),
        _BLOOD,
        (
            _test("6690-2", "White cells", "10*3/uL", 4.5, 11, 1),
            _test("789-8", "Red cells", "10*6/uL", 4, 5.6, 2),
            _test("718-7", "Hemoglobin", "g/dL", 12, 16.5, 1),
            _test("4544-3", "Hematocrit", "%", 36, 48, 1),
            _test("777-3", "Platelets", "10*3/uL", 150, 400, 0),
        ),
    ),
    "lipids": Panel(
        loinc("57698-3", "Lipid panel"),
        _SERUM,
        (
            _test("2093-3", "Cholesterol", "mg/dL", 125, 200, 0),
            _test("2571-8", "Triglycerides", "mg/dL", 50, 150, 0),
            _test("2085-9", "HDL cholesterol", "mg/dL", 40, 75, 0),
            _test("13457-7", "LDL cholesterol", "mg/dL", 50, 130, 0),
        ),
    ),
    "A1c": Panel(loinc("4548-4", "Hemoglobin A1c"), _BLOOD, (_test("4548-4", "Hemoglobin A1c", "%", 4, 5.6, 1),)),
    "thyroid": Panel(loinc("3016-3", "TSH"), _SERUM, (_test("3016-3", "TSH", "m[IU]/L", 0.4, 4, 2),)),
}
