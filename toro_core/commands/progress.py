"""Progress of long work: a bar on a terminal, a plain line a step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from toro_core.importing import Report

__all__ = ["file_progress", "indexing_progress"]

_PAUSE: Final = 2.0


@contextmanager
def file_progress(files: Sequence[Path]) -> Iterator[Callable[[Path, Report], None]]:
    """Give what to call after each file of an import."""
    if not sys.stderr.isatty():
        yield lambda path, report: click.echo(f"{path.name}: {report.stored.total()} resources stored so far", err=True)
        return
    sizes = {path: path.stat().st_size for path in files}
    with click.progressbar(length=sum(sizes.values()), label="Importing", file=sys.stderr) as bar:

        def advance(path: Path, report: Report) -> None:
            bar.label = f"Importing ({report.stored.total()} stored)"
            bar.update(sizes[path])

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
