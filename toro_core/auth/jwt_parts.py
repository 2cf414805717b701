"""Take a JWS in compact form apart, before anything in it is believed. RFC 7515, section 7.1"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

__all__ = ["JwtParts", "Malformed", "split_jwt"]

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")


class Malformed(ValueError):
    """This is no JWT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtParts:
    """A JWT's header and claims, as their sender wrote them; nothing is verified."""

    header: Mapping[str, Any]
    payload: Mapping[str, Any]


def split_jwt(token: str) -> JwtParts:
    """Read header and payload. Raises Malformed."""
    segments = token.split(".")
    if len(segments) != 3 or not segments[2]:
        raise Malformed("it has not three parts")
    return JwtParts(header=_object(segments[0], "header"), payload=_object(segments[1], "payload"))


def _object(segment: str, name: str) -> dict[str, Any]:
    if not _SEGMENT.fullmatch(segment):
        raise Malformed(f"the {name} is not base64url")
    try:
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        raise Malformed(f"the {name} is not JSON") from None
    if not isinstance(decoded, dict):
        raise Malformed(f"the {name} is not a JSON object")
    return decoded
