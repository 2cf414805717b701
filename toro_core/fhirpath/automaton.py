"""Run a pattern's program over a text, all alternatives side by side, so that time grows with the text and never explodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from toro_core.fhirpath.patterns import Program, program

__all__ = ["Pattern", "Spend"]

Spend: TypeAlias = "Callable[[int], None]"
"""Counts work and raises when it becomes too much."""
_Slots: TypeAlias = "tuple[int | None, ...]"

_MAX_STATES: Final = 1_000
_CHARACTERS_A_STEP: Final = 8


class _State:
    """A set of places in the program, `test` instructions only; `matched` says whether a match ends here."""

    __slots__ = ("after", "matched", "places")

    def __init__(self, places: frozenset[int], matched: bool) -> None:
        self.places = places
        self.matched = matched
        self.after: dict[str, _State] = {}


class Pattern:
    """A regular expression."""

    def __init__(self, text: str) -> None:
        """Parse it; raises InvalidExpression, UnsupportedExpression."""
        self._program: Final[Program] = program(text)
        self._is_empty: Final = text == ""
        self._states: dict[tuple[frozenset[int], bool], _State] = {}

    def is_in(self, text: str, spend: Spend) -> bool:
        """Say whether a part of the text matches."""
        return self._run(text, spend, whole=False)

    def is_all_of(self, text: str, spend: Spend) -> bool:
        """Say whether the whole text matches."""
        return self._run(text, spend, whole=True)

    def replaced(self, text: str, substitution: str, spend: Spend) -> str:
        """Replace what matches; `$1` in the substitution is the first group, a backslash takes a meaning away."""
        if self._is_empty:
            return text
        parts: list[str] = []
        at = 0
        while at <= len(text):
            found = self._find(text, at, spend)
            if found is None:
                break
            start, end = int(found[0] or 0), int(found[1] or 0)
            parts += [text[at:start], _expanded(substitution, text, found)]
            spend(len(parts[-1]) // _CHARACTERS_A_STEP)
            if end == start:
                parts.append(text[end : end + 1])
                end += 1
            at = end
        return "".join(parts) + text[at:]

    def _run(self, text: str, spend: Spend, *, whole: bool) -> bool:
        spend(len(text) // _CHARACTERS_A_STEP)
        last = len(text) - 1
        state = self._state(frozenset((0,)), whole=whole, at_start=True, at_end=last < 0)
        for at, character in enumerate(text):
            if state.matched and not whole:
                return True
            following = state.after.get(character) if at < last else None
            if following is None:
                spend(1 + len(state.places))
                following = self._following(state, character, whole=whole, at_end=at == last)
                if at < last:
                    state.after[character] = following
            state = following
        return state.matched

    def _following(self, state: _State, character: str, *, whole: bool, at_end: bool) -> _State:
        code = self._program.instructions
        places = {place + 1 for place in state.places if (test := code[place].test) and test(character)}
        if not whole:
            places.add(0)
        return self._state(frozenset(places), whole=whole, at_start=False, at_end=at_end)

    def _state(self, places: frozenset[int], *, whole: bool, at_start: bool, at_end: bool) -> _State:
        if at_start or at_end:
            return _State(*self._closure(places, at_start, at_end))
        state = self._states.get((places, whole))
        if state is None:
            if len(self._states) >= _MAX_STATES:
                self._states.clear()
            state = self._states[places, whole] = _State(*self._closure(places, at_start, at_end))
        return state

    def _closure(self, places: frozenset[int], at_start: bool, at_end: bool) -> tuple[frozenset[int], bool]:
        code = self._program.instructions
        waiting, seen, found = list(places), set(places), set()
        matched = False
        while waiting:
            place = waiting.pop()
            instruction = code[place]
            following: tuple[int, ...] = ()
            match instruction.operation:
                case "test":
                    found.add(place)
                case "match":
                    matched = True
                case "jump":
                    following = (instruction.to,)
                case "split":
                    following = (instruction.to, instruction.other)
                case "start":
                    following = (place + 1,) if at_start else ()
                case "end":
                    following = (place + 1,) if at_end else ()
                case "save":
                    following = (place + 1,)
            waiting += [one for one in following if one not in seen]
            seen.update(following)
        return frozenset(found), matched

    def _find(self, text: str, begin: int, spend: Spend) -> _Slots | None:
        """Return the slots of the first match at or after `begin`, of several there the one a backtracker would prefer."""
        code = self._program.instructions
        empty: _Slots = (None,) * (2 * self._program.groups + 2)
        threads = _Threads()
        best: _Slots | None = None
        for at in range(begin, len(text) + 1):
            if best is None:
                self._follow(threads, 0, empty, at, len(text))
            if best is not None and not threads.slots:
                break
            spend(1 + len(threads.slots))
            survivors = _Threads()
            for place, slots in threads.slots.items():
                instruction = code[place]
                if instruction.operation == "match":
                    best = slots
                    break  # those that follow are less preferred
                if at < len(text) and instruction.test and instruction.test(text[at]):
                    self._follow(survivors, place + 1, slots, at + 1, len(text))
            threads = survivors
        return best

    def _follow(self, threads: _Threads, place: int, slots: _Slots, at: int, end: int) -> None:
        """Add the threads that a place leads to without reading, in order of preference."""
        code = self._program.instructions
        waiting = [(place, slots)]
        while waiting:
            place, slots = waiting.pop()
            if place in threads.seen:
                continue
            threads.seen.add(place)
            instruction = code[place]
            match instruction.operation:
                case "test" | "match":
                    threads.slots[place] = slots
                case "jump":
                    waiting.append((instruction.to, slots))
                case "split":
                    waiting += [(instruction.other, slots), (instruction.to, slots)]
                case "save":
                    slot = instruction.to
                    waiting.append((place + 1, (*slots[:slot], at, *slots[slot + 1 :])))
                case "start" if at == 0:
                    waiting.append((place + 1, slots))
                case "end" if at == end:
                    waiting.append((place + 1, slots))


class _Threads:
    """The places that are being tried, the preferred first, each with its slots."""

    __slots__ = ("seen", "slots")

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.slots: dict[int, _Slots] = {}


def _expanded(substitution: str, text: str, slots: _Slots) -> str:
    parts = []
    at = 0
    while at < len(substitution):
        character, following = substitution[at], substitution[at + 1 : at + 2]
        if character == "\\" and following:
            parts.append(following)
            at += 2
        elif character == "$" and following.isascii() and following.isdigit():
            group = 2 * int(following)
            if group < len(slots) and slots[group] is not None:
                parts.append(text[slots[group] : slots[group + 1]])
            at += 2
        else:
            parts.append(character)
            at += 1
    return "".join(parts)
