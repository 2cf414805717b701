"""FHIR resources in XML: https://hl7.org/fhir/R4/xml.html

Toro thinks in JSON; XML is translated at the edge, in and out. The facade may import this package, which therefore needs
neither gRPC nor a storage, only the facts of R4's own types. It needs lxml, which the extra `xml` brings.
"""

from __future__ import annotations

from importlib.util import find_spec

from toro_core.xml.errors import InvalidXml, NoXml
from toro_core.xml.shapes import Shapes

__all__ = ["InvalidXml", "NoXml", "Xml", "open_xml"]


class Xml:
    """Translates resources. May be used by several threads at once; reads the definitions on first use."""

    def __init__(self) -> None:
        """Import lxml. Raises ImportError."""
        from toro_core.xml import reading, writing

        self._read = reading.read
        self._write = writing.write
        self._shapes = Shapes()

    def to_json(self, data: bytes) -> bytes:
        """Translate a resource from XML into JSON, digit for digit. Raises InvalidXml."""
        return self._read(data, self._shapes)

    def to_xml(self, data: bytes, *, pretty: bool = False) -> bytes:
        """Translate a resource from JSON into XML, digit for digit. Raises NoXml where R4 has no XML for it."""
        return self._write(data, self._shapes, pretty=pretty)


def open_xml() -> Xml | None:
    """Return what translates, or None where lxml is not installed."""
    return Xml() if find_spec("lxml") else None
