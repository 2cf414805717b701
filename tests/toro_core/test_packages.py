"""Packages in a deployment's state, and that its cores agree on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from toro_core.assembly import open_service
from toro_core.commands.main import main
from toro_core.definitions import load
from toro_core.packages import DefinitionsDiffer, definitions_of, remove_package, store_package
from toro_core.plugins import open_storage
from toro_core.settings import Settings
from toro_core.storage import Storage

PACKAGES = Path(__file__).resolve().parents[3] / "shared" / "spec" / "packages"
FACTS: dict[str, Any] = {"name": "mine", "version": "1.0", "profiles": {}, "valueSets": {}, "open": {}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(storage=f"sqlite:///{tmp_path}/toro.db", base_url="https://fhir.example.org")


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    async with open_storage(settings.storage) as storage:
        yield storage


async def test_a_deployment_has_the_packages_that_were_added(storage: Storage) -> None:
    assert (await definitions_of(storage)).digest == load().digest
    added = await store_package(storage, FACTS)
    found = await definitions_of(storage)
    assert added.label in [package.label for package in found.packages]
    assert found.digest != load().digest
    assert await remove_package(storage, added.label)
    assert not await remove_package(storage, added.label)
    assert (await definitions_of(storage)).digest == load().digest


async def test_a_core_with_other_definitions_refuses_to_start_beside_one_that_runs(
    storage: Storage, settings: Settings
) -> None:
    async with open_service(settings):
        async with open_service(settings):
            pass
        await store_package(storage, FACTS)
        with pytest.raises(DefinitionsDiffer):
            async with open_service(settings):
                pass
    async with open_service(settings):
        pass


@pytest.mark.skipif(not PACKAGES.exists(), reason="the HL7 packages are not beside the repository")
def test_the_command_adds_lists_and_removes_packages(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = ("--storage", settings.storage)
    assert main(["package", "add", str(PACKAGES / "hl7.fhir.us.core-7.0.0.tgz"), *storage]) == 0
    said = capsys.readouterr().out
    assert "Added hl7.fhir.us.core#7.0.0: 52 profiles, 11 extensions" in said
    assert "7 search parameters beside those of R4" in said
    assert main(["package", "list", *storage]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed[:-1]] == [
        "hl7.fhir.us.core#7.0.0",
        "hl7.fhir.us.core#6.1.0",
        "hl7.fhir.r4.core#4.0.1",
    ]
    assert "added" in listed[0]
    assert main(["package", "remove", "hl7.fhir.us.core#7.0.0", *storage]) == 0
    assert main(["package", "remove", "hl7.fhir.us.core#7.0.0", *storage]) == 1


def test_a_file_that_is_no_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.tgz"
    path.write_bytes(b"no archive")
    assert main(["package", "add", str(path), "--storage", f"sqlite:///{tmp_path}/toro.db"]) == 1
    assert "x.tgz" in capsys.readouterr().err
