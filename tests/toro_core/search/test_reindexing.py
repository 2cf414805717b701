"""Rules of indexing that change while resources are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from toro_core.definitions import Definitions
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.search.indexed import COMPARTMENT, Rules, rules_of, settle, store_rules
from toro_core.search.parse import SearchParser
from toro_core.search.plan import AllOf
from toro_core.search.query import InvalidSearch, Parameter
from toro_core.search.reindex import reindex
from toro_core.storage import Indexed, Key, Rows, Write
from toro_core.testing.memory import MemoryStorage

CODE = (Parameter(code="code", values=("1",)),)


class Recording(MemoryStorage):
    """Notes what is indexed again."""

    def __init__(self) -> None:
        super().__init__()
        self.indexed: list[str] = []

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        await super().reindex(indexed)
        self.indexed += [each.key.id for each in indexed]


def _observation(id_: str) -> dict[str, Any]:
    coding = {"system": "http://loinc.org", "code": "1"}
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": {"coding": [coding]}}


async def _stored(definitions: Definitions, *ids: str) -> Recording:
    """Store resources by rules under which an Observation had no codes."""
    storage, before = Recording(), Extractor(definitions, ())
    await settle(storage, before)
    for id_ in ids:
        resource = _observation(id_)
        rows = replace(before.rows(resource), tokens=())
        await storage.commit([Write(key=Key("Observation", id_), body=body(resource, id_), rows=rows)])
    await store_rules(storage, _before(before, "code", "combo-code"))
    return storage


def _before(extractor: Extractor, *codes: str) -> Rules:
    rules = rules_of(extractor)
    observation = {**rules.parameters["Observation"], **dict.fromkeys(codes, "of old")}
    return Rules(fingerprint="of old", parameters={**rules.parameters, "Observation": observation})


async def _settled(storage: MemoryStorage, definitions: Definitions) -> Extractor:
    extractor = Extractor(definitions, ())
    await settle(storage, extractor)
    return extractor


async def _found(storage: MemoryStorage, extractor: Extractor) -> int:
    query = SearchParser(extractor).parse("Observation", CODE)
    from toro_core.search.plan import SearchPlan

    return await storage.count(SearchPlan(type="Observation", criterion=query.criterion))


async def test_an_empty_storage_takes_the_rules_it_is_opened_with(definitions: Definitions) -> None:
    storage = MemoryStorage()
    assert (await _settled(storage, definitions)).pending == {}
    resource = _observation("a")
    await storage.commit([Write(key=Key("Observation", "a"), body=body(resource, "a"), rows=Rows())])
    assert (await _settled(storage, definitions)).pending == {}


async def test_resources_stored_by_rules_nobody_knows_are_found_by_no_parameter(definitions: Definitions) -> None:
    storage, resource = MemoryStorage(), _observation("a")
    await storage.commit([Write(key=Key("Observation", "a"), body=body(resource, "a"), rows=Rows())])
    extractor = await _settled(storage, definitions)
    assert "code" in extractor.pending["Observation"]
    assert COMPARTMENT in extractor.pending["Observation"]
    assert not extractor.searchables("Observation")


async def test_rules_as_earlier_versions_noted_them_are_understood(definitions: Definitions) -> None:
    storage = MemoryStorage()
    extractor = await _settled(storage, definitions)
    resource = _observation("a")
    await storage.commit([Write(key=Key("Observation", "a"), body=body(resource, "a"), rows=Rows())])
    # They were not compressed.
    await storage.put_state("search/rules", msgspec.json.encode(_before(extractor, "code")))
    assert {*(await _settled(storage, definitions)).pending["Observation"]} == {"code"}
    await storage.put_state("search/rules", msgspec.json.encode(rules_of(extractor)))
    assert (await _settled(storage, definitions)).pending == {}


async def test_only_what_has_changed_is_pending(definitions: Definitions) -> None:
    extractor = await _settled(await _stored(definitions, "a"), definitions)
    assert extractor.pending == {"Observation": {"code", "combo-code"}}
    assert "category" in extractor.searchables("Observation")
    assert "code" not in extractor.searchables("Observation")
    assert "code" in extractor.searchables("Condition")


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("resource_type", "parameter"),
    [
        ("Observation", Parameter(code="code", values=("1",))),
        ("Observation", Parameter(code="code", modifier="missing", values=("true",))),
        ("Observation", Parameter(code="_sort", values=("-code",))),
        ("Observation", Parameter(code="code-value-quantity", values=("1$2",))),
        ("Patient", Parameter(code="_has", modifier="Observation:patient:code", values=("1",))),
        ("Observation", Parameter(code="has-member.code", values=("1",))),
    ],
)
async def test_what_is_pending_is_refused_and_never_left_out(
    definitions: Definitions, resource_type: str, parameter: Parameter, lenient: bool
) -> None:
    storage = await _stored(definitions, "a")
    await store_rules(storage, _before(Extractor(definitions, ()), "code", "combo-code", "code-value-quantity"))
    parser = SearchParser(await _settled(storage, definitions))
    with pytest.raises(InvalidSearch, match="toro reindex"):
        parser.parse(resource_type, [parameter], lenient=lenient, clause_of=lambda type_: AllOf(()))


async def test_reindexing_finds_again_and_unlocks(definitions: Definitions) -> None:
    storage = await _stored(definitions, "a", "b")
    told: list[tuple[str, int]] = []
    extractor = Extractor(definitions, ())
    assert await reindex(storage, extractor, lambda type_, done: told.append((type_, done))) == 2
    assert told == [("Observation", 2)]
    assert await _found(storage, extractor) == 2
    assert (await _settled(storage, definitions)).pending == {}
    assert (await storage.read(Key("Observation", "a"))).version == 1
    storage.indexed.clear()
    assert await reindex(storage, Extractor(definitions, ()), lambda type_, done: None) == 0
    assert await reindex(storage, Extractor(definitions, ()), lambda type_, done: None, everything=True) == 2


async def test_stopped_reindexing_goes_on_where_it_was(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toro_core.search.reindex._PAGE", 2)
    storage = await _stored(definitions, *"abcdefg")

    def stop(_: str, done: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await reindex(storage, Extractor(definitions, ()), stop)
    assert (await _settled(storage, definitions)).pending
    extractor = Extractor(definitions, ())
    assert await reindex(storage, extractor, lambda type_, done: None) == 3
    assert storage.indexed == [*"abcdef", *"efg"]
    assert await _found(storage, extractor) == 7


async def test_two_that_open_an_empty_storage_at_once_agree(definitions: Definitions) -> None:
    class Raced(MemoryStorage):
        async def put_state(
            self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
        ) -> int:
            if not self._state:
                await super().put_state(key, value)
            return await super().put_state(key, value, if_revision=if_revision, ttl=ttl)

    assert (await _settled(Raced(), definitions)).pending == {}
