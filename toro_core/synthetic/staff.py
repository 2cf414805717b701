"""The cast: two provider organizations, their clinicians, and the insurers."""

from __future__ import annotations

from dataclasses import dataclass

from toro_core.synthetic.codes import snomed
from toro_core.synthetic.elements import Code

__all__ = ["CLINICIANS", "GENERALISTS", "PAYERS", "PEDIATRICIANS", "SITES", "SPECIALISTS", "Clinician", "Payer", "Site"]

_NUCC = "http://nucc.org/provider-taxonomy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A provider organization with its clinic, its ward, its laboratory and its zone offset."""

    key: str
    name: str
    offset: str
    line: str
    city: str
    state: str
    postal_code: str
    area: int
    clia: str

    @property
    def organization(self) -> str:
        """Refer to the organization."""
        return f"Organization/synthetic-{self.key}"

    @property
    def clinic(self) -> str:
        """Refer to the outpatient clinic."""
        return f"Location/synthetic-{self.key}-clinic"

    @property
    def ward(self) -> str:
        """Refer to the inpatient ward."""
        return f"Location/synthetic-{self.key}-ward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinician:
    """A practitioner, what they practise and where."""

    number: int
    family: str
    given: str
    specialty: Code
    role: Code

    @property
    def practitioner(self) -> str:
        """Refer to the person."""
        return f"Practitioner/synthetic-{self.number:02d}"

    @property
    def practitioner_role(self) -> str:
        """Refer to the person's role at their site."""
        return f"PractitionerRole/synthetic-{self.number:02d}"

    @property
    def schedule(self) -> str:
        """Refer to the calendar."""
        return f"Schedule/synthetic-{self.number:02d}"

    @property
    def site(self) -> Site:
        """Say where they work."""
        return SITES[self.number % len(SITES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """An insurer and its code in the source-of-payment typology."""

    key: str
    name: str
    naic: str
    kind: Code

    @property
    def organization(self) -> str:
        """Refer to the organization."""
        return f"Organization/synthetic-{self.key}"


SITES = (
    Site(
        key="lakeside",
        name="Lakeside General Hospital",
        offset="-05:00",
        line="400 Harbor Drive",
        city="Columbus",
        state="OH",
        postal_code="43215",
        area=614,
        clia="36D0000101",
    ),
    Site(
        key="prairie",
        name="Prairie Community Health",
        offset="-06:00",
        line="1200 Station Road",
        city="Springfield",
        state="IL",
        postal_code="62701",
        area=217,
        clia="14D0000202",
    ),
)

PAYERS = (
    Payer(
        key="evergreen",
        name="Evergreen Mutual Insurance",
        naic="99901",
        kind=Code("https://nahdo.org/sopt", "512", "Commercial PPO"),
    ),
    Payer(
        key="harborlight",
        name="Harborlight Health Plan",
        naic="99902",
        kind=Code("https://nahdo.org/sopt", "511", "Commercial HMO"),
    ),
    Payer(
        key="statecare",
        name="Statecare Public Programs",
        naic="99903",
        kind=Code("https://nahdo.org/sopt", "2", "Medicaid"),
    ),
)

_PRIMARY = snomed("453231000124104", "Primary care provider")
_SPECIALIST = snomed("223366009", "Healthcare professional")
_STAFF = (
    ("Okafor", "Adaeze", "207Q00000X", "Family medicine", _PRIMARY),
    ("Bennett", "Louis", "207Q00000X", "Family medicine", _PRIMARY),
    ("Rasmussen", "Karin", "207R00000X", "Internal medicine", _PRIMARY),
    ("Iyer", "Suresh", "207R00000X", "Internal medicine", _PRIMARY),
    ("Castillo", "Marisol", "208000000X", "Pediatrics", _PRIMARY),
    ("Whitfield", "Andre", "208000000X", "Pediatrics", _PRIMARY),
    ("Novak", "Irena", "207RC0000X", "Cardiology", snomed("17561000", "Cardiologist")),
    ("Takahashi", "Ken", "2085R0202X", "Diagnostic radiology", _SPECIALIST),
    ("Delacroix", "Simone", "207ZP0102X", "Pathology", _SPECIALIST),
    ("Moreau", "Élise", "207V00000X", "Obstetrics and gynecology", _SPECIALIST),
    ("Hargrove", "Peter", "207X00000X", "Orthopaedic surgery", _SPECIALIST),
    ("Adeyemi", "Tunde", "2084P0800X", "Psychiatry", _SPECIALIST),
)
CLINICIANS = tuple(
    Clinician(number=number, family=family, given=given, specialty=Code(_NUCC, code, specialty), role=role)
    for number, (family, given, code, specialty, role) in enumerate(_STAFF)
)
GENERALISTS, PEDIATRICIANS = CLINICIANS[:4], CLINICIANS[4:6]
SPECIALISTS = {who.specialty.text: who for who in CLINICIANS[6:]}
