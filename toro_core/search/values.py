"""Split FHIR search values: https://hl7.org/fhir/R4/search.html#escaping"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["split_escaped", "unescaped"]

_ESCAPED: Final = re.compile(r"\\([\\,|$])")


def split_escaped(text: str, separator: str) -> list[str]:
    """Split at each separator that no backslash escapes; the parts stay escaped."""
    parts = []
    start = 0
    for found in re.finditer(rf"\\.|{re.escape(separator)}", text, re.DOTALL):
        if found.group() == separator:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]


def unescaped(text: str) -> str:
    r"""Resolve `\,` `\|` `\$` and `\\`; any other backslash stands for itself."""
    return _ESCAPED.sub(r"\1", text)
