"""Several processes on one database."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from toro_core.search.plan import SearchPlan, Token
from toro_sqlite import open_sqlite

_PROCESS = """
import asyncio, sys
from toro_core.errors import ConditionChanged
from toro_core.search.plan import Token
from toro_core.storage import ABSENT, Body, Condition, Key, Rows, TokenRow, Write
from toro_sqlite import open_sqlite

async def create(storage, name, n):
    given = Condition(type="Patient", criterion=Token(param="identifier", system="", code=str(n)))
    write = Write(
        key=Key("Patient", f"{name}-{n}"), body=Body(before=b"{", after=b"}"), expect=ABSENT, conditions=(given,),
        rows=Rows(tokens=(TokenRow("identifier", "", str(n)),)),
    )
    try:
        await storage.commit([write])
        return 1
    except ConditionChanged:
        return 0

async def main(url, name, clients, identifiers):
    async with open_sqlite(url, lock_seconds=60) as storage:
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(identifiers):
            made = await asyncio.gather(*(create(storage, f"{name}{client}", n) for client in range(clients)))
            assert sum(made) <= 1

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


@pytest.mark.parametrize("identifiers", [25, pytest.param(200, marks=pytest.mark.slow)])
async def test_conditional_creates_of_two_processes_leave_one_resource_for_each_identifier(
    tmp_path: Path, identifiers: int
) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROCESS, url, name, "8", str(identifiers)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0], answers
    async with open_sqlite(url) as storage:
        for n in range(identifiers):
            plan = SearchPlan(type="Patient", criterion=Token(param="identifier", system="", code=str(n)))
            assert await storage.count(plan) == 1


async def test_opening_a_database_a_second_time_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/toro.db"
    async with open_sqlite(url) as storage:
        await storage.put_state("a", b"1")
        async with open_sqlite(url):
            pass
        # another process that found no locks would remove the log of the first when it leaves
        program = (sys.executable, "-c", _PROCESS, url, "c", "1", "1")
        process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE)
        await process.communicate(b"go\n")
        async with open_sqlite(url) as again:
            assert await again.list_state("a")
