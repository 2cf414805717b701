"""What is kept beside a resource: its postings, amounts, groups and sort keys, in a few bytes.

Only lists can be looked up in the posting tables, not resources; an update has to know which lists to leave, and a search what a
resource that it found some other way has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

__all__ = [
    "Amount",
    "Blob",
    "Group",
    "Inline",
    "OrderEntry",
    "Span",
    "decode",
    "encode",
    "has_reference",
    "has_token",
    "order_span",
    "pid_of",
    "span_of",
    "targets",
]

Token: TypeAlias = tuple[int, str, int]
Reference: TypeAlias = tuple[int, int, str]
Uri: TypeAlias = tuple[int, int]
Amount: TypeAlias = tuple[int, int, float, float | None]
"""Parameter, unit (0 of a number), lowest value, highest where it is another."""
Value: TypeAlias = int | float | str | None
OrderEntry: TypeAlias = int | list[Value]
"""A parameter whose codes or targets say its lowest and highest value. Else with it another one whose entry says them; or the
length, negative, to which its uris are cut to say them; or both values, no highest where they are equal."""
Inline: TypeAlias = list[Value]
"""The kind of a row that is only in its group, then what it is made of."""
Group: TypeAlias = tuple[int, list[int | Inline]]
"""A parameter, and the group's rows: their places among all tokens, references, uris and amounts, else inline."""
Span: TypeAlias = tuple[int | float | str, int | float | str]


class Blob(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The last two are not in what a database of schema 1 holds."""

    tokens: list[Token]
    references: list[Reference]
    uris: list[Uri]
    orders: list[OrderEntry]
    amounts: list[Amount] = []
    groups: list[Group] = []


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Blob).decode


def order_span(blob: Blob, pid: int, target: Callable[[int], str], text: Callable[[int], str]) -> Span | None:
    """Return what the resource is sorted by under a parameter; `target` names a reference's target, `text` a uri."""
    for entry in blob.orders:
        if pid_of(entry) == pid:
            return span_of(blob, entry) or _named_span(blob, entry, target, text)
    return None


def span_of(blob: Blob, entry: OrderEntry) -> Span | None:
    """Return the entry's values, None where its targets or uris say them."""
    if isinstance(entry, int):
        return _span([code for pid, code, _ in blob.tokens if pid == entry])
    if len(entry) == 2:
        return next((span_of(blob, other) for other in blob.orders if pid_of(other) == entry[1]), None)
    _, low, high = entry
    assert low is not None  # noqa: S101 - nothing is written without it
    return low, low if high is None else high


def pid_of(entry: OrderEntry) -> int:
    """Return the entry's parameter."""
    return entry if isinstance(entry, int) else int(entry[0] or 0)


def has_token(blob: Blob, pid: int, code: str | None, system: int | None) -> bool:
    """Tell whether a resource has such a token; None is any. For what no posting list answers."""
    return any(p == pid and (code is None or c == code) and (system is None or s == system) for p, c, s in blob.tokens)


def has_reference(blob: Blob, pid: int, target: int, version: str) -> bool:
    """Tell whether a resource refers to this version of the target."""
    return (pid, target, version) in blob.references


def targets(blob: bytes | None, pid: int) -> str:
    """List a parameter's targets as JSON; a function of SQL."""
    return "[]" if blob is None else json.dumps([target for p, target, _ in decode(blob).references if p == pid])


def uris(blob: bytes | None, pid: int) -> str:
    """List a parameter's uris as JSON; a function of SQL."""
    return "[]" if blob is None else json.dumps([uri for p, uri in decode(blob).uris if p == pid])


def _named_span(blob: Blob, entry: OrderEntry, target: Callable[[int], str], text: Callable[[int], str]) -> Span | None:
    if isinstance(entry, int):
        return _span([target(rid) for pid, rid, _ in blob.references if pid == entry])
    length = -int(entry[1] or 0)
    return _span([text(uid)[:length] for pid, uid in blob.uris if pid == entry[0]])


def _span(values: Iterable[str]) -> Span | None:
    values = tuple(values)
    return (min(values), max(values)) if values else None
