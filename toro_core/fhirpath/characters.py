"""Read the characters and character classes of a pattern: http://hl7.org/fhirpath/N1/#matchesregex-string"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final, TypeAlias

from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression

__all__ = ["Reader", "Test"]

Test: TypeAlias = "Callable[[str], bool]"
"""Says whether a character matches."""

_SPACE: Final = " \t\n\r\f\v"
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b", "0": "\0"}


class Reader:
    """Reads a pattern from left to right. Raises InvalidExpression, UnsupportedExpression."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0

    def peek(self) -> str:
        """Return the next character, empty at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> bool:
        """Pass over a character if it comes next, and say whether it did."""
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def next(self) -> str:
        """Pass over the next character and return it."""
        character = self.peek()
        if not character:
            raise self.invalid()
        self.at += 1
        return character

    def closing(self, bracket: str) -> int:
        """Return where a bracket closes."""
        end = self.text.find(bracket, self.at)
        if end < 0:
            raise self.invalid()
        return end

    def invalid(self) -> InvalidExpression:
        """Return the error for what stands here."""
        return InvalidExpression(f"FHIRPath: the pattern is malformed at character {self.at}.")

    def character_class(self) -> Test:
        """Read what follows a `[`."""
        negated = self.take("^")
        tests: list[Test] = []
        first = True
        while first or self.peek() != "]":
            first = False
            low = self._class_member()
            if not isinstance(low, str):
                tests.append(low)
            elif self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._class_member()
                if not isinstance(high, str) or high < low:
                    raise self.invalid()
                tests.append(_between(low, high))
            else:
                tests.append(low.__eq__)
        self.at += 1
        return lambda character: any(test(character) for test in tests) is not negated

    def escape(self) -> Test:
        """Read what follows a backslash."""
        found = self._escaped()
        return found.__eq__ if isinstance(found, str) else found

    def _class_member(self) -> str | Test:
        character = self.next()
        return self._escaped() if character == "\\" else character

    def _escaped(self) -> str | Test:
        character = self.next()
        match character:
            case "d" | "w" | "s":
                return _SHORTHANDS[character]
            case "D" | "W" | "S":
                test = _SHORTHANDS[character.lower()]
                return lambda found: not test(found)
            case "p" | "P":
                return self._category(character == "P")
            case "x" | "u":
                return self._code_point(2 if character == "x" else 4)
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isalnum():
            raise UnsupportedExpression(f"FHIRPath: `\\{character}` is not supported in patterns.")
        return character

    def _category(self, negated: bool) -> Test:
        end = self.closing("}")
        category = self.text[self.at + 1 : end]
        if self.peek() != "{" or not 1 <= len(category) <= 2:
            raise UnsupportedExpression(
                "FHIRPath: only Unicode's general categories are supported in patterns, such as \\p{L}."
            )
        self.at = end + 1
        return lambda found: unicodedata.category(found).startswith(category) is not negated

    def _code_point(self, digits: int) -> str:
        text = self.text[self.at : self.at + digits]
        self.at += digits
        try:
            return chr(int(text, 16))
        except ValueError:
            raise self.invalid() from None


def _between(low: str, high: str) -> Test:
    return lambda character: low <= character <= high


_SHORTHANDS: Final[dict[str, Test]] = {
    "d": _between("0", "9"),
    "w": lambda character: character == "_" or (character.isascii() and character.isalnum()),
    "s": _SPACE.__contains__,
}
