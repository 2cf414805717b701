"""What the core refuses, beside what a storage raises (`toro_core.errors`)."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = [
    "IncompleteDocument",
    "InvalidArgument",
    "InvalidBundle",
    "InvalidPatch",
    "InvalidResource",
    "MultipleMatches",
    "NotExposed",
    "PatchFailed",
    "ResourceTooLarge",
    "UnknownOperation",
    "UnprocessableResource",
    "UnresolvedReference",
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


class MultipleMatches(ToroError):
    """Several resources match the condition; say it so that one does, or none."""

    reason = "MULTIPLE_MATCHES"
    issue = "multiple-matches"


class UnresolvedReference(ToroError):
    """A conditional reference does not lead to exactly one resource; nothing was written."""

    reason = "REFERENCE_UNRESOLVED"
    issue = "not-found"


class InvalidPatch(ToroError):
    """The patch is malformed; nothing was written."""

    reason = "INVALID_PATCH"
    issue = "structure"


class PatchFailed(ToroError):
    """The patch does not apply to the resource as it is; nothing was written."""

    reason = "PATCH_FAILED"
    issue = "processing"


class InvalidBundle(ToroError):
    """The Bundle cannot be processed; nothing was written."""

    reason = "INVALID_BUNDLE"
    issue = "invalid"


class NotExposed(ToroError):
    """This interaction is not offered here."""

    reason = "NOT_EXPOSED"
    issue = "not-supported"


class UnknownOperation(ToroError):
    """There is no such operation here; GetCapabilities and the CapabilityStatement list those there are."""

    reason = "UNKNOWN_OPERATION"
    issue = "not-supported"


class IncompleteDocument(ToroError):
    """The Composition refers to something that cannot be part of the document."""

    reason = "INCOMPLETE_DOCUMENT"
    issue = "incomplete"
