from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from toro_core.commands.main import toro
from toro_facade.policy import published_table

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[str]:
    """Return every line of a shell example that runs `toro`."""
    blocks = (block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.startswith("toro ")]


def test_the_published_table_is_the_policy() -> None:
    table = re.search(r"<!-- published[^\n]*\n(.*?)<!-- end -->", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert table
    assert table[1] == published_table()


def test_there_are_examples() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize("line", commands())
def test_every_example_is_valid_usage(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command: click.Command = toro
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments)
