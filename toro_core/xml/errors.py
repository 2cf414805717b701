"""What goes wrong on the way from or to XML."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = ["InvalidXml", "NoXml"]


class InvalidXml(ToroError):
    """The XML cannot be read; send one well-formed FHIR resource in UTF-8."""

    reason = "INVALID_XML"
    issue = "structure"


class NoXml(ToroError):
    """The resource has something for which R4 has no XML; ask for it in JSON."""

    reason = "NO_XML"
    issue = "not-supported"
