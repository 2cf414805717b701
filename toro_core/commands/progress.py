"""Progress of long work: a bar on a terminal, a plain line a step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from toro_core.importing import Report

__all__ = ["file_progress"]


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
