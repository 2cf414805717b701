"""Regular expressions that cannot run away: parsed here into a program for `automaton`, never given to a backtracking engine.

What finite automata can do is supported: classes, groups, alternatives, quantifiers, `^` and `$`. Back references, lookaround
and word boundaries are refused. A dot matches a line break too, and case counts: http://hl7.org/fhirpath/N1/#matchesregex-string
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from toro_core.fhirpath.characters import Reader, Test
from toro_core.fhirpath.errors import UnsupportedExpression

__all__ = ["Instruction", "Operation", "Program", "program"]

Operation: TypeAlias = Literal["test", "split", "jump", "save", "start", "end", "match"]

_MAX_PATTERN: Final = 2_000
_MAX_PROGRAM: Final = 5_000
_MAX_DEPTH: Final = 50


@dataclass(slots=True)
class Instruction:
    """One step: `split` prefers `to` over `other`; `save` notes the position in slot `to`."""

    operation: Operation
    to: int = 0
    other: int = 0
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A parsed pattern; slots 2n and 2n+1 hold where group n begins and ends, group 0 being the whole."""

    instructions: tuple[Instruction, ...]
    groups: int


def program(pattern: str) -> Program:
    """Parse a pattern. Raises InvalidExpression, UnsupportedExpression."""
    if len(pattern) > _MAX_PATTERN:
        raise UnsupportedExpression(f"FHIRPath: a pattern of more than {_MAX_PATTERN} characters is not supported.")
    return _Parser(pattern).program()


class _Parser(Reader):
    """Recursive descent that emits instructions as it reads; a repeated part is emitted once for each repetition."""

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self._depth = 0
        self._groups = 0
        self._code: list[Instruction] = []

    def program(self) -> Program:
        self._emit("save", 0)
        self._alternatives()
        if self.at < len(self.text):
            raise self.invalid()
        self._emit("save", 1)
        self._emit("match")
        return Program(tuple(self._code), self._groups)

    def _alternatives(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnsupportedExpression(f"FHIRPath: a pattern nested deeper than {_MAX_DEPTH} is not supported.")
        start, ends = len(self._code), []
        self._sequence()
        while self.take("|"):
            self._insert(start, Instruction("split", start + 1, len(self._code) + 2))
            ends.append(self._emit("jump"))
            start = len(self._code)
            self._sequence()
        for end in ends:
            self._code[end].to = len(self._code)
        self._depth -= 1

    def _sequence(self) -> None:
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            self._repeated()

    def _repeated(self) -> None:
        start = len(self._code)
        self._atom()
        found = self._quantifier()
        if found is None:
            return
        least, most = found
        greedy = not self.take("?")
        if self.peek() == "+":
            raise UnsupportedExpression("FHIRPath: possessive quantifiers are not supported in patterns.")
        part = self._code[start:]
        del self._code[start:]
        for _ in range(least):
            self._copy(part, start)
        splits = []
        for _ in range(1 if most is None else most - least):
            splits.append(self._emit("split"))
            self._copy(part, start)
        if most is None:
            self._emit("jump", splits[0])
        for split in splits:
            inside, past = split + 1, len(self._code)
            self._code[split].to, self._code[split].other = (inside, past) if greedy else (past, inside)

    def _copy(self, part: list[Instruction], start: int) -> None:
        """Emit a part that was read at `start` again."""
        moved = len(self._code) - start
        for found in part:
            offset = moved if found.operation in ("split", "jump") else 0
            at = self._emit(found.operation, found.to + offset, test=found.test)
            self._code[at].other = found.other + offset

    def _quantifier(self) -> tuple[int, int | None] | None:
        if self.take("*"):
            return 0, None
        if self.take("+"):
            return 1, None
        if self.take("?"):
            return 0, 1
        if self.peek() != "{":
            return None
        least, comma, most = self.text[self.at + 1 : self.closing("}")].partition(",")
        if not _is_number(least) or not (_is_number(most) or most == ""):
            raise self.invalid()
        self.at = self.closing("}") + 1
        low, high = int(least), int(most) if most else None if comma else int(least)
        if high is not None and high < low:
            raise self.invalid()
        return low, high

    def _atom(self) -> None:
        character = self.next()
        match character:
            case "(":
                self._group()
            case "[":
                self._emit("test", test=self.character_class())
            case ".":
                self._emit("test", test=lambda _: True)
            case "^":
                self._emit("start")
            case "$":
                self._emit("end")
            case "\\":
                self._emit("test", test=self.escape())
            case "*" | "+" | "?" | "{":
                raise self.invalid()
            case _:
                self._emit("test", test=character.__eq__)

    def _group(self) -> None:
        number = None
        if self.take("?"):
            if not self.take(":"):
                raise UnsupportedExpression(
                    "FHIRPath: lookaround, flags and named groups are not supported in patterns."
                )
        else:
            self._groups += 1
            number = self._groups
            self._emit("save", 2 * number)
        self._alternatives()
        if not self.take(")"):
            raise self.invalid()
        if number is not None:
            self._emit("save", 2 * number + 1)

    def _emit(self, operation: Operation, to: int = 0, *, test: Test | None = None) -> int:
        if len(self._code) >= _MAX_PROGRAM:
            raise UnsupportedExpression("FHIRPath: the pattern repeats too much; use smaller numbers in braces.")
        self._code.append(Instruction(operation, to, test=test))
        return len(self._code) - 1

    def _insert(self, at: int, instruction: Instruction) -> None:
        for found in self._code[at:]:
            if found.operation in ("split", "jump"):
                found.to += 1
                found.other += 1
        self._code.insert(at, instruction)


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 4 and text.isascii() and text.isdigit()
