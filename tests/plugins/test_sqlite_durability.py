"""What a 201 means: killed processes, fsync before the answer, several processes on one file."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import HistoryPlan, Key, Rows, TokenRow
from toro_core.testing.making import TYPE, found, write
from toro_sqlite import open_sqlite

# Makes versions of one resource beside another process that does the same.
_SHARER = """
import asyncio, sys
from toro_core.storage import Rows, TokenRow
from toro_core.testing.making import write
from toro_sqlite import open_sqlite

async def main(url, name, count):
    async with open_sqlite(url) as storage:
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(count):
            rows = Rows(tokens=(TokenRow(f"param-{name}-{n % 3}", f"system-{n}", name),))
            await storage.commit([write("shared"), write(f"{name}-{n}", rows)])

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def _start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class _Watched(sqlite3.Connection):
    """Notes what a COMMIT did, and takes its time over it."""

    settings: ClassVar[set[tuple[Any, ...]]] = set()
    attempted: ClassVar[int] = 0
    durable: ClassVar[int] = 0
    groups: ClassVar[int] = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "RELEASE job":
            _Watched.attempted += 1
        if sql != "COMMIT":
            return super().execute(sql, *args)
        modes = ("journal_mode", "synchronous", "fullfsync")
        _Watched.settings.add(tuple(super(_Watched, self).execute(f"PRAGMA {mode}").fetchone()[0] for mode in modes))
        time.sleep(0.02)
        cursor = super().execute(sql, *args)
        time.sleep(0.02)
        _Watched.durable = _Watched.attempted
        _Watched.groups += 1
        return cursor


async def test_an_answer_comes_after_a_commit_that_fsyncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=_Watched, **options))
    async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
        _Watched.settings.clear()
        _Watched.attempted = _Watched.durable = _Watched.groups = 0
        answered = 0

        async def answer(call: Awaitable[object]) -> None:
            nonlocal answered
            await call
            answered += 1
            # Jobs are committed and answered in the order they came in.
            assert answered <= _Watched.durable, "answered before its COMMIT had returned"

        await answer(storage.commit([write("a")]))
        await answer(storage.put_state("k", b"v"))
        await answer(storage.delete_state("k"))
        await asyncio.gather(*(answer(storage.commit([write(f"r{n}")])) for n in range(60)))
        assert answered == 63
        assert _Watched.groups < 63, "nothing was grouped"
        # FULL fsyncs the log with every COMMIT; NORMAL would not.
        assert _Watched.settings == {("wal", 2, 1)}


async def test_two_processes_write_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    count = 60
    processes = {name: _start(_SHARER, url, name, str(count)) for name in ("one", "two")}
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    async with open_sqlite(url) as storage:
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for n in range(count):
            rows = Rows(tokens=(TokenRow(f"param-three-{n % 3}", f"system-{n}", "three"),))
            await storage.commit([write("shared"), write(f"three-{n}", rows)])
        for process in processes.values():
            assert await asyncio.to_thread(process.wait, 60) == 0
            process.communicate()
        page = await storage.history(HistoryPlan(key=Key(TYPE, "shared"), limit=1000))
        assert [each.version for each in page.resources] == list(range(3 * count, 0, -1))
        moments = [(each.seq, each.at) for each in page.resources]
        assert moments == sorted(moments, reverse=True)
        assert len({seq for seq, _ in moments}) == 3 * count
        for name in ("one", "two", "three"):
            for n in range(count):
                plan = SearchPlan(
                    type=TYPE, criterion=Token(param=f"param-{name}-{n % 3}", system=f"system-{n}", code=name)
                )
                assert await found(storage, plan) == {f"{name}-{n}"}
