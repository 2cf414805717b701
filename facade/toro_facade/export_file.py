"""Bulk Data files, whole or in part: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from typing import Final

from toro_core.v1 import FetchExportFileRequest, FetchExportFileResponse
from toro_facade.answer import Answer, Header
from toro_facade.exchange import Exchange
from toro_facade.headers import matches
from toro_facade.outcome import Refused

__all__ = ["export_file"]

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_ZERO: Final = re.compile(r";\s*q=0(?:\.0*)?\s*$")
_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1


async def export_file(exchange: Exchange) -> Answer:
    """Answer with a file; with 206 and a part of it where a Range asks for one, compressed where the client takes gzip."""
    described = await _described(exchange)
    size = described.file.size
    tag = f'"{exchange.resource_id}-{exchange.version_id}"'
    compressed = f'"{exchange.resource_id}-{exchange.version_id}-gzip"'
    headers: list[Header] = [
        (b"content-type", described.media_type.encode("ascii")),
        (b"accept-ranges", b"bytes"),
        (b"vary", b"accept-encoding"),
        (b"cache-control", b"private, no-cache"),
    ]
    known = exchange.header(b"if-none-match")
    for one in (tag, compressed):
        if known and matches(known, one):
            return Answer(status=304, headers=[*headers, (b"etag", one.encode("ascii"))])
    part = _part(exchange, size, tag)
    if part is None and _takes_gzip(exchange.header(b"accept-encoding")):
        headers += [(b"content-encoding", b"gzip"), (b"etag", compressed.encode("ascii"))]
        return Answer(headers=headers, stream=_gzipped(_content(exchange, 0, size)))
    headers.append((b"etag", tag.encode("ascii")))
    if part is None:
        return Answer(headers=headers, stream=_content(exchange, 0, size), size=size)
    start, end = part
    headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode("ascii")))
    return Answer(status=206, headers=headers, stream=_content(exchange, start, end - start), size=end - start)


async def _described(exchange: Exchange) -> FetchExportFileResponse:
    request = FetchExportFileRequest(export_id=exchange.resource_id, name=exchange.version_id, only_describe=True)
    async for answer in exchange.services.core.FetchExportFile(
        request, metadata=exchange.metadata, timeout=exchange.timeout
    ):
        return answer
    raise Refused(404, "not-found", "There is no such file.")


def _part(exchange: Exchange, size: int, tag: str) -> tuple[int, int] | None:
    """Return the first byte and the one after the last of the part asked for; None stands for the whole. Raises Refused (416)."""
    condition = exchange.header(b"if-range")
    match = _RANGE.fullmatch(exchange.header(b"range").replace(" ", ""))
    if match is None or match.groups() == ("", "") or (condition and condition != tag):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Refused(
            416,
            "value",
            f"The file has {size} bytes; ask for some of them.",
            ((b"content-range", b"bytes */%d" % size),),
        )
    return start, end


def _takes_gzip(accept_encoding: str) -> bool:
    ranges = [part.strip().lower() for part in accept_encoding.split(",")]
    return any(part.partition(";")[0].strip() in ("gzip", "x-gzip") and not _ZERO.search(part) for part in ranges)


async def _content(exchange: Exchange, offset: int, limit: int) -> AsyncIterator[bytes]:
    request = FetchExportFileRequest(
        export_id=exchange.resource_id, name=exchange.version_id, offset=offset, limit=limit
    )
    answers = exchange.services.core.FetchExportFile(request, metadata=exchange.metadata)
    async for answer in answers:
        if answer.chunk:
            yield answer.chunk


async def _gzipped(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    async for chunk in chunks:
        if compressed := await asyncio.to_thread(compressor.compress, chunk):
            yield compressed
    yield compressor.flush()
