"""What goes wrong with exports, beside what a storage raises."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = ["FetchFailed", "FilesUnusable", "InvalidExport", "LeaseLost", "TooManyExports"]


class InvalidExport(ToroError):
    """The export cannot be begun as asked; the issues name each parameter and the remedy."""

    reason = "INVALID_EXPORT"
    issue = "invalid"


class TooManyExports(ToroError):
    """Too many exports of this client are under way, or their status is asked for too often; wait and try again."""

    reason = "TOO_MANY_EXPORTS"
    issue = "throttled"


class FilesUnusable(ToroError):
    """The place for the files of exports cannot be used; set export_files."""

    reason = "EXPORT_FILES_UNUSABLE"
    issue = "exception"


class FetchFailed(ToroError):
    """The export of another server could not be fetched."""

    reason = "FETCH_FAILED"
    issue = "exception"


class LeaseLost(ToroError):
    """The work was cancelled or taken over by another process; nothing is left to do here."""

    reason = "EXPORT_LEASE_LOST"
    issue = "conflict"
