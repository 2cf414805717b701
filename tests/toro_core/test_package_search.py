"""Search parameters of added packages: refused until what is stored has been indexed by them, never silently unmatched."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from toro_core.assembly import open_service
from toro_core.commands.main import main
from toro_core.definitions import load
from toro_core.definitions.compile import read_package
from toro_core.definitions.compile_guides import compile_guide
from toro_core.local import LocalTransport
from toro_core.packages import definitions_of, store_package
from toro_core.search.extract import Extractor
from toro_core.search.reindex import reindex
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    GetCapabilitiesRequest,
    Metadata,
    SearchParameter,
    SearchResourcesRequest,
)

PACKAGES = Path(__file__).resolve().parents[3] / "shared" / "spec" / "packages"
SHOE = "http://example.org/StructureDefinition/shoe-size"


def parameter(code: str, expression: str, type_: str = "token", base: str = "Patient", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://example.org/SearchParameter/{code}",
        "code": code,
        "type": type_,
        "base": [base],
        "expression": expression,
        **more,
    }


SHOE_SIZE = parameter("shoe-size", f"Patient.extension('{SHOE}').value.ofType(integer)", "number")
PLACE = parameter("birth-place", f"Patient.extension('{SHOE}').value.ofType(Reference)", "reference")


def package(folder: Path, *parameters: dict[str, Any], version: str = "1.0.0") -> Path:
    """Write a package of search parameters."""
    path = folder / f"shoes-{version}.tgz"
    with tarfile.open(path, "w:gz") as archive:
        files = {"package.json": {"name": "example.shoes", "version": version}}
        files |= {f"SearchParameter-{one['id']}.json": one for one in parameters}
        for name, content in files.items():
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def patient(size: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": [{"url": SHOE, "valueInteger": size}], **more}


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Core]:
    async with open_service(settings) as service:
        yield Core(LocalTransport(service))


async def found(core: Core, metadata: Metadata, code: str, value: str) -> int:
    asked = SearchResourcesRequest(resource_type="Patient", parameters=[SearchParameter(code=code, values=[value])])
    return len((await core.SearchResources(asked, metadata=metadata)).entries)


async def offered(core: Core) -> set[str]:
    answer = await core.GetCapabilities(GetCapabilitiesRequest())
    able = next(one for one in answer.types if one.resource_type == "Patient")
    return {one.code for one in able.search_parameters}


async def test_a_new_parameter_is_refused_and_not_offered_until_everything_is_indexed(
    partner: Any, storage: Storage, settings: Settings, tmp_path: Path
) -> None:
    await partner.create(patient(44))
    content = read_package(package(tmp_path, SHOE_SIZE))
    await store_package(storage, compile_guide(content, load()))
    metadata = await partner.may("system/*.cruds")
    async with running(settings) as core:
        assert "shoe-size" not in await offered(core)
        with pytest.raises(CallError, match="toro reindex") as refused:
            await found(core, metadata, "shoe-size", "44")
        assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_SEARCH")
        # written meanwhile by a core that knows the parameter already
        request = CreateResourceRequest(resource_type="Patient", json=json.dumps(patient(44)).encode())
        await core.CreateResource(request, metadata=metadata)
        extractor = Extractor(await definitions_of(storage), settings.own_bases())
        assert await reindex(storage, extractor, lambda *_: None) == 2
    async with running(settings) as core:
        assert "shoe-size" in await offered(core)
        assert await found(core, metadata, "shoe-size", "44") == 2
        assert await found(core, metadata, "shoe-size", "gt44") == 0


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    status = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The URL of a storage with two patients."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps(patient(size, id=str(size), birthDate="2001")) for size in (38, 44)]
    Path("Patient.ndjson").write_text("\n".join(lines))
    assert main(["import", "Patient.ndjson", "--no-validate", "--storage", "sqlite:///toro.db"]) == 0
    capsys.readouterr()
    return "sqlite:///toro.db"


def test_adding_a_package_indexes_at_once_what_is_new_or_has_changed(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(capsys, "package", "add", package(tmp_path, SHOE_SIZE), "--storage", stored)
    assert status == 0
    assert "1 search parameters beside those of R4" in said
    assert "2 resources indexed by the parameters of the package" in said
    status, said = run(capsys, "search", "Patient?shoe-size=gt40", "--storage", stored)
    assert (status, [json.loads(line)["id"] for line in said.splitlines()]) == (0, ["44"])
    changed = {**SHOE_SIZE, "expression": "Patient.multipleBirth.ofType(integer)"}
    newer = package(tmp_path, changed, version="1.1.0")
    status, said = run(capsys, "package", "add", newer, "--no-reindex", "--storage", stored)
    assert "1 search parameters are new or changed" in said
    status, said = run(capsys, "package", "list", "--storage", stored)
    assert "refused until toro reindex has finished: Patient shoe-size" in said
    assert [line.split()[-4:] for line in said.splitlines() if line.startswith("example.shoes")] == [
        ["1", "search", "parameters,", "added"]
    ] * 2
    status, said = run(capsys, "search", "Patient?shoe-size=44", "--storage", stored)
    assert (status, "toro reindex" in said) == (1, True)
    assert run(capsys, "reindex", "--storage", stored)[0] == 0
    assert run(capsys, "search", "Patient?shoe-size=44", "--storage", stored) == (0, "")
    status, said = run(capsys, "package", "add", newer, "--storage", stored)
    assert "Restart the cores" in said


async def test_nothing_is_indexed_while_a_core_writes_without_the_parameter(
    partner: Any, storage: Storage, settings: Settings, tmp_path: Path
) -> None:
    import asyncio
    import subprocess
    import sys

    await partner.create(patient(44))
    toro = Path(sys.executable).with_name("toro")

    def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        asked = [toro, *arguments, "--storage", settings.storage]
        return subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=False)

    async with running(settings):
        added = await asyncio.to_thread(command, "package", "add", package(tmp_path, SHOE_SIZE))
        assert added.returncode == 0
        assert "Cores are running" in added.stdout
        refused = await asyncio.to_thread(command, "reindex")
        assert refused.returncode == 1
        assert "runs with other definitions" in refused.stderr
    async with running(settings) as core:
        with pytest.raises(CallError, match="toro reindex"):
            await found(core, await partner.may("system/*.cruds"), "shoe-size", "44")
        assert (await asyncio.to_thread(command, "reindex")).returncode == 0


def test_what_cannot_be_used_is_said(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = package(
        tmp_path,
        parameter("birthdate", "Patient.deceased.ofType(dateTime)", "date"),
        parameter("odd", "Patient.name.odd()"),
        parameter("elsewhere", "Shoe.size", base="Shoe"),
        parameter("half", "Patient", "composite", component=[{"definition": "http://nowhere", "expression": "id"}]),
        {"resourceType": "SearchParameter", "id": "empty", "url": "http://example.org/SearchParameter/empty"},
    )
    status, said = run(capsys, "package", "add", path, "--storage", stored)
    assert status == 0
    assert "1 search parameters beside those of R4" in said
    assert "not searchable, its expression cannot be indexed: Patient odd" in said
    assert len(run(capsys, "search", "Patient?birthdate=2001", "--storage", stored)[1].splitlines()) == 2


def test_composites_of_r4s_parameters_and_parameters_of_every_type_are_used(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    r4 = "http://hl7.org/fhir/SearchParameter/"
    parts = [
        {"definition": f"{r4}individual-birthdate", "expression": "birthDate"},
        {"definition": SHOE_SIZE["url"], "expression": f"extension('{SHOE}').value.ofType(integer)"},
    ]
    path = package(
        tmp_path,
        SHOE_SIZE,
        parameter("birthdate-shoe-size", "Patient", "composite", component=parts),
        parameter("_marked", "Resource.language", base="Resource"),
    )
    assert run(capsys, "package", "add", path, "--storage", stored)[0] == 0
    status, said = run(capsys, "search", "Patient?birthdate-shoe-size=2001$38", "--storage", stored)
    assert (status, [json.loads(line)["id"] for line in said.splitlines()]) == (0, ["38"])
    assert run(capsys, "search", "Observation?_marked=en", "--storage", stored) == (0, "")


def test_the_digest_of_what_search_goes_by_is_that_of_the_parameters(tmp_path: Path) -> None:
    own = load()

    def digest(*packages: Path) -> str:
        made = [json.dumps(compile_guide(read_package(path), own)).encode() for path in packages]
        return own.with_packages(made).search_digest

    empty, one = package(tmp_path, version="0.1.0"), package(tmp_path, SHOE_SIZE)
    two = package(tmp_path, PLACE, version="2.0.0")
    assert digest() == digest(empty) == own.search_digest
    assert len({digest(), digest(one), digest(two), digest(one, two)}) == 4
    assert digest(one, two) == digest(two, one)


@pytest.mark.skipif(not PACKAGES.exists(), reason="the HL7 packages are not beside the repository")
@pytest.mark.parametrize(("version", "count"), [("3.1.1", 2), ("6.1.0", 7), ("7.0.0", 7)])
async def test_every_us_core_brings_its_parameters(
    storage: Storage, version: str, count: int, observation: Callable[..., dict[str, Any]]
) -> None:
    facts = compile_guide(read_package(PACKAGES / f"hl7.fhir.us.core-{version}.tgz"), load())
    await store_package(storage, facts)
    definitions = await definitions_of(storage)
    rows = [(name, code, row) for name, found in facts["search"].items() for code, row in found.items()]
    assert len(rows) == count
    extractor = Extractor(definitions, ())
    for name, code, row in rows:
        assert extractor.parameters(name)[code].url == row["url"]
    profiles = definitions.supported_profiles("Patient")
    assert "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient" in profiles
    assert definitions.profiles("Patient") == load().profiles("Patient")
