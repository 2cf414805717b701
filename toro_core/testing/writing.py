"""A process that writes until it is killed: `python -m toro_core.testing.writing URL NAME`.

Eight tasks commit three resources each time and a version of one that they share; a line says which commit was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from toro_core.plugins import open_storage
from toro_core.storage import Rows, Storage, TokenRow
from toro_core.testing.making import write

_TASKS = 8


async def _write(storage: Storage, name: str) -> None:
    for number in itertools.count():
        commit = f"{name}-{number}"
        rows = Rows(tokens=(TokenRow("tag", "", commit), TokenRow("tag", "", "all")))
        parts = [write(f"{commit}-{part}", rows, note="x" * 400) for part in range(3)]
        if "transactions" in storage.capabilities:
            await storage.commit([*parts, write("shared", rows)])
        else:
            await storage.commit(parts[:1])
        print(commit, flush=True)


async def _main(url: str, name: str) -> None:
    async with open_storage(url) as storage:
        await asyncio.gather(*(_write(storage, f"{name}{number}") for number in range(_TASKS)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
