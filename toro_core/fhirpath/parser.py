"""Parse FHIRPath 2.0 by precedence climbing: http://hl7.org/fhirpath/N1/#operator-precedence"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, cast

from toro_core.fhirpath.errors import InvalidExpression
from toro_core.fhirpath.lexer import Token, tokens, unquoted
from toro_core.fhirpath.nodes import (
    Binary,
    Call,
    Constant,
    Empty,
    External,
    Index,
    Member,
    Node,
    Quantity,
    Sign,
    Temporal,
    TypeTest,
    Variable,
)

__all__ = ["parse"]

_BINDING = {
    "implies": 1,
    **dict.fromkeys(("or", "xor"), 2),
    "and": 3,
    **dict.fromkeys(("in", "contains"), 4),
    **dict.fromkeys(("=", "~", "!=", "!~"), 5),
    **dict.fromkeys(("<=", "<", ">", ">="), 6),
    "|": 7,
    **dict.fromkeys(("is", "as"), 8),
    **dict.fromkeys(("+", "-", "&"), 9),
    **dict.fromkeys(("*", "/", "div", "mod"), 10),
}
_SIGN_BINDING = 11
_NAMES_TOO = frozenset({"as", "contains", "in", "is"})
_RESERVED = (frozenset(_BINDING) | {"true", "false"}) - _NAMES_TOO
_CALENDAR = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_UNITS = {**{unit: unit for unit in _CALENDAR}, **{f"{unit}s": unit for unit in _CALENDAR}}
_MAX_DEPTH = 100
_MAX_DIGITS = 100


def parse(text: str) -> Node:
    """Return the syntax tree. Raises InvalidExpression."""
    parser = _Parser(text)
    tree = parser.expression()
    parser.expect("")
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    def expression(self, above: int = 0) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InvalidExpression(f"The expression nests deeper than {_MAX_DEPTH} levels.")
        left = self._operand()
        while (binding := self._binding()) > above:
            operator = self._next().text
            if operator in ("is", "as"):
                left = TypeTest(cast(Literal["is", "as"], operator), left, self._type())
            else:
                left = Binary(operator, left, self.expression(binding))
        self._depth -= 1
        return left

    def expect(self, symbol: str) -> None:
        token = self._next()
        if token.text != symbol or token.kind not in ("symbol", "end"):
            raise self._unexpected(token)

    def _operand(self) -> Node:
        token = self._peek()
        if token.kind == "symbol" and token.text in ("+", "-"):
            self._next()
            return Sign(cast(Literal["+", "-"], token.text), self.expression(_SIGN_BINDING - 1))
        node = self._term()
        while True:
            if self._take("."):
                node = self._invocation(node)
            elif self._take("["):
                position = self.expression()
                self.expect("]")
                node = Index(node, position)
            else:
                return node

    def _term(self) -> Node:
        token = self._peek()
        if token.kind in ("name", "quoted") and token.text not in ("true", "false"):
            return self._invocation(None)
        self._next()
        match token.kind, token.text:
            case "number", _:
                return self._number(token.text)
            case "string", _:
                return Constant(unquoted(token.text))
            case "temporal", _:
                return Constant(Temporal(token.text[1:]))
            case "external", _:
                name = token.text[1:]
                return External(unquoted(name) if name[0] in "'`" else name)
            case "variable", _:
                return Variable(token.text)
            case "name", "true" | "false":
                return Constant(token.text == "true")
            case "symbol", "(":
                inner = self.expression()
                self.expect(")")
                return inner
            case "symbol", "{":
                self.expect("}")
                return Empty()
            case _:
                raise self._unexpected(token)

    def _number(self, text: str) -> Node:
        if len(text) > _MAX_DIGITS:
            raise InvalidExpression(f"A number has more than {_MAX_DIGITS} digits.")
        unit = self._peek()
        if unit.kind == "string":
            return Constant(Quantity(Decimal(text), unquoted(self._next().text)))
        if unit.kind == "name" and unit.text in _UNITS:
            return Constant(Quantity(Decimal(text), _UNITS[self._next().text]))
        return Constant(Decimal(text) if "." in text else int(text))

    def _invocation(self, of: Node | None) -> Node:
        name = self._name()
        if not self._take("("):
            return Member(of, name)
        arguments: list[Node] = []
        if not self._take(")"):
            arguments.append(self.expression())
            while self._take(","):
                arguments.append(self.expression())
            self.expect(")")
        return Call(of, name, tuple(arguments))

    def _type(self) -> str:
        name = self._name()
        while self._take("."):
            name = f"{name}.{self._name()}"
        return name

    def _name(self) -> str:
        token = self._next()
        if token.kind == "quoted":
            return unquoted(token.text)
        if token.kind != "name" or token.text in _RESERVED:
            raise self._unexpected(token)
        return token.text

    def _binding(self) -> int:
        token = self._peek()
        return _BINDING.get(token.text, 0) if token.kind in ("symbol", "name") else 0

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, symbol: str) -> bool:
        token = self._peek()
        if token.kind == "symbol" and token.text == symbol:
            self._next()
            return True
        return False

    def _unexpected(self, token: Token) -> InvalidExpression:
        what = f"`{token.text}`" if token.text else "The end"
        return InvalidExpression(f"{what} is unexpected at character {token.offset} of `{self._text}`.")
