"""Fold text so that case, accents and spacing do not matter. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from functools import lru_cache
from unicodedata import combining, normalize

__all__ = ["fold"]


def fold(text: str) -> str:
    """Return compatibility letters without case and accents, one space for any white space, none at the ends."""
    if text.isascii():
        return " ".join(text.casefold().split())
    return " ".join("".join(map(_folded, text)).split())


@lru_cache(maxsize=4096)
def _folded(letter: str) -> str:
    """Fold one letter by itself: what normalising orders among its neighbours are the accents alone, which are taken off."""
    text = letter
    # Folding case can bring forth accents, and taking accents off letters with other foldings: hence both twice.
    for _ in range(2):
        text = _plain(text).casefold()
    return _plain(text).casefold()


def _plain(text: str) -> str:
    return "".join(letter for letter in normalize("NFKD", text) if not combining(letter))
