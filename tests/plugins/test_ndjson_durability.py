"""What an answer means: killed processes, torn and damaged lines, a full disk, compactions cut off anywhere."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from toro_core.errors import Damaged, StorageBusy, StorageFull
from toro_core.search.plan import SearchPlan, Token
from toro_core.storage import HistoryPlan, Rows, Storage, TokenRow
from toro_core.testing.making import TYPE, delete, found, key, walk, write
from toro_ndjson import open_ndjson
from toro_ndjson.lines import sealed

# Writes three resources a commit, from eight tasks, and says which commits were answered.
_WRITER = """
import asyncio, sys
from toro_core.storage import Rows, TokenRow
from toro_core.testing.making import write
from toro_ndjson import open_ndjson
from toro_ndjson.lines import sealed

async def client(storage, name):
    for n in range(100_000):
        commit = f"{name}-{n}"
        rows = Rows(tokens=(TokenRow("tag", "", commit), TokenRow("tag", "", "all")))
        await storage.commit([write(f"{commit}-{part}", rows, note="x" * 400) for part in range(3)] + [write("shared", rows)])
        print(commit, flush=True)

async def main(url, name):
    async with open_ndjson(url, compact_bytes=100_000) as storage:
        await asyncio.gather(*(client(storage, f"{name}{n}") for n in range(8)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""
_TAGGED = Rows(tokens=(TokenRow("tag", "", "x"),))
_ALL = SearchPlan(type=TYPE, criterion=Token(param="tag", code="x"))


def _url(folder: Path) -> str:
    return f"ndjson:///{folder}"


def _start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def _check(storage: Storage, answered: set[str]) -> None:
    parts: dict[str, set[str]] = {}
    for id in await walk(storage, SearchPlan(type=TYPE, criterion=Token(param="tag", code="all"), limit=5000)):
        commit, _, part = id.rpartition("-")
        parts.setdefault(commit, set()).add(part)
    parts.pop("", None)
    assert answered <= parts.keys(), "an answered commit is lost"
    assert all(each == {"0", "1", "2"} for each in parts.values()), "a commit is half there"
    shared = await storage.read(key("shared"))
    assert shared.version == len(parts)
    page = await storage.history(HistoryPlan(key=key("shared"), limit=100_000, max_bytes=1 << 30))
    assert [each.version for each in page.resources] == list(range(shared.version, 0, -1))


@pytest.mark.parametrize("rounds", [3, pytest.param(15, marks=pytest.mark.slow)])
async def test_after_kill_9_every_answered_commit_is_there_and_none_is_half_there(tmp_path: Path, rounds: int) -> None:
    answered: set[str] = set()
    chance = random.Random(rounds)  # noqa: S311 - seeded, so that a failure comes again
    for n in range(rounds):
        process = _start(_WRITER, _url(tmp_path), f"r{n}")
        assert process.stdout is not None
        answered |= {process.stdout.readline().strip() for _ in range(chance.randrange(1, 700))}
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        # The last line may be cut off.
        answered |= set(rest[: rest.rfind("\n") + 1].split())
        async with open_ndjson(_url(tmp_path), compact_bytes=1 << 30 if n % 2 else 0) as storage:
            await _check(storage, answered)


async def test_an_answer_comes_after_an_fsync_of_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        written = durable = syncs = answered = 0

        def write_(descriptor: int, data: bytes, real: Callable[..., int] = os.write) -> int:
            nonlocal written
            count = real(descriptor, data)
            written += bytes(data[:count]).count(b"\n")
            return count

        def fsync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
            nonlocal durable, syncs
            real(descriptor)
            durable, syncs = written, syncs + 1

        async def answer(call: Awaitable[object]) -> None:
            nonlocal answered
            await call
            answered += 1
            # Jobs are journaled and answered in the order they came in.
            assert answered <= durable, "answered before it was durable"

        monkeypatch.setattr(os, "write", write_)
        monkeypatch.setattr(os, "fsync", fsync)
        await answer(storage.commit([write("a")]))
        await answer(storage.put_state("k", b"v"))
        await answer(storage.delete_state("k"))
        await answer(storage.commit([delete("a")]))
        await asyncio.gather(*(answer(storage.commit([write(f"r{n}")])) for n in range(60)))
        assert answered == 64
        assert syncs < 64, "nothing was grouped"


async def _journaled(folder: Path, copy: Path) -> None:
    """Make a folder as a killed process leaves it: three commits in the journal."""
    async with open_ndjson(_url(folder)) as storage:
        for n in range(3):
            await storage.commit([write(f"r{n}", _TAGGED), write("shared", note=str(n))])
        await storage.put_state("k", b"v")
        shutil.copytree(folder, copy)


async def test_a_torn_tail_is_dropped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await _journaled(tmp_path / "data", tmp_path / "copy")
    whole = (tmp_path / "copy/_toro/journal.ndjson").read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for n, length in enumerate(range(0, len(whole), 31)):
        folder = tmp_path / f"torn{n}"
        shutil.copytree(tmp_path / "copy", folder)
        (folder / "_toro/journal.ndjson").write_bytes(whole[:length] + (b"\0" * 40 if n % 3 == 0 else b""))
        caplog.clear()
        async with open_ndjson(_url(folder)) as storage:
            commits = sum(end <= length for end in ends[:3])
            assert await found(storage, _ALL) == {f"r{each}" for each in range(commits)}
            torn = length not in {0, *ends} or n % 3 == 0
            assert (f"line {sum(end <= length for end in ends) + 1} of _toro/journal.ndjson" in caplog.text) == torn
            await storage.commit([write("after", _TAGGED)])
        async with open_ndjson(_url(folder)) as storage:
            assert "after" in await found(storage, _ALL)


async def test_a_damaged_line_that_was_durable_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    await _journaled(tmp_path / "data", tmp_path / "copy")
    path = tmp_path / "copy/_toro/journal.ndjson"
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for damage in (whole[second + 40 : second + 41], b"\n"):
        at = whole.index(damage, second + 40)
        path.write_bytes(whole[:at] + (b" " if damage != b"\n" else b"") + whole[at + 1 :])
        with pytest.raises(Damaged, match=r"line 2 of _toro/journal[.]ndjson is damaged.*restore the folder"):
            async with open_ndjson(_url(tmp_path / "copy")):
                pass


async def test_of_a_batch_that_was_never_answered_any_part_may_be_missing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_ndjson(_url(folder)) as storage:
        await storage.commit([write("before", _TAGGED)])
        await asyncio.gather(*(storage.commit([write(f"r{n}", _TAGGED)]) for n in range(20)))
        shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy/_toro/journal.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    starts = [json.loads(line)["from"] for line in lines]
    assert len(set(starts)) < len(starts), "nothing was grouped"
    last = starts.index(starts[-1])
    lines[last] = b"\0" * len(lines[last])
    path.write_bytes(b"".join(lines))
    async with open_ndjson(_url(tmp_path / "copy")) as storage:
        assert len(await found(storage, _ALL)) == last


@pytest.mark.parametrize(
    "name", ["Observation.ndjson", "_toro/history/1.ndjson", "_toro/index-1.ndjson", "_toro/manifest.json"]
)
async def test_a_damaged_file_of_a_compaction_is_named_and_nothing_is_served(tmp_path: Path, name: str) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        for n in range(3):
            await storage.commit([write(f"r{n}", _TAGGED), write("shared", note=f"note{n}")])
    path = tmp_path / name
    data = path.read_bytes()
    at = data.index(b"note", len(data) // 3) if b"note" in data else len(data) // 2
    path.write_bytes(data[:at] + b"\xa5" + data[at + 1 :])
    expected = "manifest" if "manifest" in name else rf"line [123] of {name}"
    with pytest.raises(Damaged, match=expected):
        async with open_ndjson(_url(tmp_path)):
            pass


@pytest.mark.parametrize("which", [slice(0, 0), slice(0, -1), slice(1, None), slice(0, 1)])
@pytest.mark.parametrize("name", ["index-1.ndjson", "state-1.ndjson"])
async def test_lines_missing_from_a_file_of_a_compaction_are_noticed(tmp_path: Path, name: str, which: slice) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        for n in range(3):
            await storage.commit([write(f"r{n}", _TAGGED), write("shared", note=f"note{n}")])
            await storage.put_state(f"k{n}", b"v")
    path = tmp_path / "_toro" / name
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[which]))
    with pytest.raises(Damaged, match=rf"_toro/{name}.* restore the folder"):
        async with open_ndjson(_url(tmp_path)):
            pass


@pytest.mark.parametrize("name", ["Observation.ndjson", "_toro/current/Observation.ndjson"])
@pytest.mark.parametrize("damage", [b"", b"half", b"more"])
async def test_a_type_file_that_is_not_as_it_was_written_is_named(tmp_path: Path, name: str, damage: bytes) -> None:
    if name.startswith("_toro"):
        (tmp_path / "theirs.ndjson").write_bytes(b'{"resourceType":"Patient","id":"a"}\n')
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", note="first"), write("b", note="second")])
    path = tmp_path / name
    data = path.read_bytes()
    path.write_bytes({b"": b"", b"half": data[: len(data) // 2], b"more": data + data.splitlines()[0] + b"\n"}[damage])
    with pytest.raises(Damaged, match=rf"{name}.* restore the f"):
        async with open_ndjson(_url(tmp_path)):
            pass


async def test_a_whole_line_that_says_something_else_is_named(tmp_path: Path) -> None:
    await _journaled(tmp_path / "data", tmp_path / "copy")
    path = tmp_path / "copy/_toro/journal.ndjson"
    with path.open("ab") as file:
        file.write(sealed(b'{"from":0,"seq":"of another version"}'))
    count = len(path.read_bytes().splitlines())
    with pytest.raises(Damaged, match=rf"line {count} of _toro/journal.ndjson says what this version .* understand"):
        async with open_ndjson(_url(tmp_path / "copy")):
            pass


async def test_a_damaged_journal_that_was_put_aside_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str, *_: object, real: Callable[..., None] = os.rename, **options: Any) -> None:
        if target == "manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target, **options)

    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", _TAGGED)])
        await storage.commit([write("b", _TAGGED)])
        monkeypatch.setattr(os, "rename", full)
    monkeypatch.undo()
    (path,) = (tmp_path / "_toro").glob("journal-*.ndjson")
    data = path.read_bytes()
    # It is whole before another begins, so a torn end of it is damage as well.
    for damaged in (data.replace(b'"seq":2', b'"seq":3'), data[:-20]):
        path.write_bytes(damaged)
        with pytest.raises(Damaged, match=rf"line 2 of _toro/{path.name} is damaged"):
            async with open_ndjson(_url(tmp_path)):
                pass
    path.write_bytes(data)
    async with open_ndjson(_url(tmp_path)) as storage:
        assert await found(storage, _ALL) == {"a", "b"}


async def test_no_changed_byte_of_the_manifest_goes_unnoticed(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", _TAGGED), write("a", note="changed")])
    path = tmp_path / "_toro/manifest.json"
    data = path.read_bytes()
    for at in range(0, len(data) - 1, 5):
        for bit in (1, 32):
            path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
            with pytest.raises(Damaged, match=r"manifest[.]json is damaged"):
                async with open_ndjson(_url(tmp_path)):
                    pass


async def test_a_folder_of_an_earlier_version_is_opened(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", _TAGGED)])
    path = tmp_path / "_toro/manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["index"], manifest["state"], manifest["crc"]
    path.write_text(json.dumps(manifest))
    async with open_ndjson(_url(tmp_path)) as storage:
        assert await found(storage, _ALL) == {"a"}


async def test_a_folder_that_moves_is_served_and_one_that_is_removed_takes_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_ndjson(_url(folder)) as storage:
        await storage.commit([write("before", _TAGGED)])
        folder.rename(tmp_path / "moved")
        await storage.commit([write("after", _TAGGED)])
        assert await found(storage, _ALL) == {"before", "after"}
    assert not folder.exists()
    async with open_ndjson(_url(tmp_path / "moved")) as storage:
        assert await found(storage, _ALL) == {"before", "after"}
        shutil.rmtree(tmp_path / "moved")
        with pytest.raises(StorageBusy, match="was removed while the folder was served"):
            await storage.commit([write("lost", _TAGGED)])
        assert await found(storage, _ALL) == {"before", "after"}


async def test_what_is_damaged_while_it_is_served_is_not_served(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", note="first"), write("b", note="second")])
    async with open_ndjson(_url(tmp_path)) as storage:
        path = tmp_path / "Observation.ndjson"
        data = path.read_bytes()
        with path.open("r+b") as file:
            file.write(data.replace(b"second", b"sEcond"))
        with pytest.raises(Damaged, match=r"line 2 of Observation[.]ndjson"):
            await storage.read(key("b"))
        assert b"first" in (await storage.read(key("a"))).json


async def test_a_full_disk_writes_nothing_and_harms_no_commit_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 50_000

    def write_(descriptor: int, data: Any, real: Callable[..., int] = os.write) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        # A disk takes what it can before it is full.
        count = real(descriptor, data[:left])
        left -= count
        return count

    def truncate(descriptor: int, length: int, real: Callable[[int, int], None] = os.ftruncate) -> None:
        nonlocal left
        left += os.fstat(descriptor).st_size - length
        real(descriptor, length)

    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("before", _TAGGED)])
        monkeypatch.setattr(os, "write", write_)
        monkeypatch.setattr(os, "ftruncate", truncate)
        large = [write(f"large{n}", _TAGGED, note="x" * 100_000) for n in range(4)]
        good = [storage.commit([write(f"good{n}", _TAGGED)]) for n in range(8)]
        results = await asyncio.gather(*good[:4], storage.commit(large), *good[4:], return_exceptions=True)
        assert [type(each) for each in results if isinstance(each, BaseException)] == [StorageFull]
        with pytest.raises(StorageFull):
            await storage.commit(large)
        monkeypatch.undo()
        expected = {"before", *(f"good{n}" for n in range(8))}
        assert await found(storage, _ALL) == expected
        await storage.commit([write("after", _TAGGED)])
        shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    async with open_ndjson(_url(tmp_path.with_name("copy"))) as storage:
        assert await found(storage, _ALL) == expected | {"after"}


async def test_a_disk_that_is_full_in_earnest_keeps_what_was_answered(tmp_path: Path) -> None:
    full = _start(
        "import asyncio, resource, signal, sys\n"
        "from toro_core.errors import StorageFull\n"
        "from toro_core.testing.making import write\n"
        "from toro_ndjson import open_ndjson\n"
        "async def main():\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))\n"
        "    async with open_ndjson(sys.argv[1]) as storage:\n"
        "        try:\n"
        "            for n in range(1000):\n"
        "                await storage.commit([write(f'r{n}', note='x' * 2_000)])\n"
        "        except StorageFull:\n"
        "            await storage.commit([write('small')])\n"
        "            # Nothing fits any more, no compaction either.\n"
        "            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "            print(n, flush=True)\n"
        "asyncio.run(main())",
        _url(tmp_path),
    )
    answered, _ = full.communicate(timeout=60)
    assert 10 < int(answered) < 40
    for _ in range(2):
        async with open_ndjson(_url(tmp_path)) as storage:
            expected = {"small", *(f"r{n}" for n in range(int(answered)))}
            assert await found(storage, SearchPlan(type="Observation", limit=100)) == expected


async def test_where_a_failed_write_cannot_be_taken_back_nothing_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with open_ndjson(_url(tmp_path / "data")) as storage:
        await storage.commit([write("before", _TAGGED)])
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageBusy, match="Input/output error"):
            await storage.commit([write("lost", _TAGGED)])
        monkeypatch.undo()
        with pytest.raises(StorageBusy, match="start again"):
            await storage.commit([write("late", _TAGGED)])
        assert await found(storage, _ALL) == {"before"}
    async with open_ndjson(_url(tmp_path / "data")) as storage:
        assert "before" in await found(storage, _ALL)
        await storage.commit([write("again", _TAGGED)])


async def _fill(storage: Storage) -> None:
    await storage.commit([write(f"r{n}", _TAGGED, note="x" * 50) for n in range(5)])
    await storage.commit([write("p", type="Patient"), write("gone", _TAGGED)])


async def _change(storage: Storage) -> None:
    await storage.commit([write("r1", note="changed"), delete("gone"), delete("p", type="Patient")])
    await storage.commit([write("new", _TAGGED), write("d", _TAGGED, type="Device")])
    await storage.put_state("k", b"v")


async def _everything(storage: Storage) -> list[object]:
    stored = [await storage.read_many([key(f"r{n}"), key("gone"), key("new"), key("p", "Patient")]) for n in range(5)]
    page = await storage.history(HistoryPlan(key=key("r1")))
    return [*stored, page.resources, sorted(await found(storage, _ALL)), await storage.get_state("k")]


async def test_a_compaction_cut_off_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    copies: list[Path] = []

    def copying(name: str) -> None:
        real = getattr(os, name)

        def step(*args: Any, **options: Any) -> Any:
            # One copy at a time: what other threads do meanwhile is another step.
            copy = tmp_path / f"copy{len(copies)}"
            copies.append(copy)
            shutil.copytree(folder, copy)
            return real(*args, **options)

        monkeypatch.setattr(os, name, step)

    async with open_ndjson(_url(folder)) as storage:
        await _fill(storage)
    async with open_ndjson(_url(folder)) as storage:
        await _change(storage)
        expected = await _everything(storage)
        real_copy = (os.unlink, os.rmdir)
        for name in ("fsync", "rename", "unlink", "rmdir"):
            copying(name)
    monkeypatch.undo()
    assert real_copy == (os.unlink, os.rmdir)
    assert len(copies) > 15
    for copy in copies:
        for _ in range(2):
            async with open_ndjson(_url(copy)) as storage:
                assert await _everything(storage) == expected, copy
        _is_a_bulk_export(copy, {"Observation": {"r0", "r1", "r2", "r3", "r4", "new"}, "Device": {"d"}})


def _is_a_bulk_export(folder: Path, expected: dict[str, set[str]]) -> None:
    lines = {path.stem: path.read_text().splitlines() for path in folder.glob("*.ndjson")}
    resources = {type_: [json.loads(line) for line in each] for type_, each in lines.items()}
    assert {type_: {one["id"] for one in each} for type_, each in resources.items()} == expected
    assert all(one["resourceType"] == type_ for type_, each in resources.items() for one in each)


async def test_the_journal_is_compacted_while_commits_and_reads_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    rename = os.rename

    def slow(source: str, target: str, **options: Any) -> None:
        if str(target) == "manifest.json":
            begun.set()
            assert go_on.wait(20)
        rename(source, target, **options)

    async with open_ndjson(_url(tmp_path / "data"), compact_bytes=2_000) as storage:
        monkeypatch.setattr(os, "rename", slow)
        await storage.commit([write(f"r{n}", _TAGGED, note="x" * 100) for n in range(20)])
        assert await asyncio.to_thread(begun.wait, 20)
        await storage.commit([write("r1", _TAGGED, note="changed"), write("meanwhile", _TAGGED), delete("r2")])
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        go_on.set()
        expected = {"meanwhile", *(f"r{n}" for n in range(20) if n != 2)}
        for _ in range(1000):
            if (tmp_path / "data/Observation.ndjson").exists():
                break
            await asyncio.sleep(0.01)
        assert await found(storage, _ALL) == expected
        assert b"changed" in (await storage.read(key("r1"))).json
        assert b"x" * 100 in (await storage.read(key("r1"), 1)).json
    for folder in ("data", "copy"):
        async with open_ndjson(_url(tmp_path / folder)) as storage:
            assert await found(storage, _ALL) == expected
            assert (await storage.read(key("r2"))).deleted
            assert b"x" * 100 in (await storage.read(key("r1"), 1)).json


async def test_a_compaction_that_fails_is_said_and_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(source: str, target: str, *_: object, real: Callable[..., None] = os.rename, **options: Any) -> None:
        if target == "manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target, **options)

    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", _TAGGED)])
        monkeypatch.setattr(os, "rename", full)
    assert "could not be compacted" in caplog.text
    monkeypatch.undo()
    for expected in ({"a", "b"}, {"a", "b", "c"}):
        async with open_ndjson(_url(tmp_path)) as storage:
            await storage.commit([write(max(expected), _TAGGED)])
            assert await found(storage, _ALL) == expected
    assert logging.getLogger("toro.storage").name in {each.name for each in caplog.records}
    assert sorted(each.name for each in (tmp_path / "_toro").iterdir()) == [
        "history",
        "index-3.ndjson",
        "journal.ndjson",
        "lock",
        "manifest.json",
        "state-3.ndjson",
    ]


async def test_many_files_of_history_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_ndjson.compaction._MOST_HISTORIES", 4)
    most = 0
    for n in range(12):
        async with open_ndjson(_url(tmp_path)) as storage:
            await storage.commit([write("a", note=f"note{n}"), write(f"r{n}")])
            page = await storage.history(HistoryPlan(key=key("a")))
            assert [each.json.count(b"note%d" % (n - back)) for back, each in enumerate(page.resources)] == [1] * (
                n + 1
            )
        most = max(most, len(list((tmp_path / "_toro/history").iterdir())))
    assert most == 4


async def test_one_process_has_the_folder(tmp_path: Path) -> None:
    holder = _start(
        "import asyncio, sys\nfrom toro_ndjson import open_ndjson\n"
        "async def main():\n"
        "    async with open_ndjson(sys.argv[1]):\n"
        "        print('ready', flush=True)\n"
        "        sys.stdin.readline()\n"
        "asyncio.run(main())",
        _url(tmp_path),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    for mode in ("", "?mode=ro"):
        with pytest.raises(StorageBusy, match=rf"process {holder.pid} has this NDJSON folder open"):
            async with open_ndjson(_url(tmp_path) + mode):
                pass
    holder.kill()
    holder.communicate()
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a")])
    async with open_ndjson(_url(tmp_path) + "?mode=ro"), open_ndjson(_url(tmp_path) + "?mode=ro"):
        with pytest.raises(StorageBusy):
            async with open_ndjson(_url(tmp_path)):
                pass
