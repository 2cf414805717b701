"""Download the runtime's wheels for Windows and macOS; exit 1 where one is missing that Toro promises."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["TARGETS", "Target", "main", "missing", "needed", "reachable"]

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
PYTHON = "3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A platform by its wheel tag and what markers see there; `promised` platforms must have every wheel."""

    tag: str
    markers: dict[str, str]
    promised: bool = True


_WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"}
_MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
TARGETS = (
    Target(tag="win_amd64", markers=_WINDOWS),
    Target(tag="macosx_14_0_arm64", markers=_MAC | {"platform_machine": "arm64"}),
    # projects are ceasing to publish these, one by one
    Target(tag="macosx_14_0_x86_64", markers=_MAC | {"platform_machine": "x86_64"}, promised=False),
)


def main() -> int:
    """Try every target and say what is missing."""
    if not reachable():
        print("no package index can be reached", file=sys.stderr)
        return 1
    failed = False
    for target in TARGETS:
        absent = missing(target)
        failed = failed or bool(absent and target.promised)
        print(f"{target.tag}: {'no wheel of ' + ', '.join(absent) if absent else 'complete'}")
    return 1 if failed else 0


def reachable() -> bool:
    """Say whether there is a package index to ask: it has a wheel of pluggy, which every platform takes."""
    with tempfile.TemporaryDirectory() as folder:
        return _download(TARGETS[0], ["pluggy"], folder)


def needed(target: Target) -> list[str]:
    """Return what the target installs, pinned: the runtime dependencies and theirs, by the markers that hold there."""
    environment = {**{name: str(value) for name, value in default_environment().items()}, **target.markers}
    pins: dict[str, str] = {canonicalize_name(pin.name): str(pin.specifier) for pin in _constraints()}
    found: set[str] = set()
    waiting = ["toro-fhir"]
    while waiting:
        for text in _requires(waiting.pop()):
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""})
            if applies and name not in found:
                found.add(name)
                waiting.append(name)
    return sorted(name + pins.get(name, "") for name in found)  # pip, which sqlite-utils asks for, is nobody's to pin


def missing(target: Target) -> list[str]:
    """Return what has no wheel for the target."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = needed(target)
        return (
            [] if _download(target, wanted, folder) else [one for one in wanted if not _download(target, [one], folder)]
        )


def _download(target: Target, wanted: list[str], folder: str) -> bool:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--platform", target.tag, "--python-version", PYTHON, "--dest", folder]
    return subprocess.run([*command, *wanted], check=False, capture_output=True).returncode == 0


def _constraints() -> Iterator[Requirement]:
    for line in CONSTRAINTS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line)


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []  # a dependency of other platforms only: its own are not known here


if __name__ == "__main__":
    sys.exit(main())
