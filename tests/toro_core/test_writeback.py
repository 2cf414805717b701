from __future__ import annotations

import gc
from pathlib import Path

import pytest

from toro_core.importing.batches import no_collection
from toro_core.writeback import write_back


def test_what_is_brought_to_the_disk_early_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        start = 0
        for number in range(3):
            file.write(bytes([number]) * 50_000)
            start = write_back(file.fileno(), start)
            assert start == (number + 1) * 50_000
    assert path.read_bytes() == b"".join(bytes([number]) * 50_000 for number in range(3))


def test_cycles_are_looked_for_again_after_an_import_that_failed() -> None:
    def fail() -> None:
        with no_collection():
            with no_collection():
                pass
            assert not gc.isenabled()
            raise ValueError("stop")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.isenabled()
