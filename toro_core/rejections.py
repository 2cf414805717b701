"""What the core refuses, beside what a storage raises (`toro_core.errors`)."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = [
    "InvalidArgument",
    "InvalidResource",
    "ResourceTooLarge",
    "UnprocessableResource",
    "UnsupportedType",
    "UpdateCreateNotAllowed",
]


class InvalidArgument(ToroError):
    """A field of the request is malformed."""

    reason = "INVALID_ARGUMENT"
    issue = "value"


class InvalidResource(ToroError):
    """The resource breaks the definitions of FHIR R4; nothing was written."""

    reason = "INVALID_RESOURCE"
    issue = "structure"


class UnprocessableResource(ToroError):
    """The resource breaks a profile it claims or has to follow; nothing was written."""

    reason = "UNPROCESSABLE_RESOURCE"
    issue = "processing"


class UnsupportedType(ToroError):
    """FHIR R4 has no such resource type."""

    reason = "UNSUPPORTED_TYPE"
    issue = "not-supported"


class UpdateCreateNotAllowed(ToroError):
    """There is no such resource, and an update may not create one; create it and let the server assign the id."""

    reason = "UPDATE_CREATE_NOT_ALLOWED"
    issue = "not-supported"


class ResourceTooLarge(ToroError):
    """The resource is larger than the caller accepts; read it with FetchResource or accept more bytes."""

    reason = "RESOURCE_TOO_LARGE"
    issue = "too-long"
