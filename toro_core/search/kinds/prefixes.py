"""Prefixes of ordered values: https://hl7.org/fhir/R4/search.html#prefix"""

from __future__ import annotations

import re
from typing import Final, cast

from toro_core.search.plan import Prefix

__all__ = ["prefixed"]

_PREFIXED: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)


def prefixed(value: str) -> tuple[Prefix, str]:
    """Split a value from its prefix; none means eq. A plus sign that was not percent-encoded, a space, is put back."""
    match = cast(re.Match[str], _PREFIXED.fullmatch(value))
    return cast(Prefix, match[1] or "eq"), match[2].replace(" ", "+")
