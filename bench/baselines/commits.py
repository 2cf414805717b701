"""Baseline: a Starlette application that makes each request's body durable in a SQLite commit of its own.

No index, no checks, no authentication. `python -m bench.baselines.commits PORT DATABASE`
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.baselines.hello import serve

__all__ = ["Commits"]


class Commits:
    """Stores bodies, one FULL commit each, on the one thread that writes."""

    def __init__(self, database: str) -> None:
        """Store in this database."""
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE body (id TEXT PRIMARY KEY, json BLOB NOT NULL) WITHOUT ROWID")

    async def create(self, request: Request) -> Response:
        """Answer 201 once the body is durable."""
        body = await request.body()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, body)
        return Response(status_code=201)

    def _insert(self, body: bytes) -> None:
        self._connection.execute("INSERT INTO body VALUES (?, ?)", (str(uuid.uuid4()), body))


if __name__ == "__main__":
    commits = Commits(sys.argv[2])
    serve(Starlette(routes=[Route("/", commits.create, methods=["POST"])]), int(sys.argv[1]))
