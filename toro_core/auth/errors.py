"""What authentication raises. The facade maps the first three to OAuth errors (RFC 6749, section 5.2), the rest to 401."""

from __future__ import annotations

from toro_core.errors import ToroError

__all__ = ["ExpiredToken", "InvalidClient", "InvalidRequest", "InvalidScope", "InvalidToken", "Unauthenticated"]


class InvalidRequest(ToroError):
    """The token request lacks something or says something that this server cannot accept."""

    reason = "INVALID_REQUEST"
    issue = "invalid"


class InvalidClient(ToroError):
    """The client could not be authenticated.

    `correlation_id` names the log line with the precise reason, where the message must not tell it.
    """

    reason = "INVALID_CLIENT"
    issue = "login"

    def __init__(self, message: str, *, correlation_id: str | None = None) -> None:
        """Carry the text of `error_description`."""
        super().__init__(message)
        self.correlation_id = correlation_id


class InvalidScope(ToroError):
    """None of the requested scopes is granted to this client."""

    reason = "INVALID_SCOPE"
    issue = "forbidden"


class Unauthenticated(ToroError):
    """An access token is required; get one from the token endpoint and send it as a bearer token."""

    reason = "UNAUTHENTICATED"
    issue = "login"


class InvalidToken(Unauthenticated):
    """The access token is not valid here; get a new one from the token endpoint."""

    reason = "INVALID_TOKEN"
    issue = "security"


class ExpiredToken(InvalidToken):
    """The access token has expired; get a new one from the token endpoint."""

    issue = "expired"
