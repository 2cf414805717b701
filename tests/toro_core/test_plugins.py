from __future__ import annotations

import sys
from pathlib import Path

import pytest

from toro_core.plugins import UnknownStorage, open_storage, storage_schemes

_OPENS = """
from contextlib import asynccontextmanager
from toro_core.hookspecs import hookimpl

@asynccontextmanager
async def open_elsewhere(url):
    yield url

@hookimpl
def toro_storage(scheme):
    return open_elsewhere if scheme == "elsewhere" else None
"""


def _install(folder: Path, scheme: str, module: str, source: str) -> None:
    """Put a distribution with one storage plugin where Python finds it."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[toro.storage]\n{scheme} = {module}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_an_unknown_scheme_is_refused_with_those_installed() -> None:
    assert "sqlite" in storage_schemes()
    with pytest.raises(UnknownStorage, match=r"no installed plugin opens oracle storage; installed: .*sqlite"):
        open_storage("oracle://host/db")


@pytest.mark.parametrize("url", ["", "toro.db", "sqlite:toro.db", "://x"])
def test_what_is_no_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(UnknownStorage, match=r"sqlite:///toro[.]db"):
        open_storage(url)


async def test_a_plugin_installed_from_outside_opens_its_scheme(folder: Path) -> None:
    _install(folder, "elsewhere", "toro_elsewhere", _OPENS)
    assert "elsewhere" in storage_schemes()
    async with open_storage("ELSEWHERE://there") as opened:
        assert opened == "ELSEWHERE://there"  # type: ignore[comparison-overlap]


def test_a_plugin_that_cannot_be_imported_is_named_with_the_cause(folder: Path) -> None:
    _install(folder, "broken", "toro_broken", "import a_driver_that_is_not_there\n")
    with pytest.raises(UnknownStorage, match=r"broken storage \(toro_broken\).*a_driver_that_is_not_there"):
        open_storage("broken://x")


def test_a_hook_with_a_misspelt_name_is_an_error(folder: Path) -> None:
    source = "from toro_core.hookspecs import hookimpl\n\n@hookimpl\ndef toro_storrage(scheme):\n    return None\n"
    _install(folder, "misspelt", "toro_misspelt", source)
    with pytest.raises(UnknownStorage, match="toro_storrage"):
        open_storage("misspelt://x")


def test_a_plugin_that_does_not_open_its_own_scheme_is_an_error(folder: Path) -> None:
    _install(folder, "another", "toro_another", _OPENS)
    with pytest.raises(UnknownStorage, match="toro_another is registered for another storage but does not open it"):
        open_storage("another://x")


async def test_only_the_plugin_asked_for_is_loaded(folder: Path) -> None:
    _install(folder, "untouched", "toro_untouched", "raise RuntimeError('loaded though not asked for')\n")
    async with open_storage(f"sqlite:///{folder}/toro.db") as storage:
        assert "transactions" in storage.capabilities
    assert "toro_untouched" not in sys.modules
