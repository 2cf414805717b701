from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from toro_core.definitions import Definitions, load
from toro_core.importing import Incoming, StorageSink
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Storage
from toro_core.validation import Validator


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(f"sqlite:///{tmp_path}/toro.db") as storage:
        yield storage


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


def incoming(**members: Any) -> Incoming:
    resource = loads(dumps({"resourceType": "Patient", "id": "1", **members}))
    return Incoming(place="x:1", resource=resource, size=100)


SOUND = {"active": True}  # though US Core would have more
BROKEN = {"gender": "none of the codes"}


def sink(storage: Storage, definitions: Definitions, **options: Any) -> StorageSink:
    return StorageSink(storage, definitions, Extractor(definitions, ()), **options)


async def test_what_is_invalid_is_stored_and_told(storage: Storage, definitions: Definitions) -> None:
    outcome = await sink(storage, definitions, strict=False, validator=Validator(definitions)).store(
        [incoming(**BROKEN)]
    )
    assert not outcome.refused
    assert "Patient.gender" in outcome.warned[0].why
    assert (await storage.read(Key("Patient", "1"))).version == 1


async def test_warnings_of_profiles_are_not_told(storage: Storage, definitions: Definitions) -> None:
    outcome = await sink(storage, definitions, strict=True, validator=Validator(definitions)).store([incoming(**SOUND)])
    assert not outcome.refused
    assert not outcome.warned


async def test_strict_refuses_what_is_invalid(storage: Storage, definitions: Definitions) -> None:
    outcome = await sink(storage, definitions, strict=True, validator=Validator(definitions)).store(
        [incoming(**BROKEN)]
    )
    assert [one.place for one in outcome.refused] == ["x:1"]


async def test_without_a_validator_nothing_is_looked_at(storage: Storage, definitions: Definitions) -> None:
    outcome = await sink(storage, definitions, strict=False).store([incoming(**BROKEN)])
    assert not outcome.refused
    assert not outcome.warned
