"""Which folder a URL names, and whether it may be written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toro_core.errors import Unsupported

__all__ = ["Location", "parse_location"]

_SCHEME = "ndjson:///"
_OPTIONS = re.compile(r"\?(?P<ro>mode=ro)?&?(?:beside=(?P<beside>[^?&]+))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A folder; `read_only` where resources are not written, `beside` a folder for everything that is, in the place of it."""

    path: Path
    read_only: bool
    beside: Path | None


def parse_location(url: str) -> Location:
    """Parse `ndjson:///relative` or `ndjson:////absolute`, followed by `?mode=ro`, `?beside=/folder` or both joined by `&`.

    Nothing in the paths is decoded. Raises Unsupported.
    """
    path, mark, options = url.removeprefix(_SCHEME).rpartition("?")
    found = _OPTIONS.fullmatch(mark + options)
    if not found or not mark:
        # A question mark may be part of a folder's name.
        path, found = url.removeprefix(_SCHEME), None
    if not url.startswith(_SCHEME) or not path or "\0" in path:
        raise Unsupported(
            "an NDJSON storage URL has three slashes before its folder: ndjson:///data, ndjson:////var/data, "
            "ndjson:///data?mode=ro, ndjson:///data?beside=/var/data"
        )
    beside = found["beside"] if found else None
    return Location(
        path=Path(path), read_only=bool(found and found["ro"]), beside=None if beside is None else Path(beside)
    )
