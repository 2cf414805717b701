"""By which rules a storage's resources are indexed: kept beside them, compared when it is opened.

A parameter whose rules have changed would silently miss what was stored before. It is pending, and refused, until every
resource of its type has been indexed again.
"""

from __future__ import annotations

import hashlib
import logging
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from toro_core.errors import StateConflict
from toro_core.fhirpath.branches import Branch
from toro_core.search.extract import Extractor
from toro_core.search.layout import Layout, Searchable
from toro_core.search.plan import SearchPlan
from toro_core.search.unindexed import index_new
from toro_core.storage import StateRecord, Storage

__all__ = ["COMPARTMENT", "STATE_PREFIX", "Rules", "find_pending", "rules_of", "settle", "store_rules"]

COMPARTMENT: Final = "_compartment"
"""Stands among a type's parameters for which patients' compartments its resources lie in."""
STATE_PREFIX: Final = "search/"
"""Begins the keys of the state records on indexing, which are true of this storage alone."""
_KEY: Final = "search/rules"
_DIGEST: Final = 8
_PAUSE: Final = 2.0
_LOG: Final = logging.getLogger("toro.core")


class Rules(msgspec.Struct, frozen=True):
    """By which rules resources are indexed: a fingerprint of all of them, and by type and parameter a digest of its own."""

    fingerprint: str
    parameters: Mapping[str, Mapping[str, str]]


async def settle(storage: Storage, extractor: Extractor, tell: Callable[[int], None] | None = None) -> None:
    """Find out which parameters are pending and let the extractor know; an empty storage takes its rules.

    What nobody has indexed yet is indexed first; `tell` is given how many of those are done, or else the log is.
    """
    indexes = await index_new(storage, extractor, tell or _logged())
    while True:
        record = await storage.get_state(_KEY)
        # Where files of others were found everything has just been indexed.
        extractor.pending = {} if record is None and indexes else await _pending(storage, extractor, record)
        if extractor.pending or (record is not None and _decoded(record.value).fingerprint == extractor.fingerprint):
            return
        rules = _encoded(rules_of(extractor))
        try:
            await storage.put_state(_KEY, rules, if_revision=record.revision if record else 0)
        except StateConflict:
            # Another process has just settled it.
            continue
        return


async def find_pending(storage: Storage, extractor: Extractor) -> dict[str, frozenset[str]]:
    """Return by type the parameters whose rows may be of other rules; nothing is written."""
    return await _pending(storage, extractor, await storage.get_state(_KEY))


async def _pending(storage: Storage, extractor: Extractor, record: StateRecord | None) -> dict[str, frozenset[str]]:
    if record is None:
        if await _is_empty(storage, extractor):
            return {}
        return _changed(Rules(fingerprint="", parameters={}), rules_of(extractor))
    stored = _decoded(record.value)
    return {} if stored.fingerprint == extractor.fingerprint else _changed(stored, rules_of(extractor))


def _logged() -> Callable[[int], None]:
    """Return what says in the log every other second how many resources are indexed."""
    last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > _PAUSE:
            _LOG.info("indexing what others wrote: %d resources so far", done)
            last = time.monotonic()

    return tell


async def store_rules(storage: Storage, rules: Rules) -> None:
    """Note that everything is indexed by these rules."""
    await storage.put_state(_KEY, _encoded(rules))


def rules_of(extractor: Extractor) -> Rules:
    """Return the rules by which an extractor indexes."""
    parameters = {}
    for resource_type in sorted(extractor.definitions.resource_types):
        layout = extractor.layout(resource_type)
        digests = {code: _digest(extractor, layout, searchable) for code, searchable in layout.searchables.items()}
        members = sorted(extractor.definitions.compartment(resource_type))
        if members:
            digests[COMPARTMENT] = _hash((code, digests.get(code, "")) for code in members)
        parameters[resource_type] = digests
    return Rules(fingerprint=extractor.fingerprint, parameters=parameters)


async def _is_empty(storage: Storage, extractor: Extractor) -> bool:
    for resource_type in extractor.definitions.resource_types:
        if await storage.count(SearchPlan(type=resource_type), 1):
            return False
    return True


def _changed(before: Rules, after: Rules) -> dict[str, frozenset[str]]:
    changed = {}
    for resource_type, digests in after.parameters.items():
        known = before.parameters.get(resource_type, {})
        codes = frozenset(code for code, digest in digests.items() if known.get(code) != digest)
        if codes:
            changed[resource_type] = codes
    return changed


def _digest(extractor: Extractor, layout: Layout, searchable: Searchable) -> str:
    return _hash(_facts(extractor, layout, searchable))


def _facts(extractor: Extractor, layout: Layout, searchable: Searchable) -> Iterator[object]:
    facts = searchable.facts
    yield extractor.rules, facts.type, facts.expression, facts.targets, searchable.parts
    yield layout.sorts.get(facts.code)
    for branch in searchable.branches:
        yield _branch(extractor, branch)
    for composition in searchable.compositions:
        yield composition.group
        for component in composition.components:
            yield component.grouped
            yield from _facts(extractor, layout, component.searchable)


def _branch(extractor: Extractor, branch: Branch) -> object:
    return branch.type, branch.path, branch.target, branch.element, sorted(extractor.systems(branch).items())


def _encoded(rules: Rules) -> bytes:
    return zlib.compress(msgspec.json.encode(rules))


def _decoded(value: bytes) -> Rules:
    # Earlier versions did not compress it.
    return msgspec.json.decode(value if value.startswith(b"{") else zlib.decompress(value), type=Rules)


def _hash(facts: Iterator[object]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(repr(fact).encode())
    return digest.hexdigest()[:_DIGEST]
