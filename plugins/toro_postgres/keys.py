"""Values as the tables keep them: digests by which equal values are found, texts and sort keys whose bytes are in order."""

from __future__ import annotations

import struct
from hashlib import blake2b

from toro_core.storage import Key

__all__ = ["Keys", "ordered", "prefix_end", "text", "untext"]

_SIGN = 1 << 63


class Keys:
    """Digests under the database's secret: as nobody else can compute them, nobody can make two values collide."""

    def __init__(self, secret: bytes) -> None:
        """Digest under this secret."""
        self._hash = blake2b(digest_size=16, key=secret)

    def of(self, kind: str, *parts: str) -> str:
        """Return the digest of a value of a kind, as a uuid's 32 digits."""
        digest = self._hash.copy()
        raw = [text(part) for part in (kind, *parts)]
        digest.update(struct.pack(f">{len(raw)}I", *map(len, raw)) + b"".join(raw))
        return digest.hexdigest()

    def reference(self, key: Key) -> str:
        """Return what a reference to a resource is found by."""
        return self.of("reference", key.type, key.id)

    def place(self, type: str, id: str) -> int:
        """Return where a compartment or a resource that is in none is placed; others may be placed there as well."""
        return int(self.of("place", type, id)[:16], 16) - _SIGN


def text(value: str) -> bytes:
    """Return a text's bytes, which are in the order of its characters; NUL and lone surrogates are characters as well."""
    return value.encode("utf-8", "surrogatepass")


def untext(value: bytes) -> str:
    """Return the text of such bytes."""
    return value.decode("utf-8", "surrogatepass")


def ordered(value: float | str) -> bytes:
    """Return a sort key's bytes, which are in its order: numbers, then texts."""
    if isinstance(value, str):
        return b"\x02" + text(value)
    number = float(value)
    bits: int = struct.unpack(">Q", struct.pack(">d", number + 0.0))[0]
    bits = bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN
    # What of a large integer a float does not hold.
    rest = value - int(number) if isinstance(value, int) else 0
    return b"\x01" + struct.pack(">QQ", bits, rest + _SIGN)


def prefix_end(start: bytes) -> bytes | None:
    """Return the least bytes after everything that starts so, None where there is no end."""
    kept = start.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None
