"""Fold text so that case, accents and spacing do not matter. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from unicodedata import combining, normalize

__all__ = ["fold"]


def fold(text: str) -> str:
    """Return compatibility letters without case and accents, one space for any white space, none at the ends."""
    if not text.isascii():
        # Folding case can bring forth accents, and taking accents off letters with other foldings: hence both twice.
        for _ in range(2):
            text = "".join(letter for letter in normalize("NFKD", text) if not combining(letter)).casefold()
        text = "".join(letter for letter in normalize("NFKD", text) if not combining(letter))
    return " ".join(text.casefold().split())
