"""Which folder a URL names, and whether it may be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toro_core.errors import Unsupported

__all__ = ["Location", "parse_location"]

_SCHEME = "ndjson:///"
_READ_ONLY = "?mode=ro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A folder; `read_only` where nothing in it may be touched."""

    path: Path
    read_only: bool


def parse_location(url: str) -> Location:
    """Parse `ndjson:///relative`, `ndjson:////absolute`, each with or without `?mode=ro`. Raises Unsupported.

    Nothing else in the path is decoded.
    """
    path = url.removeprefix(_SCHEME).removesuffix(_READ_ONLY)
    if not url.startswith(_SCHEME) or not path or "\0" in path:
        raise Unsupported(
            "an NDJSON storage URL has three slashes before its folder: ndjson:///data, ndjson:////var/data, "
            "ndjson:///data?mode=ro"
        )
    return Location(path=Path(path), read_only=url.endswith(_READ_ONLY))
