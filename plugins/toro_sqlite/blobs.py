"""What is kept beside a resource: its postings and sort keys, in a few bytes.

Only lists can be looked up in the posting tables, not resources; an update has to know which lists to leave, and a search what a
resource that it found some other way is sorted by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

__all__ = [
    "Blob",
    "OrderEntry",
    "Span",
    "decode",
    "encode",
    "has_order",
    "has_reference",
    "has_token",
    "order_span",
    "pid_of",
    "span_of",
]

_Token: TypeAlias = tuple[int, str, int]
_Reference: TypeAlias = tuple[int, int, str]
_Uri: TypeAlias = tuple[int, int]
OrderEntry: TypeAlias = int | tuple[int, int | str, int | str | None]
"""A parameter whose codes or targets say its lowest and highest value; or the values with it, no highest where they are equal."""
Span: TypeAlias = tuple[int | str, int | str]
Blob: TypeAlias = tuple[list[_Token], list[_Reference], list[_Uri], list[OrderEntry]]

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Blob).decode


def order_span(blob: Blob, pid: int, target: Callable[[int], str]) -> Span | None:
    """Return what the resource is sorted by under a parameter; `target` names a reference's target, as `Type/id`."""
    for entry in blob[3]:
        if pid_of(entry) == pid:
            return span_of(blob, entry) or _span([target(rid) for p, rid, _ in blob[1] if p == pid])
    return None


def span_of(blob: Blob, entry: OrderEntry) -> Span | None:
    """Return the entry's values, None where its targets say them."""
    if isinstance(entry, int):
        return _span([code for pid, code, _ in blob[0] if pid == entry])
    _, low, high = entry
    return low, low if high is None else high


def pid_of(entry: OrderEntry) -> int:
    """Return the entry's parameter."""
    return entry if isinstance(entry, int) else entry[0]


def has_token(blob: bytes | None, pid: int, code: str | None, system: int | None) -> bool:
    """Tell whether a resource has such a token; None is any. For what no posting list answers."""
    return blob is not None and any(
        p == pid and (code is None or c == code) and (system is None or s == system) for p, c, s in decode(blob)[0]
    )


def has_reference(blob: bytes | None, pid: int, target: int, version: str) -> bool:
    """Tell whether a resource refers to this version of the target."""
    return blob is not None and (pid, target, version) in decode(blob)[1]


def has_order(blob: bytes | None, pid: int) -> bool:
    """Tell whether a resource is sorted by something under a parameter."""
    return blob is not None and any(pid_of(entry) == pid for entry in decode(blob)[3])


def _span(values: Iterable[str]) -> Span | None:
    values = tuple(values)
    return (min(values), max(values)) if values else None
