"""A folder with everything a server needs to be tried: settings, synthetic patients, and one registered client."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from toro_core.auth.clients import Clients
from toro_core.auth.signer import new_client_key
from toro_core.definitions import load
from toro_core.errors import ToroError
from toro_core.importing import Incoming, Report, StorageSink, import_resources
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.synthetic import generate
from toro_core.validation import Validator

__all__ = ["CLIENT", "SandboxError", "describe", "prepare"]

CLIENT: Final = "sandbox"
"""Id of the registered client; it may do everything the server exposes."""
_SCOPES: Final = ("system/*.cruds",)
_MAKING: Final = ".making-"
_ABANDONED: Final = 3600
"""Seconds after which a sandbox that is not finished never will be."""


class SandboxError(ToroError):
    """The sandbox cannot be made here."""

    reason = "SANDBOX_REFUSED"
    issue = "invalid"


def prepare(folder: Path, patients: int, scheme: str = "sqlite") -> bool:
    """Make the sandbox where it is new and say whether it was; it appears whole or not at all.

    `scheme` is that of a storage that lies in the sandbox's folder. Raises SandboxError where the folder holds something else.
    """
    if (folder / "toro.toml").is_file():
        return False
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SandboxError(f"{folder} is not empty and not a sandbox; name a new folder")
    if folder.exists() and folder.samefile(Path.cwd()):
        raise SandboxError("a sandbox takes its folder's place; name a folder other than the one you are in")
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(folder)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_MAKING}", dir=folder.parent))
    try:
        private, public = new_client_key()
        keys = json.dumps({"keys": [public]}).encode()
        asyncio.run(_fill(_url(making, scheme), patients, keys))
        _write_private(making / "client.jwk", json.dumps(private, indent=1) + "\n")
        _write_private(making / "toro.toml", _settings(folder, scheme))
        if folder.exists():
            folder.rmdir()
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return True


def _clear_abandoned(folder: Path) -> None:
    """Remove what was killed while it was being made."""
    for making in folder.parent.glob(f".{glob.escape(folder.name)}{_MAKING}*"):
        if making.stat().st_mtime < time.time() - _ABANDONED:
            shutil.rmtree(making, ignore_errors=True)


def _url(folder: Path, scheme: str) -> str:
    return f"{scheme}:///{folder / ('data' if scheme == 'ndjson' else 'toro.db')}"


def _settings(folder: Path, scheme: str) -> str:
    note = "# A Toro sandbox: synthetic data, nobody's health records. See docs/config.md for every setting."
    storage = json.dumps(_url(folder, scheme), ensure_ascii=False)
    exports = json.dumps(str(folder / "exports"), ensure_ascii=False)
    return f"{note}\nstorage = {storage}\nexport_files = {exports}\n"


async def _fill(url: str, patients: int, keys: bytes) -> None:
    definitions = load()
    async with open_storage(url) as storage:
        validator = Validator(definitions)
        sink = StorageSink(storage, definitions, Extractor(definitions, ()), strict=True, validator=validator)
        texts = (dumps(resource) for resource in generate(patients=patients))
        report = Report()
        await import_resources(
            (Incoming(place="synthetic", resource=loads(text), size=len(text)) for text in texts), sink, report
        )
        if report.refused:
            raise SandboxError(f"a synthetic resource was refused: {report.refused[0].why}")
        await Clients(storage).add(name="Sandbox", scopes=_SCOPES, jwks=keys, client_id=CLIENT)


def describe(folder: Path, fhir_base: str, token_url: str) -> None:
    """Write `sandbox.json`: where the sandbox is served now, and as whom to come in."""
    facts = {
        "base_url": fhir_base,
        "token_url": token_url,
        "client_id": CLIENT,
        "key": str((folder / "client.jwk").absolute()),
    }
    _write_private(folder / "sandbox.json", json.dumps(facts, indent=1) + "\n")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
