"""Shapes of settings: what a value may look like in `toro.toml`, in a variable or as a flag, and how it is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FLAG", "NAMES", "SIZE", "TEXT", "Shape", "choice", "number", "seconds"]

_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is expected, in words, and the parser; `parse` raises ValueError where the value has another shape."""

    expected: str
    parse: Callable[[object], object]


def choice(*words: str) -> Shape:
    """Accept one of these words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return value

    return Shape(expected="one of " + ", ".join(f'"{word}"' for word in words), parse=parse)


def number(low: int, high: int) -> Shape:
    """Accept a whole number from `low` to `high`."""

    def parse(value: object) -> int:
        found = int(value) if isinstance(value, str) else value
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise ValueError
        return found

    return Shape(expected=f"a whole number from {low} to {high}", parse=parse)


def seconds(low: float, high: float) -> Shape:
    """Accept a duration in seconds from `low` to `high`."""

    def parse(value: object) -> float:
        found = float(value) if isinstance(value, str) else value
        if not isinstance(found, int | float) or isinstance(found, bool) or not low <= found <= high:
            raise ValueError
        return float(found)

    return Shape(expected=f"seconds, from {low:.12g} to {high:.12g}", parse=parse)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError


def _size(value: object) -> int:
    match = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if match is None:
        raise ValueError
    return int(match[1]) * _UNITS[match[2] or "B"]


def _names(value: object) -> tuple[str, ...]:
    found = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(name, str) and name for name in found):
        raise ValueError
    return tuple(found)


TEXT = Shape(expected="text", parse=_text)
FLAG = Shape(expected="true or false", parse=_flag)
SIZE = Shape(expected='bytes, or a size such as "32MiB"', parse=_size)
NAMES = Shape(expected="a list of names, comma-separated in a variable", parse=_names)
