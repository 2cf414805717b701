"""Names and small records of Toro's own folder `_toro`; what each is for stands in docs/storage.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from toro_core.errors import Damaged, Unsupported
from toro_ndjson.folder import Folder
from toro_ndjson.lines import sealed, unsealed

__all__ = [
    "CURRENT",
    "HISTORY",
    "MANIFEST",
    "OWN",
    "Layout",
    "Manifest",
    "Ownership",
    "history_file",
    "index_file",
    "next_folder",
    "read_manifest",
    "state_file",
    "type_file",
    "write_manifest",
]

OWN: Final = "_toro"
HISTORY: Final = "history"
CURRENT: Final = "current"
MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{0,63}", re.ASCII)
Ownership: TypeAlias = Literal["own", "beside"]


class Manifest(msgspec.Struct, frozen=True):
    """Which generation of files counts. Replacing it is the moment at which a compaction has happened."""

    format: int
    kind: Ownership
    """own: the folder's type files are this storage's; beside: they are somebody else's and never written."""
    began: int
    generation: int = 0
    seq: int = 0
    at: int = 0
    revision: int = 0
    sizes: Mapping[str, int] = {}
    """The type files and how long each is."""
    histories: Sequence[str] = ()
    """The files of history that something lies in."""
    index: int | None = None
    """How long the index is, and the state records; None where an earlier version wrote them."""
    state: int | None = None


class _Unsealed(Manifest, frozen=True, forbid_unknown_fields=True):
    pass


_LENIENT: Final = msgspec.json.Decoder(Manifest)
_STRICT: Final = msgspec.json.Decoder(_Unsealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folders of a storage that has been made: `current` is where the type files lie."""

    root: Folder
    own: Folder
    history: Folder
    current: Folder

    def close(self) -> None:
        """Give all of them back."""
        for folder in (self.root, self.own, self.history, self.current):
            folder.close()


def read_manifest(own: Folder) -> Manifest | None:
    """Return the manifest, None where there is none. Raises Damaged, Unsupported for one of a newer version."""
    content = own.content(MANIFEST)
    if content is None:
        return None
    line = content.removesuffix(b"\n")
    # Earlier versions did not seal it, nor did they write anything that is unknown today.
    decoder = _LENIENT if unsealed(line) else _STRICT
    try:
        manifest = decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise Damaged(f"{OWN}/{MANIFEST} is damaged; restore the folder from a backup") from error
    if manifest.format > _FORMAT:
        raise Unsupported(f"the folder has format {manifest.format}, newer than this program; upgrade toro-fhir")
    return manifest


def write_manifest(own: Folder, manifest: Manifest) -> None:
    """Let this manifest count, atomically and durably."""
    own.put(MANIFEST, sealed(msgspec.json.encode(manifest)))


def type_file(type_: str) -> str:
    """Name the file of a type's current resources. Raises Unsupported for what cannot be a type's name."""
    if not _TYPE.fullmatch(type_):
        raise Unsupported("a resource type is a word that begins with a capital letter")
    return f"{type_}.ndjson"


def history_file(generation: int) -> str:
    """Name the file of what a compaction found replaced."""
    return f"{generation}.ndjson"


def index_file(generation: int) -> str:
    """Name the file of where everything lies and how it is indexed."""
    return f"index-{generation}.ndjson"


def state_file(generation: int) -> str:
    """Name the file of state records."""
    return f"state-{generation}.ndjson"


def next_folder(generation: int) -> str:
    """Name the folder in which a generation's type files wait to be put in place."""
    return f"next-{generation}"
