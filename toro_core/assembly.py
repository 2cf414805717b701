"""Puts a service together from settings: the one place that knows which part needs which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from toro_core.access import Access
from toro_core.allocation import keep_freed_memory
from toro_core.auth.authority import Authority
from toro_core.binaries import SecurityContexts
from toro_core.bulk.asking import Asking
from toro_core.bulk.cohorts import Cohorts
from toro_core.bulk.exports import Exports
from toro_core.bulk.files import open_files
from toro_core.bulk.jobs import Jobs
from toro_core.bulk.runner import Limits, Runner, Worker
from toro_core.bulk.selection import Tools as SelectionTools
from toro_core.bulk.supervisor import Supervisor
from toro_core.bundles.bundler import Bundler
from toro_core.bundles.entries import EntryParser
from toro_core.bundles.plan import Tools
from toro_core.bundles.transaction import Transactor
from toro_core.definitions import load
from toro_core.histories import Histories
from toro_core.matching import Matcher
from toro_core.operations.acting import Acting
from toro_core.operations.contract import Operation
from toro_core.operations.docref import DocRef
from toro_core.operations.document import Documents
from toro_core.operations.everything import Everything
from toro_core.operations.record import Ground
from toro_core.operations.registry import Operations, check_operations
from toro_core.operations.validate import Validate
from toro_core.packages import announced, definitions_of
from toro_core.plugins import BrokenPlugin, open_storage, plugin_operations
from toro_core.reading import Reader
from toro_core.search.extract import Extractor
from toro_core.search.paging import PageTokens
from toro_core.search.parse import SearchParser
from toro_core.search.reindex import prepare
from toro_core.searching import Searcher
from toro_core.service import Parts, Service
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.targeting import Targeting
from toro_core.validating import Validating
from toro_core.validation import Validator
from toro_core.watching import Watching
from toro_core.writing import Drafter, Integrity, Writer

__all__ = ["open_runner", "open_service", "service_on"]


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Open the storage the settings name and a service on it; close the storage at the end."""
    keep_freed_memory()  # a page's memory is the next one's
    async with open_storage(settings.storage) as storage:
        definitions = await definitions_of(storage)
        async with announced(storage, definitions):
            extractor = Extractor(definitions, settings.own_bases())
            await prepare(storage, extractor)
            service = service_on(storage, settings, extractor, plugin_operations())
            async with service.working():
                try:
                    yield service
                finally:
                    service.end_streams()


def service_on(
    storage: Storage,
    settings: Settings,
    extractor: Extractor | None = None,
    of_plugins: Sequence[Operation] = (),
) -> Service:
    """Put a service together on an open storage, with an extractor that has been settled on it where there is one.

    `of_plugins` are the operations that plugins add. Raises BrokenPlugin where they collide.
    """
    extractor = extractor or Extractor(load(), settings.own_bases())
    definitions = extractor.definitions
    validator = Validator(definitions, policy=settings.profile_policy)
    parser = SearchParser(extractor, max_count=settings.page_size_max)
    access = Access(parser.constraint)
    authority = Authority(
        storage,
        issuer=settings.base(),
        audience=settings.fhir_base(),
        token_url=settings.token_url() if settings.base_url else None,
        token_ttl=settings.token_ttl,
        skew=settings.clock_skew,
        allow_audience_list=settings.audience_list,
        compile_constraint=parser.constraint,
        types=definitions.resource_types,
    )
    tokens = PageTokens(storage)
    reader = Reader(storage, extractor, access)
    integrity = Integrity(check_references=settings.check_references, delete_referenced=settings.delete_referenced)
    drafter = Drafter(validator, extractor, with_targets=integrity.check_references)
    contexts = SecurityContexts(storage, extractor, access)
    matcher = Matcher(storage, parser, access, contexts)
    targeting = Targeting(storage, reader, access, matcher)
    writer = Writer(storage, drafter, access, targeting, integrity)
    bundler = Bundler(
        definitions=definitions,
        entries=EntryParser(definitions, settings.own_bases()),
        transactor=Transactor(
            tools=Tools(definitions=definitions, drafter=drafter, matcher=matcher, targeting=targeting, writer=writer)
        ),
        writer=writer,
        access=access,
        parser=parser,
    )
    searcher = Searcher(storage, extractor, parser, access, tokens, page_size=settings.page_size)
    validating = Validating(validator, reader, access)
    ground = Ground(storage=storage, extractor=extractor, parser=parser, access=access, contexts=contexts)
    everything = Everything(ground, tokens, page_size_max=settings.page_size_max)
    documents = Documents(storage, extractor, access, reader, contexts, max_bytes=settings.max_body)
    docref = DocRef(storage, parser, access, tokens, page_size=settings.page_size)
    own: tuple[Operation, ...] = (Validate(validating), everything, documents, docref)
    if wrong := check_operations(own, of_plugins):
        raise BrokenPlugin(f"{wrong}; remove one of the plugins")
    acting = Acting(reader=reader, searcher=searcher, writer=writer)
    return Service(
        Parts(
            settings=settings,
            storage=storage,
            definitions=definitions,
            extractor=extractor,
            authority=authority,
            reader=reader,
            writer=writer,
            bundler=bundler,
            searcher=searcher,
            histories=Histories(storage, reader, access, tokens, definitions.resource_types),
            watching=Watching(storage, reader, access, authority, definitions.resource_types),
            validating=validating,
            everything=everything,
            documents=documents,
            acting=acting,
            operations=Operations(own, of_plugins, reader, access, acting),
            exports=_exports(storage, settings, extractor, parser, access, reader),
        )
    )


@asynccontextmanager
async def open_runner(settings: Settings) -> AsyncIterator[Runner]:
    """Open the storage the settings name and what works on its exports; close the storage at the end."""
    async with open_storage(settings.storage) as storage:
        definitions = await definitions_of(storage)
        async with announced(storage, definitions):
            extractor = Extractor(definitions, settings.own_bases())
            await prepare(storage, extractor)
            parser = SearchParser(extractor, max_count=settings.page_size_max)
            yield _runner(storage, settings, extractor, parser, Access(parser.constraint))


def _exports(
    storage: Storage, settings: Settings, extractor: Extractor, parser: SearchParser, access: Access, reader: Reader
) -> Exports:
    jobs = Jobs(storage)
    runner = _runner(storage, settings, extractor, parser, access)
    worker: Worker = runner
    if settings.export_process and settings.export_workers:
        worker = Supervisor(jobs, runner, msgspec.json.encode(settings), settings.export_poll)
    return Exports(
        storage,
        jobs,
        runner.files,
        Asking(extractor.definitions, parser, access),
        access,
        Cohorts(storage, reader, extractor.references),
        worker,
        at_once=settings.export_limit,
    )


def _runner(storage: Storage, settings: Settings, extractor: Extractor, parser: SearchParser, access: Access) -> Runner:
    files = open_files(settings.export_files, signed=settings.export_signed_urls)
    limits = Limits(
        file_bytes=settings.export_file_size,
        keep=settings.export_keep,
        poll=settings.export_poll,
        workers=settings.export_workers,
    )
    tools = SelectionTools(extractor, parser, access, ascii_only=settings.export_ascii)
    return Runner(storage, Jobs(storage), files, tools, limits)
