"""Progress of long work: a bar on a terminal, a plain line a step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from toro_core.importing import Report

__all__ = ["file_progress", "indexing_progress", "place_progress"]

_PAUSE: Final = 2.0
"""Seconds between two plain lines."""


@contextmanager
def file_progress(files: Sequence[Path]) -> Iterator[Callable[[Path, Report], None]]:
    """Give what to call after each file of an import."""
    if not sys.stderr.isatty():
        yield lambda path, report: click.echo(f"{path.name}: {report.stored.total()} resources stored so far", err=True)
        return
    sizes = {path: path.stat().st_size if path.exists() else 0 for path in files}
    with click.progressbar(length=sum(sizes.values()), label="Importing", file=sys.stderr) as bar:

        def advance(path: Path, report: Report) -> None:
            bar.label = f"Importing ({report.stored.total()} stored)"
            bar.update(sizes[path])

        yield advance


@contextmanager
def place_progress(label: str, end: int) -> Iterator[Callable[[int, int], None]]:
    """Give what to call with the place reached, of which `end` is the last, and the number of things done."""
    if not sys.stderr.isatty():
        said = time.monotonic()

        def say(place: int, done: int) -> None:
            nonlocal said
            if time.monotonic() - said >= _PAUSE:
                said = time.monotonic()
                click.echo(f"{label}: {done} so far, {min(100, 100 * place // max(1, end))} %", err=True)

        yield say
        return
    with click.progressbar(length=end, label=label, file=sys.stderr) as bar:

        def advance(place: int, done: int) -> None:
            bar.label = f"{label} ({done})"
            bar.update(max(0, min(place, end) - bar.pos))

        yield advance


def indexing_progress() -> Callable[[int], None]:
    """Give what to call with how many resources of an opened storage are indexed."""
    last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PAUSE:
            end = "\r" if sys.stderr.isatty() else "\n"
            click.echo(f"{done} resources indexed so far{end}", nl=False, err=True)
            last = time.monotonic()

    return tell
