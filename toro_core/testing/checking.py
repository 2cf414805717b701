"""Runs the suite against a storage URL and gathers what came of it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pytest

from toro_core.errors import ToroError
from toro_core.plugins import STORAGE_GROUP, open_storage, upkeep
from toro_core.storage import GivesScratch
from toro_core.testing.conformance import StorageConformance

__all__ = ["Checked", "Report", "Result", "checked_by", "run"]

_SUITE: Final = "toro_core.testing.suite"
_Scratch = Callable[[], AbstractAsyncContextManager[str]]


class Result(NamedTuple):
    """A test's outcome: `passed`, `failed` or `skipped`, the group of promises it belongs to, and why."""

    group: str
    test: str
    outcome: str
    seconds: float
    why: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a run. It names the storage's scheme alone: its address may hold a password."""

    scheme: str
    plugin: str
    started: str
    results: list[Result] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """Count the promises kept."""
        return sum(result.outcome == "passed" for result in self.results)

    @property
    def failed(self) -> int:
        """Count the promises broken."""
        return sum(result.outcome == "failed" for result in self.results)

    def groups(self) -> dict[str, Counter[str]]:
        """Count outcomes by group."""
        found: dict[str, Counter[str]] = {}
        for result in self.results:
            found.setdefault(result.group, Counter())[result.outcome] += 1
        return found

    def skipped_because(self) -> Counter[str]:
        """Count the reasons for which tests were skipped."""
        return Counter(result.why for result in self.results if result.outcome == "skipped")

    def as_json(self) -> dict[str, Any]:
        """Return what a report file holds."""
        return {
            "scheme": self.scheme,
            "plugin": self.plugin,
            "toro": importlib.metadata.version("toro-fhir"),
            "started": self.started,
            "passed": self.passed,
            "failed": self.failed,
            "results": [result._asdict() for result in self.results],
        }


def run(url: str, tell: Callable[[int], None], *, only: Collection[str] = (), volatile: bool = False) -> Report:
    """Run the suite on scratch areas beside a storage, telling how many tests have run.

    `only` names groups, all where it is empty; `volatile` leaves out what is about opening again. Raises ToroError, as the plugin
    does, where no scratch area can be opened: that is no broken promise, and is said once instead of for each test.
    """
    scheme = url.partition("://")[0].lower()
    scratch = _scratch(url)
    asyncio.run(_try(scratch))
    checked = Checked(scratch, only, volatile, tell, Report(scheme=scheme, plugin=_plugin(scheme), started=_now()))
    with tempfile.TemporaryDirectory(prefix="toro-check-") as folder:
        options = ("-p", "no:terminal", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "ignore")
        code = pytest.main([*options, "-c", os.devnull, "--rootdir", folder, "--pyargs", _SUITE], plugins=[checked])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise ToroError(f"the suite could not be run: pytest ended with {code!r}")
    return checked.report


class Checked:
    """A pytest plugin that gives the suite its storage and notes what comes of each test."""

    def __init__(
        self,
        scratch: _Scratch,
        only: Collection[str],
        volatile: bool,
        tell: Callable[[int], None],
        report: Report,
    ) -> None:
        """Take where to get scratch areas from, what to run, and where to note."""
        self.scratch = scratch
        self.volatile = volatile
        self.report = report
        self._only = only
        self._tell = tell
        self._groups: dict[str, str] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Be found by the suite."""
        config.stash[_KEY] = self
        # Reading the sources of what failed, as pytest does for people, is slow, and fails itself after deep recursions.
        config.option.tbstyle = "native"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the groups asked for. Raises UsageError where there are none."""
        self._groups = {item.nodeid: _group(item) for item in items}
        known = sorted(set(self._groups.values()))
        if not set(self._only) <= set(known):
            raise pytest.UsageError(f"the groups are {', '.join(known)}")
        # What everything else builds on comes first.
        order = [each.__name__ for each in StorageConformance.__mro__]
        items.sort(key=lambda item: order.index(_class(item).__name__))
        if self._only:
            items[:] = [item for item in items if self._groups[item.nodeid] in self._only]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ran, or that did not come to run."""
        if report.when != "call" and report.outcome == "passed":
            return
        # What fails while it is closed has passed before.
        self.report.results = [one for one in self.report.results if one.test != _name(report)]
        group = self._groups[report.nodeid]
        seconds = round(report.duration, 3)
        self.report.results.append(Result(group, _name(report), report.outcome, seconds, _why(report)))
        self._tell(len(self.report.results))


_KEY: Final = pytest.StashKey[Checked]()


def checked_by(config: pytest.Config) -> Checked:
    """Return what the suite's fixtures are made from."""
    return config.stash[_KEY]


def _scratch(url: str) -> _Scratch:
    if "{}" in url:
        numbers = itertools.count()
        run_name = f"check_{os.getpid()}_{time.time_ns()}"

        @asynccontextmanager
        async def named() -> AsyncIterator[str]:
            yield url.replace("{}", f"{run_name}_{next(numbers)}")

        return named
    care = upkeep(url)
    if not isinstance(care, GivesScratch):
        raise ToroError("this plugin has no scratch areas: give a URL with {} where each test puts a name of its own")
    return lambda: care.scratch(url)


async def _try(scratch: _Scratch) -> None:
    async with scratch() as url, open_storage(url):
        pass


def _plugin(scheme: str) -> str:
    for entry in importlib.metadata.entry_points(group=STORAGE_GROUP, name=scheme):
        return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return "not installed"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _name(report: pytest.TestReport) -> str:
    return report.nodeid.rpartition("::")[2]


def _group(item: pytest.Item) -> str:
    """Return which part of the suite a test is from."""
    return _class(item).__name__.removesuffix("Conformance").lower()


def _class(item: pytest.Item) -> type:
    name = getattr(item, "originalname", item.name)
    found: type = next(each for each in getattr(item, "cls", object).__mro__ if name in vars(each))
    return found


def _why(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr or "").partition("\n")[0]
